"""How do many requests run as a Message Batch, at half price?"""

"""How do thousands of calls travel together, at half price, and each of them once?"""

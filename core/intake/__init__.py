"""How does a request become a Call?"""

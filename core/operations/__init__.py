"""How does the installation stand, and what is done about what went wrong?"""

"""How does a template become text?"""

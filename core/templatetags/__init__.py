"""What do templates need that Django's own tags do not have?"""

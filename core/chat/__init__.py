"""How does a person or a program talk with Claude: conversations, branches, files, and how full they get?"""

"""How does a table of a person or a script become rows for Claude, and a table with answers again?"""

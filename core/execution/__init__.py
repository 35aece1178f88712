"""How does one Call run, from claim to settlement?"""

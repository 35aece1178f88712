"""How are dates and times written, where Django writes them by itself?"""

"""How does a running call reach the browsers that watch it?"""

"""How does a script get text for text, without knowing the Claude API? The addresses under /api."""

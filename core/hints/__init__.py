"""How is Redis reached? It holds hints that may vanish at any moment; the truth is in the database."""

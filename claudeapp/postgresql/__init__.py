"""How is PostgreSQL reached? As Django does, but for how its pool asks whether a connection still works."""

"""How is Claude called? The only room that knows the SDK."""

"""How do programs reach Claude through this server? What the Claude API answers, and the plain addresses."""

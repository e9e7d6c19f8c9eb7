"""Email to administrators: what is news, its words, and sending it."""

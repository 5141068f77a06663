"""Whether each connection is well, and who is told."""

"""Who is in scope, and what to ask Graph for it."""

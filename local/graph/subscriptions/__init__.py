"""Change notifications: what may be subscribed to, and what is told to whom."""

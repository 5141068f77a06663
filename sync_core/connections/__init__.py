"""A connection's life: saved, verified, consented to, deleted."""

"""Which existing rows newcomers take over."""

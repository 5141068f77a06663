"""One person: why, now, by hand."""

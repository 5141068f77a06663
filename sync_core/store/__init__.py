"""Table Storage: the only place that knows it."""

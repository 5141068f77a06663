"""Graph's calls, one file a subject."""

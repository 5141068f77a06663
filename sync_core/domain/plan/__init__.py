"""What a run changes, and whether it may."""

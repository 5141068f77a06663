"""What is copied of a person."""

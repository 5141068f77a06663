"""What can be made to go wrong, and whose turn it is."""

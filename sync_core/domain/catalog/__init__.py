"""What a tenant offers to choose from."""

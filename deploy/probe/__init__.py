"""What only a running deployment, and only a real tenant, can tell: asked from outside, reading only."""

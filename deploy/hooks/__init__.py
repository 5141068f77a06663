"""What azd runs (`azure.yaml`): three scripts, and here what they do; each needs nothing but Python."""

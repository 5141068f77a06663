"""Keeps the people of Entra tenants in Table Storage: reads everything, decides once, then acts."""

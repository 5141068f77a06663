"""Connections as files, and other programs' settings."""

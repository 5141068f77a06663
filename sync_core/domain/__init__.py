"""Decides without I/O: no SDK, no storage, no clock."""

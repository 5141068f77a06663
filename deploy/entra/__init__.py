"""Registrations in Entra: of the API, and of what reads other tenants; the one way, and no secret in it.

Everything is looked at first and written only where it differs, so it can be run again at any time, and by
another person than who has deployed: a token for Graph and five values are enough.
"""

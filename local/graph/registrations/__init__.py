"""App registrations as administrators write them, with a token of a person: nothing of it is the product's.

The token of an application never comes here (`local/graph/router.py`), so whatever the product tries to
write is refused as before.
"""

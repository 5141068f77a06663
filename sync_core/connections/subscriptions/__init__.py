"""A connection's subscriptions: what is stored, and what Graph has, brought to what is wanted.

Maintenance does it every hour for all connections, a message of the queue after a save. A failure is the
state of a subscription and a warning of the connection; it never fails a run, and polling finds all changes.
One that lives is kept when its renewal fails.
"""

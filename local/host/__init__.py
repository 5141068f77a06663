"""A small Functions host: serves ``function_app.py`` on this machine as Azure would.

HTTP, timer and queue triggers and queue outputs, with the rules of the real host about routes,
keys, retries and poison messages. Only for local use; with Core Tools installed ``func start``
serves the same folder. Differences that are meant:

- A queue is looked at once a second at least, whatever ``maxPollingInterval`` says.
- A message under work is hidden for 30 seconds and renewed (the real host: 10 minutes), so that
  the message of a killed worker is tried again soon.
- Timers have no schedule monitor: a tick missed while the host was down is not made up for.
- Several hosts over the same storage agree on who fires timers by a file lock, not a blob lease.
"""

"""A Functions host whose leases last a tenth of their time, so that a test need not wait a minute for each.

python -m tests.runs.hurried_host --port 0 --root FOLDER ...
"""

import sys

from local.host.__main__ import main
from sync_core.runs import hold
from sync_core.store import leases

HURRY = 10

if __name__ == "__main__":
    leases.DURATION /= HURRY
    hold.TRUST /= HURRY
    hold.HEARTBEAT_S /= HURRY
    sys.exit(main())

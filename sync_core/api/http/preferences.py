"""`Prefer: wait=N` (RFC 7240): how long a caller would wait for the end of a run. Pure."""

import re
from collections.abc import Sequence

# The load balancer before a function app cuts an answer off after 230 seconds.
# learn.microsoft.com/azure/azure-functions/functions-scale-and-hosting (timeout)
MAX_WAIT_S = 200
WAIT = re.compile(r"""wait\s*=\s*"?([0-9]{1,9})"?\s*(;.*)?""", re.IGNORECASE)


def wait_s(headers: Sequence[str]) -> int | None:
    """Return the seconds to wait, capped; None where the caller did not ask, or not in the RFC's words."""
    for preference in ",".join(headers).split(","):
        if match := WAIT.fullmatch(preference.strip()):
            return min(int(match[1]), MAX_WAIT_S)
    return None

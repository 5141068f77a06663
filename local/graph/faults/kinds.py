"""Which faults there are, and what each of them takes: the document of a fault in, complaints out."""

from collections.abc import Callable, Mapping
from typing import Any

from local.graph.faults.spoiled import BROKEN
from local.graph.faults.token_errors import WITHOUT_CAUSE

STATUS_KINDS = {
    "throttled": 429,
    "unavailable": 503,
    "gatewayTimeout": 504,
    "serverError": 500,
    "badGateway": 502,
    "outage": 503,
    "badRequest": 400,
    "denied": 403,
    "notFound": 404,
    "gone": 410,
}
PAGE_KINDS = frozenset(
    ("emptyPage", "emptyPages", "lostRest", "repeatedPage", "loopingLink", "foreignLink")
)
ANSWER_KINDS = frozenset(
    ("reset", "truncated", "html", "expiredToken", "slow", "tokenError", "errorBody", "deletedGroup",
     "revokedSecret", "reorderedValues", "brokenText")
)  # fmt: skip
# These hold while they are registered; no request uses them up.
STATE_KINDS = frozenset(
    ("lostPermission", "staleMembers", "hiddenManagers", "hiddenAttributes", "hiddenSubscriptions",
     "deadSubscriptions")
)  # fmt: skip
# These decide what an answer sees of the directory; who makes the answer asks for them.
SIGHT_KINDS = frozenset(("lag", "flappingCast"))
# These strike what is sent to webhooks, not what is asked: one POST of notifications at a time.
SENT_KINDS = frozenset(
    ("lostNotifications", "lateNotifications", "doubledNotifications", "shuffledNotifications")
)
KINDS = frozenset(STATUS_KINDS) | PAGE_KINDS | ANSWER_KINDS | STATE_KINDS | SIGHT_KINDS | SENT_KINDS

LAGGING = ("user", "list", "groups", "members", "memberOf", "deletedItems", "delta")
"""The kinds of answer that can lag, each by itself."""

_OPTIONS = frozenset(
    ("retryAfter", "milliseconds", "host", "roles", "appId", "bytes", "code", "error", "message",
     "attributes", "group", "person", "attribute", "how", "count", "what", "maxSeconds",
     "minSeconds", "seed", "share")
)  # fmt: skip
_NEEDED = {
    "deletedGroup": "group",
    "hiddenAttributes": "attributes",
    "emptyPages": "count",
    "lag": "maxSeconds",
    "lateNotifications": "milliseconds",
}
Options = Mapping[str, Any]


def check(kind: object, options: Options) -> None:
    """Raise ValueError that says what is wrong with a fault of this kind with these options."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(sorted(KINDS))}, not {kind!r}")
    unknown = options.keys() - _OPTIONS
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    needed = _NEEDED.get(str(kind))
    if needed and not options.get(needed):
        raise ValueError(f"{kind} needs {needed}")
    if options.get("how") not in (None, *BROKEN):
        raise ValueError(f"how must be one of {', '.join(BROKEN)}, not {options['how']!r}")
    _CHECKS.get(str(kind), _nothing)(options)


def _nothing(options: Options) -> None:
    pass


def _check_token_error(options: Options) -> None:
    if options.get("code") not in WITHOUT_CAUSE:
        known = ", ".join(map(str, sorted(WITHOUT_CAUSE)))
        raise ValueError(f"code must be one of {known}, not {options.get('code')!r}")


def _check_lag(options: Options) -> None:
    unknown = set(options.get("what", ())) - set(LAGGING)
    if unknown:
        raise ValueError(f"what is any of {', '.join(LAGGING)}, not {', '.join(sorted(unknown))}")
    if not 0 <= float(options.get("minSeconds", 0)) <= float(options["maxSeconds"]):
        raise ValueError("minSeconds must be between 0 and maxSeconds")


def _check_flapping(options: Options) -> None:
    if not 0 <= float(options.get("share", 0)) <= 1:
        raise ValueError("share must be between 0 and 1")


_CHECKS: dict[str, Callable[[Options], None]] = {
    "tokenError": _check_token_error,
    "lag": _check_lag,
    "flappingCast": _check_flapping,
}

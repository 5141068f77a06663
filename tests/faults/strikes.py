"""What goes wrong, and where: each fault, each kind of request, and how the one strikes the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """A kind of request of the program to Microsoft."""

    TOKEN = "token"
    LIST = "list"
    MEMBERS = "members"
    DELTA = "delta"
    BATCH = "batch"
    BY_ID = "by id"
    SUBSCRIPTION = "subscription"


FULL, INCREMENTAL = "full", "incremental"
# No run: subscriptions are looked after apart from them.
TENDING = "subscribing"
# In which runs a kind of request occurs.
MODES: Mapping[Kind, tuple[str, ...]] = {
    Kind.TOKEN: (FULL, INCREMENTAL),
    Kind.LIST: (FULL,),
    Kind.MEMBERS: (FULL,),
    Kind.DELTA: (INCREMENTAL,),
    Kind.BATCH: (FULL, INCREMENTAL),
    Kind.BY_ID: (FULL, INCREMENTAL),
    Kind.SUBSCRIPTION: (TENDING,),
}

Options = Mapping[str, Any]
# Which requests these are, to the emulator.
WHERE: Mapping[Kind, Options] = {
    Kind.TOKEN: {"path": "/*/oauth2/v2.0/token"},
    Kind.LIST: {"path": "/v1.0/users"},
    Kind.MEMBERS: {"path": "/v1.0/groups/*/members/*user", "where": "direct"},
    Kind.DELTA: {"path": "/v1.0/*/delta**"},
    Kind.BATCH: {"path": "/v1.0/$batch"},
    Kind.BY_ID: {"path": "/v1.0/users/*", "where": "batch"},
    Kind.SUBSCRIPTION: {"path": "/v1.0/subscriptions", "where": "direct"},
}
# Lists are struck in the middle: on their second page.
LISTED = (Kind.LIST, Kind.MEMBERS)
# The lists in a batch, whose further pages are followed outside of it.
LISTS_INSIDE: Mapping[Kind, Options] = {
    Kind.BATCH: {"path": "/v1.0/groups/*/members/*", "where": "batch"},
    Kind.BY_ID: {"path": "/v1.0/users/*/transitiveMemberOf", "where": "batch"},
}
INSIDE_A_BATCH: Options = {"path": "**", "where": "batch"}


class Means(StrEnum):
    """How a fault is brought about."""

    ANSWER = "the emulator answers so"
    ITEM = "the emulator answers an item of a `$batch` so"
    PAGE = "the emulator gives such a page"
    TIMEOUT = "the emulator answers later than the program waits"
    RESOLVER = "the name of the host is not found"
    CLOCK = "the program's clock is ten minutes off"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the matrix; `kind` and `options` are the emulator's."""

    name: str
    kind: str = ""
    options: Options = field(default_factory=dict)
    means: Means = Means.ANSWER


PAGE_OVER = {"error": "Directory_ExpiredPageToken"}
FAULTS = (
    Fault("429, Retry-After 2.128", "throttled", {"retryAfter": "2.128"}),
    Fault("429, Retry-After 0", "throttled", {"retryAfter": 0}),
    Fault("429 without Retry-After", "throttled"),
    Fault("503", "unavailable"),
    Fault("504", "gatewayTimeout"),
    Fault("500", "serverError"),
    Fault("connection reset", "reset"),
    Fault("time-out", "slow", {"milliseconds": 900}, Means.TIMEOUT),
    Fault("truncated JSON", "truncated"),
    Fault("HTML instead of JSON", "html"),
    Fault("empty page with a next link", "emptyPage", means=Means.PAGE),
    Fault("repeated page", "repeatedPage", means=Means.PAGE),
    Fault("link to a foreign host", "foreignLink", means=Means.PAGE),
    Fault("expired page token", "badRequest", PAGE_OVER),
    Fault("expired delta token", "gone"),
    Fault("token over in the middle", "expiredToken"),
    Fault("permission lost in the middle", "lostPermission", {"roles": ["User.Read.All"]}),
    Fault("secret revoked in the middle", "revokedSecret"),
    Fault("401 inside a batch", "expiredToken", means=Means.ITEM),
    Fault("429 inside a batch", "throttled", {"retryAfter": "2.128"}, Means.ITEM),
    Fault("clock ten minutes ahead", options={"minutes": 10}, means=Means.CLOCK),
    Fault("clock ten minutes behind", options={"minutes": -10}, means=Means.CLOCK),
    Fault("DNS failure", "reset", means=Means.RESOLVER),
)
BY_NAME: Mapping[str, Fault] = {fault.name: fault for fault in FAULTS}


def strike(fault: Fault, kind: Kind, *, passing: bool) -> dict[str, Any] | None:
    """Return the emulator's document of a fault that strikes one kind of request, if it takes one."""
    if fault.means is Means.CLOCK:
        # Of what a certificate signs by a clock that is wrong, Entra says so. Nothing else tells the time.
        ours = {"kind": "tokenError", **WHERE[kind], "code": 700024}
        return ours if kind is Kind.TOKEN else None
    where = WHERE[kind]
    if fault.means is Means.PAGE:
        where = LISTS_INSIDE.get(kind, where)
    elif fault.means is Means.ITEM and kind is Kind.BATCH:
        where = INSIDE_A_BATCH
    # Pages without end begin with the first.
    in_the_middle = kind in LISTED and (passing or fault.means is not Means.PAGE)
    page = {"page": 2} if in_the_middle else {}
    times = {"times": 1} if passing and fault.kind != "lostPermission" else {}
    return {"kind": fault.kind, **where, **page, **times, **fault.options}

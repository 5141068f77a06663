"""What went wrong, sorted by what to do about it; every error carries a stable code and a remedy.

SyncError
├── FixSettings        the deployment is configured wrongly; nothing runs until that changes
├── FixConnection      an administrator has to change the connection or something in Entra
├── RetryLater         the same thing may work in a while
│   └── Throttled      ... and the other side may have said when
├── IncompleteReading  the directory could not be read to its end; nothing was removed
├── LeaseLost          another worker holds the connection; this run stopped writing
├── RecordRejected     this one person cannot be written; the others can
└── RequestRefused     a caller asked for something that cannot be done (an HTTP status goes with it)
    ├── NotFound
    ├── Conflict       ... because it exists already or is busy
    │   ├── NotUnderstood  ... because another release of the app has stored it
    │   └── Unconfirmed    ... because people would come or go by it, and nobody has confirmed that
    ├── PreconditionFailed  ... because somebody else changed it first
    └── Invalid        ... because fields are wrong: path and message of each
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class SyncError(Exception):
    """Anything that `sync_core` raises on purpose."""

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy


class FixSettings(SyncError):
    """App settings are missing or wrong; `problems` names all of them at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            "settings.invalid",
            "The app settings are not usable: " + "; ".join(problems),
            "Correct the named app settings and restart the app.",
        )
        self.problems = tuple(problems)


class FixConnection(SyncError):
    """Only an administrator can mend this: a credential, a permission, the scope."""


class RetryLater(SyncError):
    """The same call may work in a while."""


class Throttled(RetryLater):
    """Graph asked us to slow down; `retry_after_s` is its own wish, in seconds, if it gave one."""

    def __init__(self, message: str, *, retry_after_s: float | None) -> None:
        super().__init__(
            "graph.throttled",
            message,
            "Nothing to do: the next run goes on. If it repeats for hours, look for another "
            "program that uses the same app registration.",
        )
        self.retry_after_s = retry_after_s


class IncompleteReading(SyncError):
    """The directory could not be read to its end; absence means nothing, so nobody is removed."""


class LeaseLost(SyncError):
    """Another worker has taken the connection over; whoever gets this must stop writing."""


class RecordRejected(SyncError):
    """One person's record cannot be stored or mapped; the run goes on without it."""


class RequestRefused(SyncError):
    """A caller's request cannot be done; `status` is the HTTP status to answer with."""

    status = 409


class NotFound(RequestRefused):
    """What was asked for is not there."""

    status = 404


class Conflict(RequestRefused):
    """It exists already, or is in a state that does not allow it."""

    status = 409


class NotUnderstood(Conflict):
    """A newer release stored values that this one does not know; it touches them as little as it can."""


class Unconfirmed(RequestRefused):
    """Somebody would come or go by it, and the caller has not confirmed that; `members` say who."""

    def __init__(self, code: str, message: str, remedy: str, members: Mapping[str, Any]) -> None:
        super().__init__(code, message, remedy)
        self.members = dict(members)


class PreconditionFailed(RequestRefused):
    """The caller's `If-Match` names a version that is no longer the current one."""

    status = 412


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field of a document: where, and what is wrong with it."""

    path: str
    message: str


class Invalid(RequestRefused):
    """Fields of a document are wrong; `problems` names each with its path."""

    status = 422

    def __init__(self, message: str, problems: Sequence[FieldProblem], remedy: str = "") -> None:
        super().__init__(
            "request.invalid", message, remedy or "Correct the named fields and send it again."
        )
        self.problems = tuple(problems)

"""Why a connection is not saved as it was sent: it was not seen to work, or too many would move."""

from collections.abc import Mapping, Sequence
from typing import Any

from sync_core.domain.connections.checks import Check
from sync_core.domain.errors import FieldProblem, Invalid, Unconfirmed


class NotVerified(Invalid):
    """Settings that did not pass their check cannot come into use; they are kept, and `checks` say why."""

    def __init__(
        self,
        message: str,
        remedy: str,
        *,
        waiting: Sequence[str],
        checks: Sequence[Check],
        headers: Mapping[str, str],
    ) -> None:
        unused = "is not in use: the settings did not pass their check"
        super().__init__(message, [FieldProblem(name, unused) for name in waiting], remedy)
        self.code = "connection.notVerified"
        self.checks = tuple(checks)
        self.headers = dict(headers)


# So many people are in the refusal itself; all of them are under `planUrl`.
NAMED = 20
MOVER = ("action", "objectId", "userPrincipalName", "displayName", "reason")


def members(
    plan_hash: str,
    plan_url: str | None,
    counts: Mapping[str, Any],
    leavers_by_reason: Mapping[str, int],
    changes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what a `NeedsConfirmation` says beside the problem's own members."""
    return {
        "planHash": plan_hash,
        "planUrl": plan_url,
        "counts": counts,
        "leaversByReason": leavers_by_reason,
        "changes": [{name: one[name] for name in MOVER} for one in changes[:NAMED]],
    }


class NeedsConfirmation(Unconfirmed):
    """A change moves more people than the guard allows; `members` say whom, beside the problem's own."""

    def __init__(self, message: str, remedy: str, members: Mapping[str, Any]) -> None:
        super().__init__("connection.needsConfirmation", message, remedy, members)


class ReasonNeeded(Invalid):
    """A limit of the guard would be taken away, and it is not said why."""

    def __init__(self, connection_id: str, limits: Sequence[str]) -> None:
        super().__init__(
            f"The connection {connection_id!r} would have no limit any more for {', '.join(limits)}.",
            [
                FieldProblem(
                    f"policy.guard.{name}", "holds nothing: it is null, or a share of 100 %"
                )
                for name in limits
            ],
            "Choose a limit that lets through what you expect. If there must be none, send the same "
            "request again with ?reason=<why>; the Audit table keeps the reason with your name.",
        )
        self.code = "guard.reasonNeeded"

"""Rows of a deleted connection that another connection to the same tenant takes over, by object id. Pure.

Nothing is taken over before an administrator has confirmed it. Then whoever has a row there keeps it, with
all that the application has put into it: the row moves to the connection that takes over. What is
confirmed is kept with the deleted connection, so that no two connections can take over the same rows.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sync_core.domain.errors import Conflict, RecordRejected
from sync_core.domain.model import Reason, Status

TAKEOVER = "takeover"


class Standing(StrEnum):
    """Where the takeover of a deleted connection's rows stands, as one connection sees it."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    DONE = "done"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A deleted connection whose people's rows stay; `taker` is who takes them over, if that is confirmed.

    `done_at`: a run has moved all of them that it could, and has looked at everybody since.
    """

    tenant_id: str
    connection_id: str
    deleted_at: datetime
    taker: str = ""
    confirmed_at: datetime | None = None
    confirmed_by: str = ""
    reason: str = ""
    done_at: datetime | None = None
    etag: str = "*"

    @property
    def is_pending(self) -> bool:
        """Whether rows are to be moved by the next run of the taker."""
        return bool(self.taker) and self.done_at is None

    def standing(self, connection_id: str) -> Standing:
        if not self.taker:
            return Standing.OPEN
        if self.taker != connection_id:
            return Standing.ELSEWHERE if self.is_pending else Standing.OPEN
        return Standing.CONFIRMED if self.is_pending else Standing.DONE


class Here(StrEnum):
    """What stands at the address to which a row would move."""

    NOTHING = "nothing"
    OWN = "own"
    MOVED = "moved"
    FOREIGN = "foreign"


class Step(StrEnum):
    """What is done with one row of a deleted connection."""

    MOVE = "move"
    JOIN = "join"
    FINISH = "finish"
    LEAVE = "leave"


_STEPS = {
    Here.NOTHING: Step.MOVE,
    # The person came in before the takeover was confirmed: what the application has kept in the old row
    # is put into the row that is there.
    Here.OWN: Step.JOIN,
    # A run was ended between the copy and the deletion.
    Here.MOVED: Step.FINISH,
    Here.FOREIGN: Step.LEAVE,
}


def here(owner: str | None, came_from: str | None, taker: str, address: str) -> Here:
    """Say what stands at the new address of the row at `address`; `owner` is None where nothing does."""
    if owner is None:
        return Here.NOTHING
    if owner != taker:
        return Here.FOREIGN
    return Here.MOVED if came_from == address else Here.OWN


def step(found: Here) -> Step:
    """Return what is done with a row, by what stands at its new address; its status makes no difference."""
    return _STEPS[found]


def is_return(status: Status, reason: str | None) -> bool:
    """Whether only the deletion has disabled a person, so that the confirmed takeover brings them back."""
    return status is Status.DISABLED and reason == Reason.CONNECTION_DELETED.value


def pending(mine: Iterable[Leftover], existing: Collection[str]) -> list[Leftover]:
    """Return those of a taker's leftovers whose rows a run moves; one that was made again keeps its own."""
    return [one for one in mine if one.is_pending and one.connection_id not in existing]


def row_taken(address: str) -> RecordRejected:
    return RecordRejected(
        "takeover.rowTaken",
        f"The row {address} of a deleted connection was left where it is: another row, which this "
        "connection did not write, stands at the address to which it would move.",
        "Remove the row that stands there, or let matching link it; then confirm the takeover again.",
    )


# --- what cannot be confirmed -----------------------------------------------------------------------


def refusal(
    connection_id: str,
    tenant_id: str,
    other: str,
    found: Collection[Leftover],
    *,
    exists: bool,
) -> Conflict | None:
    """Say why the rows of `other` cannot be taken over; `found` are the leftovers of that id."""
    if exists:
        return Conflict(
            "takeover.connectionExists",
            f"The connection {other!r} exists: its people are its own.",
            f"Only rows of a deleted connection are taken over. Delete {other!r} first, with ?users=disable "
            "or ?users=keep, or leave its people to it.",
        )
    if not found:
        return Conflict(
            "takeover.unknown",
            f"No deleted connection {other!r} has left rows of people.",
            f"GET /api/connections/{connection_id}/takeovers lists those that have. One that was deleted "
            "with ?users=delete has left none.",
        )
    mine = of_tenant(tenant_id, found)
    if mine is None:
        return Conflict(
            "takeover.otherTenant",
            f"The deleted connection {other!r} was to another tenant than {connection_id!r}.",
            "An object id means a person of one tenant. Where the two name the same tenant in different "
            "ways (its id, a domain), give this connection the tenantId that the other had.",
        )
    if mine.standing(connection_id) is Standing.ELSEWHERE:
        return Conflict(
            "takeover.confirmedElsewhere",
            f"The connection {mine.taker!r} takes over the rows of {other!r}: that was confirmed before.",
            f"If that is wrong, take it back: DELETE /api/connections/{mine.taker}/takeovers/{other}.",
        )
    return None


def of_tenant(tenant_id: str, found: Iterable[Leftover]) -> Leftover | None:
    """Return the leftover of a tenant, if it is among these."""
    return next((one for one in found if one.tenant_id == tenant_id.lower()), None)


def being_taken_over(leftover: Leftover) -> Conflict:
    """Return the error for whoever makes a connection whose rows go to another one."""
    other, taker = leftover.connection_id, leftover.taker
    return Conflict(
        "connection.beingTakenOver",
        f"The rows of the deleted connection {other!r} go to the connection {taker!r}: that was confirmed.",
        f"Choose another id, or take the confirmation back: DELETE /api/connections/{taker}/takeovers/"
        f"{other}.",
    )


def not_confirmed(connection_id: str, other: str) -> Conflict:
    return Conflict(
        "takeover.notConfirmed",
        f"It was not confirmed that {connection_id!r} takes over the rows of {other!r}.",
        "There is nothing to take back.",
    )


def already_done(connection_id: str, other: str) -> Conflict:
    return Conflict(
        "takeover.done",
        f"The rows of {other!r} stand under {connection_id!r} already.",
        "They cannot be given back. The history of each person tells of it.",
    )


# --- in words ---------------------------------------------------------------------------------------


def explain_moving(address: str, other: str) -> str:
    return (
        f"The row {address} of the deleted connection {other!r} is the person's: the next run moves it here, "
        "as was confirmed."
    )


def explain_moved(address: str) -> str:
    return (
        f"The row is the person's own; it stood at {address}, under a connection that was deleted."
    )


def explain_open(address: str, connection_id: str, other: str) -> str:
    return (
        f"Nothing here matched, but the row {address} of the deleted connection {other!r} has the person's "
        f"object id. POST /api/connections/{connection_id}/takeovers/{other} has it moved here; otherwise "
        "there will be a second row."
    )

"""What becomes of the people of a connection that is deleted, and what speaks against it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sync_core.domain.errors import Conflict
from sync_core.domain.model import Action, Change, Reason, Status, StoredPerson

NAMED = 5


class Users(StrEnum):
    """What happens to the people of a connection that is deleted."""

    DISABLE = "disable"
    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion that has begun: how, by whom, the run that records it, and how many people it is about."""

    connection_id: str
    users: Users
    by: str
    run_id: str
    people: int


def departures(users: Users, people: Mapping[str, StoredPerson]) -> Iterator[Change]:
    """Yield what a deletion does to people: it disables the active ones, or deletes every row."""
    action = Action.DELETE if users is Users.DELETE else Action.DISABLE
    for object_id, known in people.items():
        if users is Users.DELETE or (users is Users.DISABLE and known.status is Status.ACTIVE):
            yield Change(action, object_id, reason=Reason.CONNECTION_DELETED)


def being_deleted(deletion: Deletion) -> Conflict:
    """Return the error for whoever wants to change a connection that is being deleted."""
    name = deletion.connection_id
    return Conflict(
        "connection.beingDeleted",
        f"The connection {name!r} is being deleted (users={deletion.users}).",
        f"Wait for its end (GET /api/connections/{name}/runs/{deletion.run_id} shows it); then the id is "
        "free again.",
    )


def people_protected(connection_id: str, names: list[str]) -> Conflict:
    """Return the error where `policy.protected` names people who would be removed."""
    shown = ", ".join(names[:NAMED]) + ("..." if len(names) > NAMED else "")
    return Conflict(
        "connection.peopleProtected",
        f"The connection {connection_id!r} was not deleted: policy.protected names people who would be "
        f"removed ({len(names)}: {shown}).",
        "A confirmation does not overrule this. Take them out of policy.protected first, or delete the "
        "connection with ?users=keep.",
    )


def assertion_broken(connection_id: str, broken: list[str]) -> Conflict:
    """Return the error where an assertion of the connection would no longer be true."""
    return Conflict(
        "assertion.failed",
        f"The connection {connection_id!r} was not deleted: an assertion would be broken: "
        f"{'; '.join(broken)}.",
        "A confirmation does not overrule this. Take the assertion out of the connection first, or delete "
        "the connection with ?users=keep.",
    )

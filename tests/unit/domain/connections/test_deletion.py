"""What becomes of the people of a connection that is deleted, and what its refusals say."""

import pytest

from sync_core.domain.connections.deletion import (
    Deletion,
    Users,
    assertion_broken,
    being_deleted,
    departures,
    people_protected,
)
from sync_core.domain.model import Action, Origin, Reason, Status, StoredPerson

PEOPLE = {
    "a1": StoredPerson(Status.ACTIVE, Origin.AUTO, "1"),
    "a2": StoredPerson(Status.ACTIVE, Origin.MANUAL, "2"),
    "b1": StoredPerson(Status.DISABLED, Origin.AUTO, "3"),
}


@pytest.mark.parametrize(
    ("users", "action", "gone"),
    [
        (Users.DISABLE, Action.DISABLE, ["a1", "a2"]),
        (Users.DELETE, Action.DELETE, ["a1", "a2", "b1"]),
        (Users.KEEP, None, []),
    ],
)
def test_who_goes_and_how(users: Users, action: Action | None, gone: list[str]) -> None:
    """Whoever was brought in by hand goes as well: no run looks at them any more."""
    changes = list(departures(users, PEOPLE))

    assert [change.object_id for change in changes] == gone
    assert {change.action for change in changes} == ({action} if action else set())
    assert {change.reason for change in changes} <= {Reason.CONNECTION_DELETED}


@pytest.mark.parametrize(
    ("names", "said"),
    [(["ann", "ben"], "(2: ann, ben)"), (list("abcdefg"), "(7: a, b, c, d, e...)")],
)
def test_protected_people_are_named(names: list[str], said: str) -> None:
    error = people_protected("contoso", names)

    assert said in error.message
    assert "policy.protected" in error.remedy
    assert "?users=keep" in error.remedy


def test_a_broken_assertion_is_named() -> None:
    error = assertion_broken("contoso", ["ann is asserted to be in, and would be removed"])

    assert error.code == "assertion.failed"
    assert "ann is asserted to be in" in error.message


def test_whoever_saves_meanwhile_is_told_of_the_run() -> None:
    error = being_deleted(Deletion("contoso", Users.DELETE, "an administrator", "8228-1f", 3))

    assert error.code == "connection.beingDeleted"
    assert "/api/connections/contoso/runs/8228-1f" in error.remedy

"""The name of a plan: moves before the dot, everything else behind it."""

import pytest

from sync_core.domain.model import Action, Change, Link, Reason
from sync_core.domain.plan.digest import DIGITS, PlanDigest, moves_of
from tests.unit.builders import ANN, change

BEN = "b" + ANN[1:]


def name_of(*changes: Change, connection: str = "contoso") -> str:
    digest = PlanDigest(connection)
    for one in changes:
        digest.add(one)
    return digest.text


JOINS = change(Action.CREATE, digest="1")
LEAVES = change(Action.DISABLE, object_id=BEN, reason=Reason.LEFT_SCOPE)
UPDATED = change(Action.UPDATE, digest="1")
PLAN = (JOINS, LEAVES)


@pytest.mark.parametrize(
    ("other", "same_moves", "same_rest"),
    [
        pytest.param(PLAN, True, True, id="the same plan"),
        pytest.param((*PLAN, UPDATED), True, False, id="one more update"),
        pytest.param((change(Action.CREATE, digest="2"), LEAVES), True, False, id="another value"),
        pytest.param(
            (change(Action.CREATE, digest="1", link=Link("contoso-a", "app-1", "email")), LEAVES),
            True,
            False,
            id="a row is taken over",
        ),
        pytest.param((*PLAN, change(Action.REENABLE)), False, False, id="somebody comes back"),
        pytest.param((JOINS,), False, True, id="one leaver less"),
        pytest.param((LEAVES,), False, False, id="one joiner less"),
        pytest.param(
            (JOINS, change(Action.DISABLE, object_id=BEN, reason=Reason.SOFT_DELETED)),
            False,
            True,
            id="for another reason",
        ),
        pytest.param(
            (JOINS, change(Action.DELETE, object_id=BEN, reason=Reason.LEFT_SCOPE)),
            False,
            True,
            id="deleted instead of disabled",
        ),
        pytest.param(
            (JOINS, change(Action.DISABLE, object_id=BEN)), False, True, id="not asked for yet"
        ),
        pytest.param(
            (JOINS, change(Action.DISABLE, object_id=ANN, reason=Reason.LEFT_SCOPE)),
            False,
            True,
            id="somebody else leaves",
        ),
    ],
)
def test_what_a_name_depends_on(
    other: tuple[Change, ...], same_moves: bool, same_rest: bool
) -> None:
    moves, _, rest = name_of(*PLAN).partition(".")
    other_moves, _, other_rest = name_of(*other).partition(".")

    assert (moves == other_moves) is same_moves
    assert (rest == other_rest) is same_rest


def test_two_connections_that_move_the_same_people_are_told_apart() -> None:
    assert moves_of(name_of(*PLAN)) != moves_of(name_of(*PLAN, connection="fabrikam"))


def test_a_name_has_two_parts_of_the_same_length() -> None:
    parts = name_of(*PLAN).split(".")

    assert [len(part) for part in parts] == [DIGITS, DIGITS]
    assert moves_of(".".join(parts)) == parts[0]


def test_who_confirms_may_send_the_first_part_alone() -> None:
    assert moves_of("abc") == "abc"


def test_columns_that_wait_for_approval_are_part_of_what_is_confirmed() -> None:
    """Whoever confirmed a plan without them has not seen what would be emptied."""
    digest = PlanDigest("contoso")
    for one in PLAN:
        digest.add(one)
    before = digest.text
    digest.hold(["email blanked"])

    assert moves_of(digest.text) != moves_of(before)
    assert digest.text.partition(".")[2] == before.partition(".")[2]

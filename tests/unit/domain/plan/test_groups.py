"""A group that lost more people than the guard allows, and what is remembered of it."""

from datetime import timedelta

import pytest

from sync_core.domain.documents.policy import Guard
from sync_core.domain.model import Action, Inventory
from sync_core.domain.plan.groups import GroupNow, KnownSize, KnownSizes, losses, remembered
from sync_core.domain.plan.guard import check_groups, tally_of
from sync_core.domain.plan.plan import ALLOWED
from tests.unit.builders import NOW

HOUR = timedelta(hours=1)


def known(people: int, **more: object) -> KnownSizes:
    size = KnownSize.model_validate({"people": people, **more})
    return KnownSizes(connection_id="contoso", groups={"north": size})


@pytest.mark.parametrize(
    ("before", "now", "guard", "said"),
    [
        pytest.param(
            60,
            GroupNow("Team North", 0, dynamic=True),
            Guard(),
            "the group Team North lost 60 of 60, and is dynamic; the limit is 50 % of a group",
            id="emptied",
        ),
        pytest.param(
            60,
            GroupNow("Team North", 29, dynamic=True, paused=True),
            Guard(),
            "the group Team North lost 31 of 60, and is dynamic; its rule is paused; the limit is "
            "50 % of a group",
            id="over, and paused",
        ),
        pytest.param(
            10,
            GroupNow("", 4),
            Guard(),
            "the group north lost 6 of 10; the limit is 50 % of a group",
            id="no name",
        ),
        pytest.param(60, GroupNow("North", 30), Guard(), None, id="at the limit"),
        pytest.param(60, GroupNow("North", 0), Guard(max_group_loss_percent=None), None, id="none"),
    ],
)
def test_what_a_group_lost(before: int, now: GroupNow, guard: Guard, said: str | None) -> None:
    assert losses(known(before), {"north": now}, guard) == ((said,) if said else ())


def test_a_group_that_is_new_lost_nobody_and_of_many_the_first_are_named() -> None:
    many = {f"g{number}": KnownSize(people=10) for number in range(7)}
    now = {name: GroupNow(name, 0) for name in [*many, "new"]}

    said = losses(KnownSizes(connection_id="contoso", groups=many), now, Guard())

    assert len(said) == 6
    assert said[-1] == "2 more groups lost as much"


@pytest.mark.parametrize(
    ("before", "people", "accepted", "expected"),
    [
        pytest.param(None, 60, False, KnownSize(people=60), id="first seen"),
        pytest.param(None, 9, False, None, id="too small to be remembered"),
        pytest.param(KnownSize(people=60), 61, False, KnownSize(people=61), id="more"),
        pytest.param(
            KnownSize(people=60), 50, False, KnownSize(people=60, fewer_since=NOW), id="fewer"
        ),
        pytest.param(
            KnownSize(people=60, fewer_since=NOW - HOUR),
            40,
            False,
            KnownSize(people=60, fewer_since=NOW - HOUR),
            id="fewer still",
        ),
        pytest.param(
            KnownSize(people=60, fewer_since=NOW - 24 * HOUR),
            40,
            False,
            KnownSize(people=40),
            id="the window is over",
        ),
        pytest.param(KnownSize(people=60), 20, True, KnownSize(people=20), id="confirmed"),
    ],
)
def test_what_is_remembered(
    before: KnownSize | None, people: int, expected: KnownSize | None, *, accepted: bool
) -> None:
    sizes = KnownSizes(connection_id="contoso", groups={"north": before} if before else {})

    found = remembered(sizes, {"north": GroupNow("North", people)}, NOW, 24, accepted=accepted)

    assert found.groups.get("north") == expected


@pytest.mark.parametrize(("removals", "held"), [(0, False), (1, True)])
def test_an_emptied_group_holds_removals(removals: int, *, held: bool) -> None:
    tally = tally_of(Inventory(100, {}), {Action.DISABLE: removals})

    verdict = check_groups(ALLOWED, tally, ("the group North lost 60 of 60",))

    assert (verdict.hold_removals, bool(verdict.reasons)) == (held, held)

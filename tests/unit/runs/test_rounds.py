"""What two rounds of one run told is kept together: links that went on past news do not bring them again."""

from types import SimpleNamespace
from typing import Any, cast

from sync_core.directory.groups import GroupTree
from sync_core.domain.incremental.checkpoint import DeltaLink, GroupStream
from sync_core.domain.incremental.hints import Hints
from sync_core.runs.rounds import Links, Rounds
from sync_core.services import utc_now

PERSON, LATE, GROUP, NESTED = (f"{number}0000000-0000-4000-8000-000000000000" for number in "1234")


def told(*members: dict[str, Any]) -> Rounds:
    hints = Hints()
    hints.add_group({"id": GROUP, "members@delta": list(members)}, {GROUP})
    return Rounds(hints=hints)


def test_a_later_round_adds_to_what_was_told_of_people_and_groups() -> None:
    context = cast("Any", SimpleNamespace(stamp=SimpleNamespace(now=utc_now())))
    first = Rounds()
    first.hints.add_user({"id": PERSON, "displayName": "Ann"})
    links = Links(context, first)
    left = {"id": LATE, "@removed": {"reason": "deleted"}}
    links.add(told({"id": PERSON}, left, {"id": NESTED, "@odata.type": "#microsoft.graph.group"}))
    hints = links.rounds.hints

    assert hints.people[PERSON].values == {"displayName": "Ann"}
    assert hints.people[PERSON].joined == {GROUP}
    assert hints.people[LATE].left == {GROUP}
    assert hints.groups.edges == {GROUP}


async def test_the_streams_of_a_reading_that_goes_on_stay_those_from_before_it() -> None:
    """The first run has packed them; packed again, only the young ones would be left."""
    now = utc_now()
    context = cast("Any", SimpleNamespace(stamp=SimpleNamespace(now=now)))
    old = GroupStream(link="old", taken_at=now, groups=[GROUP])
    young = GroupStream(link="young", taken_at=now, groups=[GROUP, NESTED])
    rounds = Rounds(users=DeltaLink(link="people", taken_at=now), streams=[old, young])
    links = Links(context, rounds, began_at=now)
    again = await links.on_tree(GroupTree(names={GROUP: "Staff", NESTED: "Nested"}))

    assert not again
    assert links.rounds.streams == [old, young]

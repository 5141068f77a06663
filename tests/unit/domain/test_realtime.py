"""What polling found and no notification told; and how fast both are."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sync_core.domain.incremental.hints import Hint
from sync_core.domain.incremental.open_people import LAG
from sync_core.domain.model import Action, Change, Reason
from sync_core.domain.realtime import (
    MOST_SLOTS,
    MOST_UNEXPLAINED,
    MOST_WAITING,
    SAMPLE,
    UNTOLD_KEPT,
    Account,
    Channel,
    Cover,
    Heard,
    RealtimeState,
    Silence,
    Told,
    Untold,
    disproved_at,
    ends_silence,
    find_silence,
    is_in_time,
    latency_document,
    without_told,
)
from tests.unit.builders import ANN, NOW, change, connection

BEN = "b0000000-0000-4000-8000-00000000000b"
PEOPLE = [f"c0000000-0000-4000-8000-{number:012d}" for number in range(200)]
ROUND = NOW - timedelta(hours=1)
LONG_AGO = NOW - timedelta(days=3)
ALWAYS = Cover("users", LONG_AGO, NOW + timedelta(days=20))
SALES, ADMINS = "group-sales", "group-admins"
MINUTE = timedelta(minutes=1)


def account(state: RealtimeState | None = None, **told: Any) -> Account:
    known: dict[str, Any] = {"polled_at": NOW, "since": ROUND, "compares": True} | told
    return Account(state or RealtimeState(), Told(**known))


def found_by_polling(hint: Hint, one: Change, **told: Any) -> RealtimeState:
    """Write one change that the delta told, and return what is learned."""
    run = account(hints={one.object_id: hint}, **told)
    run.written(one, NOW)
    return run.learned({}, NOW)


def missed(*ats: datetime, slot: str = "users", since: timedelta = LAG) -> dict[str, list[Untold]]:
    return {slot: [Untold(PEOPLE[n], at, at - since) for n, at in enumerate(ats)]}


def three(ended: datetime = NOW - LAG, **options: Any) -> RealtimeState:
    """Return the state after three changes in a row that nobody told of, the last one a while ago."""
    ats = (ended - 2 * MINUTE, ended - MINUTE, ended)
    return RealtimeState(untold=missed(*ats, **options))


# --- who should have told -------------------------------------------------------------------------

VALUES = Hint(values={"displayName": "Ann"})


@pytest.mark.parametrize(
    ("hint", "action", "slots"),
    [
        pytest.param(VALUES, Action.UPDATE, ["users"], id="values"),
        pytest.param(Hint(removed="changed"), Action.DISABLE, ["users"], id="deleted"),
        pytest.param(Hint(joined={SALES}), Action.CREATE, [SALES], id="came into a group"),
        pytest.param(Hint(joined={SALES}), Action.REENABLE, [SALES], id="came back into a group"),
        pytest.param(Hint(left={SALES}), Action.DELETE, [SALES], id="left a group"),
        pytest.param(
            Hint(values={}, joined={SALES, ADMINS}),
            Action.CREATE,
            [ADMINS, SALES, "users"],
            id="a new account in two groups",
        ),
        pytest.param(Hint(joined={SALES}), Action.UPDATE, [], id="a group that changed values"),
        pytest.param(
            Hint(values={}, told_manager=True), Action.UPDATE, [], id="maybe only another manager"
        ),
    ],
)
def test_which_subscriptions_should_have_told_a_change(
    hint: Hint, action: Action, slots: list[str]
) -> None:
    state = found_by_polling(hint, change(action))

    assert state.untold == {slot: [Untold(ANN, NOW, ROUND)] for slot in slots}
    assert (state.by_polling, state.by_notification) == (1, 0)


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        pytest.param(VALUES, {"since": None}, id="the round before was too long ago"),
        pytest.param(VALUES, {"lately": {ANN}}, id="told of a moment ago, and written late"),
        pytest.param(VALUES, {"notified": {ANN: NOW}}, id="told"),
        pytest.param(VALUES, {"compares": False}, id="settings were changed"),
        pytest.param(Hint(concerned={SALES}), {}, id="a group moved with everybody in it"),
    ],
)
def test_what_no_notification_had_to_tell_is_not_missed(hint: Hint, told: dict[str, Any]) -> None:
    assert found_by_polling(hint, change(), **told).untold == {}


def test_a_change_that_nobody_told_is_nobodys() -> None:
    """Approvals, people whose case was due, reports of a manager, and assignments."""
    run = account()
    run.written(change(), NOW)

    assert run.learned({}, NOW) == RealtimeState(since=NOW)
    assert not run.missed


@pytest.mark.parametrize(
    ("one", "by_groups", "counts"),
    [
        pytest.param(change(Action.DISABLE, reason=Reason.SOFT_DELETED), True, True, id="gone"),
        pytest.param(change(Action.DISABLE, reason=Reason.LEFT_SCOPE), False, True, id="out"),
        pytest.param(
            change(Action.DISABLE, reason=Reason.LEFT_SCOPE), True, False, id="out of some group"
        ),
        pytest.param(change(Action.CREATE), False, False, id="maybe a row that was deleted"),
        pytest.param(
            change(Action.DISABLE, object_id=BEN, reason=Reason.SOFT_DELETED),
            False,
            False,
            id="told later",
        ),
    ],
)
def test_of_what_a_full_reading_found_out_only_removals_count(
    one: Change, by_groups: bool, counts: bool
) -> None:
    run = account()
    run.written(one, NOW)
    run.drifted({ANN}, LONG_AGO, by_groups=by_groups)

    after_an_outage = account(since=None)
    after_an_outage.written(one, NOW)
    after_an_outage.drifted({ANN}, LONG_AGO, by_groups=by_groups)

    assert run.missed is counts
    assert not after_an_outage.missed
    assert run.learned({}, NOW).untold == (
        {"users": [Untold(ANN, NOW, LONG_AGO)]} if counts else {}
    )


def test_what_is_remembered_has_an_end() -> None:
    run = account(hints={one: Hint(joined={f"{one}-group"}, values={}) for one in PEOPLE})
    for number, person in enumerate(PEOPLE):
        run.written(change(object_id=person), NOW + number * MINUTE)
    for number in range(MOST_UNEXPLAINED + 1):
        run.written(change(object_id=f"d-{number}", reason=Reason.SOFT_DELETED), NOW)
    before = RealtimeState(untold={"old group": [Untold(ANN, ROUND, ROUND)]})
    run.state = before
    state = run.learned({}, NOW)

    assert len(state.polled) == SAMPLE
    assert len(state.untold) == MOST_SLOTS
    assert "old group" not in state.untold
    assert [one.person for one in state.untold["users"]] == PEOPLE[-UNTOLD_KEPT:]
    assert state.by_polling == len(PEOPLE)


def test_it_is_stored_and_read_as_it_was() -> None:
    run = account(hints={BEN: VALUES}, notified={ANN: ROUND})
    for one in (change(Action.DISABLE), change(Action.UPDATE, object_id=BEN)):
        run.written(one, NOW)
    run.told = replace(run.told, doubt={PEOPLE[0]})
    state = run.learned({}, NOW)

    assert state.untold
    assert state.notified
    assert state.waiting
    assert RealtimeState.model_validate_json(state.model_dump_json(by_alias=True)) == state


# --- written late ---


@pytest.mark.parametrize(
    ("told", "by_notification"),
    [
        pytest.param({"notified": {ANN: NOW}}, 1, id="a notification"),
        pytest.param({"doubt": {ANN}}, 0, id="the delta, and the answer differed"),
        pytest.param({"doubt": {ANN}, "notified": {ANN: NOW}}, 1, id="both"),
    ],
)
def test_who_is_written_late_is_timed_from_the_first_word(
    told: dict[str, Any], by_notification: int
) -> None:
    """The answer was the older one; a run some minutes later finds the person by what it has kept."""
    before = account(**told).learned({}, NOW)
    run = account(before)
    run.written(change(), NOW + MINUTE)
    state = run.learned({}, NOW + MINUTE)

    assert [one.seconds for one in [*state.notified, *state.polled]] == [60.0]
    assert (state.by_notification, state.waiting, state.untold) == (by_notification, {}, {})


def test_nobody_waits_for_long_and_not_everybody() -> None:
    told = {person: NOW + number * timedelta(seconds=1) for number, person in enumerate(PEOPLE)}
    state = account(notified=told | {ANN: NOW - MINUTE}).learned({}, NOW)

    late = account(state, hints={PEOPLE[9]: VALUES})
    late.written(change(object_id=PEOPLE[9]), NOW + 3 * LAG)

    assert len(state.waiting) == MOST_WAITING
    assert late.learned({}, NOW).by_polling == 1
    assert account(notified={ANN: NOW}, lately={ANN}).learned({}, NOW).waiting == {}
    assert ANN not in state.waiting
    assert account(state).learned({}, NOW + 3 * LAG).waiting == {}
    assert account(doubt={ANN}, polled_at=None).learned({}, NOW).waiting == {}


# --- told after all -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "notified", "left"),
    [
        pytest.param({}, {}, 3, id="nothing came"),
        pytest.param({Channel.USERS: NOW - 2 * LAG}, {}, 3, id="the last one came before"),
        pytest.param({Channel.USERS: NOW - MINUTE}, {}, 0, id="one came late"),
        pytest.param({Channel.GROUPS: NOW - MINUTE}, {}, 3, id="of the other kind"),
        pytest.param({}, {PEOPLE[0]: NOW - LAG - 3 * MINUTE}, 2, id="came while it was written"),
        pytest.param({}, {PEOPLE[0]: LONG_AGO}, 3, id="of long ago"),
    ],
)
def test_a_notification_takes_back_what_it_told_late(
    heard: Heard, notified: dict[str, datetime], left: int
) -> None:
    state = without_told(three(), heard, notified, NOW)

    assert sum(map(len, state.untold.values())) == left


def test_a_row_that_is_broken_begins_with_what_came_after() -> None:
    two = RealtimeState(untold=missed(NOW - 3 * MINUTE, NOW - MINUTE))
    left = without_told(two, {Channel.USERS: NOW - 2 * MINUTE}, {}, NOW)

    assert [one.at for one in left.untold["users"]] == [NOW - MINUTE]


def test_what_was_missed_a_month_ago_is_forgotten() -> None:
    assert without_told(three(), {}, {}, NOW + timedelta(days=40)).untold == {}


@pytest.mark.parametrize(
    ("state", "heard", "ends"),
    [
        pytest.param(three(), {Channel.USERS: NOW}, True, id="of the kind that was missing"),
        pytest.param(three(), {Channel.GROUPS: NOW}, False, id="of the other kind"),
        pytest.param(three(), {Channel.USERS: LONG_AGO}, False, id="the last one before"),
        pytest.param(RealtimeState(), {Channel.USERS: NOW}, False, id="nothing is missing"),
    ],
)
def test_which_notification_a_run_takes_note_of(
    state: RealtimeState, heard: Heard, ends: bool
) -> None:
    assert ends_silence(state, heard) is ends


def test_where_one_channel_speaks_again_the_other_begins_anew() -> None:
    """Both go through the same address; else one incident would follow the other."""
    both = RealtimeState(untold=three().untold | three(slot=SALES).untold)

    assert both.suspects() == set(Channel)
    assert without_told(both, {Channel.USERS: NOW}, {}, NOW).untold == {}


def test_one_change_of_three_groups_is_one_change() -> None:
    one = [Untold(ANN, NOW, ROUND)]
    assert RealtimeState(untold={"g-1": one, "g-2": one, "g-3": one}).suspects() == set()


@pytest.mark.parametrize(
    ("state", "heard", "found"),
    [
        pytest.param(RealtimeState(), {}, None, id="nothing ever came"),
        pytest.param(RealtimeState(), {Channel.GROUPS: NOW}, NOW, id="nothing is missed"),
        pytest.param(three(), {Channel.GROUPS: NOW}, None, id="of the kind that is not missed"),
        pytest.param(
            three(), {Channel.GROUPS: NOW, Channel.USERS: ROUND}, ROUND, id="of the one that is"
        ),
    ],
)
def test_which_notification_ends_a_silence(
    state: RealtimeState, heard: Heard, found: datetime | None
) -> None:
    assert disproved_at(state, heard) == found


# --- silence --------------------------------------------------------------------------------------


def test_three_changes_in_a_row_that_nobody_told_are_silence() -> None:
    found = find_silence(three(), {}, [ALWAYS], [], NOW)

    assert found == Silence(frozenset({"users"}), 3, NOW - LAG - 2 * MINUTE)


@pytest.mark.parametrize(
    ("state", "covers", "outages", "heard"),
    [
        pytest.param(three(NOW - LAG + MINUTE), [ALWAYS], [], {}, id="one may still come late"),
        pytest.param(three(), [], [], {}, id="no subscription"),
        pytest.param(three(slot=SALES), [ALWAYS], [], {}, id="outside of what is subscribed to"),
        pytest.param(three(), [ALWAYS._replace(slot="groups")], [], {}, id="of the other kind"),
        pytest.param(
            three(), [ALWAYS._replace(since=NOW - 2 * LAG)], [], {}, id="it was just being made"
        ),
        pytest.param(three(), [ALWAYS._replace(until=NOW - LAG - MINUTE)], [], {}, id="it ended"),
        pytest.param(three(), [ALWAYS], [NOW - LAG - 5 * MINUTE], {}, id="runs failed as well"),
        pytest.param(three(), [ALWAYS], [], {Channel.USERS: NOW - LAG}, id="one came between"),
        pytest.param(RealtimeState(untold=missed(LONG_AGO, LONG_AGO)), [ALWAYS], [], {}, id="two"),
    ],
)
def test_what_is_no_silence(
    state: RealtimeState, covers: list[Cover], outages: list[datetime], heard: Heard
) -> None:
    assert find_silence(state, heard, covers, outages, NOW) is None


@pytest.mark.parametrize("slot", [SALES, "groups"])
def test_members_of_a_group_are_told_by_its_subscription_or_by_that_to_all_groups(
    slot: str,
) -> None:
    found = find_silence(three(slot=SALES), {}, [ALWAYS._replace(slot=slot)], [LONG_AGO], NOW)

    assert found is not None
    assert found.slots == {slot}


@pytest.mark.parametrize(
    ("schedule", "hours", "in_time"),
    [
        ({"everyMinutes": 60}, 2, True),
        ({"everyMinutes": 60}, 2.1, False),
        ({"everyMinutes": 60, "automatic": False}, 24, True),
    ],
)
def test_a_run_long_after_it_was_due_follows_an_outage(
    schedule: dict[str, Any], hours: float, in_time: bool
) -> None:
    since = NOW - timedelta(hours=hours)
    assert is_in_time(connection(schedule=schedule), since, NOW) is in_time


# --- the latency clock ----------------------------------------------------------------------------


def test_the_clock_of_nothing_shows_nothing() -> None:
    empty = {"p50Seconds": None, "p95Seconds": None, "sample": 0}
    assert latency_document(RealtimeState()) == {
        **empty,
        "byCause": {"notification": empty, "polling": empty},
        "byKind": {"joined": empty, "left": empty, "changed": empty},
    }


def test_the_clock_shows_the_last_hundred_by_cause_and_by_kind() -> None:
    state = RealtimeState()
    for number, person in enumerate(PEOPLE):
        at = NOW + number * MINUTE
        run = account(state, notified={ANN: at}, hints={person: VALUES}, polled_at=at)
        run.written(change(Action.DISABLE), at + timedelta(seconds=1 + number % 2))
        run.written(change(Action.UPDATE, object_id=person), at + timedelta(seconds=10))
        state = run.learned({}, at)

    shown = latency_document(state)

    assert (state.by_notification, state.by_polling) == (200, 200)
    assert shown["byCause"] == {
        "notification": {"p50Seconds": 1.0, "p95Seconds": 2.0, "sample": 100},
        "polling": {"p50Seconds": 10.0, "p95Seconds": 10.0, "sample": 100},
    }
    assert (shown["sample"], shown["p50Seconds"], shown["p95Seconds"]) == (100, 2.0, 10.0)
    assert {kind: one["sample"] for kind, one in shown["byKind"].items()} == {
        "joined": 0,
        "left": 50,
        "changed": 50,
    }


def test_clocks_that_differ_show_no_time_below_zero() -> None:
    run = account(notified={ANN: NOW + MINUTE})
    run.written(change(), NOW)

    assert latency_document(run.learned({}, NOW))["p50Seconds"] == 0.0


def test_a_round_that_another_run_has_read_is_counted_and_not_timed() -> None:
    state = found_by_polling(VALUES, change(), polled_at=None)

    assert (state.by_polling, state.polled) == (1, [])

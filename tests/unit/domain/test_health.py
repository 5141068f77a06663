"""One incident per cause, told once; a failing connection is left alone longer and longer."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.compatibility import read
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import (
    FixConnection,
    FixSettings,
    IncompleteReading,
    RetryLater,
    SyncError,
    Throttled,
)
from sync_core.domain.health import (
    BACK_OFF,
    OVERDUE,
    STAGES,
    Cause,
    Event,
    Expiry,
    ExpirySource,
    Failure,
    Health,
    Status,
    Step,
    aged,
    back_off,
    cause_of,
    checked,
    connection_warnings,
    expiry_warning,
    failed,
    health_document,
    look_is_due,
    watched,
    worked,
)
from sync_core.domain.schedule import spread
from tests.unit.builders import connection

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
BLANK = Health(connection_id="contoso")
EXPIRED = Failure(
    code="credential.secretExpired",
    message="The client secret has expired.",
    remedy="Make a new one.",
    cause=Cause.ADMINISTRATOR,
)
FORBIDDEN = Failure(
    code="graph.permissionMissing", message="User.Read.All is gone.", cause=Cause.ADMINISTRATOR
)
BUSY = Failure(code="graph.unavailable", message="Graph is busy.", remedy="Wait.")
LOST = Failure(code="graph.unreachable", message="Graph cannot be reached.")


def names(events: Iterable[Event]) -> list[str]:
    """Write events as the alert rules see them: the name and what it is about."""
    return [" ".join([one.name, str(one.fields.get("code") or "")]).strip() for one in events]


def after(*failures: Failure, health: Health = BLANK, every: timedelta = HOUR) -> Step:
    """Let runs fail one after another, from NOW on; events are those of the last one."""
    step = Step(health)
    for number, failure in enumerate(failures):
        step = failed(step.health, failure, NOW + number * every)
    return step


# --- causes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        pytest.param(FixConnection("a", "b"), Cause.ADMINISTRATOR, id="connection"),
        pytest.param(FixSettings(["a"]), Cause.ADMINISTRATOR, id="settings"),
        pytest.param(RetryLater("a", "b"), Cause.PASSING, id="try again"),
        pytest.param(Throttled("a", retry_after_s=None), Cause.PASSING, id="throttled"),
        pytest.param(IncompleteReading("a", "b"), Cause.PASSING, id="incomplete reading"),
        pytest.param(SyncError("a", "b"), Cause.PASSING, id="unknown error of ours"),
        pytest.param(ValueError("a"), Cause.PASSING, id="error of the program"),
    ],
)
def test_the_kind_of_error_says_who_mends_it(error: Exception, cause: Cause) -> None:
    assert cause_of(error) is cause


@pytest.mark.parametrize(
    ("failures", "status", "cause"),
    [
        pytest.param([EXPIRED], Status.QUARANTINED, EXPIRED, id="administrator, at once"),
        pytest.param([BUSY], Status.FAILING, None, id="passing, once"),
        pytest.param([BUSY, BUSY], Status.FAILING, None, id="passing, twice"),
        pytest.param([BUSY, BUSY, BUSY], Status.QUARANTINED, BUSY, id="passing, three times"),
        pytest.param([BUSY, LOST, BUSY], Status.QUARANTINED, BUSY, id="passing, changing codes"),
        pytest.param([BUSY, BUSY, EXPIRED], Status.QUARANTINED, EXPIRED, id="then administrator"),
        pytest.param([EXPIRED, BUSY, BUSY], Status.QUARANTINED, EXPIRED, id="cause not disproved"),
        pytest.param([EXPIRED, BUSY, BUSY, BUSY], Status.QUARANTINED, BUSY, id="another trouble"),
        pytest.param(
            [BUSY, BUSY, EXPIRED, BUSY, BUSY], Status.QUARANTINED, EXPIRED, id="streak broken"
        ),
        pytest.param([EXPIRED, FORBIDDEN], Status.QUARANTINED, FORBIDDEN, id="two to mend"),
    ],
)
def test_what_quarantines(failures: list[Failure], status: Status, cause: Failure | None) -> None:
    health, _ = after(*failures)

    blamed = health.quarantine.incident.code if health.quarantine else None
    assert (health.status, blamed) == (status, cause.code if cause else None)
    assert (health.failures, health.last_failure) == (len(failures), failures[-1])


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        pytest.param([EXPIRED], ["incident.opened credential.secretExpired"], id="opened"),
        pytest.param([EXPIRED, EXPIRED], [], id="same cause again"),
        pytest.param([BUSY, BUSY], [], id="not an incident yet"),
        pytest.param(
            [BUSY] * 3, ["incident.opened graph.unavailable"], id="the retry budget is over"
        ),
        pytest.param([BUSY] * 4, [], id="retry_budget was over before"),
        pytest.param([EXPIRED, BUSY], [], id="a passing trouble beside the cause"),
        pytest.param(
            [EXPIRED, FORBIDDEN],
            ["incident.closed credential.secretExpired", "incident.opened graph.permissionMissing"],
            id="another cause",
        ),
        pytest.param(
            [BUSY, BUSY, BUSY, LOST],
            ["incident.closed graph.unavailable", "incident.opened graph.unreachable"],
            id="another lasting trouble",
        ),
    ],
)
def test_an_incident_is_told_once(failures: list[Failure], told: list[str]) -> None:
    assert names(after(*failures).events) == told


def test_an_opened_incident_is_an_error_in_the_log_with_its_fields() -> None:
    [event] = after(BUSY, BUSY, BUSY).events

    assert event.level == logging.ERROR
    assert event.fields == {"code": "graph.unavailable", "cause": "passing", "failures": 3}


def test_the_text_of_a_cause_stays_current_and_its_beginning_stays() -> None:
    newer = EXPIRED.replaced(message="Expired (AADSTS7000222).", remedy="Store a new one.")

    health, _ = after(EXPIRED, newer)

    assert health.quarantine is not None
    assert health.quarantine.incident.message == "Expired (AADSTS7000222)."
    assert health.quarantine.incident.remedy == "Store a new one."
    assert health.quarantine.incident.since == NOW


def test_another_cause_does_not_shorten_the_quarantine() -> None:
    health, _ = after(EXPIRED, FORBIDDEN)

    assert health.quarantine is not None
    assert health.quarantine.since == NOW
    assert health.quarantine.incident.since == NOW + HOUR
    assert health.quarantine.tries == 2


# --- back-off -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tries", "minutes"),
    [(1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 480), (7, 1440), (8, 1440), (1000, 1440)],
)
def test_the_wait_grows_to_a_day(tries: int, minutes: int) -> None:
    wait = back_off("contoso", tries)

    assert minutes * MINUTE <= wait < 1.1 * minutes * MINUTE


def test_connections_that_failed_together_do_not_come_back_together() -> None:
    waits = {back_off(f"tenant{number}", 1) for number in range(20)}

    assert len(waits) == 20
    assert waits == {back_off(f"tenant{number}", 1) for number in range(20)}


@given(st.text(max_size=48), st.integers(1, 50))
def test_the_wait_never_shrinks_and_never_exceeds_a_tenth_more_than_a_day(
    connection_id: str, tries: int
) -> None:
    waits = [back_off(connection_id, number) for number in range(1, tries + 1)]

    assert all(earlier <= later for earlier, later in pairwise(waits))
    assert waits[0] >= BACK_OFF[0]
    assert waits[-1] < 1.1 * BACK_OFF[-1]


@pytest.mark.parametrize(
    ("before", "held"),
    [
        pytest.param(SECOND, True, id="a second before"),
        pytest.param(timedelta(0), False, id="on the minute"),
        pytest.param(-SECOND, False, id="a second after"),
    ],
)
def test_the_next_try_comes_when_it_was_said(before: timedelta, held: bool) -> None:
    health, _ = after(EXPIRED)
    assert health.next_try_at == NOW + back_off("contoso", 1)

    assert health.held_back(health.next_try_at - before) is held


@pytest.mark.parametrize("failures", [[], [BUSY], [BUSY, BUSY]], ids=["never", "once", "twice"])
def test_who_is_not_quarantined_is_not_held_back(failures: list[Failure]) -> None:
    assert not after(*failures).health.held_back(NOW)


def test_a_try_by_hand_does_not_push_the_next_one_away() -> None:
    first, _ = after(EXPIRED)

    again, _ = failed(first, EXPIRED, NOW + MINUTE)

    assert again.failures == 2
    assert (again.next_try_at, again.quarantine) == (first.next_try_at, first.quarantine)


def test_a_try_that_was_due_lengthens_the_wait() -> None:
    first, _ = after(EXPIRED)
    assert first.next_try_at is not None

    again, _ = failed(first, EXPIRED, first.next_try_at)

    assert again.next_try_at == first.next_try_at + back_off("contoso", 2)


# --- release --------------------------------------------------------------------------------------


def test_a_run_that_works_releases_and_resolves() -> None:
    quarantined, _ = after(EXPIRED, EXPIRED)

    health, events = worked(quarantined, NOW + 3 * HOUR)

    assert health == BLANK
    assert names(events) == ["incident.resolved credential.secretExpired", "connection.released"]
    assert events[0].fields["lasted_s"] == 3 * 3600
    assert events[1].fields == {"by": "run", "failures": 2, "quarantined_s": 3 * 3600}
    assert {event.level for event in events} == {logging.INFO}


def test_a_run_that_works_forgets_failures_that_were_no_incident() -> None:
    failing, _ = after(BUSY, BUSY)

    assert worked(failing, NOW) == Step(BLANK)


def test_a_run_of_a_sound_connection_changes_nothing() -> None:
    assert worked(BLANK, NOW) == Step(BLANK)


def test_a_check_in_order_releases_and_the_next_look_tries() -> None:
    quarantined, _ = after(EXPIRED)

    health, events = checked(quarantined, NOW + MINUTE)

    assert names(events) == ["incident.resolved credential.secretExpired", "connection.released"]
    assert events[1].fields["by"] == "check"
    assert (health.status, health.failures, health.next_try_at) == (Status.OK, 0, NOW + MINUTE)


@pytest.mark.parametrize(
    ("then", "status", "put_off"),
    [
        pytest.param(BUSY, Status.FAILING, None, id="a passing trouble"),
        pytest.param(EXPIRED, Status.QUARANTINED, 1, id="not mended after all"),
    ],
)
def test_a_release_starts_anew(then: Failure, status: Status, put_off: int | None) -> None:
    released, _ = checked(after(EXPIRED, EXPIRED, EXPIRED).health, NOW)

    health, _ = failed(released, then, NOW + HOUR)

    assert (health.status, health.failures) == (status, 1)
    assert health.next_try_at == (NOW + HOUR + back_off("contoso", put_off) if put_off else None)


def test_a_run_after_the_release_needs_no_further_try() -> None:
    released, _ = checked(after(EXPIRED).health, NOW)

    assert worked(released, NOW) == Step(BLANK)


def test_a_check_does_not_show_that_runs_get_to_their_end() -> None:
    failing, _ = after(BUSY, BUSY)

    assert checked(failing, NOW) == Step(failing)


def test_a_clock_that_is_behind_makes_no_negative_duration() -> None:
    quarantined, _ = after(EXPIRED)

    _, events = worked(quarantined, NOW - MINUTE)

    assert events[0].fields["lasted_s"] == 0


WHATEVER = st.lists(
    st.sampled_from([EXPIRED, FORBIDDEN, BUSY, LOST, "worked", "checked"]), max_size=30
)


@given(WHATEVER, st.lists(st.integers(0, 3000), min_size=30, max_size=30))
def test_incidents_are_opened_and_ended_in_turn(
    happenings: list[Failure | str], minutes: list[int]
) -> None:
    """Whatever happens, at most one incident is open, and it is the one that the log says."""
    health, now, open_codes = BLANK, NOW, list[str]()
    for happening, wait in zip(happenings, minutes, strict=False):
        now += wait * MINUTE
        step: Callable[[Health, datetime], Step] = worked if happening == "worked" else checked
        health, events = (
            failed(health, happening, now) if isinstance(happening, Failure) else step(health, now)
        )
        for event in events:
            if event.name == "incident.opened":
                open_codes.append(str(event.fields["code"]))
            elif event.name in {"incident.resolved", "incident.closed"}:
                open_codes.remove(str(event.fields["code"]))
        kept = [health.quarantine.incident.code] if health.quarantine else []

        assert open_codes == kept
        assert (health.status is Status.QUARANTINED) <= (health.next_try_at is not None)
        assert Health.model_validate_json(health.model_dump_json(by_alias=True)) == health


# --- the dead man ---------------------------------------------------------------------------------


def hourly(**changes: Any) -> Connection:
    return connection(schedule={"everyMinutes": 60}, **changes)


@pytest.mark.parametrize(
    ("every", "ago", "overdue"),
    [
        pytest.param(60, 2 * HOUR, False, id="exactly twice the interval"),
        pytest.param(60, 2 * HOUR + SECOND, True, id="a second more"),
        pytest.param(5, 10 * MINUTE, False, id="twice a short interval"),
        pytest.param(5, 10 * MINUTE + SECOND, True, id="a second more than that"),
        pytest.param(60, timedelta(0), False, id="running now"),
    ],
)
def test_overdue_is_longer_than_twice_the_interval(
    every: int, ago: timedelta, overdue: bool
) -> None:
    one = connection(schedule={"everyMinutes": every})

    health, events = watched(BLANK, one, NOW - ago, NOW)

    assert (health.overdue is not None) is overdue
    assert names(events) == ["incident.opened connection.overdue"] * overdue


def test_an_overdue_connection_is_told_once_and_as_an_error() -> None:
    first, [event] = watched(BLANK, hourly(), NOW - 3 * HOUR, NOW)

    again, events = watched(first, hourly(), NOW - 3 * HOUR, NOW + HOUR)

    assert event.level == logging.ERROR
    assert event.fields["since"] == "2026-05-04T09:00:00+00:00"
    assert event.fields["every_min"] == 60
    assert (again, events) == (first, ())


def test_who_never_ran_counts_from_when_it_was_first_seen() -> None:
    seen, _ = watched(BLANK, hourly(), None, NOW)

    early, _ = watched(seen, hourly(), None, NOW + 2 * HOUR)
    late, events = watched(early, hourly(), None, NOW + 2 * HOUR + SECOND)

    assert early.overdue is None
    assert late.overdue is not None
    assert late.overdue.since == NOW
    assert names(events) == ["incident.opened connection.overdue"]


@pytest.mark.parametrize(
    "paused",
    [
        pytest.param(hourly(enabled=False), id="disabled"),
        pytest.param(connection(schedule={"automatic": False}), id="only by hand"),
    ],
)
def test_a_pause_counts_for_nothing(paused: Connection) -> None:
    """Somebody who enables a connection again after a month is not told that it has not run."""
    running, _ = watched(BLANK, hourly(), NOW - 720 * HOUR, NOW - 720 * HOUR)
    resting, events = watched(running, paused, NOW - 720 * HOUR, NOW)
    resumed, _ = watched(resting, hourly(), NOW - 720 * HOUR, NOW + HOUR)
    late, _ = watched(resumed, hourly(), NOW - 720 * HOUR, NOW + 3 * HOUR + SECOND)

    assert events == ()
    assert resumed.overdue is None
    assert late.overdue is not None
    assert late.overdue.since == NOW + HOUR


def test_a_pause_closes_the_incident() -> None:
    overdue, _ = watched(BLANK, hourly(), NOW - 3 * HOUR, NOW)

    health, [event] = watched(overdue, hourly(enabled=False), NOW - 3 * HOUR, NOW)

    assert health.overdue is None
    assert event.name == "incident.closed"
    assert event.fields == {"code": OVERDUE, "lasted_s": 3 * 3600, "reason": "paused"}


def test_a_quarantined_connection_is_expected_at_its_next_try() -> None:
    """One cause, one incident: being left alone on purpose is not being forgotten."""
    quarantined, _ = after(EXPIRED)
    assert quarantined.next_try_at is not None
    patient, _ = watched(quarantined, hourly(), NOW, quarantined.next_try_at + 2 * HOUR)
    late, _ = watched(patient, hourly(), NOW, quarantined.next_try_at + 2 * HOUR + SECOND)

    assert patient.overdue is None
    assert late.overdue is not None


@pytest.mark.parametrize(
    "runs",
    [
        pytest.param(lambda health: worked(health, NOW), id="a run that works"),
        pytest.param(lambda health: failed(health, BUSY, NOW), id="a run that fails"),
        pytest.param(lambda health: watched(health, hourly(), NOW, NOW), id="a run under way"),
    ],
)
def test_running_resolves_overdue(runs: Callable[[Health], Step]) -> None:
    overdue, _ = watched(BLANK, hourly(), NOW - 3 * HOUR, NOW)

    health, events = runs(overdue)

    assert health.overdue is None
    assert names(events) == ["incident.resolved connection.overdue"]
    assert events[0].fields["lasted_s"] == 3 * 3600


# --- expiry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days_left", "stage"),
    [
        (61, None),
        (60, 60),
        (59, 60),
        (31, 60),
        (30, 30),
        (15, 30),
        (14, 14),
        (8, 14),
        (7, 7),
        (2, 7),
        (1, 1),
        (0, 0),
        (-1, 0),
        (-400, 0),
    ],
)
def test_the_most_urgent_stage_is_told(days_left: int, stage: int | None) -> None:
    warning = expiry_warning(TODAY + timedelta(days=days_left), NOW, None)

    assert (warning.stage if warning else None) == stage
    assert warning is None or warning.days_left == days_left


@pytest.mark.parametrize(
    ("already", "days_left", "told"),
    [
        pytest.param(60, 60, False, id="same stage"),
        pytest.param(60, 31, False, id="same stage, later"),
        pytest.param(60, 30, True, id="next stage"),
        pytest.param(60, 3, True, id="stages that nobody saw are left out"),
        pytest.param(1, 0, True, id="the day itself"),
        pytest.param(0, 0, False, id="told that it expired"),
        pytest.param(0, -30, False, id="told long ago"),
        pytest.param(7, 20, False, id="the clock went back"),
    ],
)
def test_a_stage_is_told_once(already: int, days_left: int, told: bool) -> None:
    warning = expiry_warning(TODAY + timedelta(days=days_left), NOW, already)

    assert (warning is not None) is told


@pytest.mark.parametrize(
    ("days_left", "level"),
    [
        (60, logging.WARNING),
        (8, logging.WARNING),
        (7, logging.ERROR),
        (0, logging.ERROR),
        (-1, logging.ERROR),
    ],
)
def test_a_week_before_it_is_an_error(days_left: int, level: int) -> None:
    warning = expiry_warning(TODAY + timedelta(days=days_left), NOW, None)

    assert warning is not None
    assert warning.level == level


def test_days_are_those_of_utc() -> None:
    west = datetime.fromisoformat("2026-05-03T23:30:00-02:00")

    warning = expiry_warning(date(2026, 5, 4), west, None)

    assert warning is not None
    assert warning.days_left == 0


@given(st.lists(st.integers(0, 20), max_size=40))
def test_every_stage_is_told_at_most_once_and_in_order(waits: list[int]) -> None:
    told, day, already = list[int](), 0, None
    expires_on = TODAY + timedelta(days=90)
    for wait in waits:
        day += wait
        warning = expiry_warning(expires_on, NOW + timedelta(days=day), already)
        if warning is not None:
            already = warning.stage
            told.append(warning.stage)

    assert told == sorted(set(told), reverse=True)
    assert set(told) <= set(STAGES)
    assert (already is not None) == (day >= 30)


def secret(version: str | None = "v1", **changes: Any) -> Connection:
    return connection(credential={"secretName": "s", "secretVersion": version} | changes)


def in_days(days: int, source: ExpirySource = ExpirySource.GIVEN) -> Expiry:
    return Expiry(expires_on=TODAY + timedelta(days=days), source=source)


def test_a_warning_says_how_many_days_and_who_says_so() -> None:
    _, [event] = aged(BLANK, secret(), in_days(30, ExpirySource.KEY_VAULT), NOW)

    assert (event.name, event.level) == ("credential.expiring", logging.WARNING)
    assert event.fields == {"days_left": 30, "expires_on": "2026-06-03", "source": "keyVault"}


def test_the_same_credential_is_not_told_of_twice() -> None:
    first, _ = aged(BLANK, secret(), in_days(30), NOW)

    again, events = aged(first, secret(), in_days(30), NOW + HOUR)

    assert (again.warned, events) == (first.warned, ())


def test_weeks_without_a_look_are_one_warning() -> None:
    seen, _ = aged(BLANK, secret(), in_days(60), NOW)

    _, events = aged(seen, secret(), in_days(60), NOW + timedelta(days=58))

    assert [event.fields["days_left"] for event in events] == [2]


@pytest.mark.parametrize(
    ("version", "days", "told"),
    [
        pytest.param("v1", 30, False, id="the same"),
        pytest.param("v2", 30, True, id="another version"),
        pytest.param("v1", 29, True, id="another date"),
        pytest.param("v2", 700, False, id="replaced, and good for long"),
    ],
)
def test_a_replaced_credential_starts_anew(version: str, days: int, told: bool) -> None:
    old, _ = aged(BLANK, secret(), in_days(30), NOW)

    health, events = aged(old, secret(version), in_days(days), NOW)

    assert bool(events) is told
    assert health.warned is not None
    assert (health.warned.expiry.expires_on in health.warned.stages) is (days < 60)


def test_the_same_date_from_another_source_is_no_news() -> None:
    known, _ = aged(BLANK, secret(), in_days(30), NOW)

    health, events = aged(known, secret(), in_days(30, ExpirySource.KEY_VAULT), NOW)

    assert events == ()
    assert health.warned is not None
    assert health.warned.expiry.source is ExpirySource.KEY_VAULT


def test_a_credential_without_a_date_is_not_warned_of() -> None:
    health, events = aged(BLANK, secret(), None, NOW)

    assert (health.warned, events) == (None, ())


DAY = timedelta(days=1)
# The connection's own day begins at another hour than that of UTC.
DAY_BEGINS = datetime(2026, 5, 4, tzinfo=UTC) + spread("contoso", DAY)


@pytest.mark.parametrize(
    ("expiry", "later", "changes", "due"),
    [
        pytest.param(None, HOUR, {}, False, id="an hour later, and nobody knew a date"),
        pytest.param(in_days(90), HOUR, {}, False, id="an hour later, and it is good for long"),
        pytest.param(in_days(90), DAY - HOUR, {}, False, id="the same day"),
        pytest.param(in_days(90), DAY, {}, True, id="the next day of the connection"),
        pytest.param(in_days(90), HOUR, {"secretVersion": "v2"}, True, id="another version"),
        pytest.param(in_days(90), HOUR, {"kind": "certificate"}, True, id="another kind"),
        pytest.param(
            in_days(90), HOUR, {"expiresOn": "2026-05-20"}, True, id="another date was given"
        ),
        pytest.param(in_days(61), DAY - HOUR, {}, True, id="a stage has come meanwhile"),
        pytest.param(in_days(30), HOUR, {}, False, id="its stage was told already"),
    ],
)
def test_when_the_expiry_is_asked_for_again(
    expiry: Expiry | None, later: timedelta, changes: dict[str, str], due: bool
) -> None:
    known, _ = aged(BLANK, secret(), expiry, DAY_BEGINS)

    assert look_is_due(known, secret(**changes), DAY_BEGINS + later) is due


def test_the_expiry_of_a_credential_that_was_never_asked_for_is() -> None:
    assert look_is_due(BLANK, secret(), NOW)


@pytest.mark.parametrize("meanwhile", [None, in_days(20)], ids=["nobody knows", "another knows"])
def test_a_source_that_was_away_for_an_hour_tells_nothing_twice(meanwhile: Expiry | None) -> None:
    known, _ = aged(BLANK, secret(), in_days(30, ExpirySource.ENTRA), NOW)
    away, _ = aged(known, secret(), meanwhile, NOW)

    _, events = aged(away, secret(), in_days(30, ExpirySource.ENTRA), NOW)

    assert events == ()


# --- for the API ----------------------------------------------------------------------------------


def test_a_sound_connection_carries_no_warning() -> None:
    assert connection_warnings(None, connection(), NOW) == []
    assert connection_warnings(BLANK, connection(), NOW) == []


def test_a_quarantined_connection_says_since_when_why_and_what_comes_next() -> None:
    """A quarter of an hour, and what the id of contoso adds to it."""
    [warning] = connection_warnings(after(EXPIRED).health, connection(), NOW)

    assert warning["code"] == "connection.quarantined"
    assert warning["message"] == (
        "In quarantine since 2026-05-04 12:00 UTC: runs failed once. The client secret has expired. "
        "Make a new one. The next try is at 2026-05-04 12:16 UTC; asking for a sync, or a check that "
        "finds everything in order, does not wait for it."
    )


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(connection(enabled=False), id="disabled"),
        pytest.param(connection(schedule={"automatic": False}), id="only by hand"),
    ],
)
def test_who_is_not_tried_by_itself_is_not_promised_a_try(one: Connection) -> None:
    [warning] = connection_warnings(after(BUSY, BUSY, BUSY).health, one, NOW)

    assert "failed 3 times in a row" in warning["message"]
    assert warning["message"].endswith("It is tried again when somebody asks for a sync.")


def test_a_cause_without_a_remedy_leaves_no_gap() -> None:
    [warning] = connection_warnings(after(FORBIDDEN).health, connection(), NOW)

    assert "User.Read.All is gone. The next try" in warning["message"]


@pytest.mark.parametrize(("enabled", "codes"), [(True, [OVERDUE]), (False, [])])
def test_an_overdue_connection_says_so_while_it_is_enabled(enabled: bool, codes: list[str]) -> None:
    overdue, _ = watched(BLANK, hourly(), NOW - 3 * HOUR, NOW)

    warnings = connection_warnings(overdue, hourly(enabled=enabled), NOW)

    assert [warning["code"] for warning in warnings] == codes
    assert all("since 2026-05-04 09:00 UTC" in warning["message"] for warning in warnings)


@pytest.mark.parametrize(
    ("days_left", "code", "words"),
    [
        (61, None, ""),
        (60, "credential.expiring", "expires in 60 days, on 2026-07-03"),
        (2, "credential.expiring", "expires in 2 days, on 2026-05-06"),
        (1, "credential.expiring", "expires in 1 day, on 2026-05-05"),
        (0, "credential.expiring", "expires today, 2026-05-04"),
        (-1, "credential.expired", "expired on 2026-05-03"),
    ],
)
def test_a_credential_that_expires_is_named_with_its_day(
    days_left: int, code: str | None, words: str
) -> None:
    one = secret(expiresOn=(TODAY + timedelta(days=days_left)).isoformat())

    warnings = connection_warnings(None, one, NOW)

    assert [warning["code"] for warning in warnings] == ([code] if code else [])
    assert all(words in warning["message"] for warning in warnings)
    assert all("the date given with the connection" in warning["message"] for warning in warnings)


@pytest.mark.parametrize(
    ("kept_for", "source", "given", "shown"),
    [
        pytest.param("v1", ExpirySource.KEY_VAULT, None, 20, id="known from elsewhere"),
        pytest.param("v1", ExpirySource.KEY_VAULT, 10, 20, id="elsewhere knows better"),
        pytest.param("v0", ExpirySource.KEY_VAULT, 10, 10, id="kept for the old credential"),
        pytest.param("v0", ExpirySource.KEY_VAULT, None, None, id="nothing known of the new one"),
        pytest.param("v1", ExpirySource.GIVEN, 10, 10, id="date corrected meanwhile"),
        pytest.param("v1", ExpirySource.GIVEN, None, None, id="date taken away meanwhile"),
    ],
)
def test_the_date_that_is_known_best_is_shown(
    kept_for: str, source: ExpirySource, given: int | None, shown: int | None
) -> None:
    kept, _ = aged(BLANK, secret(kept_for), in_days(20, source), NOW)
    day = in_days(given).expires_on.isoformat() if given is not None else None

    warnings = connection_warnings(kept, secret(expiresOn=day), NOW)

    assert len(warnings) == (shown is not None)
    assert all(f"expires in {shown} days" in warning["message"] for warning in warnings)


def test_the_document_of_a_sound_connection_is_empty() -> None:
    assert health_document(BLANK) == {
        "status": "ok",
        "failures": 0,
        "lastFailedAt": None,
        "lastFailure": None,
        "quarantinedSince": None,
        "nextTryAt": None,
        "incidents": [],
        "expiry": None,
    }


def test_the_document_tells_what_is_wrong() -> None:
    health, _ = after(FORBIDDEN)
    health, _ = watched(health, hourly(), NOW, NOW + 9 * HOUR)
    health, _ = aged(health, secret(), in_days(20), NOW)

    shown = health_document(health)

    assert shown["status"] == "quarantined"
    assert shown["lastFailure"]["code"] == "graph.permissionMissing"
    assert shown["lastFailure"]["cause"] == "administrator"
    assert shown["quarantinedSince"] == "2026-05-04T12:00:00Z"
    assert shown["nextTryAt"].startswith("2026-05-04T12:16")
    assert [one["code"] for one in shown["incidents"]] == ["graph.permissionMissing", OVERDUE]
    assert shown["expiry"] == {"expiresOn": "2026-05-24", "source": "given"}


def test_a_state_of_a_newer_version_can_still_be_read() -> None:
    """Rolling a deployment back must not make every connection forget its incident."""
    stored = after(EXPIRED).health.to_json() | {"fieldOfTomorrow": 1}

    assert read(Health, stored) == after(EXPIRED).health

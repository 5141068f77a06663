"""People whose case is not closed: with a cause, and the time from which they are looked at again. Pure.

Runs go by what the delta tells. Whoever a run could not finish with is told of by no later delta, so such a
person is written down here before the checkpoint moves, and stays until a run has closed the case.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sync_core.domain.model import Reason

# Two looks so far apart are two witnesses. Requests of an application have no consistency from one to the
# next (devblogs.microsoft.com/identity/designing-for-eventual-consistency-for-microsoft-entra, 2026-03-24).
SECOND_LOOK = timedelta(minutes=5)
# Microsoft names no number; 15 minutes were seen (microsoft-graph-docs issue 6376).
LAG = timedelta(minutes=15)
# Whoever takes a notification, and whoever runs, need not be on the same machine.
CLOCKS_DIFFER = timedelta(milliseconds=250)
# Deleted users can be restored for 30 days (learn.microsoft.com/graph/api/directory-deleteditems-restore),
# and a restored one may be told of by no delta (microsoft-graph-docs-contrib issue 6555).
RESTORABLE_FOR = timedelta(days=31)


class Cause(StrEnum):
    """Why a person's case is open."""

    HELD = "held"  # the guard or an assertion holds the change
    REJECTED = "rejected"  # the record could not be written or mapped
    MATCH = "match"  # a match waits for a decision
    UNANSWERED = "unanswered"  # Graph did not say all that it takes to judge
    UNCONFIRMED = "unconfirmed"  # a removal that has one witness
    CONTRADICTED = "contradicted"  # the look differs from what the delta told
    RECENT = "recent"  # changed so lately that a look may have shown what was before
    RESTORABLE = "restorable"  # soft-deleted: may come back without being told of
    UNDONE = "undone"  # an administrator has taken a change back
    BY_HAND = "byHand"  # a row or a decision was changed outside of a run
    GRACE = "grace"  # on the way out, until a day
    NOTIFIED = "notified"  # named by a change notification, and not yet looked at
    UNTIL = "until"  # brought in by hand, until a day


# Closed by any look that finds nothing open any more.
BY_LOOK = frozenset(Cause) - {
    Cause.CONTRADICTED,
    Cause.RECENT,
    Cause.RESTORABLE,
    Cause.GRACE,
    Cause.NOTIFIED,
    Cause.UNTIL,
}
# Closed by a look when the lag is over, since an earlier one may have shown what was before.
BY_LATE_LOOK = frozenset({Cause.CONTRADICTED, Cause.RECENT})
# Whether their case can be closed says only an answer about them; the others wait for something else.
NEEDS_ANSWER = frozenset(Cause) - {Cause.RESTORABLE, Cause.GRACE, Cause.UNTIL, Cause.NOTIFIED}
# Whoever a run was in doubt about is looked at again soon, where Graph's notifications start runs.
DOUBTS = frozenset({Cause.CONTRADICTED, Cause.UNCONFIRMED})
LOOKS_AFTER = (*(timedelta(minutes=number) for number in (1, 2, 4, 8)), LAG)
# How long after `since` a person is looked at again; at the next run where nothing is said.
_DUE_AFTER = {
    Cause.UNCONFIRMED: SECOND_LOOK,
    Cause.RECENT: LAG,
}

Key = tuple[str, Cause]


@dataclass(frozen=True, slots=True)
class Word:
    """What a notification says: a person has left a group, or (False) has come into it; None for both.

    `at` is Graph's own time of the change.
    """

    group: str
    left: bool | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenCase:
    """One person and one cause; `reason` is why the person is to be removed, as it was seen first.

    Of a person whose look differed from what the delta told, it is what the delta told. `told_at` is when
    Graph says that a notified person changed, by its own clock where the notification holds a time; `words`
    are what it said of groups, and `itself`: it told of a change of the person, too, not of groups alone.
    """

    object_id: str
    cause: Cause
    since: datetime
    due_at: datetime
    reason: Reason | None = None
    told_at: datetime | None = None
    itself: bool = False
    words: tuple[Word, ...] = ()

    @property
    def key(self) -> Key:
        return self.object_id, self.cause


def opened(object_id: str, cause: Cause, now: datetime, reason: Reason | None = None) -> OpenCase:
    """Return a case that begins now."""
    return OpenCase(object_id, cause, now, now + _DUE_AFTER.get(cause, timedelta()), reason)


def due(cases: Iterable[OpenCase], now: datetime) -> set[str]:
    """Return the people who are looked at by a run that begins now."""
    return {case.object_id for case in cases if case.due_at <= now}


def next_look(cases: Iterable[OpenCase], after: datetime) -> datetime | None:
    """Return when somebody is to be looked at again whom the last run, begun at `after`, was in doubt about.

    Where the look differed from what the delta told, more and more seldom until the lag is over; where a
    removal has one witness, when a second look is one.
    """
    times = [
        time for case in cases for time in _looks_at(case) if case.cause in DOUBTS and time > after
    ]
    return min(times, default=None)


def _looks_at(case: OpenCase) -> Iterable[datetime]:
    if case.cause is Cause.UNCONFIRMED:
        return [case.due_at]
    return [case.since + pause for pause in LOOKS_AFTER]


def has_second_witness(
    cases: Mapping[Key, OpenCase], object_id: str, reason: Reason, now: datetime
) -> bool:
    """Whether an earlier run saw of a person the same as the look of now: a second witness.

    A removal that is held had two witnesses already; one that had a single look needs some minutes between.
    """
    held = cases.get((object_id, Cause.HELD))
    if held is not None and held.reason is reason:
        return True
    case = cases.get((object_id, Cause.UNCONFIRMED))
    return case is not None and case.reason is reason and now - case.since >= SECOND_LOOK


def was_told(cases: Mapping[Key, OpenCase], object_id: str, reason: Reason) -> bool:
    """Whether the delta told some time ago what the look shows now, when an earlier look did not yet."""
    case = cases.get((object_id, Cause.CONTRADICTED))
    return case is not None and case.reason is reason


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a run makes of the open cases: those to be written, and those that are closed."""

    written: tuple[OpenCase, ...]
    closed: tuple[OpenCase, ...]


def settle(
    known: Mapping[Key, OpenCase],
    found: Iterable[OpenCase],
    looked_at: Collection[str] | None,
    restored: Collection[str],
    now: datetime,
) -> Settlement:
    """Return what changes in the open cases by a run that began `now`.

    `found` are the cases that the run leaves open. `looked_at` are the people it has looked at, None for
    a full reading, which looks at everybody. Of the soft-deleted, those `restored` are deleted no longer.
    """
    left = {case.key: _continued(case, known.get(case.key)) for case in found}
    written = tuple(case for key, case in left.items() if known.get(key) != case)
    closed = tuple(
        case
        for key, case in known.items()
        if key not in left and _is_closed(case, looked_at, restored, now)
    )
    return Settlement(written, closed)


def is_used_up(case: OpenCase, now: datetime) -> bool:
    """Whether a run that began `now` has done with a notification: its delta round began after it.

    What an earlier round told is older than the notification.
    """
    return now - case.since > CLOCKS_DIFFER


def left_open(known: Mapping[Key, OpenCase], settlement: Settlement) -> list[OpenCase]:
    """Return the cases that are open after a settlement."""
    closed = {case.key for case in settlement.closed}
    after = {**known, **{case.key: case for case in settlement.written}}
    return [case for key, case in after.items() if key not in closed]


def _continued(case: OpenCase, before: OpenCase | None) -> OpenCase:
    """Let a case that goes on keep when it began; what was seen in between has to be the same.

    Where the lag is waited for, it begins again: what was told now may be shown by no look yet.
    """
    if before is None or before.reason is not case.reason or case.cause in BY_LATE_LOOK:
        return case
    if case.cause is Cause.UNTIL and before.due_at != case.due_at:
        return case  # another day was named
    return replace(case, since=before.since, due_at=before.due_at)


def _is_closed(
    case: OpenCase, looked_at: Collection[str] | None, restored: Collection[str], now: datetime
) -> bool:
    if case.cause is Cause.RESTORABLE:
        return case.object_id in restored or now - case.since >= RESTORABLE_FOR
    if case.cause is Cause.UNTIL and now < case.due_at:
        return False
    if case.cause is Cause.GRACE or (looked_at is not None and case.object_id not in looked_at):
        return False
    if case.cause is Cause.NOTIFIED:
        return is_used_up(case, now)
    return case.cause in BY_LOOK or case.cause is Cause.UNTIL or now - case.since >= LAG

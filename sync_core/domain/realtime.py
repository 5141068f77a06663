"""What is known of a connection's notifications: how fast changes come by them, and what they did not tell.

Polling and notifications see the same changes. So a change that polling found, and of which no notification
told although a subscription should have, is evidence that notifications do not arrive. One proves nothing;
three in a row without any notification of that kind between are silence. Pure.
"""

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple

from pydantic import Field

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.incremental.hints import Hint
from sync_core.domain.incremental.open_people import LAG
from sync_core.domain.model import Action, Change, Reason

# Latencies of so many changes are kept, of each cause.
SAMPLE = 100
# So many changes in a row that nobody told of are silence.
IN_A_ROW = 3
# Of each subscription so many are remembered: some may turn out to prove nothing.
UNTOLD_KEPT = 5
MOST_SLOTS = 200
# In a tenant where little happens, what was missed a month ago says nothing of today.
UNTOLD_FOR = timedelta(days=30)
# Answers may be older than what was told; who was told of waits for so long for one that is not, and so many.
WAITING_FOR = 2 * LAG
MOST_WAITING = 200
# Of the changes whose cause no hint explains, so many are remembered until the run ends.
MOST_UNEXPLAINED = 100
USERS_SLOT, GROUPS_SLOT = "users", "groups"


class Channel(StrEnum):
    """The two kinds of change that subscriptions tell of: of people, and of members of groups."""

    USERS = "users"
    GROUPS = "groups"


class Cause(StrEnum):
    """What made a run look at the person whom it wrote."""

    NOTIFICATION = "notification"
    POLLING = "polling"


class Kind(StrEnum):
    """What a change did: brought a person in, took one away, or changed values."""

    JOINED = "joined"
    LEFT = "left"
    CHANGED = "changed"


class Latency(NamedTuple):
    """From Graph's word about one change to the row: when it was written, and seconds."""

    at: datetime
    seconds: float
    kind: Kind


class Untold(NamedTuple):
    """One change that no notification told: of whom, when it was written, and not before when it happened."""

    person: str
    at: datetime
    since: datetime


class Waiting(NamedTuple):
    """Graph's word about a person of whom nothing was written yet: when it came, and by what."""

    told_at: datetime
    by: Cause


class RealtimeState(Document):
    """What runs have learned of a connection's notifications.

    `since` is when the first run began that listened. `waiting` are people who were told of, as an answer may
    have been the older one. `untold` are the changes that a subscription should have told, by its slot:
    `users`, or the id of a group.
    """

    since: datetime | None = None
    by_notification: int = 0
    by_polling: int = 0
    notified: list[Latency] = Field(default_factory=list)
    polled: list[Latency] = Field(default_factory=list)
    waiting: dict[str, Waiting] = Field(default_factory=dict)
    untold: dict[str, list[Untold]] = Field(default_factory=dict)

    def suspects(self) -> set[Channel]:
        """Return the channels of which enough was not told to look into it."""
        found: dict[Channel, set[tuple[str, datetime]]] = {channel: set() for channel in Channel}
        for slot, some in self.untold.items():
            found[channel_of(slot)] |= {(one.person, one.at) for one in some}
        return {channel for channel, changes in found.items() if len(changes) >= IN_A_ROW}


# When the last notification of each channel came.
Heard = Mapping[Channel, datetime]


def channel_of(slot: str) -> Channel:
    return Channel.USERS if slot == USERS_SLOT else Channel.GROUPS


def last_heard(heard: Heard) -> datetime | None:
    """Return when the last notification of any kind came."""
    return max(heard.values(), default=None)


def disproved_at(state: RealtimeState, heard: Heard) -> datetime | None:
    """Return the notification that shows that a silence is over, if it came after that began.

    Where people are not told of, a notification about groups shows nothing.
    """
    suspects = state.suspects()
    return last_heard({one: at for one, at in heard.items() if not suspects or one in suspects})


def ends_silence(state: RealtimeState, heard: Heard) -> bool:
    """Whether a notification has come of a kind of which enough was not told: a run is to note it."""
    return any(one in heard and _is_broken(state, one, heard[one]) for one in state.suspects())


def without_told(
    state: RealtimeState, heard: Heard, notified: Mapping[str, datetime], now: datetime
) -> RealtimeState:
    """Return the state without the changes that were told after all, of late, or are too old to count.

    Any notification of a channel begins its row anew. One about the same person may have come while a run
    wrote what it had found by itself. A channel that speaks again ends the silence of the other one as well:
    both go through the same address.
    """
    over = state.suspects() if ends_silence(state, heard) else set[Channel]()
    left = {
        slot: [one for one in some if not _was_told(one, slot, heard, notified, now)]
        for slot, some in state.untold.items()
        if channel_of(slot) not in over
    }
    kept = {slot: some for slot, some in left.items() if some}
    return state if kept == state.untold else state.model_copy(update={"untold": kept})


def _is_broken(state: RealtimeState, channel: Channel, heard_at: datetime) -> bool:
    """Whether a notification came after the first change of a channel that was not told."""
    some = (each for slot, each in state.untold.items() if channel_of(slot) is channel)
    return any(heard_at >= one.at for one in chain.from_iterable(some))


def _was_told(
    one: Untold, slot: str, heard: Heard, notified: Mapping[str, datetime], now: datetime
) -> bool:
    channel = channel_of(slot)
    if channel in heard and heard[channel] >= one.at:
        return True
    told_at = notified.get(one.person)
    return (told_at is not None and told_at >= one.at - LAG) or now - one.at > UNTOLD_FOR


# --- what a run learns ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """What a run knew before it wrote: whom notifications have named, and what the delta has told.

    `notified` says when Graph's word of a person was, `polled_at` when the pages of the delta had come; None
    where another run had read them. Of people in `doubt` an answer differed from these. `since` is when the
    round before began. People told of `lately` may have been written late. With `compares`, whoever is
    written was changed by the directory, not by settings.
    """

    notified: Mapping[str, datetime] = field(default_factory=dict)
    hints: Mapping[str, Hint] = field(default_factory=dict)
    polled_at: datetime | None = None
    since: datetime | None = None
    doubt: Collection[str] = ()
    lately: Collection[str] = ()
    compares: bool = False

    def words(self) -> dict[str, Waiting]:
        """Return the words that may wait for an answer: a notification does not say what was to be seen.

        One about a person who was told of lately is mostly late, and what it tells was written.
        """
        by_delta = dict.fromkeys(self.doubt, self.polled_at)
        found = {one: Waiting(at, Cause.POLLING) for one, at in by_delta.items() if at is not None}
        fresh = self.notified.keys() - set(self.lately)
        return found | {one: Waiting(self.notified[one], Cause.NOTIFICATION) for one in fresh}


def _empty_samples() -> dict[Cause, deque[Latency]]:
    return {cause: deque(maxlen=SAMPLE) for cause in Cause}


@dataclass(slots=True)
class Account:
    """What a run learns while it writes; it begins with the state that earlier ones have left."""

    state: RealtimeState = field(default_factory=RealtimeState)
    told: Told = field(default_factory=Told)
    _changes: Counter[Cause] = field(default_factory=Counter)
    _latencies: dict[Cause, deque[Latency]] = field(default_factory=_empty_samples)
    _written: set[str] = field(default_factory=set)
    _untold: dict[str, list[Untold]] = field(default_factory=dict)
    _unexplained: list[tuple[Change, datetime]] = field(default_factory=list)

    def written(self, change: Change, at: datetime) -> None:
        """Learn of a change that was written at a moment, and not held before."""
        told, person = self.told, change.object_id
        if person in told.notified or person in told.doubt or person in self.state.waiting:
            self._written.add(person)
        if not told.compares:
            return
        hint, word = told.hints.get(person), self._word(person, at)
        if word is not None:
            self._count(word.by, change, word.told_at, at)
        elif hint is not None and _explains(hint):
            self._count(Cause.POLLING, change, told.polled_at, at)
            self._miss(_slots(hint, change), person, at)
        elif hint is None and len(self._unexplained) < MOST_UNEXPLAINED:
            self._unexplained.append((change, at))

    def _word(self, person: str, at: datetime) -> Waiting | None:
        """Return who told of a person before this run's delta did, and when."""
        if person in self.told.notified:
            return Waiting(self.told.notified[person], Cause.NOTIFICATION)
        word = self.state.waiting.get(person)
        return word if word is not None and at - word.told_at <= WAITING_FOR else None

    def _count(self, by: Cause, change: Change, told_at: datetime | None, at: datetime) -> None:
        self._changes[by] += 1
        if told_at is not None:
            self._latencies[by].append(_latency(change, told_at, at))

    def drifted(self, people: Collection[str], since: datetime, *, by_groups: bool) -> None:
        """Learn whom a full reading found out, which nobody told since the one before.

        Only who was removed counts: a row that the application has deleted or changed looks like a newcomer,
        or a person with other values. With `by_groups` nobody can say which subscription should have told of
        a person who is out of scope.
        """
        if self.told.since is None:
            return
        for change, at in self._unexplained:
            if change.object_id not in people or not change.action.is_removal:
                continue
            if change.reason is not Reason.LEFT_SCOPE or not by_groups:
                self._add(USERS_SLOT, Untold(change.object_id, at, since))

    def _miss(self, slots: AbstractSet[str], person: str, at: datetime) -> None:
        since = self.told.since
        if since is None or person in self.told.lately:
            return
        for slot in sorted(slots):
            self._add(slot, Untold(person, at, since))

    def _add(self, slot: str, one: Untold) -> None:
        if slot in self._untold or len(self._untold) < MOST_SLOTS:
            some = self._untold.setdefault(slot, [])
            some[:] = [*some, one][-UNTOLD_KEPT:]

    @property
    def missed(self) -> bool:
        """Whether this run has found what a notification should have told."""
        return bool(self._untold)

    def learned(self, heard: Heard, now: datetime) -> RealtimeState:
        """Return the state that the run leaves; the same one where there is nothing to tell."""
        state = without_told(self.state, heard, self.told.notified, now)
        found = {
            "since": state.since or now,
            "by_notification": state.by_notification + self._changes[Cause.NOTIFICATION],
            "by_polling": state.by_polling + self._changes[Cause.POLLING],
            "notified": [*state.notified, *self._latencies[Cause.NOTIFICATION]][-SAMPLE:],
            "polled": [*state.polled, *self._latencies[Cause.POLLING]][-SAMPLE:],
            "waiting": self._still_waiting(now),
            "untold": _joined(state.untold, self._untold),
        }
        return state.model_copy(update=found)

    def _still_waiting(self, now: datetime) -> dict[str, Waiting]:
        """Return the words of which nothing was written yet, the newest of many."""
        words = self.told.words() | self.state.waiting
        left = {
            person: word
            for person, word in words.items()
            if person not in self._written and now - word.told_at <= WAITING_FOR
        }
        newest = sorted(left, key=lambda person: (left[person].told_at, person))[-MOST_WAITING:]
        return {person: left[person] for person in sorted(newest)}


def _latency(change: Change, told_at: datetime, at: datetime) -> Latency:
    """Measure one change; clocks of two machines differ, and nothing is written before it was told."""
    seconds = round(max(0.0, (at - told_at).total_seconds()), 3)
    return Latency(at, seconds, _KINDS.get(change.action, Kind.CHANGED))


_KINDS = {
    Action.CREATE: Kind.JOINED,
    Action.REENABLE: Kind.JOINED,
    Action.DISABLE: Kind.LEFT,
    Action.DELETE: Kind.LEFT,
}


def _explains(hint: Hint) -> bool:
    """Whether the delta has named the person, and not only a group that the person is in."""
    return hint.values is not None or hint.removed is not None or bool(hint.joined or hint.left)


def _slots(hint: Hint, change: Change) -> set[str]:
    """Return the subscriptions that should have told a change.

    Nobody says whether another manager is told to who subscribes to people, so nothing follows from that.
    """
    found = set[str]()
    if (hint.values is not None or hint.removed is not None) and not hint.told_manager:
        found.add(USERS_SLOT)
    if change.action in {Action.CREATE, Action.REENABLE}:
        found |= hint.joined
    if change.action.is_removal:
        found |= hint.left
    return found


def _joined(
    before: Mapping[str, Sequence[Untold]], found: Mapping[str, Sequence[Untold]]
) -> dict[str, list[Untold]]:
    """Put together what was not told; of many groups, those are left out that were silent first."""
    both = {
        slot: [*before.get(slot, ()), *found.get(slot, ())][-UNTOLD_KEPT:]
        for slot in before.keys() | found.keys()
    }
    newest = sorted(both, key=lambda slot: (both[slot][-1].at, slot))[-MOST_SLOTS:]
    return {slot: both[slot] for slot in sorted(newest)}


# --- silence --------------------------------------------------------------------------------------


class Cover(NamedTuple):
    """One subscription: the slot that it tells of, since when, and until when it lasts."""

    slot: str
    since: datetime
    until: datetime

    def tells(self, slot: str, one: Untold) -> bool:
        """Whether the subscription was there long enough before a change that polling found late, and still.

        The delta may tell a change some time after it happened.
        """
        is_meant = self.slot == slot or (self.slot == GROUPS_SLOT and slot != USERS_SLOT)
        return is_meant and self.since + LAG <= one.since and one.at <= self.until


@dataclass(frozen=True, slots=True)
class Silence:
    """Subscriptions that do not tell: of how many changes in a row, and since when."""

    slots: frozenset[str]
    changes: int
    since: datetime


def find_silence(
    state: RealtimeState,
    heard: Heard,
    covers: Sequence[Cover],
    outages: Iterable[datetime],
    now: datetime,
) -> Silence | None:
    """Return the silence that the changes prove of which no notification told; None where there is none.

    `outages` are when runs failed: whatever kept a run from Graph may have kept Graph from telling, too. A
    change counts when its notification is late by more than it ever was.
    """
    failed = tuple(outages)
    state = without_told(state, heard, {}, now)
    counted: dict[Channel, dict[Untold, set[str]]] = {channel: {} for channel in Channel}
    for slot, some in state.untold.items():
        for one in some:
            slots = {cover.slot for cover in covers if cover.tells(slot, one)}
            if slots and now - one.at >= LAG and not _was_out(one, failed):
                counted[channel_of(slot)].setdefault(one, set()).update(slots)
    silent = [some for some in counted.values() if len(some) >= IN_A_ROW]
    if not silent:
        return None
    changes = {one for some in silent for one in some}
    return Silence(
        slots=frozenset(chain.from_iterable(slots for some in silent for slots in some.values())),
        changes=len(changes),
        since=min(one.at for one in changes),
    )


def _was_out(one: Untold, failed: Sequence[datetime]) -> bool:
    return any(one.since <= at <= one.at for at in failed)


def is_in_time(connection: Connection, since: datetime, now: datetime) -> bool:
    """Whether a run that begins now comes about when it was due after the round before.

    One that comes much later follows an outage: nobody polled, and maybe nobody could tell, either.
    """
    schedule = connection.schedule
    return not schedule.automatic or now - since <= 2 * timedelta(minutes=schedule.every_minutes)


# --- the latency clock ----------------------------------------------------------------------------


def latency_document(state: RealtimeState) -> dict[str, Any]:
    """Return the clock as the API shows it: of the last changes, by cause, and by what they did."""
    everything = sorted([*state.notified, *state.polled])[-SAMPLE:]
    kinds = {kind: [one for one in everything if one.kind is kind] for kind in Kind}
    return {
        **_figures(everything),
        "byCause": {
            Cause.NOTIFICATION.value: _figures(state.notified),
            Cause.POLLING.value: _figures(state.polled),
        },
        "byKind": {kind.value: _figures(some) for kind, some in kinds.items()},
    }


def _figures(latencies: Iterable[Latency]) -> dict[str, Any]:
    seconds = sorted(one.seconds for one in latencies)
    return {
        "p50Seconds": _percentile(seconds, 50),
        "p95Seconds": _percentile(seconds, 95),
        "sample": len(seconds),
    }


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the least value that so many percent of all do not exceed; None of none."""
    return ordered[math.ceil(percent * len(ordered) / 100) - 1] if ordered else None

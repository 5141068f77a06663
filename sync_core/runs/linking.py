"""Matching within one run: newcomers are collected and decided about together, and the queue is kept.

A connection without matching keys pays nothing for it: no column more is read, and no table asked.
"""

from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import datetime

from sync_core.concurrency import in_thread
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import RecordRejected
from sync_core.domain.matching.decide import Newcomer, Outcome, Wait, Why, decide, reason
from sync_core.domain.matching.registry import Registry
from sync_core.domain.model import Action, Change, Link, StillHeld
from sync_core.domain.plan.by_hand import Pick, is_over
from sync_core.logs import log_event
from sync_core.store.matches import Match, MatchStore


class Linking:
    """One run's matches; `registry` is None where the connection names no matching keys."""

    def __init__(self, connection: Connection, store: MatchStore, now: datetime) -> None:
        self.registry: Registry | None = None
        if connection.matching:
            protected = connection.policy.protected
            self.registry = Registry(connection.id, connection.matching, protected)
        self._connection_id = connection.id
        self._store = store
        self._now = now
        self._complete = False
        self._newcomers: list[Newcomer] = []
        self._coming: set[str] = set()
        self._names: dict[str, str] = {}
        self._queue: dict[str, Match] = {}
        self._owned: set[str] = set()
        self._outcomes: dict[str, Outcome] = {}
        self._done: set[str] = set()
        # Who comes in though the scope does not let them in: whom this run imports, and of those whom
        # earlier ones have imported who waits for a match still.
        self.picks: dict[str, Pick] = {}

    async def begin(self, owned: Container[str]) -> None:
        """Load the queue; `owned` are the people who are stored already."""
        if self.registry is not None:
            self._queue = await self._store.all()
            self._owned = {object_id for object_id in self._queue if object_id in owned}
            self.picks = {
                object_id: match.pick
                for object_id, match in self._queue.items()
                if match.pick is not None and object_id not in self._owned
                if not is_over(match.pick.until, self._now)
            } | self.picks

    def see(self, change: Change) -> None:
        """Learn from a change that the run decided on who comes in, who moves and who leaves."""
        if self.registry is None:
            return
        if change.action is Action.CREATE:
            values = self.registry.values(change.values)
            self._newcomers.append(Newcomer(change.object_id, values))
        elif change.action.is_removal:
            self.registry.leave(change.object_id)
        else:
            self.registry.move(change.object_id, change.values)

    def see_all(self, changes: Iterable[Change]) -> None:
        """Learn from several changes."""
        for change in changes:
            self.see(change)

    async def decide(self, *, complete: bool) -> list[tuple[str, RecordRejected]]:
        """Decide about all newcomers; return those who wait, each with the reason."""
        if self.registry is None:
            return []
        self._complete = complete
        self._coming = {newcomer.object_id for newcomer in self._newcomers} & self._queue.keys()
        queue = self._queue.values()
        decisions = {match.object_id: match.decision for match in queue if match.decision}
        # Some 20 µs a newcomer: in a thread, so that a webhook in this process need not wait for it.
        self._outcomes = await in_thread(
            decide, self._newcomers, self.registry, decisions, complete=complete
        )
        if not complete:
            self._outcomes |= self._still_contested()
        waits = self._waits()
        log_event(
            "matching.decided",
            connection=self._connection_id,
            links=sum(isinstance(found, Link) for found in self._outcomes.values()),
            waiting=len(waits),
        )
        return [(object_id, waiting(wait, self._connection_id)) for object_id, wait in waits]

    def _still_contested(self) -> dict[str, Outcome]:
        """Return those who wait because of other newcomers, who may only be missing from this reading."""
        return {
            object_id: self._queue[object_id].wait
            for object_id in self._coming - self._outcomes.keys()
            if self._queue[object_id].wait.why is Why.SEVERAL_PEOPLE
            and self._queue[object_id].decision is None
        }

    def outcome_of(self, object_id: str) -> Outcome | None:
        """Return what was decided about a newcomer; None for one who is simply created."""
        return self._outcomes.get(object_id)

    def _waits(self) -> list[tuple[str, Wait]]:
        found = self._outcomes.items()
        return sorted((oid, one) for oid, one in found if isinstance(one, Wait))

    @property
    def left_out(self) -> set[str]:
        """Return the newcomers who do not come in with this run: they wait, or were chosen to stay out."""
        found = self._outcomes.items()
        return {oid for oid, one in found if not (one is None or isinstance(one, Link))}

    def settled(self, changes: Iterable[Change]) -> list[Change]:
        """Return the changes of people who neither wait nor are left out, with their links."""
        found = []
        for change in changes:
            outcome = self._outcomes.get(change.object_id)
            if isinstance(outcome, Wait):
                self._names[change.object_id] = change.user_principal_name
            if isinstance(outcome, Link):
                change.link = outcome
            if outcome is None or isinstance(outcome, Link):
                found.append(change)
        return found

    async def note(self, still_held: StillHeld) -> None:
        """Bring the queue up to date: who waits and why, without those who wait no longer."""
        if self.registry is None:
            return
        waits = [self._match(object_id, wait) for object_id, wait in self._waits()]
        changed = [match for match in waits if not self._is_known(match)]
        gone = [match for match in self._queue.values() if self._is_settled(match)]
        if changed or gone:
            await still_held()
        await self._store.save_waits(changed, self._queue)
        await self._store.delete(gone)

    def _match(self, object_id: str, wait: Wait) -> Match:
        known = self._queue.get(object_id)
        since, pick = known.since if known else self._now, self.picks.get(object_id)
        match = Match(object_id, self._names[object_id], wait, since, pick=pick)
        if known is None or known.decided_at is None or wait.why is not Why.DECISION_STALE:
            return match
        return replace(match, judged_at=known.decided_at)

    def _is_known(self, match: Match) -> bool:
        known = self._queue.get(match.object_id)
        return known is not None and _found(known) == _found(match)

    def _is_settled(self, match: Match) -> bool:
        """Whether a person waits no longer; a decision stays until it has been carried out."""
        if match.object_id in self._owned:
            return True
        if match.decision is not None or self._still_waits(match.object_id):
            return False
        if match.object_id in self.picks and match.object_id not in self._coming:
            return False  # outside of the scope: no reading shows them
        # A person who was not read may only be missing from this reading.
        return self._complete or match.object_id in self._coming

    def _still_waits(self, object_id: str) -> bool:
        return isinstance(self._outcomes.get(object_id), Wait)

    def done(self, change: Change) -> None:
        """Note that a person was created or linked."""
        if change.object_id in self._queue:
            self._done.add(change.object_id)

    async def forget_done(self, still_held: StillHeld) -> None:
        """Take those out of the queue whose decision was carried out."""
        if self._done:
            await still_held()
            await self._store.delete(self._queue[object_id] for object_id in sorted(self._done))


def _found(match: Match) -> tuple[object, ...]:
    return match.wait, match.user_principal_name, match.judged_at, match.pick


def waiting(wait: Wait, connection_id: str) -> RecordRejected:
    decide_it = f"ecide it: GET /api/connections/{connection_id}/matches, then POST what to do."
    remedy = f"D{decide_it}"
    if wait.why is Why.READING_INCOMPLETE:
        remedy = f"A run that reads everybody settles it; or d{decide_it}"
    return RecordRejected("match.waiting", f"Not brought in yet: {reason(wait)}. {remedy}", remedy)

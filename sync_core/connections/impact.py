"""Whether a saved change would move more people than the guard allows, and who has confirmed that.

A change that decides who is in is planned before it is saved, by the code of a run. Over the more
careful of the old and the new limits it is refused with the plan's name; sent again with that name it
is saved, and the next run that makes exactly this plan is let through. A confirmation is for people who
move because of the change: what the guard holds anyway, with the stored settings too, is not confirmed
by the way.

Where the directory cannot be read with the new settings (no consent yet, or too many people for an HTTP
answer), nobody can be moved by them unseen: the guard looks at every run. Such a change is saved unless
it raises the guard's own limits.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from sync_core.connections.refusals import NAMED, NeedsConfirmation, ReasonNeeded, members
from sync_core.domain.connections.warnings import Warning  # noqa: A004 -- the word of the contract
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.policy import Guard
from sync_core.domain.errors import Conflict, FixConnection, RetryLater, SyncError
from sync_core.domain.plan.digest import moves_of
from sync_core.domain.plan.guard import careful
from sync_core.domain.plan.values import still_sensitive
from sync_core.domain.scope.overlap import chosen_people, doubled_people
from sync_core.logs import log_event
from sync_core.runs.preview import OutOfTime, Preview, preview
from sync_core.services import Services

# All planning of one request together; what is left of an HTTP answer's time is for saving.
LIMIT_S = 150.0
LIMIT_TAKEN_AWAY = "guard.limitTakenAway"
DECIDING = ("scope", "mapping", "matching", "policy", "tenant_id", "cloud")
REMEDY = (
    "Look at who would move: GET {planUrl} (all of them, also as CSV). If it is right, send the same "
    "request again with ?confirm={planHash}; if not, correct the change."
)


class SaveGuard:
    """The confirmations of one request, and what has been let through on their account."""

    def __init__(
        self,
        services: Services,
        confirm: Iterable[str] = (),
        by: str = "",
        reason: str | None = None,
    ) -> None:
        self._services = services
        self._reason = reason
        self._confirmed = {moves_of(one) for one in confirm}
        self._by = by
        self._let_through: list[tuple[Connection, Connection]] = []
        self._told: dict[str, list[Warning]] = {}
        self._audited: set[str] = set()
        self._until = asyncio.get_running_loop().time() + LIMIT_S

    def need_reason(self, stored: Connection | None, wanted: Connection) -> None:
        """Raise `ReasonNeeded` if a limit is taken away without a word on why."""
        opened = _opened(stored, wanted)
        if opened and not self._reason:
            raise ReasonNeeded(wanted.id, opened)

    async def audit(self, stored: Connection | None, wanted: Connection) -> None:
        """Tell for good which limits a save takes away, by whom and why.

        Called before the save is stored: one that then fails leaves a row of audit, and none is without.
        A request tells once of each connection, however often its save is tried.
        """
        opened = _opened(stored, wanted)
        if not opened or wanted.id in self._audited:
            return
        self._audited.add(wanted.id)
        now, reason = self._services.clock(), self._reason
        await self._services.store.audit.note(
            now, self._by, LIMIT_TAKEN_AWAY, wanted.id, limits=opened, reason=reason
        )
        limits = ",".join(opened)
        log_event(LIMIT_TAKEN_AWAY, connection=wanted.id, by=self._by, limits=limits, reason=reason)

    def told(self, connection_id: str) -> list[Warning]:
        """Return which assertions the next run would break, as far as the settings were planned."""
        return self._told.get(connection_id, [])

    async def check(self, stored: Connection | None, wanted: Connection) -> None:
        """Raise `NeedsConfirmation` if saving would move too many people and nobody has confirmed it.

        `stored` is None for a connection that is made.
        """
        stored = stored or as_if_stored(wanted)
        if not _decides(stored, wanted) or (stored, wanted) in self._let_through:
            return
        limits = careful(stored.policy.guard, wanted.policy.guard)
        if await self._can_hold(wanted):
            await self._plan(stored, wanted, limits)
        self._let_through.append((stored, wanted))

    async def refused(
        self, replacements: Iterable[tuple[Connection | None, Connection]]
    ) -> tuple[list[tuple[str, NeedsConfirmation]], dict[str, SyncError]]:
        """Check several changes; gives the refusals, and why others could not be planned, by connection.

        A tenant that does not answer says nothing about the other tenants.
        """
        refusals: list[tuple[str, NeedsConfirmation]] = []
        unknown: dict[str, SyncError] = {}
        for stored, wanted in replacements:
            try:
                await self.check(stored, wanted)
            except NeedsConfirmation as error:
                refusals.append((wanted.id, error))
            except (FixConnection, OutOfTime, RetryLater) as error:
                unknown[wanted.id] = error
        return refusals, unknown

    async def check_waiting(self, stored: Connection | None, wanted: Connection) -> None:
        """Check what waited: since it was saved, another connection may have taken the same people."""
        if stored is None or chosen_people(stored) != chosen_people(wanted):
            others = [one async for one in self._services.store.connections.all()]
            if problems := doubled_people(wanted, others):
                raise Conflict(
                    "scope.samePeople",
                    f"The scope that waits {problems[0].message}.",
                    f"DELETE /api/connections/{wanted.id}/pending forgets what waits.",
                )
        await self.check(stored, wanted)

    async def _can_hold(self, wanted: Connection) -> bool:
        """Whether there is any person stored: a first import is never held."""
        found, onward = await self._services.store.people(wanted.id).page(top=1)
        return bool(found or onward)

    async def _plan(self, stored: Connection, wanted: Connection, limits: Guard) -> None:
        rules = still_sensitive(stored.mapping, wanted.mapping)
        guarded = wanted.model_copy(update={"mapping": rules})
        raised = limits != wanted.policy.guard or guarded != wanted
        try:
            found = await self._preview(guarded, limits, keep=True)
            self._told[wanted.id] = _about_assertions(found)
            if all(one.code != "guard.held" for one in found.warnings):
                return
            if not raised and await self._waits_already(stored, limits, found):
                return
        except (FixConnection, OutOfTime) as error:
            if raised:
                raise
            log_event("connection.movesUnknown", connection=wanted.id, code=error.code)
            return
        await self._need_confirmation(wanted, found)
        if raised and ("unasked" in found.leavers_by_reason or found.held_values):
            # How many were asked for, and what of the values waits, depends on the limits, and the
            # run has the new ones.
            as_run = await self._preview(wanted, wanted.policy.guard)
            await self._remember(wanted, as_run)

    async def _preview(
        self, connection: Connection, limits: Guard, *, keep: bool = False
    ) -> Preview:
        policy = connection.policy.model_copy(update={"guard": limits})
        limited = connection.model_copy(update={"policy": policy})
        left_s = self._until - asyncio.get_running_loop().time()
        return await preview(self._services, limited, limit_s=max(left_s, 0.0), keep=keep)

    async def _waits_already(self, stored: Connection, limits: Guard, found: Preview) -> bool:
        """Whether the stored settings move the same people: then the change is not the reason."""
        if not stored.enabled:
            return False
        try:
            today = await self._preview(stored, limits)
        except (FixConnection, OutOfTime):
            return False
        return moves_of(today.plan_hash) == moves_of(found.plan_hash)

    async def _need_confirmation(self, wanted: Connection, found: Preview) -> None:
        moves = moves_of(found.plan_hash)
        if moves not in self._confirmed:
            raise _refusal(wanted, found, outdated=bool(self._confirmed))
        await self._remember(wanted, found)
        log_event(
            "connection.confirmed",
            connection=wanted.id,
            by=self._by,
            joiners=found.counts.joiners,
            leavers=found.counts.leavers,
        )

    async def _remember(self, wanted: Connection, found: Preview) -> None:
        moves, now = moves_of(found.plan_hash), self._services.clock()
        await self._services.store.approvals.remember(wanted.id, moves, self._by, now)


def as_if_stored(wanted: Connection) -> Connection:
    """Return what a new connection is compared with: the same, switched off, with the usual limits.

    People who were kept when a connection was deleted belong to the next one of its name.
    """
    policy = wanted.policy.model_copy(update={"guard": Guard()})
    return wanted.model_copy(update={"enabled": False, "policy": policy})


def _opened(stored: Connection | None, wanted: Connection) -> list[str]:
    """Name the limits of the guard that would hold nothing any more."""
    before = stored.policy.guard.open_limits if stored else frozenset()
    return sorted(wanted.policy.guard.open_limits - before)


def _decides(stored: Connection, wanted: Connection) -> bool:
    """Whether a save can change who is in: another rule, or a connection that is switched on."""
    if not wanted.enabled:
        return False
    changed = any(getattr(stored, name) != getattr(wanted, name) for name in DECIDING)
    return changed or not stored.enabled


def _refusal(wanted: Connection, found: Preview, *, outdated: bool) -> NeedsConfirmation:
    held = next(one.message for one in found.warnings if one.code == "guard.held")
    other = " This is not the plan that was confirmed." if outdated else ""
    held_ones = islice((one.to_json() for one in found.changes if one.held), NAMED)
    return NeedsConfirmation(
        f"The change of the connection {wanted.id!r} would {_does(found)} than its guard allows.{other} "
        f"{held}",
        REMEDY.format(planUrl=found.plan_url, planHash=found.plan_hash),
        members(
            found.plan_hash,
            found.plan_url,
            found.counts.to_json(),
            found.leavers_by_reason,
            list(held_ones),
        )
        | {
            "columns": {name: count.to_json() for name, count in found.columns.items()},
            "heldValues": [one.to_json() for one in found.held_values],
        },
    )


def _about_assertions(found: Preview) -> list[Warning]:
    return [
        Warning(code=one.code, message=one.message)
        for one in found.warnings
        if one.code == "assertion.failed"
    ]


def _does(found: Preview) -> str:
    moves = "move more people" if found.counts.joiners or found.counts.leavers else ""
    values = "take or rewrite the values of more people" if found.held_values else ""
    return " and ".join(filter(None, [moves, values])) or "bring more sensitive values"


def described(refusals: Sequence[tuple[str, NeedsConfirmation]]) -> list[dict[str, Any]]:
    """Return refusals of several connections as they stand in an answer."""
    return [
        {
            "connection": name,
            "code": error.code,
            "message": error.message,
            "remedy": error.remedy,
            **error.members,
        }
        for name, error in refusals
    ]


def several(refusals: Sequence[tuple[str, NeedsConfirmation]]) -> NeedsConfirmation:
    """Make one refusal of those of all connections of a file."""
    names = ", ".join(name for name, _ in refusals)
    return NeedsConfirmation(
        f"The file would move more people than the guard allows in {names}. Nothing was changed.",
        "Look at confirmations. For each that is right, send its planHash as confirm (it may be given "
        "several times); correct the others in the file.",
        {"confirmations": described(refusals)},
    )

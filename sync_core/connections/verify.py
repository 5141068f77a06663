"""Settings on their way into use: tried out, then stored, or kept as not verified and tried again.

What waits for Entra comes into use by itself as soon as its check passes; a message with a delay asks
for the next try, and the timer asks for those whose message was lost. A secret that was replaced is
disabled in Key Vault once its successor has passed and is in use.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from sync_core.connections.attributes import with_suggestions
from sync_core.connections.subscriptions.ask import ask_if_changed
from sync_core.connections.tenants import tenant_of
from sync_core.directory.checks import check_connection
from sync_core.domain.connections.checks import (
    MOVES,
    PEOPLE,
    CheckResult,
    cloud_check,
    conclude,
    failed,
    with_check,
)
from sync_core.domain.connections.decide_save import (
    Approve,
    Decision,
    Dialogue,
    decide_change,
    decide_new,
)
from sync_core.domain.connections.verification import (
    Fields,
    SecretVersion,
    Verification,
    VerificationStatus,
    begun_anew,
    changed_fields,
    concluded,
    in_use_of,
    left_over,
    looks_the_same,
    newest,
    pinned,
    waiting_credential,
    waiting_fields,
    with_unknown,
)
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.connection import Connection, Credential
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import (
    Conflict,
    FixConnection,
    PreconditionFailed,
    RequestRefused,
    RetryLater,
    SyncError,
)
from sync_core.domain.scope.overlap import doubled_people
from sync_core.health import journal
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.connections import StoredConnection

# Whether settings may come into use for the people's sake: it raises where somebody has to confirm first.
Approval = Callable[[Connection | None, Connection], Awaitable[None]]


class Approver(Protocol):
    """Asked before a save is stored, and told when it will be."""

    async def check(self, stored: Connection | None, wanted: Connection) -> None:
        """Raise what somebody has to confirm first."""

    async def audit(self, stored: Connection | None, wanted: Connection) -> None:
        """Note what the save does that has to be told for good."""


# A message may come a little early; one that is this late was lost.
EARLY = timedelta(seconds=2)
LOST = timedelta(seconds=30)
RACES = 5


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in use after a save, and how far the newest settings are.

    `refused`: the connection was to be enabled with these settings, and they did not pass their check.
    """

    stored: StoredConnection
    verification: Verification
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: of the newest settings, and of those in use where others wait beside them."""

    newest: CheckResult
    in_use: CheckResult | None
    verification: Verification


# --- saving -----------------------------------------------------------------------------------------


async def create(services: Services, wanted: Connection, guard: Approver) -> Saved:
    """Store a new connection; raise `Conflict` if the id is taken. One that does not pass is disabled."""
    decision = await _answered(services, decide_new(wanted), None, guard.check)
    await guard.audit(None, wanted)
    connection = decision.stored or wanted
    stored = await services.store.connections.create(connection)
    await ask_if_changed(services, None, connection)
    return await _noted(services, stored, wanted, decision.result, before=None, waited={})


async def replace(
    services: Services,
    wanted: Connection,
    stored: StoredConnection,
    alone: Connection | None,
    guard: Approver,
) -> Saved:
    """Store new settings of a connection; raise `PreconditionFailed` if somebody was faster."""
    before = stored.connection
    if before.enabled and not wanted.enabled and looks_the_same(before, wanted):
        await guard.audit(before, wanted)
        return await _switched_off(services, wanted, stored)
    dialogue = decide_change(before, wanted, alone)
    decision = await _answered(services, dialogue, before, guard.check)
    await guard.audit(before, wanted)
    waited = await _waiting_fields(services, stored)
    if decision.stored is not None:
        with_them = {} if decision.alone else waited
        stored = await services.store.connections.replace(decision.stored, stored, with_them)
        await ask_if_changed(services, before, stored.connection)
    saved = await _noted(services, stored, wanted, decision.result, before=before, waited=waited)
    return dataclasses.replace(saved, refused=False) if decision.alone else saved


async def _answered(
    services: Services, dialogue: Dialogue, before: Connection | None, approve: Approval
) -> Decision:
    """Drive a dialogue to its decision; each connection is checked once."""
    tried: list[tuple[Connection, CheckResult]] = []
    try:
        question = next(dialogue)
        while True:
            if isinstance(question, Approve):
                ask = _promotable if question.may_wait else _approved
                result = await ask(before, question.settings, question.result, approve)
            else:
                known = [result for one, result in tried if one == question.settings]
                result = known[0] if known else await _try(services, question.settings)
                tried.append((question.settings, result))
            question = dialogue.send(result)
    except StopIteration as end:
        decision: Decision = end.value
        return decision


async def _switched_off(services: Services, wanted: Connection, stored: StoredConnection) -> Saved:
    """Disable without asking anybody: that must work at once, whatever else does not."""
    waited = await _waiting_fields(services, stored)
    after = await services.store.connections.replace(wanted, stored, waited)
    await ask_if_changed(services, stored.connection, after.connection)

    def note(known: Verification) -> Verification:
        unneeded = left_over(known, [waiting_credential(known)], [wanted.credential])
        return known.replaced(pending=None, beside=None, next_try_at=None, unneeded=unneeded)

    return Saved(after, await services.store.verifications.change(wanted.id, note))


async def _try(services: Services, connection: Connection) -> CheckResult:
    """Check a connection; where its tenant lives is asked first, since no secret belongs elsewhere."""
    named = connection.tenant_id
    told = await services.directory.tenants.find(named) if named else None
    if told is not None and not told.may_live_in(connection.cloud):
        check = cloud_check(connection, told.clouds)
        return conclude([check], tenant_id=told.tenant_id, expiries=[])
    result = await check_connection(services.directory, connection, services.clock())
    if told is not None and result.tenant_id is None and not GUID.fullmatch(named or ""):
        # Known without a token, so that nobody else gets the tenant meanwhile.
        result = result.model_copy(update={"tenant_id": told.tenant_id})
    result = await with_suggestions(services, connection, result)
    if result.tenant_id is None:
        return result
    try:
        await _check_people(services, connection, result.tenant_id)
    except FixConnection as error:
        return with_check(result, failed(PEOPLE, error))
    return result


async def _check_people(services: Services, connection: Connection, tenant_id: str) -> None:
    """Refuse the scope of another connection that calls the tenant by another of its names.

    Only the token tells that a domain and a GUID are one tenant. The same name is refused at the save.
    """
    known = connection.model_copy(update={"tenant_id": tenant_id})
    async for other in services.store.connections.all():
        if other.tenant_id == connection.tenant_id or other.id == connection.id:
            continue
        # Whose tenant it is, is only asked where the scopes are the same: it may take a read.
        alike = doubled_people(known, [other.model_copy(update={"tenant_id": tenant_id})])
        if alike and await tenant_of(services, other) == tenant_id:
            raise FixConnection(
                "scope.samePeople",
                f"The scope {alike[0].message}.",
                "Name the tenant by its id in both connections, and choose other people in one.",
            )


async def _approved(
    before: Connection | None, wanted: Connection, result: CheckResult, approve: Approval
) -> CheckResult:
    """Ask whether too many people would move; where that cannot be known now, it is one more check.

    Raises what has to be confirmed.
    """
    try:
        await approve(before, wanted)
    except RetryLater as error:
        return with_check(result, failed(MOVES, error))
    return result


async def _waiting_fields(services: Services, stored: StoredConnection) -> Fields:
    known = await services.store.verifications.read(stored.connection.id)
    return waiting_fields(stored.document, known)


async def _noted(
    services: Services,
    stored: StoredConnection,
    wanted: Connection,
    result: CheckResult,
    *,
    before: Connection | None,
    waited: Fields,
) -> Saved:
    """Note how a save went: what was found, what waits, and which secrets nobody needs any more."""
    now, in_use = services.clock(), stored.connection
    waits = changed_fields(in_use, wanted)
    pending = with_unknown(waited, in_use, waits) if waits else None

    def note(known: Verification) -> Verification:
        old = (before.credential if before else None, waiting_credential(known))
        unneeded = left_over(known, old, (in_use.credential, wanted.credential))
        beside = in_use_of(stored.document, pending) if pending else None
        begun = begun_anew(known).replaced(pending=pending, beside=beside, unneeded=unneeded)
        return concluded(begun, result, now)

    state = await services.store.verifications.change(in_use.id, note)
    await _settle(services, state, in_use_passes=result.ok and pending is None)
    return Saved(stored, state, refused=pending is not None)


# --- trying again -----------------------------------------------------------------------------------


async def check(services: Services, connection_id: str, approve: Approval) -> Checked:
    """Check a connection because somebody asks; what waits comes into use if it passes."""
    return await _tried(services, connection_id, approve, anew=True)


async def retry(services: Services, connection_id: str, approve: Approval) -> Verification | None:
    """Try waiting settings once more if it is time; None where nothing waits (any more)."""
    known = await services.store.verifications.read(connection_id)
    if not known.is_due(services.clock() + EARLY):
        return None
    if await services.store.connections.find(connection_id) is None:
        await services.store.verifications.delete(connection_id)
        return None
    return (await _tried(services, connection_id, approve, anew=False)).verification


async def request_due(services: Services) -> int:
    """Ask for the tries whose message was lost; returns how many."""
    asked = 0
    async for known in services.store.verifications.all():
        if known.is_due(services.clock() - LOST):
            await _send(services, known.connection_id, 0)
            asked += 1
    return asked


async def request_try(services: Services, connection_id: str) -> None:
    """Ask for a check soon, because something about the connection became known."""
    now = services.clock()
    await services.store.verifications.change(
        connection_id, lambda known: begun_anew(known).replaced(next_try_at=now)
    )
    await ask(services, connection_id, timedelta())


async def drop_pending(services: Services, stored: StoredConnection) -> bool:
    """Forget the settings that wait; those in use stay, and are checked. False where nothing waits."""
    in_use, waited = stored.connection, [False]

    def drop(known: Verification) -> Verification:
        waited[:] = [known.pending is not None]
        if known.pending is None:
            return known
        unneeded = left_over(known, [waiting_credential(known)], [in_use.credential])
        # What was found is about what is dropped.
        unchecked = VerificationStatus.NOT_CHECKED
        return begun_anew(known).replaced(
            pending=None, beside=None, unneeded=unneeded, status=unchecked, checks=[]
        )

    await services.store.verifications.change(in_use.id, drop)
    if waited[0]:
        await request_try(services, in_use.id)
    return waited[0]


async def _tried(
    services: Services, connection_id: str, approve: Approval, *, anew: bool
) -> Checked:
    """Check the newest settings and bring them into use if they pass."""
    for _ in range(RACES):
        stored = await services.store.connections.get(connection_id)
        known = await services.store.verifications.read(connection_id)
        wanted = newest(stored.connection, stored.document, known)
        result = await _try(services, wanted)
        if result.ok and changed_fields(stored.connection, wanted):
            result = await _promotable(stored.connection, wanted, result, approve)
        try:
            after = await _promoted(services, stored, wanted, known) if result.ok else stored
        except PreconditionFailed:  # changed meanwhile: look again at what there is now
            continue
        replaced = stored.connection.credential
        waits = changed_fields(after.connection, wanted) or None
        return await _tried_noted(services, after, replaced, known, result, waits=waits, anew=anew)
    raise Conflict(
        "connection.busy",
        "The connection is being changed by several callers at once.",
        "Check it again.",
    )


async def _promotable(
    before: Connection | None, wanted: Connection, result: CheckResult, approve: Approval
) -> CheckResult:
    """Let what waited come into use only if nobody has to confirm it first; that is one more check.

    What waits for a confirmation, or cannot be planned now, must not stop what has nothing to do with it.
    """
    try:
        return await _approved(before, wanted, result, approve)
    except (RequestRefused, FixConnection) as error:
        return with_check(result, failed(MOVES, error))


async def _promoted(
    services: Services, stored: StoredConnection, wanted: Connection, known: Verification
) -> StoredConnection:
    # Not only what this release sees a change in: all that waits may be a field of another release.
    waited = waiting_fields(stored.document, known)
    if not waited:
        return stored
    after = await services.store.connections.replace(wanted, stored, waited)
    log_event("connection.settingsInUse", connection=wanted.id)
    await ask_if_changed(services, stored.connection, after.connection)
    return after


async def _tried_noted(
    services: Services,
    stored: StoredConnection,
    replaced: Credential,
    known: Verification,
    result: CheckResult,
    *,
    waits: dict[str, Any] | None,
    anew: bool,
) -> Checked:
    now, in_use = services.clock(), stored.connection

    def note(state: Verification) -> Verification:
        # A save came in between, and noted what it found of newer settings.
        if (state.pending, state.checked_at) != (known.pending, known.checked_at):
            return state
        begun = begun_anew(state) if anew else state
        if waits is None:
            old = (replaced, waiting_credential(state))
            unneeded = left_over(state, old, [in_use.credential])
            begun = begun.replaced(pending=None, beside=None, unneeded=unneeded)
        return concluded(begun, result, now)

    state = await services.store.verifications.change(in_use.id, note)
    beside = await _try(services, in_use) if anew and state.pending is not None else None
    await _settle(services, state, in_use_passes=(beside or result).ok)
    return Checked(result, beside, state)


# --- afterwards -------------------------------------------------------------------------------------


async def _settle(services: Services, state: Verification, *, in_use_passes: bool) -> None:
    """Do what follows from a check: log it, ask for the next try, release, retire old secrets."""
    codes = ",".join(sorted({check.code for check in state.failing})) or None
    log_event(f"connection.{state.status}", connection=state.connection_id, codes=codes)
    if in_use_passes:
        await journal.check_passed(services, state.connection_id)
    if state.status is VerificationStatus.WAITING and state.next_try_at is not None:
        await ask(services, state.connection_id, state.next_try_at - services.clock())
    if state.status is VerificationStatus.VERIFIED and state.unneeded:
        for one in state.unneeded:
            await _retire(services, state.connection_id, one)
        await services.store.verifications.change(
            state.connection_id, lambda known: known.replaced(unneeded=[])
        )


async def _retire(services: Services, connection_id: str, old: SecretVersion) -> None:
    """Disable a version in Key Vault, unless another connection pins the very same."""
    async for other in services.store.connections.all():
        if pinned(other.credential) == old:
            return
    try:
        await services.vault.disable(old.name, old.version)
    except SyncError as error:
        # It stays usable, which harms nobody; the log tells.
        log_event("credential.notRetired", connection=connection_id, code=error.code)
    else:
        log_event("credential.retired", connection=connection_id, secret=old.name)


async def ask(services: Services, connection_id: str, pause: timedelta) -> None:
    """Ask for a try after a pause, by a message of the queue."""
    try:
        await _send(services, connection_id, max(0, round(pause.total_seconds())))
    except SyncError as error:
        # The timer looks for tries that are due.
        log_event("connection.tryNotSent", connection=connection_id, code=error.code)


async def _send(services: Services, connection_id: str, delay_s: int) -> None:
    request = SyncRequest(
        connection_id=connection_id, trigger=Trigger.TIMER, purpose=Purpose.VERIFY
    )
    await services.queue.send(request, delay_s=delay_s)

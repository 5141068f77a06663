"""A consent that was given and its sign-in, until the connection has its tenant.

The sign-in has shown whose tenant it is; that the tenant lets the app in, shows a token that Entra issues
to the connection's own credential. Entra may need minutes for that, so the claim is kept first; where the
browser did not wait, a message with a delay asks again (`confirm_again`), and every hour the maintenance
does, in case one was lost (`confirm_pending`).
"""

from datetime import timedelta

from sync_core.connections import tenants, verify
from sync_core.connections.subscriptions.ask import ask_if_changed
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.connections.consent import Outcome, Refusal
from sync_core.domain.connections.tenant_claims import OPEN_FOR, Claiming, Verdict
from sync_core.domain.connections.token import read_token
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import (
    FixConnection,
    NotUnderstood,
    PreconditionFailed,
    RetryLater,
)
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.connections import StoredConnection
from sync_core.store.consents import PendingConsent

# Entra knows a consent everywhere within minutes; what it does not know by then was none.
GIVE_UP = OPEN_FOR
SHORTEST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=15)
WAITING = frozenset({Outcome.PENDING, Outcome.CREDENTIAL_REFUSED})
RACES = 5
# The same consent is known in one place of Entra before it is in another, and tokens may lack its
# roles at first: github.com/mspnp/multitenant-saas-guidance/issues/127,
# github.com/microsoftgraph/microsoft-graph-docs/issues/10907.
NOT_YET = {"credential.appNotFound", "credential.consentMissing"}
FOR_GOOD = {
    "credential.tenantNotFound": Outcome.TENANT_UNKNOWN,
    "credential.tenantInvalid": Outcome.TENANT_UNKNOWN,
    "credential.wrongCloud": Outcome.OTHER_CLOUD,
}
VERDICTS = {
    Verdict.TAKEN: Outcome.TENANT_TAKEN,
    Verdict.CONTESTED: Outcome.TENANT_CONTESTED,
}


async def bind(
    services: Services,
    connection: Connection,
    tenant_id: str,
    retry_budget: RetryBudget,
    *,
    by: str | None,
) -> Outcome:
    """Claim a tenant for a connection, and give it to it as soon as Entra confirms; `by` signed in."""
    if connection.tenant_id is None:
        claiming = await tenants.claim(services, tenant_id, connection.id)
        if claiming.verdict in VERDICTS:
            return await _lost(services, connection.id, tenant_id, claiming)
    now = services.clock()
    # Kept before anything is asked: a process that ends here loses no consent.
    pending = await services.store.consents.wait(connection.id, tenant_id, now, by=by)
    outcome = await _confirm(services, pending, retry_budget)
    if outcome in WAITING:
        await verify.ask(services, connection.id, SHORTEST_PAUSE)
    return outcome


async def confirm_again(services: Services, connection_id: str) -> None:
    """Ask Entra once more about a connection's consent, if one waits, and have it asked again if need be.

    The pauses grow: each is as long as the consent has waited.
    """
    pending = await services.store.consents.pending(connection_id)
    if pending is not None and await _still_waits(services, pending):
        waited = services.clock() - pending.since
        pause = min(max(waited, SHORTEST_PAUSE), LONGEST_PAUSE)
        await verify.ask(services, connection_id, pause)


async def confirm_pending(services: Services) -> None:
    """Ask Entra once more about every consent that it has not confirmed."""
    for pending in await services.store.consents.waiting():
        await _still_waits(services, pending)


async def refused(
    services: Services,
    connection_id: str,
    outcome: Outcome,
    *,
    tenant_id: str | None = None,
    number: int | None = None,
    others: tuple[str, ...] = (),
) -> Outcome:
    """Tell the log and the connection how a consent was refused."""
    refusal = Refusal(outcome, services.clock(), tenant_id, others)
    if outcome is not Outcome.CONNECTION_GONE:
        await services.store.consents.refuse(connection_id, refusal)
    log_event(
        "consent.refused",
        connection=connection_id,
        code=outcome.value,
        tenant=tenant_id,
        others=",".join(others) or None,
        aadsts=number,
    )
    return outcome


async def _still_waits(services: Services, pending: PendingConsent) -> bool:
    """Ask Entra, and give up after hours; tell whether the consent goes on waiting."""
    outcome = await _confirm(services, pending, RetryBudget(budget_s=0.0))
    if outcome not in WAITING:
        return False
    if services.clock() - pending.since <= GIVE_UP:
        return True
    await _settle(services, pending)
    log_event("consent.abandoned", connection=pending.connection_id, code=outcome.value)
    await _refused(services, pending, Outcome.ABANDONED)
    return False


async def _confirm(
    services: Services, pending: PendingConsent, retry_budget: RetryBudget
) -> Outcome:
    """Ask Entra, store the tenant if it agrees, and forget the claim unless it has to wait."""
    try:
        outcome = await _connect(services, pending, retry_budget)
    except (RetryLater, NotUnderstood) as error:
        log_event("consent.pending", connection=pending.connection_id, code=error.code)
        return Outcome.PENDING
    except FixConnection as error:
        if error.code not in FOR_GOOD:
            log_event("consent.pending", connection=pending.connection_id, code=error.code)
            return Outcome.CREDENTIAL_REFUSED
        outcome = await _refused(services, pending, FOR_GOOD[error.code])
    if outcome is Outcome.GRANTED:
        await services.store.consents.settle(pending)
        await services.store.consents.forget_refusal(pending.connection_id)
        log_event("consent.granted", connection=pending.connection_id, tenant=pending.tenant_id)
    else:
        await _settle(services, pending)
    return outcome


async def _connect(
    services: Services, pending: PendingConsent, retry_budget: RetryBudget
) -> Outcome:
    """Store the tenant in the very version of the connection that Entra was asked with."""
    for _ in range(RACES):
        stored = await services.store.connections.find(pending.connection_id)
        if stored is None:
            break
        objection = await _objection(services, stored.connection, pending, retry_budget)
        if objection is not None:
            return await _refused(services, pending, objection)
        if stored.connection.tenant_id is None:
            claiming = await tenants.grant(services, pending.tenant_id, pending.connection_id)
            if claiming.verdict in VERDICTS:
                return await _lost(services, pending.connection_id, pending.tenant_id, claiming)
            try:
                await _store(services, stored, pending.tenant_id)
            except PreconditionFailed:
                continue
        # Also where the tenant was known: what waited for this consent may work now.
        await verify.request_try(services, pending.connection_id)
        return Outcome.GRANTED
    return await _refused(services, pending, Outcome.CONNECTION_GONE)


async def _objection(
    services: Services, connection: Connection, pending: PendingConsent, retry_budget: RetryBudget
) -> Outcome | None:
    """Say why the claimed tenant cannot be this connection's, or None if Entra confirms it."""
    known, claimed = connection.tenant_id, pending.tenant_id
    if known is not None and GUID.fullmatch(known) and known != claimed:
        return Outcome.WRONG_TENANT
    if known is None and pending.by is None:
        # The tenant that an administrator had set was taken away meanwhile, or an older release did not
        # ask who it was.
        return Outcome.ROLE_UNKNOWN
    if await _tenant_of_token(services, connection, claimed, retry_budget) != claimed:
        return Outcome.WRONG_TENANT
    return None


async def _lost(
    services: Services, connection_id: str, tenant_id: str, claiming: Claiming
) -> Outcome:
    """End a consent whose tenant another connection has, or claims as well: then that one ends, too."""
    outcome, others = VERDICTS[claiming.verdict], claiming.others
    if outcome is Outcome.TENANT_CONTESTED:
        if not others:  # ended by the other one, which has told this connection
            return outcome
        for other in others:
            await _end(services, other, tenant_id, connection_id)
    return await refused(services, connection_id, outcome, tenant_id=tenant_id, others=others)


async def _end(services: Services, connection_id: str, tenant_id: str, by: str) -> None:
    pending = await services.store.consents.pending(connection_id)
    if pending is not None and pending.tenant_id == tenant_id:
        await services.store.consents.settle(pending)
    await refused(
        services,
        connection_id,
        Outcome.TENANT_CONTESTED,
        tenant_id=tenant_id,
        others=(by,),
    )


async def _refused(services: Services, pending: PendingConsent, outcome: Outcome) -> Outcome:
    return await refused(services, pending.connection_id, outcome, tenant_id=pending.tenant_id)


async def _settle(services: Services, pending: PendingConsent) -> None:
    """Forget a consent and its claim, unless a newer one of the connection has taken its place."""
    if await services.store.consents.settle(pending):
        await tenants.release(services, pending.tenant_id, pending.connection_id)


async def _store(services: Services, stored: StoredConnection, tenant_id: str) -> None:
    connected = stored.connection.model_copy(update={"tenant_id": tenant_id})
    await services.store.connections.replace(connected, stored)
    await ask_if_changed(services, stored.connection, connected)
    await tenants.hold(services, connected)


async def _tenant_of_token(
    services: Services, connection: Connection, claimed: str, retry_budget: RetryBudget
) -> str:
    """Return the tenant that a new token names, once it has roles as well."""
    asked = connection.model_copy(update={"tenant_id": connection.tenant_id or claimed})
    attempt = 1
    while True:
        try:
            return await _asked_once(services, asked)
        except RetryLater as error:
            await retry_budget.wait(attempt, error)
            attempt += 1


async def _asked_once(services: Services, connection: Connection) -> str:
    try:
        # A new credential each time: one that has a token without roles would give it again for an hour.
        told = read_token(await services.directory.token(connection))
    except FixConnection as error:
        if error.code in NOT_YET:
            raise RetryLater(error.code, error.message, error.remedy) from error
        raise
    if told is None or told.tenant_id is None:
        raise FixConnection(
            "consent.tokenUnreadable",
            "Entra's token does not say which tenant it is for.",
            "Set tenantId at the connection.",
        )
    if not told.roles:
        raise RetryLater(
            "consent.rolesMissing",
            "Entra's token does not carry the granted permissions yet.",
            "If it stays so, add the application permissions to the app registration.",
        )
    return told.tenant_id

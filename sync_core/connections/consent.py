"""An administrator's consent, from the first click to the stored tenant.

A connection in, Entra's address out; what a browser brings back in, an outcome out. Whoever comes back
must bring a state that was handed out for this connection and not used before. The tenant that comes
back is only a claim: the connection gets it when Entra has issued a token for it to the connection's
own credential, and that token says so. Entra may need minutes for that, so the claim is kept first; where
the browser did not wait, a message with a delay asks again (`confirm_again`), and every hour the
maintenance does, in case one was lost (`confirm_pending`).
"""

import secrets
from dataclasses import replace
from datetime import timedelta

from sync_core.connections import verify
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.clouds import CLOUDS
from sync_core.domain.connections.checks import read_token
from sync_core.domain.connections.consent import (
    Callback,
    Consented,
    Outcome,
    consent_url,
    make_state,
    state_connection,
    state_digest,
)
from sync_core.domain.documents import GUID, Connection, CredentialKind
from sync_core.domain.errors import (
    Conflict,
    FixConnection,
    NotUnderstood,
    PreconditionFailed,
    RetryLater,
)
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.connections import StoredConnection
from sync_core.store.consents import PendingConsent

# Somebody sits before the browser; what takes longer is left to the maintenance.
ATTEMPTS = 4
FIRST_WAIT_S = 1.0
BUDGET_S = 10.0
# Entra knows a consent everywhere within minutes; what it does not know by then was none.
GIVE_UP = timedelta(hours=3)
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


async def begin(services: Services, connection: Connection) -> str:
    """Give the address where an administrator of the tenant is asked, with a new state in it."""
    if connection.credential.kind is CredentialKind.MANAGED_IDENTITY:
        raise Conflict(
            "consent.notForManagedIdentity",
            "A managed identity works in its own tenant only, where nobody consents to it.",
            "Grant it the permissions directly: docs/connect.md shows the command.",
        )
    state = make_state(connection.id, secrets.token_urlsafe(32))
    await services.store.consents.open(connection.id, state_digest(state), services.clock())
    return consent_url(
        connection,
        login_url=services.settings.authority_host or CLOUDS[connection.cloud].login_url,
        public_url=services.settings.public_base_url,
        state=state,
    )


async def finish(services: Services, callback: Callback) -> Outcome:
    """Take what came back: check the state, then the answer, then ask Entra itself."""
    connection_id = state_connection(callback.state)
    if connection_id is None or callback.state is None:
        return _refused(None, Outcome.STATE_UNKNOWN)
    ends = await services.store.consents.take(connection_id, state_digest(callback.state))
    if ends is None:
        return _refused(None, Outcome.STATE_UNKNOWN)
    now = services.clock()
    if ends <= now:
        return _refused(connection_id, Outcome.STATE_EXPIRED)
    if not isinstance(callback.answer, Consented):
        return _refused(connection_id, callback.answer.outcome, callback.answer.number)
    # Kept before anything is asked: a process that ends here loses no consent.
    pending = await services.store.consents.wait(connection_id, callback.answer.tenant, now)
    retry_budget = replace(
        services.directory.retry_budget(),
        attempts=ATTEMPTS,
        first_wait_s=FIRST_WAIT_S,
        budget_s=BUDGET_S,
    )
    outcome = await _confirm(services, pending, retry_budget)
    if outcome in WAITING:
        await verify.ask(services, connection_id, SHORTEST_PAUSE)
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


async def _still_waits(services: Services, pending: PendingConsent) -> bool:
    """Ask Entra, and give up after hours; tell whether the consent goes on waiting."""
    outcome = await _confirm(services, pending, RetryBudget(attempts=1))
    if outcome not in WAITING:
        return False
    if services.clock() - pending.since <= GIVE_UP:
        return True
    await services.store.consents.settle(pending)
    log_event("consent.abandoned", connection=pending.connection_id, code=outcome.value)
    return False


async def _confirm(
    services: Services, pending: PendingConsent, retry_budget: RetryBudget
) -> Outcome:
    """Ask Entra, store the tenant if it agrees, and forget the claim unless it has to wait."""
    try:
        outcome = await _connect(services, pending, retry_budget)
    except RetryLater as error:
        log_event("consent.pending", connection=pending.connection_id, code=error.code)
        return Outcome.PENDING
    except NotUnderstood as error:
        log_event("consent.pending", connection=pending.connection_id, code=error.code)
        return Outcome.PENDING
    except FixConnection as error:
        if error.code not in FOR_GOOD:
            log_event("consent.pending", connection=pending.connection_id, code=error.code)
            return Outcome.CREDENTIAL_REFUSED
        outcome = FOR_GOOD[error.code]
    await services.store.consents.settle(pending)
    if outcome is Outcome.GRANTED:
        log_event("consent.granted", connection=pending.connection_id, tenant=pending.tenant_id)
        return outcome
    return _refused(pending.connection_id, outcome)


async def _connect(
    services: Services, pending: PendingConsent, retry_budget: RetryBudget
) -> Outcome:
    """Store the tenant in the very version of the connection that Entra was asked with."""
    for _ in range(RACES):
        stored = await services.store.connections.find(pending.connection_id)
        if stored is None:
            return Outcome.CONNECTION_GONE
        objection = await _objection(services, stored.connection, pending, retry_budget)
        if objection is not None:
            return objection
        if stored.connection.tenant_id is None:
            try:
                await _store(services, stored, pending.tenant_id)
            except PreconditionFailed:
                continue
        # Also where the tenant was known: what waited for this consent may work now.
        await verify.request_try(services, pending.connection_id)
        return Outcome.GRANTED
    return Outcome.CONNECTION_GONE


async def _objection(
    services: Services, connection: Connection, pending: PendingConsent, retry_budget: RetryBudget
) -> Outcome | None:
    """Say why the claimed tenant cannot be this connection's, or None if Entra confirms it."""
    known, claimed = connection.tenant_id, pending.tenant_id
    if known is not None and GUID.fullmatch(known) and known != claimed:
        return Outcome.WRONG_TENANT
    if await _tenant_of_token(services, connection, claimed, retry_budget) != claimed:
        return Outcome.WRONG_TENANT
    if known is None and await _is_taken(services, pending):
        return Outcome.TENANT_TAKEN
    return None


async def _store(services: Services, stored: StoredConnection, tenant_id: str) -> None:
    connected = stored.connection.model_copy(update={"tenant_id": tenant_id})
    await services.store.connections.replace(connected, stored)


async def _is_taken(services: Services, pending: PendingConsent) -> bool:
    """Tell whether another connection has the tenant already.

    A token proves that the tenant let the app in, not who came back: with a vendor's app a customer
    could name another customer of the same vendor. Whoever means it sets tenantId, as administrator.
    """
    async for other in services.store.connections.all():
        if other.id == pending.connection_id:
            continue
        if await verify.tenant_of(services, other) == pending.tenant_id:
            return True
    return False


async def _tenant_of_token(
    services: Services, connection: Connection, claimed: str, retry_budget: RetryBudget
) -> str:
    """Give the tenant that a new token names, once it has roles as well."""
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


def _refused(connection_id: str | None, outcome: Outcome, number: int | None = None) -> Outcome:
    log_event("consent.refused", connection=connection_id, code=outcome.value, aadsts=number)
    return outcome

"""An administrator's consent and sign-in, as a browser goes through them.

A connection in, Entra's address out; what a browser brings back in, the next address or an outcome out.
Who comes back must bring a state that was handed out for this connection and not used before. The
tenant that comes back from a consent is only what the address says, so a sign-in to that tenant follows:
the connection gets the tenant of the ID token, if that shows a directory role that may consent
(`domain/sign_in`), and if the tenant lets the app in (`binding`). Where an administrator of ours has
set the tenant before, nobody has to sign in: the consent is only for what is known.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hmac import compare_digest

from sync_core.connections import binding
from sync_core.connections.binding import refused
from sync_core.directory.retry_budget import RetryBudget
from sync_core.directory.sign_in import Returned, signed_in
from sync_core.domain.connections.consent import (
    CALLBACK_PATH,
    Answer,
    Callback,
    Consented,
    Declined,
    Outcome,
    SignedIn,
    consent_url,
    make_state,
    sign_in_objection,
    state_connection,
    state_digest,
)
from sync_core.domain.documents.connection import Connection, CredentialKind
from sync_core.domain.errors import Conflict, FixConnection, RetryLater
from sync_core.domain.sign_in import SignIn, TokenInvalid, sign_in_url
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.consents import STATE_LIFE, OnItsWay

# A person sits before the browser; what takes longer is left to the maintenance.
FIRST_WAIT_S = 1.0
BUDGET_S = 10.0


@dataclass(frozen=True, slots=True)
class SentOn:
    """The browser is sent to Entra once more, with a secret that only this browser brings back."""

    address: str
    cookie: str
    secret: str
    lives_s: int = int(STATE_LIFE.total_seconds())


async def begin(services: Services, connection: Connection) -> str:
    """Return the address where an administrator of the tenant is asked, with a new state in it."""
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
        login_url=services.directory.login_url(connection),
        public_url=services.settings.public_base_url,
        state=state,
    )


async def finish(
    services: Services, callback: Callback, cookies: Mapping[str, str]
) -> Outcome | SentOn:
    """Take what came back: check the state, then the answer, then ask Entra itself."""
    connection_id = state_connection(callback.state)
    if connection_id is None or callback.state is None:
        return _unknown()
    begun = await services.store.consents.take(connection_id, state_digest(callback.state))
    if begun is None:
        return _unknown()
    if begun.ends <= services.clock():
        return await refused(services, connection_id, Outcome.STATE_EXPIRED)
    stored = await services.store.connections.find(connection_id)
    if stored is None:
        return await refused(services, connection_id, Outcome.CONNECTION_GONE)
    cookie = cookies.get(cookie_name(connection_id))
    return await _next(services, stored.connection, begun, callback.answer, cookie)


def cookie_name(connection_id: str) -> str:
    return f"consent-{connection_id}"


async def _next(
    services: Services, connection: Connection, begun: OnItsWay, answer: Answer, cookie: str | None
) -> Outcome | SentOn:
    """Go on after a consent, or after the sign-in that follows one."""
    if isinstance(answer, Declined):
        return await refused(services, connection.id, answer.outcome, number=answer.number)
    if isinstance(answer, Consented) and begun.sign_in is None:
        return await _consented(services, connection, answer.tenant)
    if isinstance(answer, SignedIn) and begun.sign_in is not None:
        if not _same_browser(begun, cookie):
            return await refused(services, connection.id, Outcome.OTHER_BROWSER)
        return await _signed_in(services, connection, begun.sign_in, answer.code)
    return await refused(services, connection.id, Outcome.ANSWER_INVALID)


def _same_browser(begun: OnItsWay, cookie: str | None) -> bool:
    """Whether the answer comes from the browser that was sent: its address alone can be sent to others."""
    return compare_digest(state_digest(cookie or ""), begun.browser or "")


async def _consented(
    services: Services, connection: Connection, tenant_id: str
) -> Outcome | SentOn:
    if connection.tenant_id is not None:
        budget = _budget(services)
        return await binding.bind(services, connection, tenant_id, budget, by=None)
    if tenant_id in services.settings.admin_tenant_ids:
        return await refused(services, connection.id, Outcome.HOME_TENANT, tenant_id=tenant_id)
    return await _sent_to_sign_in(services, connection, tenant_id)


async def _sent_to_sign_in(services: Services, connection: Connection, tenant_id: str) -> SentOn:
    sign_in = SignIn(tenant_id, secrets.token_urlsafe(32), secrets.token_urlsafe(48))
    state = make_state(connection.id, secrets.token_urlsafe(32))
    browser = secrets.token_urlsafe(32)
    await services.store.consents.open_sign_in(
        connection.id, state_digest(state), sign_in, state_digest(browser), services.clock()
    )
    log_event("consent.signIn", connection=connection.id, tenant=tenant_id)
    address = sign_in_url(
        sign_in,
        login_url=services.directory.login_url(connection),
        client_id=connection.client_id,
        redirect_uri=_redirect_uri(services),
        state=state,
    )
    return SentOn(address, cookie_name(connection.id), browser)


async def _signed_in(
    services: Services, connection: Connection, sign_in: SignIn, code: str
) -> Outcome:
    """Learn from the ID token who signed in, and bind the tenant if that person may consent there."""
    tenant_id, budget = sign_in.tenant_id, _budget(services)
    returned = Returned(sign_in, code, _redirect_uri(services))
    try:
        identity = await signed_in(services.directory, connection, returned, budget)
    except (TokenInvalid, FixConnection, RetryLater) as error:
        log_event("consent.signInFailed", connection=connection.id, code=error.code)
        busy = isinstance(error, RetryLater)
        outcome = Outcome.ENTRA_BUSY if busy else Outcome.SIGN_IN_FAILED
        return await refused(services, connection.id, outcome, tenant_id=tenant_id)
    objection = sign_in_objection(identity, tenant_id)
    if objection is not None:
        return await refused(services, connection.id, objection, tenant_id=tenant_id)
    return await binding.bind(
        services, connection, identity.tenant_id, budget, by=identity.object_id
    )


def _redirect_uri(services: Services) -> str:
    return f"{services.settings.public_base_url}{CALLBACK_PATH}"


def _budget(services: Services) -> RetryBudget:
    return replace(
        services.directory.retry_budget(),
        first_wait_s=FIRST_WAIT_S,
        budget_s=BUDGET_S,
    )


def _unknown() -> Outcome:
    log_event("consent.refused", connection=None, code=Outcome.STATE_UNKNOWN.value)
    return Outcome.STATE_UNKNOWN

"""Which tenant a connection is for, and who else has it: by name, by what Entra tells everybody, by claim.

The Connections table says who has a tenant; the claims only keep consents apart that come at once. A claim
that the connection does not bear out any more is taken back when it stands in the way.
"""

from sync_core.domain.clouds import CloudName
from sync_core.domain.connections.tenant_claims import (
    Claiming,
    Verdict,
    claimed,
    granted,
    held,
    holders_to_look_at,
    released,
)
from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FieldProblem, NotUnderstood, RetryLater
from sync_core.logs import log_event
from sync_core.services import Services


async def tenant_of(services: Services, connection: Connection) -> str | None:
    """Return the GUID of a connection's tenant, as far as it is known; a domain's is asked of Entra."""
    named = connection.tenant_id
    if named is None or GUID.fullmatch(named):
        return named
    facts = await services.directory.tenants.find(named)
    if facts is not None and facts.tenant_id is not None:
        return facts.tenant_id
    return (await services.store.verifications.read(connection.id)).tenant_id


async def claim(services: Services, tenant_id: str, connection_id: str) -> Claiming:
    """Claim a tenant for a consent that Entra has to confirm yet."""
    now = services.clock()
    await _look_again(services, tenant_id)
    taken = await _taken(services, tenant_id, connection_id)
    return taken or await services.store.tenant_claims.decide(
        tenant_id, lambda known: claimed(known, connection_id, now)
    )


async def grant(services: Services, tenant_id: str, connection_id: str) -> Claiming:
    """Bind a tenant to the connection whose consent claimed it and was confirmed."""
    now = services.clock()
    taken = await _taken(services, tenant_id, connection_id)
    return taken or await services.store.tenant_claims.decide(
        tenant_id, lambda known: granted(known, connection_id, now)
    )


async def hold(services: Services, connection: Connection) -> None:
    """Note that a stored connection has its tenant, whoever else has it; what is stored stays so."""
    tenant_id, now = await tenant_of(services, connection), services.clock()
    if tenant_id is None:
        return
    try:
        await services.store.tenant_claims.change(
            tenant_id, lambda known: held(known, connection.id, now, stored=True)
        )
    except RetryLater as error:
        # The Connections table is looked at as well, so nobody else gets the tenant for want of a note.
        log_event("tenant.claimNotNoted", connection=connection.id, code=error.code)


async def release(services: Services, tenant_id: str, connection_id: str) -> None:
    """Take a claim back that came to nothing."""
    await services.store.tenant_claims.change(
        tenant_id, lambda known: released(known, connection_id)
    )


async def _taken(services: Services, tenant_id: str, connection_id: str) -> Claiming | None:
    """Look for another connection with the tenant; older releases left no claims."""
    others = [
        other.id
        async for other in services.store.connections.all()
        if other.id != connection_id and await _certain_tenant_of(services, other) == tenant_id
    ]
    if not others:
        return None
    await release(services, tenant_id, connection_id)
    claim = await services.store.tenant_claims.read(tenant_id)
    return Claiming(claim, Verdict.TAKEN, tuple(others))


async def _certain_tenant_of(services: Services, connection: Connection) -> str | None:
    """Return a connection's tenant; a domain that cannot be looked up now may be any tenant's."""
    known = await tenant_of(services, connection)
    named = connection.tenant_id
    if known is None and named and await services.directory.tenants.find(named) is None:
        raise RetryLater(
            "tenant.idUnknown",
            f"The id of the tenant {named} of the connection {connection.id!r} could not be looked up.",
            "Nothing to do if it passes. Otherwise name the tenant by its id in that connection.",
        )
    return known


async def _look_again(services: Services, tenant_id: str) -> None:
    """Let go of connections that have another tenant since, or are gone without a trace of the deletion."""
    known = await services.store.tenant_claims.read(tenant_id)
    holders = holders_to_look_at(known, services.clock())
    for name in {*holders, *(one.connection_id for one in known.open)}:
        try:
            stored = await services.store.connections.find(name)
        except NotUnderstood:  # only another release can say which tenant it has
            continue
        is_other = (
            stored is not None
            and name in holders
            and await tenant_of(services, stored.connection) != tenant_id
        )
        if stored is None or is_other:
            await release(services, tenant_id, name)


async def cloud_problems(
    services: Services, connection: Connection, stored: Connection | None
) -> list[FieldProblem]:
    """Say that a tenant lives in another cloud, before any secret goes there.

    Where the tenant does not tell, nothing is refused; one that was stored before stays editable.
    """
    if connection.tenant_id is None or (stored is not None and not _moves(stored, connection)):
        return []
    facts = await services.directory.tenants.find(connection.tenant_id)
    if facts is None or facts.may_live_in(connection.cloud):
        return []
    right = " or ".join(f'"{cloud}"' for cloud in CloudName if cloud in facts.clouds)
    message = (
        f"the tenant {connection.tenant_id} does not live in the cloud {connection.cloud}: set "
        f'"cloud" to {right}, with an app that is registered there'
    )
    return [FieldProblem("cloud", message)]


def _moves(stored: Connection, connection: Connection) -> bool:
    return (stored.cloud, stored.tenant_id) != (connection.cloud, connection.tenant_id) or (
        connection.enabled and not stored.enabled
    )

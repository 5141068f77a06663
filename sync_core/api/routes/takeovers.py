"""Takeovers over HTTP: whose rows deleted connections have left, and that they are linked to this one."""

from fastapi import Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.confirmation import Why
from sync_core.api.http.names import ConnectionIdHere, OtherIdHere
from sync_core.api.shapes import Takeover as TakeoverAnswer
from sync_core.connections.takeover import Takeover, confirm, take_back, takeovers


async def list_takeovers(services: ServicesHere, connection_id: ConnectionIdHere) -> Response:
    """List the deleted connections of the tenant whose people's rows stay, and who takes them over."""
    stored = await services.store.connections.get(connection_id)
    found = await takeovers(services, stored.connection)
    return json_answer({"items": [_shown(one).to_json() for one in found], "next": None})


async def confirm_takeover(
    *,
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    other: OtherIdHere,
    reason: Why = None,
) -> Response:
    """Confirm that the rows of a deleted connection are linked to this one; the next run moves them."""
    stored = await services.store.connections.get(connection_id)
    found = await confirm(services, stored.connection, other, caller.name, reason or "")
    return json_answer(_shown(found))


async def delete_takeover(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    other: OtherIdHere,
) -> Response:
    """Take back a confirmation that no run has carried out."""
    stored = await services.store.connections.get(connection_id)
    await take_back(services, stored.connection, other, caller.name)
    return Response(status_code=204)


def _shown(found: Takeover) -> TakeoverAnswer:
    one = found.leftover
    return TakeoverAnswer(
        connection=one.connection_id,
        standing=found.standing,
        taker=one.taker or None,
        people=len(found.people),
        active=found.active,
        deleted_at=one.deleted_at,
        confirmed_at=one.confirmed_at,
        confirmed_by=one.confirmed_by or None,
        reason=one.reason or None,
        done_at=one.done_at,
    )

"""A connection tried out over HTTP: what it needs, what it has, and what to do about the difference."""

from fastapi import Response

from sync_core import watching
from sync_core.api.answers import json_answer
from sync_core.api.auth import ServicesHere
from sync_core.api.names import ConnectionIdHere


async def check_connection(services: ServicesHere, connection_id: ConnectionIdHere) -> Response:
    """Ask Entra for a token and Graph for a few answers; changes nothing in the directory."""
    from sync_core.directory.checks import check_connection as tried

    stored = await services.connections.get(connection_id)
    result = await tried(services, stored.connection, services.clock())
    if result.ok:
        await watching.check_passed(services, connection_id)
    return json_answer(result.to_json())

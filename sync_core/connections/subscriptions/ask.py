"""Have subscriptions looked after, or people, by a message of the queue."""

from contextlib import suppress

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.errors import RetryLater
from sync_core.domain.subscriptions import is_changed
from sync_core.services import Services


async def ask(services: Services, connection_id: str) -> None:
    """Have a connection's subscriptions looked after, by a message of the queue: handshakes take time."""
    request = SyncRequest(
        connection_id=connection_id, trigger=Trigger.TIMER, purpose=Purpose.SUBSCRIBE
    )
    # A message that cannot be sent is made up for by the maintenance.
    with suppress(RetryLater):
        await services.queue.send(request)


async def ask_if_changed(services: Services, before: Connection | None, after: Connection) -> None:
    """Have them looked after where a save changes which they are, or what they are made with."""
    if is_changed(before, after):
        await ask(services, after.id)


async def ask_for_run(services: Services, connection_id: str, mode: str = "auto") -> None:
    """Ask for a run because changes may not have been told."""
    request = SyncRequest.model_validate(
        {"connectionId": connection_id, "trigger": Trigger.LIFECYCLE, "mode": mode}
    )
    with suppress(RetryLater):  # the schedule finds them
        await services.queue.send(request)

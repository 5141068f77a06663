"""What tests of a connection's health share: a clock to put forward, and the events of one connection."""

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.health import Health
from sync_core.health import journal
from sync_core.health.overdue import report_overdue
from sync_core.runs.request import request_due
from sync_core.services import Services, utc_now
from sync_core.store.queue import QUEUE
from tests.queue_of_requests import request_in
from tests.system import Rig, set_clock


class Skipping:
    """A clock that stands still, and can be put forward."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def skip(self, **how_long: float) -> None:
        self.now += timedelta(**how_long)


def stop_clock(services: Services) -> Skipping:
    clock = Skipping()
    set_clock(services, clock)
    return clock


def events_of(caplog: pytest.LogCaptureFixture, connection_id: str, *names: str) -> list[str]:
    """Give the events of one connection with these names, as name and code; forget all."""
    found = []
    for entry in caplog.records:
        name, *fields = entry.getMessage().split(" ")
        given = dict(one.split("=", 1) for one in fields if "=" in one)
        if name in names and given.get("connection") == connection_id:
            found.append(" ".join([name, given.get("code", "")]).strip())
    caplog.clear()
    return found


async def health_of(services: Services, connection_id: str) -> Health:
    return await services.store.health.read(connection_id)


async def maintain(services: Services) -> None:
    """Do what the hourly timer does."""
    await report_overdue(services)
    await journal.warn_of_expiry(services)


async def asked_for(services: Services, rig: Rig, connection_id: str) -> list[SyncRequest]:
    """Let the timer look once, and take what the queue then holds for a connection."""
    await request_due(services)
    async with QueueClient.from_connection_string(
        rig.azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        with suppress(ResourceExistsError):
            await queue.create_queue()
        found = []
        async for message in queue.receive_messages(messages_per_page=32, visibility_timeout=1):
            request = request_in(message.content)
            if request and request.connection_id == connection_id:
                found.append(request)
                await queue.delete_message(message)
        return found


async def forget_others(services: Services) -> None:
    """Delete the connections that earlier tests left behind, and what waits of them."""
    async for left in services.store.connections.all():
        stored = await services.store.connections.get(left.id)
        await services.store.connections.delete(left.id, stored.etag)
        await services.store.named.forget_all(left.id)

"""What the app puts on the queue, for tests that look at it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from sync_core.domain.documents.request import SyncRequest
from sync_core.store.queue import QUEUE
from tests.system import Rig


def request_in(content: str) -> SyncRequest | None:
    """Read a message; None for one that wakes a timer's work, as it asks for no connection."""
    return None if "wake" in json.loads(content) else SyncRequest.model_validate_json(content)


class Requests:
    """The queue, from which each message is taken once."""

    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue

    async def all(self) -> list[SyncRequest]:
        """Take every message."""
        found = []
        async for message in self._queue.receive_messages(messages_per_page=32):
            if request := request_in(message.content):
                found.append(request)
            await self._queue.delete_message(message)
        return found

    async def taken(self) -> list[tuple[str, str, str]]:
        """Take every message, as connection, purpose and mode."""
        return [(one.connection_id, one.purpose.value, one.mode) for one in await self.all()]


@asynccontextmanager
async def requests_of(rig: Rig) -> AsyncIterator[Requests]:
    """Open the queue, without what other tests have left in it."""
    async with QueueClient.from_connection_string(
        rig.azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as queue:
        with suppress(ResourceExistsError):
            await queue.create_queue()
        await queue.clear_messages()
        yield Requests(queue)

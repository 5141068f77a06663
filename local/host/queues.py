"""Queue triggers and outputs: Storage Queues in, function calls out.

A message that fails is shown again after ``visibilityTimeout``; after ``maxDequeueCount`` tries it
is moved to ``<queue>-poison``. Each delivery counts, also one whose host or worker died without a word
(github.com/Azure/azure-webjobs-sdk/issues/2624). A queue that ends with ``-poison`` has no such queue of
its own: there a message that fails stays hidden until its lease ends, and comes again without end. So it
is with the real host:
https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#poison-messages,
`QueueProcessor.cs` in github.com/Azure/azure-sdk-for-net, and, of poison queues, its release 5.3.8.
"""

import asyncio
import base64
import binascii
import contextlib
import datetime as dt
import json
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from local.host.application import Binding, Function
from local.host.configuration import ConfigurationError, QueueConfig, expand
from local.host.invocation import Invoker, Occasion

logger = logging.getLogger("host")

SHORTEST_POLL_S = 0.1
"""As the real host, right after a message."""

LONGEST_POLL_S = 1.0
"""``maxPollingInterval`` is for the bill; nobody pays for polling on this machine."""

# Storage that was restarted is back within a second or two; the SDK's own first pause is 15 s.
RETRIES: dict[str, Any] = {
    "retry_total": 4,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
}

LEASE_S = 30
POISON = "-poison"
OUTAGE_PAUSE_S = 2.0

# https://learn.microsoft.com/azure/storage/common/storage-use-azurite#http-connection-strings
DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


class Queues:
    """Queue clients by binding; the queues are created when first asked for."""

    def __init__(self, config: QueueConfig, settings: Mapping[str, str]) -> None:
        self.config = config
        self._settings = settings
        self._services: dict[str, QueueServiceClient] = {}

    def client(self, binding: Binding, suffix: str = "") -> QueueClient:
        name = expand(binding.properties["queueName"], self._settings) + suffix
        connection = self.connection_string(str(binding.properties.get("connection") or "Storage"))
        if connection not in self._services:
            self._services[connection] = QueueServiceClient.from_connection_string(
                connection, **RETRIES
            )
        return self._services[connection].get_queue_client(name)

    def connection_string(self, name: str) -> str:
        value = self._settings.get(name) or self._settings.get(f"AzureWebJobs{name}")
        if not value:
            raise ConfigurationError(
                f"The app setting {name} is missing: the connection string of the storage account."
            )
        return DEVELOPMENT_STORAGE if value.strip("; ") == "UseDevelopmentStorage=true" else value

    async def send(self, binding: Binding, value: Datum) -> None:
        """What a queue output was set to: one message, or a list of them."""
        queue = self.client(binding)
        for body in _bodies(value):
            text = base64.b64encode(body).decode() if self.config.base64 else body.decode()
            await _create_if_missing(queue)
            await queue.send_message(text)

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()


class QueuePoller:
    """One queue function, from ``run`` until ``stop``."""

    def __init__(
        self, function: Function, queues: Queues, invoker: Invoker, lease_s: int = LEASE_S
    ) -> None:
        self._function = function
        self._queue = queues.client(function.trigger)
        is_poison = self._queue.queue_name.endswith(POISON)
        self._poison = None if is_poison else queues.client(function.trigger, POISON)
        self._config = queues.config
        self._invoker = invoker
        self._lease_s = lease_s
        self._at_work: set[asyncio.Task[None]] = set()
        self._reachable = True

    async def prepare(self) -> None:
        await _create_if_missing(self._queue)

    async def run(self) -> None:
        longest_s = min(self._config.max_polling_interval_s, LONGEST_POLL_S)
        pause_s = SHORTEST_POLL_S
        while True:
            await self._wait_for_room()
            try:
                messages = await self._receive()
            except AzureError as error:
                self._outage(error)
                await asyncio.sleep(OUTAGE_PAUSE_S)
                continue
            self._reachable = True
            for message in messages:
                task = asyncio.create_task(self._process(message))
                self._at_work.add(task)
                task.add_done_callback(self._at_work.discard)
            if messages:
                pause_s = SHORTEST_POLL_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, longest_s)

    async def stop(self, grace_s: float) -> None:
        """Let messages at work end, then give the rest back; after ``run`` was cancelled."""
        if not self._at_work:
            return
        _, late = await asyncio.wait(self._at_work, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _wait_for_room(self) -> None:
        while len(self._at_work) > self._config.new_batch_threshold:
            await asyncio.wait(self._at_work, return_when=asyncio.FIRST_COMPLETED)

    async def _receive(self) -> list[QueueMessage]:
        size = self._config.batch_size
        found = self._queue.receive_messages(
            messages_per_page=size, max_messages=size, visibility_timeout=self._lease_s
        )
        try:
            return [message async for message in found]
        except ResourceNotFoundError:
            await _create_if_missing(self._queue)
            return []

    def _outage(self, error: AzureError) -> None:
        if self._reachable:
            logger.warning("The queue %s cannot be read: %s", self._queue.queue_name, error.message)
        self._reachable = False

    async def _process(self, message: QueueMessage) -> None:
        lease = Lease(self._queue, message, self._lease_s)
        try:
            async with lease.renewed():
                succeeded = await self._handle(message)
            if succeeded:
                await lease.delete()
            elif self._poison is None:
                return  # no fast loop: it comes again when the lease ends
            elif self._was_last_try(message):
                await self._give_up(message, lease, self._poison)
            else:
                await lease.show_again(self._config.visibility_timeout_s)
        except asyncio.CancelledError:
            with contextlib.suppress(AzureError):
                await lease.show_again(0)
            raise
        except AzureError as error:
            # It stays hidden until the lease ends; then somebody tries it again.
            logger.warning("The message %s could not be settled: %s", message.id, error.message)

    async def _handle(self, message: QueueMessage) -> bool:
        """Whether the function took it."""
        tries = message.dequeue_count or 1
        if self._poison is not None and tries > self._config.max_dequeue_count:
            return False  # it took its host down each time: the real host does not try it again
        data = _decode(message.content, base64_encoded=self._config.base64)
        if data is None:
            logger.error("The message %s is not base64, as host.json says it is.", message.id)
            return False
        occasion = Occasion(
            f"New queue message detected on '{self._queue.queue_name}'.",
            f"MessageId: {message.id}, DequeueCount: {message.dequeue_count}, "
            f"InsertionTime: {_iso(message.inserted_on)}",
        )
        try:
            await self._invoker.invoke(self._function, data, occasion, _metadata_of(message))
        except Exception:  # noqa: BLE001 - in the log already; a failed message is tried again
            return False
        return True

    def _was_last_try(self, message: QueueMessage) -> bool:
        return (message.dequeue_count or 1) >= self._config.max_dequeue_count

    async def _give_up(self, message: QueueMessage, lease: "Lease", poison: QueueClient) -> None:
        logger.error(
            "Message has reached MaxDequeueCount of %d. Moving message to queue '%s'.",
            self._config.max_dequeue_count,
            poison.queue_name,
        )
        await _create_if_missing(poison)
        await poison.send_message(message.content)
        await lease.delete()


class Lease:
    """A message under work: hidden from others, for as long as we say so."""

    def __init__(self, queue: QueueClient, message: QueueMessage, lease_s: int) -> None:
        self._queue = queue
        self._id = message.id
        self._receipt = str(message.pop_receipt)
        self._lease_s = lease_s

    @contextlib.asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        # Ended by an event and not by cancelling: each renewal gives a new receipt, and one that is
        # lost half-way could not settle the message any more.
        done = asyncio.Event()
        task = asyncio.create_task(self._renew(done))
        try:
            yield
        finally:
            done.set()
            await task

    async def delete(self) -> None:
        await self._queue.delete_message(self._id, self._receipt)

    async def show_again(self, after_s: float) -> None:
        await self._update(round(after_s))

    async def _renew(self, done: asyncio.Event) -> None:
        while not await _is_set_within(done, self._lease_s / 3):
            try:
                await self._update(self._lease_s)
            except ResourceNotFoundError:
                return  # somebody else has it, or it was deleted
            except AzureError as error:
                logger.warning("The message %s could not be renewed: %s", self._id, error.message)

    async def _update(self, visibility_s: int) -> None:
        updated = await self._queue.update_message(
            self._id, self._receipt, visibility_timeout=visibility_s
        )
        self._receipt = str(updated.pop_receipt)


def metadata(
    *,
    message_id: str,
    dequeue_count: int,
    inserted: dt.datetime | None = None,
    expires: dt.datetime | None = None,
    visible: dt.datetime | None = None,
    pop_receipt: str = "",
) -> dict[str, Datum]:
    """What a queue function may know of its message, as the host sends it."""
    times = {"InsertionTime": inserted, "ExpirationTime": expires, "NextVisibleTime": visible}
    known = {
        name: Datum(type="json", value=json.dumps(_iso(at))) for name, at in times.items() if at
    }
    return known | {
        "Id": Datum(type="string", value=message_id),
        "DequeueCount": Datum(type="json", value=str(dequeue_count)),
        "PopReceipt": Datum(type="string", value=pop_receipt),
    }


def metadata_by_hand() -> dict[str, Datum]:
    """For a message that was never in a queue."""
    now = dt.datetime.now(dt.UTC)
    return metadata(
        message_id=str(uuid.uuid4()),
        dequeue_count=1,
        inserted=now,
        expires=now + dt.timedelta(days=7),
        visible=now,
    )


def _metadata_of(message: QueueMessage) -> dict[str, Datum]:
    return metadata(
        message_id=message.id,
        dequeue_count=message.dequeue_count or 1,
        inserted=message.inserted_on,
        expires=message.expires_on,
        visible=message.next_visible_on,
        pop_receipt=str(message.pop_receipt),
    )


def _iso(at: dt.datetime | None) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00") if at else ""


def _decode(content: str, *, base64_encoded: bool) -> Datum | None:
    """Text if it is UTF-8, else bytes; None if it is not base64 and should be."""
    if not base64_encoded:
        return Datum(type="string", value=content)
    try:
        raw = base64.b64decode(content, validate=True)
    except binascii.Error:
        return None
    try:
        return Datum(type="string", value=raw.decode())
    except UnicodeDecodeError:
        return Datum(type="bytes", value=raw)


def _bodies(value: Datum) -> list[bytes]:
    if value.type == "bytes":
        return [value.value]
    if value.type == "string":
        return [value.value.encode()]
    # Messages of the class func.QueueMessage come as {"id", "body"}, several as a list.
    content: Any = json.loads(value.value)
    items = content if isinstance(content, list) else [content]
    return [(item["body"] if isinstance(item, dict) else item).encode() for item in items]


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def _create_if_missing(queue: QueueClient) -> None:
    with contextlib.suppress(ResourceExistsError):
        await queue.create_queue()

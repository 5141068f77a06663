"""The queue `sync-requests`: one message asks for one run of one connection, or for a timer's work."""

from contextlib import suppress
from typing import Any

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from sync_core.domain.clock import Wake
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.errors import RetryLater
from sync_core.settings import StorageAccess
from sync_core.store.patience import PatientTransport

QUEUE = "sync-requests"


class RequestQueue:
    """Sends requests; the Functions host hands them to `run_sync`."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    @classmethod
    def open(cls, access: StorageAccess, credential: AsyncTokenCredential | None) -> "RequestQueue":
        # The host expects base64 (messageEncoding in host.json).
        options: dict[str, Any] = {
            "message_encode_policy": TextBase64EncodePolicy(),
            "transport": PatientTransport(queue_unavailable),
        }
        if access.connection_string:
            text = access.connection_string
            return cls(QueueClient.from_connection_string(text, QUEUE, **options))
        url = access.service_url or ""
        return cls(QueueClient(url, QUEUE, credential=credential, **options))

    async def send(self, request: SyncRequest | Wake, *, delay_s: int = 0) -> None:
        """Put a request on the queue, visible after `delay_s` seconds; makes the queue if needed."""
        text = request.model_dump_json(by_alias=True)
        try:
            try:
                await self._client.send_message(text, visibility_timeout=delay_s)
            except ResourceNotFoundError:
                await self._make()
                await self._client.send_message(text, visibility_timeout=delay_s)
        except AzureError as error:
            raise queue_unavailable(error) from error

    async def _make(self) -> None:
        with suppress(ResourceExistsError):
            await self._client.create_queue()

    async def close(self) -> None:
        await self._client.close()


def queue_unavailable(error: Exception) -> RetryLater:
    return RetryLater(
        "queue.unavailable",
        f"The queue {QUEUE} could not be reached ({type(error).__name__}).",
        "Try again. If it goes on, check the storage account and the app's role Storage "
        "Queue Data Contributor.",
    )

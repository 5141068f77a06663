"""The way to Graph, and from Graph to us, for subscriptions."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from sync_core.directory.client import GraphClient
from sync_core.directory.own_address import check_own_address
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection, SyncError
from sync_core.services import Services

# Graph calls this app twice for each.
AT_ONCE = 4
# So long trouble of Graph is waited out; the next hour comes by itself.
PATIENCE_S = 60.0


class OwnAddress:
    """Our public address, tried once for all who ask for it together."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings
        self._one_at_a_time = asyncio.Lock()
        self._is_tried = False
        self._error: SyncError | None = None

    async def check(self) -> None:
        """Raise `FixConnection` where Graph could not deliver to it."""
        async with self._one_at_a_time:
            if not self._is_tried:
                try:
                    await check_own_address(
                        self._settings.public_base_url, self._settings.graph_endpoint
                    )
                except FixConnection as error:
                    self._error = error
                self._is_tried = True
        if self._error is not None:
            raise self._error


def opened(services: Services, connection: Connection) -> AbstractAsyncContextManager[GraphClient]:
    """Open the way to Graph, with less patience than a run has."""
    budget: RetryBudget = services.directory.retry_budget()
    return services.directory.open(
        connection, replace(budget, budget_s=min(PATIENCE_S, budget.budget_s))
    )

"""People picked by hand, in this process: a task as JSON argument in, its seconds as JSON out.

    {"connection": ID}

A connection whose scope lets in few is made and run once; then its candidates are walked from the first to
the last, one is searched for, and a thousand of those who are not in are brought in.
"""

import asyncio
import gc
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.ours import store_connection
from sync_core.directory.candidates import Wanted
from sync_core.domain.catalog.candidates import CandidatePerson
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Actor, Run, Trigger
from sync_core.people.by_hand import ask_for_import
from sync_core.people.candidates import MOST_MARKED, Candidates, candidates
from sync_core.runs import worker
from sync_core.runs.by_name import message_for
from sync_core.services import Services, open_services
from sync_core.settings import Settings

FEW = {"attribute": "displayName", "operator": "STARTS WITH", "value": "Ngozi"}
PICKED = 1_000
BY = Actor(name="an administrator")


@dataclass
class Picker:
    """Does what an administrator does, each call with a way to Graph of its own, as one of the API has."""

    services: Services
    connection: Connection
    people: list[CandidatePerson] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    async def measured(self) -> dict[str, Any]:
        first = await self._page("first_s", Wanted(), None, 100)
        await self._page("search_s", Wanted(first.people[-1].display_name or ""), None, 100)
        began = time.perf_counter()
        await self._walk()
        self.seconds["walk_s"] = time.perf_counter() - began
        run = await self._import()
        return self.seconds | {
            "walked": len({one.object_id for one in self.people}),
            "shown": len(self.people),
            "imported": len(run.results or []),
            "requests": run.graph.requests,
        }

    async def _page(self, name: str, wanted: Wanted, position: str | None, top: int) -> Candidates:
        began = time.perf_counter()
        async with self.services.directory.open(self.connection) as client:
            found = await candidates(
                self.services,
                client,
                self.connection.id,
                wanted,
                None,
                top=top,
                position=position,
            )
        self.seconds[name] = time.perf_counter() - began
        return found

    async def _walk(self) -> None:
        """Follow the cursor to the end; the time of the last page is what stays."""
        position: str | None = None
        while True:
            found = await self._page("last_s", Wanted(), position, MOST_MARKED)
            self.people += found.people
            position = found.position
            if position is None:
                return

    async def _import(self) -> Run:
        """Bring in people of all parts of the directory."""
        out = [one for one in self.people if one.imported is None and not one.blocked]
        ids = [one.object_id for one in out if not one.agent]
        chosen = ids[:: max(1, len(ids) // PICKED)][:PICKED]
        began = time.perf_counter()
        asked = await ask_for_import(
            self.services, self.connection, chosen, until=None, note=None, by=BY
        )
        [named] = await self.services.store.named.waiting(self.connection.id)
        await worker.handle(self.services, message_for(named))
        self.seconds["import_s"] = time.perf_counter() - began
        run = await self.services.store.runs.get(self.connection.id, asked.id)
        if {one.result for one in run.results or []} != {"imported"}:
            raise RuntimeError(f"the import ended as {run.status}: {run.error}")
        return run


async def main(task: dict[str, Any]) -> None:
    async with open_services(Settings.from_env(os.environ)) as services:
        connection_id = task["connection"]
        await store_connection(services, connection_id, {"filters": [{"clauses": [FEW]}]})
        request = SyncRequest(connection_id=connection_id, trigger=Trigger.MANUAL)
        await worker.handle(services, request)
        connection = (await services.store.connections.get(connection_id)).connection
        gc.freeze()  # as `Process` does
        print(json.dumps(await Picker(services, connection).measured()))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))

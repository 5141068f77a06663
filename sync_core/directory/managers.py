"""Who reports to whom: people without their managers in, the same people with them out.

`manager` is a relationship. A list of users tells it with $expand only, in pages of 100 instead of 999
(techcommunity.microsoft.com, discussions/officegraph 3885391), and a list of members cannot tell it to an
application at all (learn.microsoft.com/answers/questions/1298947). So people are read without it, and asked
for again by id, 300 in a request: fewer requests, and only for those who need it.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from sync_core.concurrency import in_thread
from sync_core.directory.answers import to_page
from sync_core.directory.client import MAX_BATCH, GraphClient
from sync_core.directory.lookup import check_attributes
from sync_core.directory.reading import Sighting
from sync_core.directory.requests import (
    MAX_VALUES,
    USERS_READ,
    manager_of_user,
    one_user,
    users_by_id,
)
from sync_core.directory.streams import merged
from sync_core.directory.transcript import Transcript
from sync_core.domain.attributes import MANAGER
from sync_core.domain.errors import FixConnection

REQUEST = MAX_BATCH * MAX_VALUES
REQUESTS_AT_ONCE = 4
ONLY_MANAGER = frozenset({"id", MANAGER})
# The answers in a transcript: their order does not matter, so that none of them begins the list.
ANSWERS, LATER = "managers", 1

Manager = dict[str, Any]


async def with_managers(
    client: GraphClient,
    pages: AsyncIterator[Sequence[Sighting]],
    transcript: Transcript | None = None,
) -> AsyncIterator[Sequence[Sighting]]:
    """Return the people of all pages with their `manager`: an object, or None for nobody.

    Whom the `transcript` has an answer for is not asked for again.

    Somebody about whom Graph does not answer comes without the key: nobody knows, and that is no reason to
    clear anything. Raises `FixConnection` when managers are hidden from this app.
    """
    managers = _Managers(client, transcript)
    await in_thread(managers.recall)
    waiting: list[Sighting] = []
    async for page in pages:
        waiting += page
        while len(waiting) >= REQUEST * REQUESTS_AT_ONCE:
            ready, waiting = _cut(waiting, REQUEST * REQUESTS_AT_ONCE)
            yield await managers.added(ready)
    if waiting:
        yield await managers.added(waiting)
    if not managers.found:
        await check_hidden(client, managers.some)


async def check_hidden(client: GraphClient, without: Sequence[str]) -> None:
    """Refuse to believe that none of these people has a manager before some were asked about directly.

    An app that may read people, but not who their manager is, might get people without the property,
    just as if they had none; every reference would be cleared.
    """
    if await who_has_manager(client, without[:MAX_BATCH]):
        raise await _hidden(client)


async def who_has_manager(client: GraphClient, people: Sequence[str]) -> set[str]:
    """Ask directly who of a few people has a manager; raises `FixConnection` where this app may not ask."""
    requests = [manager_of_user(client.sdk, object_id) for object_id in people]
    try:
        answers = await client.batch(requests, needs=USERS_READ)
    except FixConnection as error:
        raise await _hidden(client) from error
    return {one for one, answer in zip(people, answers, strict=True) if answer is not None}


def told_managers(people: Iterable[Manager]) -> list[Manager]:
    """Return the managers who have to come with their attributes; see `check_attributes`.

    Only those who are users: of organizational contacts, who may be managers, too, an app that may read
    users learns the id (learn.microsoft.com/graph/api/user-list-manager).
    """
    told = (person[MANAGER] for person in people if person.get(MANAGER))
    return [one for one in told if _is_user(one)]


def _is_user(manager: Manager) -> bool:
    return str(manager.get("@odata.type", "user")).endswith("user")


def _cut(people: list[Sighting], size: int) -> tuple[list[Sighting], list[Sighting]]:
    return people[:size], people[size:]


@dataclass(slots=True)
class _Managers:
    client: GraphClient
    transcript: Transcript | None = None
    known: dict[str, Manager | None] = field(default_factory=dict)
    some: list[str] = field(default_factory=list)
    found: bool = False

    def recall(self) -> None:
        """Learn what an earlier run was told; equal managers are shared, to keep memory flat."""
        shared: dict[str, Manager] = {}
        for body in self.transcript.bodies(ANSWERS) if self.transcript is not None else ():
            for object_id, manager in orjson.loads(body).items():
                same = manager and shared.setdefault(manager["id"], manager)
                self.known[object_id] = same

    async def added(self, people: Sequence[Sighting]) -> list[Sighting]:
        """Ask for the managers of some people, and put them in."""
        ids = list(dict.fromkeys(person["id"] for person, _ in people))
        managers = {one: self.known.pop(one) for one in ids if one in self.known}
        ids = [one for one in ids if one not in managers]
        parts = [ids[start : start + REQUEST] for start in range(0, len(ids), REQUEST)]
        async with merged([self._ask(part) for part in parts], at_once=REQUESTS_AT_ONCE) as answers:
            async for answer in answers:
                managers |= answer
        self.found = self.found or any(managers.values())
        self.some = self.some or list(managers)[:MAX_BATCH]
        return [(_put(person, managers), groups) for person, groups in people]

    async def _ask(self, ids: list[str]) -> AsyncIterator[dict[str, Manager | None]]:
        """Ask for up to 300 people by id, and once more, one by one, for whoever is not in the answer."""
        lists = [ids[start : start + MAX_VALUES] for start in range(0, len(ids), MAX_VALUES)]
        sdk = self.client.sdk
        answers = await self.client.batch(
            [users_by_id(sdk, some, ONLY_MANAGER) for some in lists], needs=USERS_READ
        )
        found = [user for answer in answers for user in to_page(answer or {"value": []}).items]
        missing = sorted(set(ids) - {user["id"] for user in found})
        again = await self.client.batch(
            [one_user(sdk, object_id, ONLY_MANAGER) for object_id in missing], needs=USERS_READ
        )
        found += [user for user in again if user is not None]
        await check_attributes(self.client, told_managers(found), "the managers of users")
        told = {user["id"]: user.get(MANAGER) for user in found}
        if self.transcript is not None:
            self.transcript.add(ANSWERS, LATER, orjson.dumps(told))
        yield told


def _put(person: Any, managers: dict[str, Manager | None]) -> dict[str, Any]:
    object_id = person["id"]
    return {**person, MANAGER: managers[object_id]} if object_id in managers else person


async def _hidden(client: GraphClient) -> FixConnection:
    take_out = "take manager out of the connection's scope and mapping"
    remedy = (
        f"In Entra, grant the app registration the application permission {USERS_READ} and admin "
        "consent; "
    )
    if await client.grants.still_may(USERS_READ):
        remedy = f"{USERS_READ} is granted, so look in Entra for what restricts the app; "
    return FixConnection(
        "graph.managersHidden",
        "Graph gives people without their managers, and does not let this app ask for one. Nothing was "
        "changed.",
        f"{remedy}or {take_out}.",
    )

"""Single questions: how many people, one person by name, the groups that a person is directly in.

And whether people came with their attributes, which every answer about people has to be asked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sync_core.directory.answers import to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.denials import PermissionMissing, denied_all_the_same
from sync_core.directory.members import is_group
from sync_core.directory.requests import (
    DIRECTORY_READ,
    GROUPS_READ,
    MAX_VALUES,
    USERS_READ,
    count_users,
    deleted_users,
    groups_of_user,
    objects_by_ids,
    one_group,
    users_by_id,
    users_named,
    users_with_names,
)
from sync_core.domain.connections.permissions import has_all
from sync_core.domain.errors import FixConnection, IncompleteReading

# A count is a plausibility check and not worth the patience that a run has for its people.
COUNT_BUDGET_S = 10.0
# learn.microsoft.com/graph/api/directoryobject-getbyids
MOST_IDS = 1_000
USER = "user"
PEOPLE = frozenset({USER, "agentUser"})


async def count_people(client: GraphClient, condition: str | None = None) -> int | None:
    """Return how many users Graph counts, all or those of a `$filter`; None where it cannot count.

    Tenants of Azure AD B2C have no advanced queries, and counting is one
    (learn.microsoft.com/graph/aad-advanced-queries). Raises what else keeps it from counting, before long.
    """
    request = count_users(client.sdk, condition)
    try:
        count = await client.get(
            request, needs=USERS_READ, budget=client.little_budget(COUNT_BUDGET_S)
        )
    except IncompleteReading:
        return None
    if not isinstance(count, int):
        return None
    client.pace.allowance.counted(count)
    return count


async def find_by_name(client: GraphClient, principal_name: str) -> str | None:
    """Return the object id of the person with this sign-in name, or None.

    By `$filter`, not by `/users/{name}`: there, names of guests need their `#` encoded and names that
    begin with `$` are refused (learn.microsoft.com/graph/api/user-get, "Tip").
    """
    answer = await client.get(users_named(client.sdk, principal_name), needs=USERS_READ)
    items = to_page(answer).items
    await check_attributes(client, items, "a person asked for by name")
    return str(items[0]["id"]) if items else None


async def ids_by_name(client: GraphClient, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return a sign-in name and the object id of each person who has one of these names."""
    return await _ids_by(client, "userPrincipalName", names)


async def ids_by_address(client: GraphClient, addresses: Iterable[str]) -> list[tuple[str, str]]:
    """Return an e-mail address and the object id of each person who has one of these; two may share one."""
    return await _ids_by(client, "mail", addresses)


async def _ids_by(
    client: GraphClient, attribute: str, values: Iterable[str]
) -> list[tuple[str, str]]:
    portions = _portions(sorted(set(values)))
    requests = [users_with_names(client.sdk, some, attribute) for some in portions]
    answers = await client.batch(requests, needs=USERS_READ)
    people = [person for answer in answers if answer for person in to_page(answer).items]
    await check_attributes(client, people, "people asked for by name")
    return [(str(person[attribute]), str(person["id"])) for person in people]


async def who_exists(client: GraphClient, object_ids: Iterable[str]) -> set[str]:
    """Return those of these object ids that are people of the directory, not deleted ones."""
    portions = _portions(sorted(set(object_ids)))
    requests = [users_by_id(client.sdk, some, frozenset({"id"})) for some in portions]
    answers = await client.batch(requests, needs=USERS_READ)
    return {str(person["id"]) for answer in answers if answer for person in to_page(answer).items}


async def who_can_return(client: GraphClient) -> set[str]:
    """Return the ids of the soft-deleted people of the tenant: who is restored is in their groups again."""
    request, found = deleted_users(client.sdk), set[str]()
    async for page in client.pages(request, needs=USERS_READ):
        found.update(str(item["id"]) for item in page.items)
    return found


async def kinds_among(client: GraphClient, object_ids: Sequence[str]) -> dict[str, str]:
    """Return what those of these ids are that are objects of the directory and no people.

    It is only said, never acted on. That an id is a device's or an application's takes a permission that
    nothing needs; where the app has it all the same, it is asked, and else for groups alone.
    """
    roles = await client.grants.roles()
    if roles is not None and has_all(DIRECTORY_READ, roles):
        with suppress(FixConnection):
            return await _kinds(client, object_ids)
    requests = [one_group(client.sdk, object_id) for object_id in object_ids]
    answers = await client.batch(requests, needs=GROUPS_READ, keep_denied=True)
    return {
        object_id: "group"
        for object_id, answer in zip(object_ids, answers, strict=True)
        if isinstance(answer, dict)
    }


async def _kinds(client: GraphClient, object_ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(object_ids), MOST_IDS):
        request = objects_by_ids(client.sdk, object_ids[start : start + MOST_IDS])
        page = to_page(await client.get(request, needs=DIRECTORY_READ))
        found |= {str(one["id"]): _kind_of(one) for one in page.items}
    return {object_id: kind for object_id, kind in found.items() if kind not in PEOPLE}


def _kind_of(item: Mapping[str, Any]) -> str:
    return str(item.get("@odata.type") or USER).rpartition(".")[2]


def _portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), MAX_VALUES):
        yield values[start : start + MAX_VALUES]


async def direct_groups(client: GraphClient, object_id: str) -> frozenset[str]:
    """Return the ids of the groups that a person is in directly."""
    request = groups_of_user(client.sdk, object_id, nested=False)
    found: set[str] = set()
    async for page in client.pages(request, needs=GROUPS_READ):
        found.update(item["id"] for item in filter(is_group, page.items))
    return frozenset(found)


async def check_attributes(
    client: GraphClient, items: Sequence[Mapping[str, Any]], what: str
) -> None:
    """Refuse people that come without their attributes: the permission to read users is gone.

    Without it Graph answers 200 and every property but the id is null
    (learn.microsoft.com/graph/api/group-list-members, "limited information"), for everybody. One person
    without a sign-in name among others is an odd account, and that person's matter alone.
    """
    if not are_bare(items):
        return
    # The token that was sent may have it still: it was taken away a moment ago.
    if await client.grants.still_may(USERS_READ):
        detail = f"Graph gave {what} without their attributes"
        raise denied_all_the_same(PermissionMissing(USERS_READ, detail))
    raise FixConnection(
        "graph.limitedInformation",
        f"Graph gave {what} without their attributes: the app registration is not allowed "
        f"to read users ({USERS_READ} is missing). Nothing was changed.",
        f"In Entra, add the application permission {USERS_READ} to the app registration "
        "and grant admin consent; then run again.",
    )


def are_bare(items: Sequence[Mapping[str, Any]]) -> bool:
    """Whether there are people, and all came without their attributes."""
    return bool(items) and all(map(_is_bare, items))


def _is_bare(item: Mapping[str, Any]) -> bool:
    """Whether an item has nothing but its id and notes of OData."""
    return all(
        value is None or value == []
        for name, value in item.items()
        if name != "id" and not name.startswith("@")
    )

"""One person, found by name, and the groups that this person is directly in."""

from sync_core.directory.answers import to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.reading import check_attributes
from sync_core.directory.requests import GROUPS_READ, USERS_READ, groups_of_user, users_named


async def find_by_name(client: GraphClient, principal_name: str) -> str | None:
    """Give the object id of the person with this sign-in name, or None.

    By `$filter`, not by `/users/{name}`: there, names of guests need their `#` encoded and names that
    begin with `$` are refused (learn.microsoft.com/graph/api/user-get, "Tip").
    """
    answer = await client.get(users_named(client.sdk, principal_name), needs=USERS_READ)
    items = to_page(answer).items
    check_attributes(items, "a person asked for by name")
    return str(items[0]["id"]) if items else None


async def direct_groups(client: GraphClient, object_id: str) -> frozenset[str]:
    """Give the ids of the groups that somebody is in directly."""
    request = groups_of_user(client.sdk, object_id, nested=False)
    found: set[str] = set()
    async for page in client.pages(request, needs=GROUPS_READ):
        found.update(item["id"] for item in page.items)
    return frozenset(found)

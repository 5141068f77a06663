"""One more answer about the groups of a person, before anybody is removed on the word of a single look."""

from collections.abc import Iterable

from sync_core.directory.answers import GraphNotFound
from sync_core.directory.client import GraphClient
from sync_core.directory.requests import GROUPS_READ, checked_groups
from sync_core.domain.errors import IncompleteReading

# So many ids a call takes.
MOST_CHECKED = 20


async def in_groups(
    client: GraphClient, object_id: str, groups: Iterable[str]
) -> frozenset[str] | None:
    """Return in which of these groups a person is by `checkMemberGroups`, also through nesting.

    None where Graph does not have the person, or answers no such list. Groups that Graph cannot evaluate are
    left out without a word, so what is missing here proves nothing by itself.
    """
    asked, found = sorted(groups), set[str]()
    for start in range(0, len(asked), MOST_CHECKED):
        request = checked_groups(client.sdk, object_id, asked[start : start + MOST_CHECKED])
        try:
            body = await client.get(request, needs=GROUPS_READ)
        except (GraphNotFound, IncompleteReading):
            return None
        value = body.get("value") if isinstance(body, dict) else None
        if not isinstance(value, list):
            return None
        found.update(map(str, value))
    return frozenset(found)

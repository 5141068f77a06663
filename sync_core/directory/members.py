"""Members of groups, by type: with a cast, or without where a tenant has none.

A cast is an advanced query, and tenants of Azure AD B2C have none of those
(learn.microsoft.com/graph/aad-advanced-queries). There the plain list is asked for, which holds everything,
and told apart here by its type. A plain list has no count.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kiota_abstractions.request_information import RequestInformation

from sync_core.directory.answers import GraphNotFound, Page, to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.requests import (
    GROUPS_READ,
    member_groups,
    member_users,
    plain_members,
)
from sync_core.directory.transcript import Transcript
from sync_core.domain.attributes import ALWAYS_SELECTED
from sync_core.domain.errors import FixConnection, IncompleteReading


@dataclass(frozen=True, slots=True)
class TypedList:
    """One list as it can be asked for in two ways; `wanted` tells which items of the plain one are meant."""

    cast: RequestInformation
    plain: RequestInformation
    wanted: Callable[[dict[str, Any]], bool]

    def request(self, client: GraphClient) -> RequestInformation:
        return self.cast if client.has_casts else self.plain

    def only_wanted(self, client: GraphClient, page: Page) -> Page:
        return (
            page if client.has_casts else replace(page, items=list(filter(self.wanted, page.items)))
        )


def users_in(
    client: GraphClient, group: str, select: Iterable[str], top: int | None = None
) -> TypedList:
    """Describe the list of a group's direct members who are people."""
    names = frozenset(select)
    cast = member_users(client.sdk, group, names, top)
    return TypedList(cast, plain_members(client.sdk, group, names, top), is_user)


def groups_in(client: GraphClient, group: str, properties: Iterable[str]) -> TypedList:
    """Describe the list of a group's direct members that are groups."""
    plain = plain_members(client.sdk, group, properties)
    return TypedList(member_groups(client.sdk, group), plain, is_group)


async def pages(
    client: GraphClient, wanted: TypedList, transcript: Transcript | None = None
) -> AsyncIterator[Page]:
    """Read a list to its end, by the plain list where the cast is refused and that is not."""
    if client.has_casts:
        try:
            async for page in client.pages(wanted.cast, needs=GROUPS_READ, transcript=transcript):
                yield page
        except IncompleteReading as refused:
            await _without_casts(client, wanted, refused)
        else:
            return
    async for page in client.pages(wanted.plain, needs=GROUPS_READ, transcript=transcript):
        yield wanted.only_wanted(client, page)


async def member_ids(client: GraphClient, group: str) -> set[str] | None:
    """Return the ids of a group's direct members who are people; None for a group that is gone.

    Asked for without a cast: casts go to an index that may lack some, and no count tells it of a short list
    (learn.microsoft.com/graph/aad-advanced-queries).
    """
    found: set[str] = set()
    plain = plain_members(client.sdk, group, ["id"])
    try:
        async for page in client.pages(plain, needs=GROUPS_READ):
            found.update(str(item["id"]) for item in filter(is_user, page.items))
    except GraphNotFound:
        return None
    return found


async def first_pages(
    client: GraphClient, lists: Sequence[TypedList], needs: str = GROUPS_READ
) -> list[Page | FixConnection | None]:
    """Read the first page of each list; None for one that is gone, the error where access is refused."""
    try:
        answers = await _batch(client, lists, needs)
    except IncompleteReading as refused:
        if not client.has_casts:
            raise
        await _without_casts(client, lists[0], refused)
        answers = await _batch(client, lists, needs)
    return [
        one.only_wanted(client, to_page(answer)) if isinstance(answer, dict) else answer
        for one, answer in zip(lists, answers, strict=True)
    ]


async def _batch(client: GraphClient, lists: Sequence[TypedList], needs: str) -> list[Any]:
    requests = [one.request(client) for one in lists]
    return await client.batch(requests, needs=needs, keep_denied=True)


async def rest(client: GraphClient, wanted: TypedList, first: Page) -> AsyncIterator[Page]:
    """Yield the first page, which came in a batch, then the others, which are followed outside of it."""
    yield first
    if first.next_link is not None:
        onward = client.follow(first.next_link, wanted.request(client))
        async for page in client.pages(onward, needs=GROUPS_READ):
            yield wanted.only_wanted(client, page)


async def _without_casts(
    client: GraphClient, wanted: TypedList, refused: IncompleteReading
) -> None:
    """Return if the plain list is answered where the cast was refused; else raise why that was refused."""
    if refused.code != "graph.refused":
        raise refused
    try:
        await client.get(wanted.plain, needs=GROUPS_READ)
    except IncompleteReading:
        raise refused from None
    client.has_casts = False


def is_user(member: dict[str, Any]) -> bool:
    """Whether a member is a person or an agent's account; one that Graph gives without a type may be."""
    kind = _kind(member)
    return kind.endswith("user") or (
        not kind and not member.keys().isdisjoint(ALWAYS_SELECTED - {"id"})
    )


def is_group(member: dict[str, Any]) -> bool:
    return _kind(member).endswith(".group")


def _kind(member: dict[str, Any]) -> str:
    return str(member.get("@odata.type") or "").lower()

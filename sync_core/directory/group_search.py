"""Groups of a tenant for a picker: a search in, one page of choices out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph.generated.groups.item.group_item_request_builder import GroupItemRequestBuilder
from msgraph.generated.groups.item.members.graph_user.graph_user_request_builder import (
    GraphUserRequestBuilder as MemberUsers,
)
from msgraph.graph_service_client import GraphServiceClient

from sync_core.directory.answers import GraphNotFound, Page, PageLinkLost, to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.requests import GROUPS_READ, advanced_headers
from sync_core.domain.catalog.groups import (
    GROUP_FIELDS,
    GroupChoice,
    filter_for,
    is_searchable,
    search_for,
    to_choice,
)
from sync_core.domain.documents.base import GUID
from sync_core.domain.errors import FieldProblem, IncompleteReading, Invalid


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Groups, and the link to more of them; `by_words` tells that the whole text was searched."""

    groups: list[GroupChoice]
    link: str | None
    by_words: bool


async def find_groups(client: GraphClient, text: str, *, top: int, members: bool) -> GroupPage:
    """Find groups by words of their name or description, by the beginning of it, or by their id."""
    if GUID.fullmatch(text):
        found, by_words = await _one(client, text), True
    else:
        found, by_words = await _search(client, text, top)
    return await _chosen(client, found, by_words=by_words, members=members)


async def more_groups(
    client: GraphClient, link: str, *, by_words: bool, members: bool
) -> GroupPage:
    """Return the next page; raises `Invalid` for a link that leads elsewhere, or nowhere any more."""
    found = await _go_on(client, link)
    return await _chosen(client, found, by_words=by_words, members=members)


async def _chosen(client: GraphClient, found: Page, *, by_words: bool, members: bool) -> GroupPage:
    counts = await _count_members(client, found.items) if members else {}
    choices = [to_choice(group, counts.get(group["id"])) for group in found.items]
    return GroupPage(choices, found.next_link, by_words)


async def _search(client: GraphClient, text: str, top: int) -> tuple[Page, bool]:
    if not text:
        return await _page(client, _listed(client.sdk, top)), True
    if is_searchable(text):
        try:
            return await _page(client, _searched(client.sdk, text, top)), True
        except IncompleteReading:
            # Tenants of Azure AD B2C have no $search (learn.microsoft.com/graph/search-query-parameter).
            pass
    return await _page(client, _beginning(client.sdk, text, top)), False


async def _page(client: GraphClient, request: RequestInformation) -> Page:
    return to_page(await client.get(request, needs=GROUPS_READ))


async def _go_on(client: GraphClient, link: str) -> Page:
    """Follow a link that a caller gives back; it must lead to this very list, whatever they made of it."""
    if not client.leads_to(link, "/groups"):
        raise _lost_cursor('must be the "next" of an earlier page of the same list')
    try:
        return await _page(client, client.follow(link, _searched(client.sdk, "", 1)))
    except PageLinkLost:
        raise _lost_cursor("has expired; begin again without it") from None


def _lost_cursor(message: str) -> Invalid:
    return Invalid("The cursor leads nowhere.", [FieldProblem("cursor", message)])


async def _one(client: GraphClient, group_id: str) -> Page:
    query = GroupItemRequestBuilder.GroupItemRequestBuilderGetQueryParameters(
        select=list(GROUP_FIELDS)
    )
    request = client.sdk.groups.by_group_id(group_id).to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )
    try:
        return Page([await client.get(request, needs=GROUPS_READ)], None, None, 0)
    except GraphNotFound:
        return Page([], None, None, 0)


async def _count_members(
    client: GraphClient, groups: Sequence[dict[str, Any]]
) -> dict[str, int | None]:
    """Count the people directly in each group, twenty groups a request; hidden ones are not asked."""
    asked = [one["id"] for one in groups if one.get("visibility") != "HiddenMembership"]
    requests = [_first_member(client.sdk, group) for group in asked]
    answers = await client.batch(requests, needs=GROUPS_READ)
    return {
        group: to_page(answer).count
        for group, answer in zip(asked, answers, strict=True)
        if answer is not None  # deleted meanwhile
    }


# --- the requests -----------------------------------------------------------------------------------


def _groups(
    sdk: GraphServiceClient,
    query: GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters,
    *,
    advanced: bool,
) -> RequestInformation:
    configuration = RequestConfiguration(query_parameters=query)
    if advanced:
        configuration.headers = advanced_headers()
    return sdk.groups.to_get_request_information(configuration)


def _listed(sdk: GraphServiceClient, top: int) -> RequestInformation:
    query = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(
        select=list(GROUP_FIELDS), top=top, orderby=["displayName"]
    )
    return _groups(sdk, query, advanced=False)


def _searched(sdk: GraphServiceClient, text: str, top: int) -> RequestInformation:
    query = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(
        select=list(GROUP_FIELDS), top=top, search=search_for(text), count=True
    )
    return _groups(sdk, query, advanced=True)


def _beginning(sdk: GraphServiceClient, text: str, top: int) -> RequestInformation:
    query = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(
        select=list(GROUP_FIELDS), top=top, filter=filter_for(text)
    )
    return _groups(sdk, query, advanced=False)


def _first_member(sdk: GraphServiceClient, group_id: str) -> RequestInformation:
    query = MemberUsers.GraphUserRequestBuilderGetQueryParameters(select=["id"], top=1, count=True)
    return sdk.groups.by_group_id(group_id).members.graph_user.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=advanced_headers())
    )

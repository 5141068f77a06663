"""People of a tenant to pick from: one page of Graph's own list, or of a search."""

from dataclasses import dataclass
from typing import Any

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph.graph_service_client import GraphServiceClient

from sync_core.directory.answers import Page, PageLinkLost, to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.lookup import check_attributes
from sync_core.directory.requests import USERS_READ, advanced_headers
from sync_core.domain.catalog.candidates import (
    CANDIDATE_FIELDS,
    filter_for,
    is_searchable,
    narrowed,
    search_for,
)
from sync_core.domain.documents.base import GUID
from sync_core.domain.errors import FieldProblem, IncompleteReading, Invalid

Query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters
WHAT = "people to pick from"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom to list: all, or who is found by a text, of one department or of one type of user."""

    text: str = ""
    department: str | None = None
    user_type: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One page of people, and the link to more; `by_words` tells that every word of a name was searched."""

    people: list[dict[str, Any]]
    link: str | None
    by_words: bool


async def find_people(client: GraphClient, wanted: Wanted, top: int) -> Found:
    """Return the first page of people, in the order in which the directory gives them.

    It is not sorted: Graph pages a sorted list by place, so a name that changes between two pages would show
    its person twice, or not at all.
    """
    text = wanted.text
    if GUID.fullmatch(text):
        one = narrowed(wanted.department, wanted.user_type, None)
        return _found(await _page(client, _by_id(client.sdk, text, one)), by_words=True)
    if text and is_searchable(text):
        condition = narrowed(wanted.department, wanted.user_type, None)
        request = _listed(client.sdk, top, condition, search_for(text))
        try:
            return _found(await _page(client, request), by_words=True)
        except IncompleteReading:
            # Tenants of Azure AD B2C have no $search (learn.microsoft.com/graph/search-query-parameter).
            pass
    by_beginning = filter_for(text) if text else None
    condition = narrowed(wanted.department, wanted.user_type, by_beginning)
    page = await _page(client, _listed(client.sdk, top, condition))
    return _found(page, by_words=not text)


async def more_people(client: GraphClient, link: str, *, by_words: bool) -> Found:
    """Return the next page; raises `Invalid` for a link that leads elsewhere, or nowhere any more."""
    if not client.leads_to(link, "/users"):
        raise _lost_cursor('must be the "next" of an earlier page of the same list')
    try:
        # With the header of the first page, which the link does not carry.
        first = _listed(client.sdk, 1, None, "" if by_words else None)
        return _found(await _page(client, client.follow(link, first)), by_words=by_words)
    except PageLinkLost:
        raise _lost_cursor("has expired; begin again without it") from None


def _lost_cursor(message: str) -> Invalid:
    return Invalid("The cursor leads nowhere.", [FieldProblem("cursor", message)])


async def _page(client: GraphClient, request: RequestInformation) -> Page:
    page = to_page(await client.get(request, needs=USERS_READ))
    await check_attributes(client, page.items, WHAT)
    return page


def _found(page: Page, *, by_words: bool) -> Found:
    return Found(page.items, page.next_link, by_words)


def _by_id(sdk: GraphServiceClient, object_id: str, condition: str | None) -> RequestInformation:
    both = f"id eq '{object_id}'" + (f" and {condition}" if condition else "")
    return _listed(sdk, 1, both)


def _listed(
    sdk: GraphServiceClient, top: int, condition: str | None, search: str | None = None
) -> RequestInformation:
    """Ask for people; a search is an advanced query, with or without a filter beside it."""
    advanced = search is not None
    query = Query(
        select=list(CANDIDATE_FIELDS),
        top=top,
        filter=condition,
        search=search or None,
        count=advanced or None,
    )
    configuration = RequestConfiguration(query_parameters=query)
    if advanced:
        configuration.headers = advanced_headers()
    return sdk.users.to_get_request_information(configuration)

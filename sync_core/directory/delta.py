"""Delta rounds: a link in, its rows page by page and the next link out.

A link is followed as it is; it holds what is tracked. What a round tells are hints (see
`domain.incremental.hints`). learn.microsoft.com/graph/delta-query-overview
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from sync_core.directory.answers import Gone, GraphNotFound, PageLinkLost, check_link
from sync_core.directory.client import GraphClient
from sync_core.directory.requests import GROUPS_READ, USERS_READ, groups_delta, users_delta
from sync_core.domain.errors import IncompleteReading, SyncError
from sync_core.domain.incremental.tracking import delta_select

NEXT_LINK, DELTA_LINK = "@odata.nextLink", "@odata.deltaLink"
# A round that dies is begun again from its link so often; then everything is read.
ROUNDS = 3
# "Change enumeration is not supported for requested tenant": microsoft-graph-docs-contrib issue 7430.
UNSUPPORTED = "Request_UnsupportedQuery"
# Empty pages before the link of a round that tells nothing yet.
LATEST_PAGES = 10

Row = dict[str, Any]
# Tells of a number of pages whether they cost too much.
TooMany = Callable[[int], bool]


class LinkRefused(SyncError):
    """Graph does not go on from a link: it is too old, not known, or its pages lead nowhere.

    It never says that nobody is there. Any 400, 404 or 410 of a stored link means the same, since the
    body of that answer is documented nowhere.
    """


class TooManyPages(LinkRefused):
    """A round has more pages than it takes to read everything: it is left, and new links are taken."""


class NoDelta(SyncError):
    """Graph gave no link: the tenant has no delta queries (Azure AD B2C, External ID), or for now only.

    `is_lasting` where Graph says that it has none for this tenant.
    """

    def __init__(self, code: str, message: str, remedy: str, *, is_lasting: bool) -> None:
        super().__init__(code, message, remedy)
        self.is_lasting = is_lasting


class NoLinkNow(SyncError):
    """Graph gave no link this time, which says nothing of the next."""


@dataclass(slots=True)
class Round:
    """One round of one link: its rows as they came, its pages, and where the next one begins."""

    rows: list[Row] = field(default_factory=list)
    link: str = ""
    pages: int = 0


async def users_link(client: GraphClient, select: Iterable[str]) -> tuple[str, list[str]]:
    """Return a link from which changes of people are told from now on, and the properties it refuses.

    Raises `NoDelta` where the tenant has no such queries at all, and `NoLinkNow` where that is not known.
    """
    wanted = delta_select(select)
    try:
        return await _link_from_now(client, users_delta(client.sdk, wanted), USERS_READ), []
    except NoDelta:
        # Which property is at fault is told in words only, so they are tried out.
        refused = await _refused(client, wanted)
        if refused >= set(wanted):
            raise
    left = delta_select(wanted, refused)
    return await _link_from_now(client, users_delta(client.sdk, left), USERS_READ), sorted(refused)


async def _refused(client: GraphClient, names: Sequence[str]) -> set[str]:
    """Return those of the properties that a delta query refuses, by halves."""
    try:
        await _link_from_now(client, users_delta(client.sdk, names), USERS_READ)
    except NoDelta:
        if len(names) == 1:
            return set(names)
    else:
        return set()
    half = len(names) // 2
    return await _refused(client, names[:half]) | await _refused(client, names[half:])


async def groups_link(client: GraphClient, groups: Sequence[str]) -> str:
    """Return a link from which changes of these groups are told from now on."""
    return await _link_from_now(client, groups_delta(client.sdk, groups), GROUPS_READ)


async def _link_from_now(client: GraphClient, request: RequestInformation, needs: str) -> str:
    for _ in range(LATEST_PAGES):
        body = await _latest(client, request, needs)
        link, onward = body.get(DELTA_LINK), body.get(NEXT_LINK)
        if isinstance(link, str):
            check_link(link, client.graph_url)
            return link
        if not isinstance(onward, str):
            break
        request = client.follow(onward, request)
    raise _no_link("Graph gave no link from which changes are told.")


async def _latest(
    client: GraphClient, request: RequestInformation, needs: str
) -> Mapping[str, Any]:
    try:
        body = await client.get(request, needs=needs)
    except (Gone, GraphNotFound, PageLinkLost) as error:
        raise _no_link(error.message) from error
    except IncompleteReading as error:
        raise NoDelta(
            "graph.noDelta",
            f"Graph tells this tenant's changes to nobody. {error.message}",
            "Nothing to do: every run reads everything.",
            is_lasting=UNSUPPORTED in error.message,
        ) from error
    return body if isinstance(body, dict) else {}


def _no_link(why: str) -> NoLinkNow:
    return NoLinkNow("graph.noLink", why, "Nothing to do: the next run asks for one again.")


async def drain_users(client: GraphClient, link: str, too_many: TooMany) -> Round:
    """Read what changed of the people of a tenant; see `_drain`."""
    return await _drain(client, link, USERS_READ, too_many)


async def drain_groups(client: GraphClient, link: str, too_many: TooMany) -> Round:
    """Read what changed of the groups of a stream and their members; see `_drain`."""
    return await _drain(client, link, GROUPS_READ, too_many)


async def _drain(client: GraphClient, link: str, needs: str, too_many: TooMany) -> Round:
    """Read a round to its end.

    `too_many` tells of a number of pages whether a full reading is cheaper, then raises `TooManyPages`. Where
    Graph does not go on from the link, raises `LinkRefused`. A round that dies in the middle is begun again.
    """
    if not client.is_own(link):
        # The app asks another Graph than it did when the link was stored.
        raise _refused_link("it is another Graph's")
    attempt = 1
    while True:
        found = Round()
        try:
            async for rows in _pages(client, link, needs, too_many, found):
                found.rows += rows
        except TooManyPages:
            raise
        except LinkRefused:
            # Where not even the first page came, it is the link itself that is not good any more.
            if attempt == ROUNDS or not found.pages:
                raise
            attempt += 1
        else:
            return found


async def _pages(
    client: GraphClient,
    link: str,
    needs: str,
    too_many: TooMany,
    found: Round,
) -> AsyncIterator[list[Row]]:
    seen: set[str] = set()
    onward: str | None = link
    while onward is not None:
        if too_many(len(seen)):
            raise TooManyPages(
                "graph.tooManyPages",
                f"The changes since the last run have more than {len(seen)} pages.",
                "Nothing to do: everything is read, and new links are taken.",
            )
        if onward in seen:
            raise _refused_link("its pages have no end")
        seen.add(onward)
        check_link(onward, client.graph_url)
        body = await _followed(client, onward, needs)
        found.pages += 1
        rows = body["value"]
        if rows:
            client.usage.delta_pages += 1
        else:
            client.usage.empty_delta_pages += 1
        yield rows
        onward, found.link = body.get(NEXT_LINK), body.get(DELTA_LINK) or ""
    check_link(found.link, client.graph_url)


async def _followed(client: GraphClient, link: str, needs: str) -> dict[str, Any]:
    request = RequestInformation(Method.GET)
    request.url = link
    try:
        body = await client.get(request, needs=needs)
    except (IncompleteReading, GraphNotFound, PageLinkLost) as error:
        raise _refused_link(error.message) from error
    if not isinstance(body, dict) or not isinstance(body.get("value"), list):
        raise _refused_link("the answer is no round")
    return body


def _refused_link(why: str) -> LinkRefused:
    return LinkRefused(
        "graph.linkRefused",
        f"Graph does not go on from the link to the changes: {why}",
        "Nothing to do: everything is read, and new links are taken.",
    )

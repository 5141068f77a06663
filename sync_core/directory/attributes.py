"""What attributes a tenant's people have: Graph's schema, the tenant's extensions, and a sample of people."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph.graph_service_client import GraphServiceClient

from sync_core.directory.answers import bad_answer, to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.lookup import check_attributes, count_people
from sync_core.directory.requests import MAX_PAGE, USERS_READ, advanced_headers
from sync_core.domain.attributes import ALWAYS_SELECTED
from sync_core.domain.catalog.attributes import (
    Candidate,
    Extension,
    candidates,
    measurable,
    selections,
    to_extensions,
)
from sync_core.domain.catalog.readiness import (
    AttributeNote,
    AttributeReport,
    Sample,
    SampleSize,
    in_order,
    unmeasured,
)
from sync_core.domain.catalog.schema import Property, UnreadableSchema, user_properties
from sync_core.domain.documents.scope import Guests
from sync_core.domain.errors import FixConnection, IncompleteReading

SCHEMA_LIFE = timedelta(days=1)
# Long addresses are refused somewhere on the way; the properties of Graph itself fit into one.
LONGEST_SELECT = 2_000
EXTENSIONS_READ = "Application.Read.All (or Directory.Read.All)"
REFUSED_BY_GRAPH = "Graph refuses it in a list of users."

# By the address of Graph: each cloud has its own schema, and some MB need not be read at every look.
_schemas: dict[str, tuple[datetime, tuple[Property, ...]]] = {}


class Readiness:
    """Looks at the attributes of one tenant; `used` are the properties that the connection reads."""

    def __init__(self, client: GraphClient, *, guests: Guests, used: Collection[str]) -> None:
        self._client = client
        self._guests = guests
        self._used = used
        self.notes: list[AttributeNote] = []

    async def report(self, size: int, now: datetime) -> tuple[list[AttributeReport], SampleSize]:
        """Measure everything on the first `size` people that Graph lists."""
        properties = await read_schema(self._client, now)
        found = candidates(properties, await self._extensions(), self._used)
        counted = measurable(found)
        reports = [unmeasured(one, self._used, one.refused) for one in found if one not in counted]
        samples = []
        for names in _portions(selections(counted)):
            mine = [one for one in counted if one.selected in names]
            sample, refused = await self._measured(mine, names, size)
            samples.append(sample)
            reports += sample.reports(self._used)
            reports += [
                unmeasured(one, self._used, REFUSED_BY_GRAPH)
                for one in mine
                if one.selected in refused
            ]
        return in_order(reports), await self._size(samples)

    async def _extensions(self) -> list[Extension]:
        try:
            return to_extensions(await read_extensions(self._client))
        except (FixConnection, IncompleteReading) as error:
            note = AttributeNote(
                code="attributes.extensionsUnknown",
                message="The tenant's directory extensions could not be listed, so they are missing here. "
                f"They can still be used by their names. ({error.message})",
                remedy=f"Add the application permission {EXTENSIONS_READ} if you want to choose from them.",
            )
            self.notes.append(note)
            return []

    async def _measured(
        self, found: list[Candidate], names: Sequence[str], size: int
    ) -> tuple[Sample, set[str]]:
        """Measure in one listing; where Graph refuses it, find out for which properties first."""
        try:
            return await self._sample(found, names, size), set()
        except (FixConnection, IncompleteReading):
            refused = await self._refused(names)
            if not refused:
                raise
        left = [one for one in found if one.selected not in refused]
        kept = [name for name in names if name not in refused]
        return await self._sample(left, kept, size), refused

    async def _sample(self, found: list[Candidate], names: Iterable[str], size: int) -> Sample:
        sample = Sample(self._guests, found)
        async for page, number in self._pages(names, size):
            if number == 0:  # also when a listing had to begin again
                sample = Sample(self._guests, found)
            for person in page[: size - sample.read]:
                sample.add(person)
            if sample.read >= size:
                break
        return sample

    async def _pages(
        self, names: Iterable[str], size: int
    ) -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
        request = _users(self._client.sdk, {*names, *ALWAYS_SELECTED}, min(size, MAX_PAGE))
        async for page in self._client.pages(request, needs=USERS_READ):
            await check_attributes(self._client, page.items, "users")
            yield page.items, page.number

    async def _refused(self, names: Sequence[str]) -> set[str]:
        """Halve the properties until it is known which ones Graph does not give in a list."""
        await self._ask([])  # without any of them: what is refused now is refused for other reasons
        refused: set[str] = set()
        open_parts = [list(names)]
        while open_parts:
            part = open_parts.pop()
            try:
                await self._ask(part)
            except (FixConnection, IncompleteReading):
                if len(part) == 1:
                    refused.update(part)
                else:
                    middle = len(part) // 2
                    open_parts += [part[:middle], part[middle:]]
        return refused

    async def _ask(self, names: Iterable[str]) -> None:
        request = _users(self._client.sdk, {*names, *ALWAYS_SELECTED}, 1)
        await self._client.get(request, needs=USERS_READ)

    async def _size(self, samples: Sequence[Sample]) -> SampleSize:
        first = samples[0]
        return SampleSize(
            read=first.read,
            people=first.people,
            guests=first.guests,
            blocked=first.blocked,
            total=await count_people(self._client),
        )


def _portions(names: Iterable[str]) -> list[list[str]]:
    """Split the properties so that each $select stays short enough."""
    portions: list[list[str]] = [[]]
    length = 0
    for name in names:
        if length + len(name) > LONGEST_SELECT:
            portions.append([])
            length = 0
        portions[-1].append(name)
        length += len(name) + 1
    return portions


async def read_schema(client: GraphClient, now: datetime) -> tuple[Property, ...]:
    """Return a user's properties by Graph's own description, read once a day in each process."""
    kept = _schemas.get(client.graph_url)
    if kept is not None and now - kept[0] < SCHEMA_LIFE:
        return kept[1]
    description = await client.document("/$metadata", accept="application/xml")
    try:
        # Some MB of XML take a while, and other requests are waiting on this loop.
        found = await asyncio.to_thread(user_properties, description)
    except UnreadableSchema as error:
        raise bad_answer(f"a description of itself that cannot be read ({error})") from error
    _schemas[client.graph_url] = now, found
    return found


async def read_extensions(client: GraphClient) -> list[dict[str, Any]]:
    """List the directory extensions of a tenant with whichever permission there is.

    getAvailableExtensionProperties knows those of other tenants' applications as well, wants
    Directory.Read.All, and gives nothing in tenants of more than 1,000 service principals; the
    applications of the tenant itself can be asked with Application.Read.All.
    learn.microsoft.com/graph/api/directoryobject-getavailableextensionproperties (known issue),
    learn.microsoft.com/graph/api/application-list-extensionproperty
    """
    try:
        found = to_page(await client.get(_available(client.sdk), needs=EXTENSIONS_READ)).items
    except FixConnection:
        found = []
    return found or await _of_applications(client)


async def _of_applications(client: GraphClient) -> list[dict[str, Any]]:
    owners = [
        one["id"]
        async for page in client.pages(_with_extensions(client.sdk), needs=EXTENSIONS_READ)
        for one in page.items
    ]
    requests = [_extensions_of(client.sdk, one) for one in owners]
    answers = await client.batch(requests, needs=EXTENSIONS_READ)
    return [item for answer in answers if answer is not None for item in to_page(answer).items]


# --- the requests -----------------------------------------------------------------------------------


def _users(sdk: GraphServiceClient, select: Iterable[str], top: int) -> RequestInformation:
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        select=sorted(select), top=top
    )
    return sdk.users.to_get_request_information(RequestConfiguration(query_parameters=query))


def _available(sdk: GraphServiceClient) -> RequestInformation:
    # An action, so a POST, though it only reads; the body may narrow it and is empty here.
    builder = sdk.directory_objects.get_available_extension_properties
    request = RequestInformation(Method.POST, builder.url_template, builder.path_parameters)
    request.headers.add("Accept", "application/json")
    request.set_stream_content(b"{}", "application/json")
    return request


def _with_extensions(sdk: GraphServiceClient) -> RequestInformation:
    # On extensionProperties Graph takes this filter, as an advanced query:
    # github.com/microsoftgraph/msgraph-sdk-powershell/pull/1658
    query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
        select=["id"], filter="extensionProperties/$count ne 0", count=True, top=MAX_PAGE
    )
    return sdk.applications.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=advanced_headers())
    )


def _extensions_of(sdk: GraphServiceClient, application_id: str) -> RequestInformation:
    item = sdk.applications.by_application_id(application_id)
    return item.extension_properties.to_get_request_information()

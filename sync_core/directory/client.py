"""Requests to Microsoft Graph: msgraph-sdk's builders and pipeline, bytes decoded by us.

The SDK's typed models cost 2.8 to 3.1 ms of CPU per user, a whole run here 0.02 to 0.09 ms (docs/speed.md;
others report the same: github.com/microsoftgraph/msgraph-sdk-python/issues/584), so answers are asked for
as bytes and decoded here. Its retry handler reads only whole seconds of Retry-After and does not see items
of a batch, so it is off: `RetryBudget` retries, in one place.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import httpx
import orjson
from azure.core.credentials_async import AsyncTokenCredential
from kiota_abstractions.api_error import APIError
from kiota_abstractions.method import Method
from kiota_abstractions.native_response_handler import NativeResponseHandler
from kiota_abstractions.request_information import RequestInformation
from kiota_abstractions.request_option import RequestOption
from kiota_authentication_azure.azure_identity_authentication_provider import (
    AzureIdentityAuthenticationProvider,
)
from kiota_http.middleware.options import (
    RedirectHandlerOption,
    ResponseHandlerOption,
    RetryHandlerOption,
)
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory

from sync_core.concurrency import in_thread
from sync_core.directory.answers import (
    WAIT_REMEDY,
    Page,
    PageLinkLost,
    TokenRefused,
    check_link,
    decode,
    has_origin,
    refuse_error_body,
    to_error,
    to_page,
)
from sync_core.directory.batches import from_body, sort_items
from sync_core.directory.credentials import GraphCredential
from sync_core.directory.denials import PermissionMissing
from sync_core.directory.grants import Grants
from sync_core.directory.pace import Pace
from sync_core.directory.requests import PRIORITY
from sync_core.directory.retry_budget import RetryBudget
from sync_core.directory.transcript import Playback, Transcript
from sync_core.directory.trouble import Trouble, Usage
from sync_core.domain.errors import FixConnection, IncompleteReading, RetryLater, SyncError
from sync_core.logs import log_event

MAX_BATCH = 20  # learn.microsoft.com/graph/json-batching
LISTING_RESTARTS = 2
# Graph may give many empty pages in a row (microsoft-graph-docs issue 20637), but not for ever.
MOST_FRUITLESS_PAGES = 200
ERRORS = {"XXX": ODataError}
# Graph may take long for a page of 999 people; a connection that is not made in 15 s will not be.
TIMEOUT = httpx.Timeout(100.0, connect=15.0)
LIMITS = httpx.Limits(max_connections=16, max_keepalive_connections=16)

T = TypeVar("T")


class GraphClient:
    """One connection's way to Graph for one run; counts what it asks."""

    def __init__(
        self,
        *,
        adapter: GraphRequestAdapter,
        credential: GraphCredential,
        graph_url: str,
        scope: str,
        retry_budget: RetryBudget,
        pace: Pace,
        usage: Usage,
    ) -> None:
        self._adapter = adapter
        self.credential = credential
        self._graph_url = graph_url
        self._retry_budget = retry_budget
        self._base_url = f"{graph_url}/v1.0"
        adapter.base_url = self._base_url
        self.sdk = GraphServiceClient(request_adapter=adapter)
        # Until this tenant is seen to have none; see `members`.
        self.has_casts = True
        self.usage = usage
        self.pace = pace
        self.grants = Grants(credential, scope, self._trouble)

    @property
    def graph_url(self) -> str:
        return self._graph_url

    async def get(
        self, request: RequestInformation, *, needs: str, budget: RetryBudget | None = None
    ) -> Any:
        """Send one request and decode its JSON; `needs` is the permission it requires.

        Raises `GraphNotFound` for a 404, `FixConnection` for what an administrator must mend, and
        `RetryLater` when the retry budget, that of the run or the given one, is used up.
        """
        return await self._patiently(request, needs, _decoded, budget)

    async def send(self, request: RequestInformation, *, needs: str) -> bytes:
        """Send one request that may be answered with nothing; raises what `get` raises."""
        return await self._patiently(request, needs, bytes)

    async def document(self, path: str, *, accept: str) -> bytes:
        """Load something that is no JSON and needs no permission, such as Graph's schema."""
        request = RequestInformation(Method.GET)
        request.url = f"{self._base_url}{path}"
        request.headers.add("Accept", accept)
        return await self._patiently(request, "", bytes)

    async def _patiently(
        self,
        request: RequestInformation,
        needs: str,
        read: Callable[[bytes], T],
        budget: RetryBudget | None = None,
    ) -> T:
        trouble = self._trouble(budget)
        while True:
            try:
                return read(await self._send(request, needs))
            except (TokenRefused, RetryLater) as error:
                await trouble.outlast([error])
            except PermissionMissing as error:
                await self.grants.outlast(error)

    def little_budget(self, budget_s: float) -> RetryBudget:
        """Return a budget for what is not worth the run's: no larger than that, and apart from it."""
        return replace(self._retry_budget, budget_s=min(budget_s, self._retry_budget.budget_s))

    def _trouble(self, budget: RetryBudget | None = None) -> Trouble:
        return Trouble(self.credential, budget or self._retry_budget, self.usage)

    async def pages(
        self, request: RequestInformation, *, needs: str, transcript: Transcript | None = None
    ) -> AsyncIterator[Page]:
        """Follow a list to its end, page by page; items may repeat, the caller merges by id.

        A lost page link starts the listing again. Raises `IncompleteReading` if the list cannot be
        read to its end. What a `transcript` has of the list is not asked for; it is given the rest.
        """
        for _ in range(LISTING_RESTARTS):
            try:
                async for page in self._listing(request, needs, transcript):
                    yield page
            except PageLinkLost:
                continue
            return
        try:
            async for page in self._listing(request, needs, transcript):
                yield page
        except PageLinkLost as error:
            raise IncompleteReading(error.code, error.message, error.remedy) from error

    async def _listing(
        self, first: RequestInformation, needs: str, transcript: Transcript | None
    ) -> AsyncIterator[Page]:
        request, seen, number, fruitless = first, set[str](), 0, 0
        before: Page | None = None
        played = Playback(transcript, first.url)
        while True:
            if (kept := played.next()) is not None:
                page = _read_page(number, kept)
            else:
                with played.recorded(number) as record:
                    if PRIORITY in request.headers:
                        await self.pace.turn()
                    page, body = await self._patiently(request, needs, partial(_with_body, number))
                    record(body)
                self.pace.allowance.counted(page.count)
            number += 1
            yield page
            if page.next_link is None:
                return
            if page.next_link in seen:
                raise IncompleteReading(
                    "graph.pageLoop",
                    "Graph's pages lead back to a page that was already read.",
                    WAIT_REMEDY,
                )
            seen.add(page.next_link)
            fruitless = fruitless + 1 if _is_fruitless(page, before) else 0
            if fruitless > MOST_FRUITLESS_PAGES:
                raise IncompleteReading(
                    "graph.pagesWithoutEnd",
                    f"Graph gave {fruitless} pages in a row that told nothing new, and no end of them.",
                    WAIT_REMEDY,
                )
            before = page
            request = self.follow(page.next_link, first)

    def follow(self, link: str, first: RequestInformation) -> RequestInformation:
        """Return the request for a link, with the headers that the first request had.

        Raises `FixConnection` for a link that leaves the configured Graph.
        """
        check_link(link, self._graph_url)
        request = RequestInformation(Method.GET)
        request.url = link
        request.headers.add_all(first.headers)
        return request

    def is_own(self, link: str) -> bool:
        """Whether a link that was stored is one of the Graph that is asked now."""
        return has_origin(link, self._graph_url)

    def leads_to(self, link: str, path: str) -> bool:
        """Whether a link that a caller gave back leads to this very list of our Graph."""
        return link.startswith(f"{self._base_url}{path}?") and link.isprintable()

    async def batch(
        self,
        requests: Sequence[RequestInformation],
        *,
        needs: str | Sequence[str],
        keep_denied: bool = False,
    ) -> list[Any]:
        """Send up to 20 requests at a time in `$batch`; answers in order, `None` for a 404.

        `needs` is the permission that all of them require, or one for each.

        Items are throttled one by one and only those are sent again, after the longest wait that was
        asked for. learn.microsoft.com/graph/throttling#throttling-and-batching
        With `keep_denied`, an item to which access is refused has the error for an answer.
        """
        answers: list[Any] = []
        each = [needs] * len(requests) if isinstance(needs, str) else needs
        for start in range(0, len(requests), MAX_BATCH):
            if len(requests) > MAX_BATCH:
                await self.pace.turn()
            part = slice(start, start + MAX_BATCH)
            answers += await self._one_batch(requests[part], each[part], keep_denied=keep_denied)
        return answers

    async def _one_batch(
        self, requests: Sequence[RequestInformation], needs: Sequence[str], *, keep_denied: bool
    ) -> list[Any]:
        answers: dict[int, Any] = {}
        trouble = self._trouble()
        while True:
            open_items = [number for number in range(len(requests)) if number not in answers]
            body = await self.get(
                _batch_request(self._base_url, requests, open_items), needs=needs[0]
            )
            self.pace.hear_batch({str(number): requests[number].url for number in open_items}, body)
            try:
                waiting = sort_items(body, open_items, answers, needs, keep_denied=keep_denied)
            except PermissionMissing as error:
                await self.grants.outlast(error)
                continue
            reopened = await self._reopened(answers)
            if not waiting and not reopened:
                return [answers[number] for number in range(len(requests))]
            await trouble.outlast(waiting)

    async def _reopened(self, answers: dict[int, Any]) -> bool:
        """Explain refusals that are kept; take back those that a new token has overcome."""
        for number, answer in list(answers.items()):
            if isinstance(answer, PermissionMissing):
                try:
                    await self.grants.outlast(answer)
                except FixConnection as error:
                    # No longer a `PermissionMissing`: it has been explained.
                    answers[number] = FixConnection(error.code, error.message, error.remedy)
                else:
                    del answers[number]
                    return True
        return False

    async def _send(self, request: RequestInformation, needs: str) -> bytes:
        self.usage.requests += 1
        # The SDK leaves a request with the token that it was once sent with: one that is sent again, and
        # every page of a list, would go on with it when it is long over.
        request.headers.remove("Authorization")
        try:
            body = await self._adapter.send_primitive_async(request, "bytes", ERRORS)
        except APIError as error:
            raise _from_api_error(error, needs) from error
        except (httpx.HTTPError, OSError) as error:
            raise RetryLater(
                "graph.unreachable",
                f"Microsoft Graph could not be reached ({type(error).__name__}).",
                "Nothing to do if it passes: the next run tries again. Otherwise check the network.",
            ) from error
        content = _of_batch(body, needs) if isinstance(body, httpx.Response) else body
        content = content if isinstance(content, bytes) else b""
        self.usage.bytes += len(content)
        return content


@asynccontextmanager
async def open_graph(
    credential: GraphCredential, *, graph_url: str, scope: str, retry_budget: RetryBudget
) -> AsyncIterator[GraphClient]:
    """Open the SDK's pipeline to Graph; the token goes to that host only, and never to a redirect."""
    host = urlsplit(graph_url).hostname or ""
    provider = AzureIdentityAuthenticationProvider(
        cast("AsyncTokenCredential", credential),
        scopes=[scope],
        allowed_hosts=[host],
    )
    options: dict[str, RequestOption] = {
        RetryHandlerOption.get_key(): RetryHandlerOption(should_retry=False),
        RedirectHandlerOption.get_key(): RedirectHandlerOption(should_redirect=False),
    }
    # The SDK puts a transport of its own in place of the client's and never closes the one below, so
    # that one is opened and closed here.
    usage = Usage()
    pace = Pace(retry_budget, usage)
    # To read the certificates that are trusted takes long enough to hold up others.
    trust = await in_thread(httpx.create_ssl_context)
    async with httpx.AsyncHTTPTransport(verify=trust, limits=LIMITS) as transport:
        hooks = {"response": [pace.hear]}
        http = httpx.AsyncClient(transport=transport, timeout=TIMEOUT, event_hooks=hooks)
        client = GraphClientFactory.create_with_default_middleware(client=http, options=options)
        yield GraphClient(
            adapter=GraphRequestAdapter(provider, client),
            credential=credential,
            graph_url=graph_url,
            scope=scope,
            retry_budget=retry_budget,
            pace=pace,
            usage=usage,
        )


def _batch_request(
    base_url: str, requests: Sequence[RequestInformation], numbers: Sequence[int]
) -> RequestInformation:
    items = [
        {
            "id": str(number),
            "method": "GET",
            "url": requests[number].url.removeprefix(base_url),
            "headers": {
                name: ", ".join(values)
                for name, values in requests[number].headers.get_all().items()
            },
        }
        for number in numbers
    ]
    request = RequestInformation(Method.POST)
    request.url = f"{base_url}/$batch"
    request.headers.add("Accept", "application/json")
    request.set_stream_content(orjson.dumps({"requests": items}), "application/json")
    request.add_request_options([ResponseHandlerOption(NativeResponseHandler())])
    return request


def _of_batch(answer: httpx.Response, needs: str) -> bytes:
    """Read the answer of a batch as a whole, which the SDK takes for a failure where an item is throttled.

    Then its status may be 424 (learn.microsoft.com/graph/throttling) or 200 (json-batching).
    """
    if answer.status_code in {HTTPStatus.OK, HTTPStatus.FAILED_DEPENDENCY}:
        return answer.content
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        body = None
    raise from_body(answer.status_code, body, answer.headers, needs)


def _is_fruitless(page: Page, before: Page | None) -> bool:
    """Whether a page tells nothing that the one before it did not."""
    return not page.items or (before is not None and page.items == before.items)


def _read_page(number: int, body: bytes) -> Page:
    return to_page(_decoded(body), number)


def _with_body(number: int, body: bytes) -> tuple[Page, bytes]:
    return _read_page(number, body), body


def _decoded(body: bytes) -> Any:
    found = decode(body)
    if found.repaired:
        # Whose value it is stays out of the log; the row shows the sign U+FFFD.
        log_event("graph.textRepaired", level=logging.WARNING)
    refuse_error_body(found.value)
    return found.value


def _from_api_error(error: APIError, needs: str) -> SyncError:
    main = error.error if isinstance(error, ODataError) else None
    headers = {str(name): str(value) for name, value in (error.response_headers or {}).items()}
    return to_error(
        error.response_status_code or 0,
        (main.code if main else None) or "",
        (main.message if main else None) or "(no message)",
        headers,
        needs,
    )

"""Many entities at once, through the SDK's pipeline with our own bodies.

The SDK's `submit_transaction` costs about half a millisecond of CPU per entity and its paging about a
tenth of one, too much for a first import of 100,000 people. So lists and batches are encoded and
decoded here; authentication, retries and connections stay the SDK's. Formats:
learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions and
learn.microsoft.com/rest/api/storageservices/query-entities.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.data.tables.aio import TableClient

from sync_core.domain.errors import RetryLater
from sync_core.store.patience import limited

MAX_OPERATIONS = 100
# The limit is 4 MiB a batch; headers of up to 100 parts are counted generously.
MAX_BATCH_BYTES = 3_500_000
PART_OVERHEAD_BYTES = 600
PAGE = 1000

Entity = dict[str, Any]


class Verb(StrEnum):
    """What an operation of a batch does with its entity."""

    INSERT = "insert"  # only if it is not there
    UPSERT = "upsert"  # insert or replace
    REPLACE = "replace"  # only if it is there
    MERGE = "merge"  # only if it is there; columns not named stay
    ADD = "add"  # insert, or merge into what is there
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Operation:
    """One entity's part of a batch; `etag` `*` means whatever is stored."""

    verb: Verb
    entity: Entity
    etag: str = "*"

    def body(self) -> bytes:
        return b"" if self.verb is Verb.DELETE else orjson.dumps(self.entity)


# Writes a batch, or raises `BatchRefused`.
Submit = Callable[[Sequence[Operation]], Awaitable[object]]


class BatchRefused(Exception):
    """A batch was refused as a whole, nothing of it was written; `index` is the part at fault."""

    def __init__(self, status: int, code: str, index: int | None) -> None:
        super().__init__(f"batch refused with {status} {code}, part {index}")
        self.status = status
        self.code = code
        self.index = index


async def query(
    table: TableClient,
    condition: str,
    select: Sequence[str] | None = None,
    *,
    typed: bool = False,
    top: int = PAGE,
) -> AsyncIterator[list[Entity]]:
    """Return every page of a query; the service may cut pages anywhere, so the token decides.

    `top` is the most that one page holds, up to 1000; it does not end the query.

    `typed` keeps `@odata.type` annotations and ETags, for entities that are written back.
    """
    columns = f"&$select={','.join(select)}" if select else ""
    base = f"{table.url}/{table.table_name}()?$filter={quote(condition)}{columns}&$top={top}"
    metadata = "fullmetadata" if typed else "nometadata"
    onward: str | None = ""
    while onward is not None:
        request = HttpRequest("GET", base + onward, headers=_headers(table, metadata))
        response = await _send(table, request)
        _raise_unless(response, 200)
        yield orjson.loads(response.content)["value"]
        onward = _continuation(response.headers)


async def point(table: TableClient, partition: str, row: str) -> Entity | None:
    """Read one entity with its types and ETag, or None."""
    address = _address(table, partition, row)
    request = HttpRequest("GET", address, headers=_headers(table, "fullmetadata"))
    response = await _send(table, request)
    if response.status_code == 404:
        return None
    _raise_unless(response, 200)
    entity: Entity = orjson.loads(response.content)
    return entity


async def submit(table: TableClient, operations: Sequence[Operation]) -> str | None:
    """Write up to 100 operations of one partition: all of them, or none and `BatchRefused`.

    Return the new ETag of the first operation's row; None for one that was deleted.
    """
    batch, changeset = f"batch_{uuid4()}", f"changeset_{uuid4()}"
    parts = [_part(table, changeset, number, one) for number, one in enumerate(operations)]
    content = b"".join(
        [
            f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n\r\n".encode(),
            *parts,
            f"--{changeset}--\r\n--{batch}--\r\n".encode(),
        ]
    )
    headers = _headers(table, "nometadata") | {
        "Content-Type": f"multipart/mixed; boundary={batch}",
        "MaxDataServiceVersion": "3.0;NetFx",
    }
    request = HttpRequest("POST", f"{table.url}/$batch", headers=headers, content=content)
    response = await _send(table, request)
    if response.status_code == 413:
        # Nobody says which part was too much; whoever sends halves of it finds out.
        raise BatchRefused(413, "RequestBodyTooLarge", None)
    _raise_unless(response, 202)
    _check_parts(response.content)
    return _first_etag(response.content)


async def submit_current(submit: Submit, operations: Sequence[Operation]) -> Sequence[Operation]:
    """Write the operations of a batch but those that are refused; gives what was written.

    Refused is mostly a row that was changed or deleted meanwhile; whoever asked reads it again.
    """
    if not operations:
        return []
    try:
        await submit(operations)
    except BatchRefused as refused:
        if refused.status >= 500 or refused.status == 429:
            raise storage_unavailable(refused) from refused
        if len(operations) == 1:
            return []
        half = len(operations) // 2
        first = await submit_current(submit, operations[:half])
        return [*first, *await submit_current(submit, operations[half:])]
    return operations


def split(
    groups: Sequence[Sequence[Operation]], *, spare: int = 0, spare_bytes: int = 0
) -> list[list[Sequence[Operation]]]:
    """Cut groups of operations that belong together into batches that the service accepts.

    In each there is room left for `spare` operations of `spare_bytes` together.
    """
    most, most_bytes = MAX_OPERATIONS - spare, MAX_BATCH_BYTES - spare_bytes
    batches: list[list[Sequence[Operation]]] = []
    count = size = 0
    for group in groups:
        length = sum(len(one.body()) + PART_OVERHEAD_BYTES for one in group)
        if not batches or count + len(group) > most or size + length > most_bytes:
            batches.append([])
            count = size = 0
        batches[-1].append(group)
        count += len(group)
        size += length
    return batches


def quoted(text: str) -> str:
    """Return a text as a literal of a table filter or key."""
    return "'" + text.replace("'", "''") + "'"


_METHODS = {
    Verb.INSERT: "POST",
    Verb.UPSERT: "PUT",
    Verb.REPLACE: "PUT",
    Verb.MERGE: "PATCH",
    Verb.ADD: "PATCH",
    Verb.DELETE: "DELETE",
}


def _part(table: TableClient, boundary: str, number: int, one: Operation) -> bytes:
    address = _address(table, one.entity["PartitionKey"], one.entity["RowKey"])
    condition = f"If-Match: {one.etag}\r\n"
    if one.verb in {Verb.UPSERT, Verb.ADD}:
        condition = ""
    elif one.verb is Verb.INSERT:
        # learn.microsoft.com/rest/api/storageservices/insert-entity; the answer would repeat the row.
        address, condition = f"{table.url}/{table.table_name}", "Prefer: return-no-content\r\n"
    body = one.body()
    head = (
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: {number}\r\n\r\n{_METHODS[one.verb]} {address} HTTP/1.1\r\n{condition}"
        "Accept: application/json;odata=nometadata\r\nDataServiceVersion: 3.0\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n"


def _address(table: TableClient, partition: str, row: str) -> str:
    keys = quote(f"PartitionKey={quoted(partition)},RowKey={quoted(row)}", safe="=',~-")
    return f"{table.url}/{table.table_name}({keys})"


def _headers(table: TableClient, metadata: str) -> dict[str, str]:
    return {
        "x-ms-version": table.api_version,
        "DataServiceVersion": "3.0",
        "Accept": f"application/json;odata={metadata}",
    }


async def _send(table: TableClient, request: HttpRequest) -> AsyncHttpResponse:
    try:
        # The pipeline of the SDK's client has no public door for requests of one's own. The body is
        # read as a stream because the pipeline would otherwise decode it a second time.
        async with limited(storage_unavailable):
            response: AsyncHttpResponse = await table._client.send_request(request, stream=True)  # noqa: SLF001
            await response.read()
    except AzureError as error:
        raise storage_unavailable(error) from error
    return response


def storage_unavailable(error: Exception) -> RetryLater:
    return RetryLater(
        "storage.unavailable",
        f"Table Storage did not answer as it should ({type(error).__name__}).",
        "Nothing to do if it passes: the next run goes on. Otherwise check the storage account, its "
        "network rules and the app's role Storage Table Data Contributor.",
    )


def _raise_unless(response: AsyncHttpResponse, status: int) -> None:
    if response.status_code == status:
        return
    code = response.headers.get("x-ms-error-code", "")
    cause = HttpResponseError(message=f"{response.status_code} {code}", response=response)
    raise storage_unavailable(cause) from cause


def _continuation(headers: Mapping[str, str]) -> str | None:
    partition = headers.get("x-ms-continuation-NextPartitionKey")
    row = headers.get("x-ms-continuation-NextRowKey")
    if not partition:
        return None
    return f"&NextPartitionKey={quote(partition, safe='')}" + (
        f"&NextRowKey={quote(row, safe='')}" if row else ""
    )


_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_CODE = re.compile(rb'"code"\s*:\s*"([^"]+)"')
_INDEX = re.compile(rb'"value"\s*:\s*"(\d+):')
_ETAG = re.compile(rb"^ETag: *(\S.*?)\r?$", re.MULTILINE | re.IGNORECASE)


def _check_parts(content: bytes) -> None:
    """A refused batch is answered with 202 and one part that tells which operation was at fault."""
    statuses = _STATUS.findall(content)
    if not statuses:
        # A proxy's page, or a body cut short: nothing says that anything was written.
        raise storage_unavailable(ValueError("an answer to a batch without any part"))
    for status in map(int, statuses):
        if status >= 300:
            code, index = _CODE.search(content), _INDEX.search(content)
            raise BatchRefused(
                status,
                code[1].decode() if code else "",
                int(index[1]) if index else None,
            )


def _first_etag(content: bytes) -> str | None:
    """Parts are answered in the order of the operations; one of a deletion has no ETag."""
    first = _STATUS.split(content, maxsplit=2)[2]
    found = _ETAG.search(first)
    return found[1].decode() if found else None

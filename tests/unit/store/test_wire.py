"""Batches as the service takes them, and its answers understood; what is sent is tested at the door."""

import re
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest
from azure.data.tables.aio import TableClient
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.errors import RetryLater
from sync_core.settings import DEVELOPMENT_STORAGE
from sync_core.store.wire import (
    MAX_BATCH_BYTES,
    MAX_OPERATIONS,
    PART_OVERHEAD_BYTES,
    BatchRefused,
    Operation,
    Verb,
    _address,
    _check_parts,
    _continuation,
    _first_etag,
    _part,
    quoted,
    split,
    submit_current,
)

KEYS = {"PartitionKey": "contoso-a", "RowKey": "a1"}


@pytest.fixture
async def table() -> AsyncIterator[TableClient]:
    async with TableClient.from_connection_string(DEVELOPMENT_STORAGE, "Users") as client:
        yield client


def operation(size: int = 0) -> Operation:
    return Operation(Verb.UPSERT, {"x": "y" * size})


def length(group: Sequence[Operation]) -> int:
    return sum(len(one.body()) + PART_OVERHEAD_BYTES for one in group)


GROUPS = st.lists(
    st.lists(st.builds(operation, st.integers(0, 800_000)), min_size=1, max_size=3), max_size=60
)


@given(GROUPS)
def test_batches_keep_to_the_limits_and_lose_nothing(groups: list[list[Operation]]) -> None:
    batches = split(groups)

    assert [group for batch in batches for group in batch] == groups
    assert all(batches)
    for batch in batches:
        assert sum(map(len, batch)) <= MAX_OPERATIONS
        assert sum(map(length, batch)) <= MAX_BATCH_BYTES


@pytest.mark.parametrize(
    ("groups", "sizes"),
    [
        pytest.param(0, [], id="none"),
        pytest.param(50, [50], id="a hundred operations"),
        pytest.param(51, [50, 1], id="two more"),
        pytest.param(125, [50, 50, 25], id="two hundred and fifty"),
    ],
)
def test_a_batch_holds_a_hundred_operations(groups: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in split([[operation()] * 2] * groups)] == sizes


def test_a_group_is_never_torn() -> None:
    """A change and its history are written together: 33 groups of three, not 100 operations."""
    assert [len(batch) for batch in split([[operation()] * 3] * 34)] == [33, 1]


@pytest.mark.parametrize(
    ("spare", "batches"), [(0, 1), (-1, 2)], ids=["just fits", "one byte over"]
)
def test_a_batch_holds_so_many_bytes(spare: int, batches: int) -> None:
    first = [operation(1_000_000)]
    empty = length([operation()])
    second = [operation(MAX_BATCH_BYTES - length(first) - empty - spare)]

    assert len(split([first, second])) == batches


def test_a_group_too_large_for_any_batch_goes_alone() -> None:
    huge, small = [operation(MAX_BATCH_BYTES)], [operation()]

    assert split([small, huge, small]) == [[small], [huge], [small]]


def test_a_deletion_has_no_body() -> None:
    assert Operation(Verb.DELETE, KEYS).body() == b""
    assert orjson.loads(Operation(Verb.MERGE, KEYS).body()) == KEYS


@pytest.mark.parametrize(
    ("text", "literal"),
    [("a", "'a'"), ("", "''"), ("O'Neill", "'O''Neill'"), ("''", "''''''"), ("a eq b", "'a eq b'")],
)
def test_texts_in_filters(text: str, literal: str) -> None:
    assert quoted(text) == literal


@given(st.text())
def test_a_quoted_text_cannot_end_early(text: str) -> None:
    """Whatever is in it, single quotes inside come in pairs."""
    inside = quoted(text)[1:-1]

    assert "'" not in inside.replace("''", "")
    assert inside.replace("''", "'") == text


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ("a1", "(PartitionKey='contoso-a',RowKey='a1')"),
        ("~a1~9", "(PartitionKey='contoso-a',RowKey='~a1~9')"),
        ("O'Neill", "(PartitionKey='contoso-a',RowKey='O''Neill')"),
        ("a b/c?d#e%", "(PartitionKey='contoso-a',RowKey='a%20b%2Fc%3Fd%23e%25')"),
        ("ü", "(PartitionKey='contoso-a',RowKey='%C3%BC')"),
    ],
)
async def test_an_entity_has_an_address(table: TableClient, row: str, path: str) -> None:
    base = "http://127.0.0.1:10002/devstoreaccount1/Users"

    assert _address(table, "contoso-a", row) == base + path


@pytest.mark.parametrize(
    ("verb", "etag", "method", "condition"),
    [
        pytest.param(Verb.INSERT, "*", "POST", None, id="only if it is not there"),
        pytest.param(Verb.UPSERT, "*", "PUT", None, id="insert or replace"),
        pytest.param(Verb.REPLACE, 'W/"1"', "PUT", 'W/"1"', id="replace this version"),
        pytest.param(Verb.REPLACE, "*", "PUT", "*", id="replace if it is there"),
        pytest.param(Verb.MERGE, 'W/"1"', "PATCH", 'W/"1"', id="merge"),
        pytest.param(Verb.DELETE, 'W/"1"', "DELETE", 'W/"1"', id="delete"),
    ],
)
async def test_a_part_of_a_batch(
    table: TableClient, verb: Verb, etag: str, method: str, condition: str | None
) -> None:
    """learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions"""
    one = Operation(verb, KEYS | {"name": "Zoë"}, etag)

    part = _part(table, "changeset_1", 7, one)

    outer, inner, body = part.split(b"\r\n\r\n", 2)
    headers = dict(line.split(": ", 1) for line in inner.decode().split("\r\n")[1:])
    assert outer.decode().split("\r\n") == [
        "--changeset_1",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "Content-ID: 7",
    ]
    place = r"Users" if verb is Verb.INSERT else r"Users\(\S+\)"
    assert re.match(rf"{method} http\S+/{place} HTTP/1\.1\r\n", inner.decode())
    assert headers.get("If-Match") == condition
    assert body == one.body() + b"\r\n"
    assert int(headers["Content-Length"]) == len(one.body())


@pytest.mark.parametrize(
    ("headers", "onward"),
    [
        pytest.param({}, None, id="last page"),
        pytest.param({"x-ms-continuation-NextPartitionKey": ""}, None, id="empty"),
        pytest.param(
            {"x-ms-continuation-NextPartitionKey": "1!8!a/="},
            "&NextPartitionKey=1%218%21a%2F%3D",
            id="next partition",
        ),
        pytest.param(
            {
                "x-ms-continuation-NextPartitionKey": "p&x",
                "x-ms-continuation-NextRowKey": "r+s",
            },
            "&NextPartitionKey=p%26x&NextRowKey=r%2Bs",
            id="next row",
        ),
    ],
)
def test_the_token_of_the_next_page(headers: dict[str, str], onward: str | None) -> None:
    assert _continuation(headers) == onward


def answer(*parts: str) -> bytes:
    """Give the answer to a batch as the service builds it."""
    head = (
        "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
    )
    lead = (
        "--changesetresponse_1\r\nContent-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 "
    )
    tail = "--changesetresponse_1--\r\n--batchresponse_1--\r\n"
    return (head + "".join(f"{lead}{part}\r\n" for part in parts) + tail).encode()


DONE = "204 No Content\r\nContent-ID: 0\r\nETag: W/\"datetime'2026'\"\r\n\r\n"


def problem(status: str, code: str, text: str) -> str:
    error = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": text}}}
    body = orjson.dumps(error).decode()
    return f"{status}\r\nContent-Type: application/json\r\n\r\n{body}"


def test_a_batch_that_was_written() -> None:
    _check_parts(answer(DONE, DONE))


OTHER = DONE.replace("2026", "2027")


@pytest.mark.parametrize(
    ("content", "etag"),
    [
        pytest.param(answer(DONE, OTHER), "W/\"datetime'2026'\"", id="of the first"),
        pytest.param(answer(DONE.replace("ETag:", "etag:")), "W/\"datetime'2026'\"", id="small"),
        pytest.param(answer("204 No Content\r\n\r\n", OTHER), None, id="of a deletion"),
    ],
)
def test_the_new_etag_of_the_first_row(content: bytes, etag: str | None) -> None:
    """Where the first part has none, the next one's is another row's."""
    assert _first_etag(content) == etag


@pytest.mark.parametrize(
    ("part", "status", "code", "index"),
    [
        pytest.param(
            problem("412 Precondition Failed", "UpdateConditionNotSatisfied", "3:The condition"),
            412,
            "UpdateConditionNotSatisfied",
            3,
            id="changed meanwhile",
        ),
        pytest.param(
            problem("400 Bad Request", "PropertyValueTooLarge", "12:The value"),
            400,
            "PropertyValueTooLarge",
            12,
            id="too large",
        ),
        pytest.param(
            problem("404 Not Found", "ResourceNotFound", "No index here"),
            404,
            "ResourceNotFound",
            None,
            id="which one is not said",
        ),
        pytest.param("503 Service Unavailable\r\n\r\n", 503, "", None, id="no body"),
        pytest.param("302 Found\r\n\r\n", 302, "", None, id="a redirect wrote nothing"),
    ],
)
def test_a_batch_that_was_refused(part: str, status: int, code: str, index: int | None) -> None:
    with pytest.raises(BatchRefused) as caught:
        _check_parts(answer(part))

    refused = caught.value
    assert (refused.status, refused.code, refused.index) == (status, code, index)
    assert str(status) in str(refused)


@pytest.mark.parametrize("content", [b"", b"<html>all fine</html>", answer()])
def test_an_answer_without_parts_proves_nothing(content: bytes) -> None:
    """Taken for success, it would lose a hundred changes without a word."""
    with pytest.raises(RetryLater, match="did not answer as it should"):
        _check_parts(content)


# --- what is still as it was read -----------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 412])
async def test_what_is_refused_keeps_nothing_else_from_being_written(status: int) -> None:
    """The answer names no part here, as for a body that is too large."""
    operations = [operation(size) for size in range(9)]
    outdated = {2, 3, 8}
    written: list[Operation] = []

    async def submit(some: Sequence[Operation]) -> None:
        if outdated & {operations.index(one) for one in some}:
            raise BatchRefused(status, "", None)
        written.extend(some)

    done = await submit_current(submit, operations)

    assert [operations.index(one) for one in done] == [0, 1, 4, 5, 6, 7]
    assert list(done) == written
    assert await submit_current(submit, []) == []


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_service_that_is_busy_is_not_an_outdated_row(status: int) -> None:
    async def submit(_: Sequence[Operation]) -> None:
        raise BatchRefused(status, "ServerBusy", 0)

    with pytest.raises(RetryLater):
        await submit_current(submit, [operation(), operation(1)])

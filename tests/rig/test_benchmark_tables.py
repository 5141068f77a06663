"""The benchmark's own tables: what the product writes and reads there is what it does with Azurite."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from azure.data.tables.aio import TableClient, TableServiceClient

from benchmarks.surroundings import REPOSITORY, with_tables
from local.azurite import ACCOUNT
from local.graph import GraphEmulator
from local.processes import Child
from local.rig import READY_LINE
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.errors import RetryLater
from sync_core.domain.model import HEX_DIGITS
from sync_core.services import Services, open_services
from sync_core.settings import Settings
from sync_core.store.tables import USERS
from sync_core.store.wire import BatchRefused, Entity, Operation, Verb, point, query, submit
from tests.system import Rig, impatient, run_now, stored_connection

BEGAN = datetime(2026, 11, 30, 8, tzinfo=UTC)
KEYS = {"PartitionKey": "p", "RowKey": "r"}
LARGE = {f"c{n}": "x" * 30_000 for n in range(10)}
# What no two runs have in common; a fence names its holder, and which of its batches was there last.
OF_ITS_OWN = ("odata.", "Timestamp", "Holder", "Batch")


@pytest.fixture(scope="module")
def tables_url() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.tables"]
    with Child("tables", command, cwd=REPOSITORY, env=dict(os.environ)) as child:
        yield child.wait_for_lines(READY_LINE, timeout_s=30)[0][1]


@pytest.fixture(params=["azurite", "ours"])
async def table(
    request: pytest.FixtureRequest, rig: Rig, tables_url: str, connection_id: str
) -> AsyncIterator[TableClient]:
    """An empty table of each of the two services."""
    storage = rig.azurite.connection_string
    if request.param == "ours":
        storage = with_tables(storage, tables_url)
    async with TableServiceClient.from_connection_string(storage) as service:
        yield await service.create_table(connection_id)


async def users_of(services: Services, connection_id: str) -> list[Entity]:
    table = await services.store.tables.table(USERS)
    return [
        row
        for digit in HEX_DIGITS
        async for page in query(table, f"PartitionKey eq '{connection_id}-{digit}'", typed=True)
        for row in page
    ]


def comparable(rows: list[Entity], run_ids: list[str]) -> list[Any]:
    """Return rows so that those of two runs that did the same are the same."""
    text = orjson.dumps(
        [{name: row[name] for name in row if not name.startswith(OF_ITS_OWN)} for row in rows],
        option=orjson.OPT_SORT_KEYS,
    ).decode()
    for number, run_id in enumerate(run_ids):
        text = text.replace(run_id, f"run-{number}")
    found: list[Any] = orjson.loads(text)
    return sorted(found, key=lambda row: (row["PartitionKey"], row["RowKey"]))


async def test_the_product_leaves_the_same_rows_as_in_azurite(
    rig: Rig, tables_url: str, connection_id: str
) -> None:
    """A first import, a reading in which nothing changed, and one change by the delta."""
    now = BEGAN
    steps = [("full", 300, 0), ("full", 0, 60), ("incremental", 1, 10)]
    async with AsyncExitStack() as stack:
        emulator = stack.enter_context(GraphEmulator(people=300, groups=12, seed=7, tls=rig.tls))
        azurite = rig.environment(emulator)
        own = with_tables(azurite["AzureWebJobsStorage"], tables_url)
        both = [
            await stack.enter_async_context(
                open_services(Settings.from_env(env), clock=lambda: now, retry_budget=impatient)
            )
            for env in (azurite, azurite | {"AzureWebJobsStorage": own})
        ]
        for services in both:
            await stored_connection(services, connection_id, scope={"everyone": True})
        run_ids: list[list[str]] = [[], []]
        for mode, changed, minutes in steps:
            now += timedelta(minutes=minutes)
            if changed == 1:
                person = next(iter(emulator.control.people(top=1)))
                emulator.control.patch_person(person["id"], {"jobTitle": "Changed"})
            runs = [await run_now(services, connection_id, mode=mode) for services in both]
            for ids, run in zip(run_ids, runs, strict=True):
                assert run.status is RunStatus.SUCCEEDED, run.error
                ids.append(run.id)
            assert runs[0].counts == runs[1].counts
            assert runs[0].mode == runs[1].mode == mode
        theirs, ours = [await users_of(services, connection_id) for services in both]

    assert len(ours) > 300
    assert comparable(ours, run_ids[1]) == comparable(theirs, run_ids[0])


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([Operation(Verb.REPLACE, KEYS)], 404),
        ([Operation(Verb.DELETE, KEYS)], 404),
        ([Operation(Verb.INSERT, KEYS | {"RowKey": "there"})], 409),
        ([Operation(Verb.MERGE, KEYS | {"RowKey": "there"}, "W/\"datetime'2020'\"")], 412),
        ([Operation(Verb.UPSERT, KEYS)] * 2, 400),
        ([Operation(Verb.UPSERT, KEYS | {"RowKey": f"{n}"}) for n in range(101)], 400),
        ([Operation(Verb.UPSERT, KEYS | {"long": "x" * 33_000})], 400),
    ],
)
async def test_a_batch_is_refused_as_a_whole(
    table: TableClient, operations: list[Operation], status: int
) -> None:
    there = Operation(Verb.INSERT, KEYS | {"RowKey": "there"})
    await submit(table, [there])

    with pytest.raises(BatchRefused) as refused:
        await submit(table, [*operations, Operation(Verb.UPSERT, KEYS | {"RowKey": "other"})])

    assert refused.value.status == status
    assert await point(table, "p", "other") is None


async def test_changes_are_read_back_with_their_types_in_pages(table: TableClient) -> None:
    rows = [{**KEYS, "RowKey": f"{n}", "N": n, "T": "a'b+ü"} for n in range(7)]
    rows[0] |= {"L": "5", "L@odata.type": "Edm.Int64"}
    etag = await submit(table, [Operation(Verb.INSERT, row) for row in rows])
    merged = Operation(Verb.MERGE, {**KEYS, "RowKey": "0", "N": None, "B": True}, etag or "")
    await submit(table, [merged, Operation(Verb.DELETE, rows[6])])

    condition = "PartitionKey eq 'p' and RowKey gt '0' and RowKey lt '6'"
    pages = [page async for page in query(table, condition, ["RowKey", "N"], top=2)]
    first = await point(table, "p", "0")

    assert [[(row["RowKey"], row["N"]) for row in page] for page in pages if page] == [
        [("1", 1), ("2", 2)],
        [("3", 3), ("4", 4)],
        [("5", 5)],
    ]
    assert first is not None
    assert first["odata.etag"] != etag
    assert (first["N"], first["B"], first["T"]) == (0, True, "a'b+ü")
    assert (first["L"], first["L@odata.type"]) == ("5", "Edm.Int64")


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
@pytest.mark.parametrize(
    ("operations", "status"),
    [
        (
            [Operation(Verb.UPSERT, KEYS | {"PartitionKey": partition}) for partition in "pq"],
            400,
        ),
        ([Operation(Verb.UPSERT, KEYS | {f"c{n}": "x" * 30_000 for n in range(18)})], 400),
        (
            [Operation(Verb.UPSERT, KEYS | {"RowKey": f"{row}"} | LARGE) for row in range(15)],
            413,
        ),
    ],
    ids=["two partitions", "an entity of more than 1 MiB", "a batch of more than 4 MiB"],
)
async def test_what_azurite_lets_through_is_refused_as_in_azure(
    rig: Rig, tables_url: str, connection_id: str, operations: list[Operation], status: int
) -> None:
    storage = with_tables(rig.azurite.connection_string, tables_url)
    async with TableServiceClient.from_connection_string(storage) as service:
        table = await service.create_table(connection_id)
        with pytest.raises(BatchRefused) as refused:
            await submit(table, operations)

    assert refused.value.status == status


@pytest.mark.parametrize(
    "condition", ["PartitionKey gt 'p'", "PartitionKey eq 'p' and N eq 5", "RowKey eq 'r'"]
)
async def test_what_it_does_not_know_it_does_not_answer(
    rig: Rig, tables_url: str, condition: str
) -> None:
    storage = with_tables(rig.azurite.connection_string, tables_url)
    async with TableClient.from_connection_string(storage, USERS) as table:
        with pytest.raises(RetryLater, match=r"did not answer"):
            await anext(query(table, condition))


def test_a_table_that_is_deleted_is_told_as_not_known(tables_url: str) -> None:
    answer = httpx.delete(f"{tables_url}/{ACCOUNT}/Tables('{USERS}')")

    assert answer.status_code == 501

"""Runs and their changes over HTTP."""

from typing import Any

import httpx
import pytest

from sync_core.domain.documents.run import RunError, RunStatus
from sync_core.services import Services
from sync_core.store.plans import CHANGES_A_CHUNK
from tests.api.conftest import Create, paths
from tests.api.stored import object_id, planned, saved_run


@pytest.fixture
def runs(connection_id: str) -> str:
    return f"/api/connections/{connection_id}/runs"


async def test_runs_come_newest_first_page_by_page(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, runs: str
) -> None:
    await create()
    saved = [await saved_run(services, connection_id, minutes=n) for n in (1, 3, 2, 5, 4)]
    first = (await reader.get(runs, params={"top": 2})).json()
    second = (await reader.get(runs, params={"top": 2, "cursor": first["next"]})).json()
    third = (await reader.get(runs, params={"top": 2, "cursor": second["next"]})).json()
    found = [run["id"] for page in (first, second, third) for run in page["items"]]

    assert found == [saved[n].id for n in (3, 4, 1, 2, 0)]
    assert third["next"] is None


async def test_a_page_that_holds_the_last_run_has_no_next(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, runs: str
) -> None:
    await create()
    await saved_run(services, connection_id)
    page = (await reader.get(runs, params={"top": 1})).json()

    assert (len(page["items"]), page["next"]) == (1, None)


async def test_a_run_says_how_it_went(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, runs: str
) -> None:
    await create()
    error = RunError(code="guard.held", message="Too many.", remedy="Look at them.")
    run = await saved_run(services, connection_id, status=RunStatus.HELD, error=error)
    answer = await reader.get(f"{runs}/{run.id}")

    assert answer.json() == run.to_json()
    assert answer.json()["error"]["remedy"] == "Look at them."
    assert answer.json()["finishedAt"] == "2026-03-01T12:00:03Z"


@pytest.mark.parametrize(
    "path", ["{runs}/8228000000000-00000000", "{runs}/a%23b", "{runs}/none/changes"]
)
async def test_a_run_that_is_not_there(
    reader: httpx.AsyncClient, create: Create, runs: str, path: str
) -> None:
    await create()
    answer = await reader.get(path.format(runs=runs))

    assert (answer.status_code, answer.json()["code"]) == (404, "run.notFound")


async def test_runs_of_a_connection_that_is_not_there(reader: httpx.AsyncClient, runs: str) -> None:
    answer = await reader.get(runs)

    assert (answer.status_code, answer.json()["code"]) == (404, "connection.notFound")


async def test_changes_come_in_the_plan_s_order_page_by_page(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, runs: str
) -> None:
    """The pages cross the chunks in which a plan is stored."""
    await create()
    run = await saved_run(services, connection_id)
    plan = [planned(object_id("a", n), held=n % 2 == 0) for n in range(CHANGES_A_CHUNK + 3)]
    await services.store.plans.save(connection_id, run.id, plan)
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    sizes: list[int] = []
    while cursor is not None or not sizes:
        params: dict[str, Any] = {"top": 250} | ({"cursor": cursor} if cursor else {})
        page = (await reader.get(f"{runs}/{run.id}/changes", params=params)).json()
        found += page["items"]
        sizes.append(len(page["items"]))
        cursor = page["next"]

    assert found == plan
    assert sizes == [250, 250, 3]


async def test_a_run_without_a_plan_changed_nothing(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, runs: str
) -> None:
    await create()
    run = await saved_run(services, connection_id)
    answer = await reader.get(f"{runs}/{run.id}/changes")

    assert answer.json() == {"items": [], "next": None}


async def test_a_reader_sees_no_values_of_people_who_wait_to_come_in(
    *,
    admin: httpx.AsyncClient,
    reader: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    runs: str,
) -> None:
    """They are not in; of who is, the table has the values anyway."""
    await create()
    run = await saved_run(services, connection_id)
    plan = [
        planned("a", action="create", held=True),
        planned("b", action="create"),
        planned("c", held=True),
    ]
    await services.store.plans.save(connection_id, run.id, plan)
    told = [
        (await client.get(f"{runs}/{run.id}/changes")).json()["items"] for client in (reader, admin)
    ]

    fields = {"department": ["Sales", None]}
    assert [[one["fields"] for one in items] for items in told] == [
        [{}, fields, fields],
        [fields, fields, fields],
    ]


@pytest.mark.parametrize("list_name", ["runs", "changes"])
async def test_a_cursor_belongs_to_its_list(
    *,
    reader: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    runs: str,
    list_name: str,
) -> None:
    await create()
    first, _ = [await saved_run(services, connection_id, minutes=n) for n in (1, 2)]
    await services.store.plans.save(connection_id, first.id, [planned("a"), planned("b")])
    addresses = {"runs": runs, "changes": f"{runs}/{first.id}/changes"}
    other = addresses["changes" if list_name == "runs" else "runs"]
    cursor = (await reader.get(addresses[list_name], params={"top": 1})).json()["next"]
    answer = await reader.get(other, params={"cursor": cursor})

    assert answer.status_code == 422
    assert paths(answer) == ["cursor"]

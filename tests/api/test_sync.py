"""Asking for a run over HTTP, and waiting for its end."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from sync_core.api.http.preferences import wait_s
from sync_core.domain.documents.run import Actor, RunStatus
from sync_core.services import Services
from sync_core.store.leases import Next
from sync_core.store.queue import QUEUE, RequestQueue
from sync_core.store.runs import new_run_id
from tests.api.conftest import ADMIN, Create, app_over, calling, paths
from tests.system import Rig


def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


@pytest.fixture
async def queue(rig: Rig) -> AsyncIterator[QueueClient]:
    """The queue as the Functions host reads it."""
    async with QueueClient.from_connection_string(
        rig.azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as client:
        with suppress(ResourceExistsError):
            await client.create_queue()
        yield client


@pytest.fixture
async def silent_queue(rig: Rig) -> AsyncIterator[RequestQueue]:
    """A queue at an address where nobody answers."""
    address = re.sub(r"(QueueEndpoint=http://[^:]+:)\d+", r"\g<1>1", rig.azurite.connection_string)
    queue = RequestQueue(QueueClient.from_connection_string(address, QUEUE, retry_total=0))
    yield queue
    await queue.close()


async def requests_for(queue: QueueClient, connection_id: str) -> list[dict[str, Any]]:
    """Take every request off the queue and give those of this connection."""
    found = [orjson.loads(message.content) async for message in queue.receive_messages()]
    return [request for request in found if request.get("connectionId") == connection_id]


async def finish(services: Services, run: dict[str, Any], **changes: Any) -> None:
    """End a run, as the worker does."""
    stored = await services.store.runs.get(run["connectionId"], run["id"])
    changes = {"status": RunStatus.SUCCEEDED, "finished_at": services.clock()} | changes
    await services.store.runs.save(stored.replaced(**changes))


@pytest.mark.parametrize(
    ("body", "mode"),
    [
        pytest.param(None, "auto", id="no body"),
        pytest.param({}, "auto", id="empty object"),
        pytest.param({"mode": "full"}, "full", id="full"),
        pytest.param({"mode": "incremental"}, "incremental", id="incremental"),
    ],
)
async def test_a_run_is_asked_for_once(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    queue: QueueClient,
    services: Services,
    body: dict[str, str] | None,
    mode: str,
) -> None:
    await create()
    by = {"objectId": None, "name": "local Sync.Admin"}
    answer = await admin.post(f"{url(connection_id)}/sync", json=body)
    run = answer.json()
    loaded = await admin.get(answer.headers["Location"])
    lease = await services.store.leases.read(connection_id)

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{url(connection_id)}/runs/{run['id']}"
    assert (run["status"], run["trigger"], run["by"]) == ("queued", "manual", by)
    assert loaded.json() == run
    assert lease.next == Next(run["id"], "manual", mode, Actor.model_validate(by))
    assert await requests_for(queue, connection_id) == [
        {
            "connectionId": connection_id,
            "trigger": "manual",
            "purpose": "sync",
            "mode": mode,
            "runId": run["id"],
            "askedAt": None,
            "by": by,
            "events": [],
        }
    ]


async def test_who_asks_while_a_request_waits_is_served_by_the_same_run(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    answers = [await admin.post(f"{url(connection_id)}/sync") for _ in range(3)]
    runs = (await admin.get(f"{url(connection_id)}/runs")).json()["items"]

    assert {answer.json()["id"] for answer in answers} == {runs[0]["id"]}
    assert len(runs) == 1


async def test_a_timer_s_request_that_waits_serves_the_caller_too(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """A request that met a running run waits without a record; the caller needs one to look at."""
    await create()
    waiting = Next(new_run_id(services.clock()), "timer", "auto")
    await services.store.leases.request(connection_id, waiting)
    answer = await admin.post(f"{url(connection_id)}/sync")

    assert answer.json()["id"] == waiting.run_id
    assert (answer.json()["trigger"], answer.json()["by"]) == ("timer", None)
    assert (await admin.get(answer.headers["Location"])).status_code == 200


async def test_a_run_that_was_rejected_while_it_waited_waits_again(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    queue: QueueClient,
) -> None:
    """Disabled and enabled again: the request that was turned away is still the next one."""
    await create()
    asked = (await admin.post(f"{url(connection_id)}/sync")).json()
    await finish(services, asked, status=RunStatus.REJECTED)
    await requests_for(queue, connection_id)
    answer = await admin.post(f"{url(connection_id)}/sync")

    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["status"]) == (asked["id"], "queued")
    assert len(await requests_for(queue, connection_id)) == 1


async def test_a_disabled_connection_is_not_synced(
    admin: httpx.AsyncClient, create: Create, connection_id: str, queue: QueueClient
) -> None:
    await create(enabled=False)
    answer = await admin.post(f"{url(connection_id)}/sync")

    assert answer.status_code == 409
    assert answer.json()["code"] == "connection.disabled"
    assert await requests_for(queue, connection_id) == []


async def test_a_mode_that_does_not_exist(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    answer = await admin.post(f"{url(connection_id)}/sync", json={"mode": "users"})

    assert answer.status_code == 422
    assert paths(answer) == ["mode"]


async def test_who_waits_gets_the_finished_run(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    await create()
    asked = (await admin.post(f"{url(connection_id)}/sync")).json()

    async def end_soon() -> None:
        await asyncio.sleep(0.3)
        await finish(services, asked)

    ending = asyncio.create_task(end_soon())
    began = time.monotonic()
    answer = await admin.post(f"{url(connection_id)}/sync", headers={"Prefer": "wait=20"})
    await ending

    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert (answer.json()["id"], answer.json()["status"]) == (asked["id"], "succeeded")
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("seconds", [0, 1])
async def test_who_waits_too_short_gets_the_run_as_it_stands(
    admin: httpx.AsyncClient, create: Create, connection_id: str, seconds: int
) -> None:
    await create()
    began = time.monotonic()
    answer = await admin.post(f"{url(connection_id)}/sync", headers={"Prefer": f"wait={seconds}"})
    waited_s = time.monotonic() - began

    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == f"wait={seconds}"
    assert answer.json()["status"] == "queued"
    assert seconds <= waited_s < seconds + 15


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param(["wait=10"], 10, id="plain"),
        pytest.param(["respond-async, wait=10"], 10, id="after another"),
        pytest.param(["respond-async", "wait=10"], 10, id="in a second header"),
        pytest.param(["wait=10, wait=20"], 10, id="the first counts"),
        pytest.param(['Wait = "10"'], 10, id="quoted, any case"),
        pytest.param(["wait=10; foo=bar"], 10, id="with a parameter"),
        pytest.param(["wait=0"], 0, id="zero"),
        pytest.param(["wait=200"], 200, id="at the cap"),
        pytest.param(["wait=201"], 200, id="capped"),
        pytest.param(["wait=-1"], None, id="negative"),
        pytest.param(["wait=soon"], None, id="not a number"),
        pytest.param(["wait"], None, id="no value"),
        pytest.param(["handling=lenient"], None, id="something else"),
    ],
)
def test_prefer(headers: list[str], expected: int | None) -> None:
    """What a server does not understand of Prefer it ignores (RFC 7240, section 2)."""
    assert wait_s(headers) == expected


async def test_without_the_queue_the_request_stays_noted_and_is_sent_with_the_next(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    queue: QueueClient,
    silent_queue: RequestQueue,
) -> None:
    """Nothing hangs for ever: whoever asks next, the timer too, starts the very same run."""
    await create()
    async with calling(app_over(replace(services, queue=silent_queue)), ADMIN) as unheard:
        refused = await unheard.post(f"{url(connection_id)}/sync")
    answer = await admin.post(f"{url(connection_id)}/sync")
    runs = (await admin.get(f"{url(connection_id)}/runs")).json()["items"]

    assert refused.status_code == 503
    assert refused.json()["code"] == "queue.unavailable"
    assert refused.headers["Retry-After"]
    assert answer.status_code == 202
    assert [run["id"] for run in runs] == [answer.json()["id"]]
    assert [one["runId"] for one in await requests_for(queue, connection_id)] == [runs[0]["id"]]

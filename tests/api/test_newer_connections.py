"""After a rollback: connections that a newer release has saved are read, run, changed and kept."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import orjson
import pytest

from local.graph import GraphEmulator
from sync_core import services as wiring
from sync_core import triggers
from sync_core.domain.compatibility import SCHEMA
from sync_core.domain.connections.verification import in_use_of
from sync_core.domain.documents.run import RunStatus
from sync_core.runs.request import request_due
from sync_core.services import Services, utc_now
from sync_core.store.tables import (
    CONNECTIONS,
    VERIFICATIONS,
)
from tests.api.conftest import Create, Json, retried, scope_of
from tests.api.newer import EVERYWHERE, NEWER, Tables, found_in
from tests.system import run_now, set_clock


@pytest.fixture
def tables(services: Services, connection_id: str) -> Tables:
    return Tables(services, connection_id)


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


# --- connections ------------------------------------------------------------------------------------


async def test_every_save_writes_the_number_of_the_form(
    create: Create, tables: Tables, admin: httpx.AsyncClient, url: str
) -> None:
    await create()
    made = await tables.row(CONNECTIONS, "connection")
    await tables.rewrite(CONNECTIONS, "connection", lambda _: None, Schema=0)
    await admin.patch(url, json={"displayName": "Renamed"})

    patched = await tables.row(CONNECTIONS, "connection")
    assert (made["Schema"], patched["Schema"]) == (SCHEMA, SCHEMA)


async def test_what_only_a_newer_release_knows_is_not_shown(
    create: Create, tables: Tables, admin: httpx.AsyncClient, url: str
) -> None:
    before = (await create()).json()
    await tables.make_newer()

    shown = await admin.get(url)
    listed = await admin.get("/api/connections")

    # What is found of them again, such as when they were checked, is the same as well.
    assert shown.status_code == 200
    assert shown.json() == before
    assert listed.json()["items"] == [before]


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"displayName": "Renamed"}, id="a field"),
        pytest.param({"policy": {"leftScope": "keep", "guard": {"maxCreates": 5}}}, id="a part"),
        pytest.param({"enabled": False}, id="switched off"),
    ],
)
async def test_a_patch_keeps_what_only_a_newer_release_knows(
    create: Create, tables: Tables, admin: httpx.AsyncClient, url: str, patch: Json
) -> None:
    await create()
    await tables.make_newer()

    answer = await admin.patch(url, json=patch)

    row = await tables.row(CONNECTIONS, "connection")
    shown = answer.json()
    assert answer.status_code == 200, answer.text
    assert found_in(await tables.connection()) == EVERYWHERE
    assert (row["Schema"], row["Owner"], row["Size"].value) == (NEWER, "Ann", 2**40)
    assert shown == (await admin.get(url)).json()
    assert found_in(shown) == [None] * 8
    assert {**shown, **patch, "policy": shown["policy"]} == shown


async def test_a_document_that_is_sent_back_keeps_it_too(
    create: Create, tables: Tables, admin: httpx.AsyncClient, url: str
) -> None:
    document = (await create()).json()
    await tables.make_newer()
    document["mapping"] = [document["mapping"][1], {"target": "note", "constant": "x"}]

    answer = await admin.put(url, json=document)

    stored = await tables.connection()
    assert answer.status_code == 200, answer.text
    assert stored["mapping"][0]["ofTomorrow"] == {"number": 6}
    assert "ofTomorrow" not in stored["mapping"][1]
    assert stored["ofTomorrow"] == {"number": 0}


async def test_callers_cannot_send_what_only_a_newer_release_knows(
    create: Create, tables: Tables, admin: httpx.AsyncClient, url: str
) -> None:
    await create()
    await tables.make_newer()

    answer = await admin.patch(url, json={"policy": {"ofTomorrow": {"number": 9}}})

    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["policy.ofTomorrow"]


async def test_a_newer_connection_is_run(
    create: Create, tables: Tables, services: Services
) -> None:
    await create()
    await tables.make_newer()

    run = await run_now(services, tables.connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert found_in(await tables.connection()) == EVERYWHERE


# --- settings that wait ------------------------------------------------------------------------------


def new_secret(tables: Tables) -> str:
    """A secret that Entra does not know before a test makes it."""
    return f"smp8Q~a-secret-of-{tables.connection_id}"


@pytest.fixture
async def waiting(create: Create, tables: Tables, admin: httpx.AsyncClient, url: str) -> Json:
    """Settings that wait for Entra, saved by a newer release, as it stored them."""
    await create()
    patch = {"policy": {"leftScope": "keep"}, "credential": {"clientSecret": new_secret(tables)}}
    await admin.patch(url, json=patch)
    await tables.make_newer()
    in_use = await tables.connection()

    def change(state: Json) -> None:
        state["pending"]["policy"]["later"] = {"days": 7}
        state["pending"]["wholly"] = "new"
        state["beside"] = in_use_of(in_use, state["pending"])
        state["ofTomorrow"] = 1

    await tables.rewrite(VERIFICATIONS, "verification", change, Owner="Ann")
    return await tables.document(VERIFICATIONS, "verification")


async def test_waiting_settings_of_a_newer_release_come_into_use_whole(
    waiting: Json, tables: Tables, services: Services, emulator: GraphEmulator
) -> None:
    emulator.control.add_secret(value=new_secret(tables))
    set_clock(services, lambda: utc_now() + timedelta(minutes=1))

    state = await retried(services, tables.connection_id)

    stored = await tables.connection()
    known = await tables.document(VERIFICATIONS, "verification")
    assert state is not None
    assert (state.status, state.pending) == ("verified", None)
    assert found_in(stored) == EVERYWHERE
    assert (stored["policy"]["leftScope"], stored["policy"]["later"]) == ("keep", {"days": 7})
    assert stored["wholly"] == "new"
    assert (known["ofTomorrow"], known["pending"]) == (1, None)
    assert (await tables.row(VERIFICATIONS, "verification"))["Owner"] == "Ann"


async def test_a_try_that_fails_keeps_them_as_they_are(
    waiting: Json, tables: Tables, services: Services
) -> None:
    set_clock(services, lambda: utc_now() + timedelta(minutes=1))

    state = await retried(services, tables.connection_id)

    known = await tables.document(VERIFICATIONS, "verification")
    assert state is not None
    assert (state.status, state.attempts) == ("waiting", 2)
    assert known["pending"] == waiting["pending"]
    assert known["ofTomorrow"] == 1


async def test_a_change_beside_them_keeps_them(
    waiting: Json, tables: Tables, admin: httpx.AsyncClient, url: str
) -> None:
    answer = await admin.patch(url, json={"policy": {"softDeleted": "delete"}})

    pending = (await tables.document(VERIFICATIONS, "verification"))["pending"]
    stored = await tables.connection()
    assert answer.status_code == 200, answer.text
    assert (pending["policy"]["leftScope"], pending["policy"]["later"]) == ("keep", {"days": 7})
    assert pending["wholly"] == "new"
    assert stored["policy"]["softDeleted"] == pending["policy"]["softDeleted"] == "delete"
    assert "later" not in stored["policy"]
    assert found_in(stored) == EVERYWHERE


async def test_waiting_settings_that_are_not_understood_wait_on(
    *,
    waiting: Json,
    tables: Tables,
    admin: httpx.AsyncClient,
    services: Services,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def change(state: Json) -> None:
        state["pending"]["policy"]["leftScope"] = "archive"
        state["pending"]["credential"]["kind"] = "smartCard"

    await tables.rewrite(VERIFICATIONS, "verification", change)
    await message(services, tables, monkeypatch, purpose="verify", ahead=timedelta(minutes=1))
    patched = await admin.patch(url, json={"displayName": "Renamed"})
    shown = (await admin.get(url)).json()
    kept = await tables.document(VERIFICATIONS, "verification")
    dropped = await admin.delete(f"{url}/pending")
    after = await admin.patch(url, json={"displayName": "Renamed"})

    problem = patched.json()
    assert (patched.status_code, problem["code"]) == (409, "connection.pendingNotUnderstood")
    assert "credential.kind, policy.leftScope" in problem["detail"]
    assert shown["verification"]["pending"]["policy"]["leftScope"] == "archive"
    assert kept["pending"]["policy"]["leftScope"] == "archive"
    assert (dropped.status_code, after.status_code) == (204, 200)


async def message(
    services: Services,
    tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
    *,
    purpose: str,
    ahead: timedelta = timedelta(),
) -> None:
    """Handle a message of the queue, written by a newer release."""

    async def ours() -> Services:
        return services

    monkeypatch.setattr(wiring.process, "services", ours)
    set_clock(services, lambda: utc_now() + ahead)
    fields = {"connectionId": tables.connection_id, "trigger": "timer", "purpose": purpose}
    await triggers.requested(orjson.dumps(fields | {"ofTomorrow": 1}))


# --- a connection that only the newer release understands ---------------------------------------------


@pytest.fixture
async def strange(create: Create, tables: Tables) -> AsyncIterator[None]:
    """One connection that is understood, and one with a rule that is not."""
    await create()
    await create(id=f"{tables.connection_id}-2", displayName="Other", scope=scope_of("other"))

    def change(document: Json) -> None:
        document["scope"]["filters"][0]["clauses"][0]["operator"] = "SOUNDS LIKE"

    await tables.rewrite(CONNECTIONS, "connection", change, Schema=NEWER)
    yield
    # Other tests look at all connections, and nobody else can take this one away.
    client = await tables.services.store.tables.table(CONNECTIONS)
    await client.delete_entity("connection", tables.connection_id)


@pytest.mark.usefixtures("strange")
async def test_it_does_not_stop_the_others(
    tables: Tables, admin: httpx.AsyncClient, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    listed = await admin.get("/api/connections")

    assert [one["id"] for one in listed.json()["items"]] == [f"{tables.connection_id}-2"]
    assert f"connection.notUnderstood connection={tables.connection_id}" in caplog.text
    assert await request_due(services) == 1, "the other one: half of a scope is no scope"


@pytest.mark.usefixtures("strange")
async def test_it_is_not_changed_and_its_name_is_not_taken(
    admin: httpx.AsyncClient, tables: Tables, url: str
) -> None:
    before = await tables.row(CONNECTIONS, "connection")

    answers = [
        await admin.get(url),
        await admin.patch(url, json={"displayName": "Renamed"}),
        await admin.post("/api/connections", json={"id": tables.connection_id} | NEW_CONNECTION),
        await admin.delete(url),
    ]

    problems = [answer.json() for answer in answers]
    assert [answer.status_code for answer in answers] == [409] * 4
    assert {problem["code"] for problem in problems} == {"connection.notUnderstood"}
    assert "scope.filters.0.clauses.0.operator" in problems[0]["detail"]
    assert f"schema {NEWER}" in problems[0]["detail"]
    assert await tables.row(CONNECTIONS, "connection") == before


NEW_CONNECTION = {
    "displayName": "New",
    "clientId": "11111111-2222-3333-4444-555555555555",
    "enabled": False,
}


@pytest.mark.usefixtures("strange")
async def test_messages_about_it_are_let_go(
    tables: Tables, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five tries would not help, and the poison queue is for what is broken."""
    now = utc_now()
    await services.store.consents.wait(
        tables.connection_id, "11111111-2222-3333-4444-555555555555", now
    )

    for purpose in ("sync", "verify"):
        await message(services, tables, monkeypatch, purpose=purpose)

    lease = await services.store.leases.read(tables.connection_id)
    assert not lease.held(now)
    assert await services.store.consents.pending(tables.connection_id) is not None

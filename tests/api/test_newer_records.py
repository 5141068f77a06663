"""After a rollback: runs, people, matches and states of a newer release are read and kept."""

import httpx
import orjson
import pytest

from sync_core.domain.documents.run import RunStatus
from sync_core.domain.matching.decide import Wait, Why
from sync_core.health import journal
from sync_core.services import Services, utc_now
from sync_core.store.leases import Next
from sync_core.store.matches import Match
from sync_core.store.tables import (
    APPROVALS,
    CONSENTS,
    HEALTH,
    LEASES,
    MATCHES,
    RUNS,
    USERS,
    VERIFICATIONS,
)
from tests.api.conftest import Create, Json
from tests.api.newer import Tables
from tests.api.stored import BEGIN, apply, creation, disabling, object_id, saved_run
from tests.system import run_now

ANN = object_id("a")


@pytest.fixture
def tables(services: Services, connection_id: str) -> Tables:
    return Tables(services, connection_id)


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


async def test_runs_of_a_newer_release_are_listed(
    create: Create, tables: Tables, admin: httpx.AsyncClient, services: Services, url: str
) -> None:
    await create()
    run = await saved_run(services, tables.connection_id)
    client = await services.store.tables.table(RUNS)
    document = run.to_json() | {"trigger": "purge", "status": "paused", "mode": "rest"}
    document["counts"]["blanked"] = 3
    row = {"PartitionKey": run.connection_id, "RowKey": run.id, "Owner": "Ann"}
    await client.upsert_entity(row | {"Document": orjson.dumps(document).decode()})

    listed = await admin.get(f"{url}/runs")
    loaded = await admin.get(f"{url}/runs/{run.id}")

    assert (listed.status_code, loaded.status_code) == (200, 200)
    [shown] = listed.json()["items"]
    assert shown == loaded.json()
    assert (shown["trigger"], shown["status"], shown["mode"]) == ("purge", "paused", "rest")
    assert "blanked" not in shown["counts"]


async def test_a_run_that_a_newer_release_asked_for_is_made(
    create: Create, tables: Tables, services: Services
) -> None:
    """It waits in the lease with a reason and a mode that this release does not have."""
    await create()
    await services.store.leases.request(tables.connection_id, Next("1", "purge", "rest"))
    await tables.add(LEASES, "lease", Fence=7)

    run = await run_now(services, tables.connection_id)

    assert (run.id, run.trigger.value, run.status) == ("1", "purge", RunStatus.SUCCEEDED)
    assert (await tables.row(LEASES, "lease"))["Fence"] == 7


async def test_people_of_a_newer_release_are_listed_and_left_alone(
    create: Create, tables: Tables, admin: httpx.AsyncClient, services: Services, url: str
) -> None:
    await create(enabled=True)
    await apply(services, tables.connection_id, creation(ANN))
    await apply(services, tables.connection_id, disabling(ANN), minutes=1)
    partition = f"{tables.connection_id}-a"
    words = {"Status": "leaving", "Origin": "import", "DisabledReason": "graceOver", "Grace": 3}
    await tables.add(USERS, partition, ANN, **words)
    history = {"ConnectionId": tables.connection_id, "ObjectId": ANN, "RunId": "1", "At": BEGIN}
    link = orjson.dumps({"row": "a|b", "by": "x", "rehire": True, "broken": False, "why": "new"})
    changed = {"Action": "blank", "Reason": "purged", "Link": link.decode(), "Ticket": "4711"}
    await tables.add(USERS, partition, f"~{ANN}~0~1", **history, **changed)
    before = await tables.row(USERS, partition, ANN)

    listed = await admin.get(f"{url}/users")
    entries = await admin.get(f"{url}/users/{ANN}/history")
    await run_now(services, tables.connection_id)

    assert (listed.status_code, entries.status_code) == (200, 200)
    [person] = [one for one in listed.json()["items"] if one["objectId"] == ANN]
    assert person["status"] == "leaving"
    assert (person["origin"], person["disabledReason"]) == ("import", "graceOver")
    newest = entries.json()["items"][0]
    assert (newest["action"], newest["reason"]) == ("blank", "purged")
    assert newest["link"]["row"] == "a|b"
    assert await tables.row(USERS, partition, ANN) == before


async def test_matches_of_a_newer_release_wait_on(
    create: Create, tables: Tables, admin: httpx.AsyncClient, services: Services, url: str
) -> None:
    await create(matching=["email"])
    store = services.store.matches(tables.connection_id)
    await store.save_waits([Match(ANN, "a@x.com", Wait(Why.ROW_TAKEN, "email"), BEGIN)], {})
    waits = orjson.dumps({"why": "tooYoung", "key": "email", "since": "today"}).decode()
    decided = {"Decision": "merge", "DecidedAt": BEGIN, "DecidedBy": "Ann", "Ticket": "4711"}
    await tables.add(MATCHES, tables.connection_id, ANN, Wait=waits, Why="tooYoung", **decided)

    answer = await admin.get(f"{url}/matches")
    found = await store.find(ANN)
    assert found is not None
    await store.save_waits([found], {ANN: found})

    [match] = answer.json()["items"]
    assert (answer.status_code, match["status"]) == (200, "waiting")
    assert (match["why"], match["decision"]) == ("tooYoung", None)
    assert "tooYoung at the email" in match["message"]
    row = await tables.row(MATCHES, tables.connection_id, ANN)
    assert (row["Why"], row["Decision"], row["Ticket"]) == ("tooYoung", "merge", "4711")


async def test_states_of_a_newer_release_are_read_as_far_as_they_are_known(
    create: Create, tables: Tables, admin: httpx.AsyncClient, services: Services, url: str
) -> None:
    await create()
    pending = {"displayName": "Waiting"}

    def change(state: Json) -> None:
        state |= {"status": "halfVerified", "pending": pending, "beside": None, "ofTomorrow": 1}
        state["checks"] = [state["checks"][0] | {"severity": "fatal"}]

    await tables.rewrite(VERIFICATIONS, "verification", change)
    failure = {"code": "x", "message": "y", "cause": "moon", "phase": "full"}
    health = {"connectionId": tables.connection_id, "failures": 2, "lastFailure": failure}
    await tables.add(HEALTH, "health", Document=orjson.dumps(health | {"ofTomorrow": 1}).decode())

    shown = await admin.get(url)
    known = await journal.read(services, tables.connection_id)
    await services.store.verifications.change(
        tables.connection_id, lambda state: state.replaced(attempts=3)
    )

    written = await tables.document(VERIFICATIONS, "verification")
    verification = shown.json()["verification"]
    assert shown.status_code == 200
    assert (verification["status"], verification["pending"]) == ("notChecked", pending)
    assert (known.failures, known.last_failure) == (2, None)
    assert (written["attempts"], written["status"], written["ofTomorrow"]) == (3, "halfVerified", 1)
    assert written["checks"][0]["severity"] == "fatal"


async def test_consents_and_approvals_of_a_newer_release_are_read(
    create: Create, tables: Tables, services: Services
) -> None:
    await create()
    now, tenant = utc_now(), "11111111-2222-3333-4444-555555555555"
    await services.store.consents.wait(tables.connection_id, tenant, now)
    await services.store.approvals.remember(tables.connection_id, "moves", "Ann", now)
    await tables.add(CONSENTS, tables.connection_id, "pending", Ticket="4711")
    await tables.add(APPROVALS, tables.connection_id, "moves", Ticket="4711", Except="Ben")

    pending = await services.store.consents.pending(tables.connection_id)
    approval = await services.store.approvals.find(tables.connection_id, "moves", now)

    assert pending is not None
    assert approval is not None
    assert (pending.tenant_id, approval.by) == (tenant, "Ann")

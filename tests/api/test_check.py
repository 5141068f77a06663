"""`/check`: what a connection needs and what it has, before and after something breaks."""

import httpx

from local.graph import GraphEmulator
from local.sample import SAMPLE_ROLES
from sync_core.domain.documents.run import Run, RunStatus, Trigger
from sync_core.domain.health import Cause
from sync_core.health import journal
from sync_core.services import Services, utc_now
from tests.api.conftest import Create


async def test_a_connection_that_works_passes_every_check(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()

    answer = await admin.post(f"/api/connections/{connection_id}/check")

    found = answer.json()
    names = {check["name"] for check in found["checks"]}
    assert (answer.status_code, found["ok"]) == (200, True)
    assert {"token", "User.Read.All", "Group.Read.All", "scope groups exist"} <= names
    assert all({"name", "ok", "code", "message", "remedy"} <= one.keys() for one in found["checks"])


async def test_a_missing_permission_is_named_with_its_remedy(
    admin: httpx.AsyncClient, emulator: GraphEmulator, create: Create, connection_id: str
) -> None:
    await create()
    emulator.control.set_roles(["Group.Read.All"])
    try:
        answer = await admin.post(f"/api/connections/{connection_id}/check")
    finally:
        emulator.control.set_roles(SAMPLE_ROLES)

    found = answer.json()
    failing = [check for check in found["checks"] if not check["ok"]]
    assert found["ok"] is False
    assert any("User.Read.All" in one["message"] and one["remedy"] for one in failing)


async def test_what_the_tenant_tells_no_changes_of_is_a_warning_of_the_connection(
    admin: httpx.AsyncClient, emulator: GraphEmulator, create: Create, connection_id: str
) -> None:
    emulator.control.set_tenant(refused_in_delta=["employeeType"])
    try:
        await create(mapping=[{"target": "kind", "source": "employeeType"}])
    finally:
        emulator.control.set_tenant(refused_in_delta=[])

    one = (await admin.get(f"/api/connections/{connection_id}")).json()
    (listed,) = (await admin.get("/api/connections")).json()["items"]
    assert [warning["code"] for warning in one["warnings"]] == ["incremental.untracked"]
    assert "employeeType" in one["warnings"][0]["message"]
    assert listed["warnings"] == one["warnings"]


async def test_a_check_of_nothing_is_not_found(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/connections/nothing/check")

    assert answer.status_code == 404


async def test_trouble_is_told_in_the_warnings_until_a_check_passes(
    admin: httpx.AsyncClient, services: Services, create: Create, connection_id: str
) -> None:
    await create()
    run = Run.model_validate(
        {
            "id": "r1",
            "connectionId": connection_id,
            "trigger": Trigger.TIMER,
            "status": RunStatus.FAILED,
            "requestedAt": utc_now(),
            "error": {"code": "credential.secretExpired", "message": "The secret has expired."},
        }
    )
    await journal.run_ended(services, run, Cause.ADMINISTRATOR)
    address = f"/api/connections/{connection_id}"

    shown = (await admin.get(address)).json()
    before = shown["warnings"]
    listed = (await admin.get("/api/connections")).json()["items"][0]["warnings"]
    await admin.post(f"{address}/check")
    after = (await admin.get(address)).json()["warnings"]

    assert [one["code"] for one in before] == ["connection.quarantined"]
    assert listed == before
    assert after == []
    # One story: settings that passed their check are not said to work while their runs fail.
    assert before[0]["message"] in shown["verification"]["message"]
    assert "seen to work" not in shown["verification"]["message"]


async def test_a_deleted_connection_leaves_no_trouble_behind(
    admin: httpx.AsyncClient, services: Services, create: Create, connection_id: str
) -> None:
    await test_trouble_is_told_in_the_warnings_until_a_check_passes(
        admin, services, create, connection_id
    )
    await admin.delete(f"/api/connections/{connection_id}?users=delete")

    assert (await journal.read(services, connection_id)).failures == 0

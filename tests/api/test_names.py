"""What a connection's sign-in names mean stands beside it: told at the save, and no change of it."""

from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from sync_core.connections import names
from sync_core.services import Services
from tests.api.conftest import Create, Json, scope_of
from tests.system import run_now

MISSPELT = "scv@contoso.com"


@pytest.fixture
def service(emulator: GraphEmulator, connection_id: str) -> Json:
    """An account with a name of its own in each test."""
    name = f"svc-{connection_id}@contoso.com"
    return emulator.control.create_person({"displayName": "Svc", "userPrincipalName": name})


def excluding(connection_id: str, *names: Any) -> Json:
    return {"scope": scope_of(connection_id) | {"exclude": [*names]}}


def unbound(document: Json) -> list[str]:
    return [one["message"] for one in document["warnings"] if one["code"] == "name.unbound"]


async def test_a_save_binds_what_it_can_and_warns_of_the_rest(
    admin: httpx.AsyncClient, create: Create, connection_id: str, service: Json
) -> None:
    name = service["userPrincipalName"]
    made = (await create(**excluding(connection_id, name, MISSPELT))).json()
    read = (await admin.get(f"/api/connections/{connection_id}")).json()
    listed = (await admin.get("/api/connections")).json()["items"][0]
    again = await admin.put(f"/api/connections/{connection_id}", json=read)

    assert [(one["name"], one["objectId"]) for one in made["bindings"]] == [
        (name, service["id"]),
        (MISSPELT, None),
    ]
    assert made["bindings"][0]["boundAt"]
    assert made["scope"]["exclude"] == [name, MISSPELT]
    [warning] = unbound(made)
    assert "scope.exclude[1]" in warning
    assert "nobody in the directory" in warning
    assert (read["bindings"], unbound(read)) == (made["bindings"], [warning])
    assert (listed["bindings"], unbound(listed)) == (made["bindings"], [warning])
    assert again.status_code == 200


async def test_binding_a_name_is_no_change_of_the_connection(
    admin: httpx.AsyncClient,
    services: Services,
    emulator: GraphEmulator,
    create: Create,
    connection_id: str,
) -> None:
    await create(**excluding(connection_id, f"late-{connection_id}@contoso.com"))
    before = await admin.get(f"/api/connections/{connection_id}")
    late = emulator.control.create_person(
        {"displayName": "Late", "userPrincipalName": f"late-{connection_id}@contoso.com"}
    )
    run = await run_now(services, connection_id)
    after = await admin.get(f"/api/connections/{connection_id}")

    assert after.headers["ETag"] == before.headers["ETag"]
    assert [one["objectId"] for one in after.json()["bindings"]] == [late["id"]]
    assert unbound(after.json()) == []
    assert run.warnings == []


@pytest.mark.parametrize("fault", ["unavailable", "slow"])
async def test_a_save_does_not_wait_for_a_directory_that_does_not_answer(
    emulator: GraphEmulator,
    create: Create,
    connection_id: str,
    service: Json,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "LOOK_UP_PATIENCE_S", 0.3)
    emulator.control.add_fault(
        fault, path="/v1.0/$batch", **({"milliseconds": 900} if fault == "slow" else {})
    )
    changes = excluding(connection_id, service["userPrincipalName"])
    scope = changes["scope"] | {"filters": [], "everyone": True, "guests": "only"}
    made = (await create(scope=scope)).json()
    emulator.control.clear_faults()

    [warning] = unbound(made)
    assert "not looked up yet" in warning
    assert [one["objectId"] for one in made["bindings"]] == [None]

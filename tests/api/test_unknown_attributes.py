"""An attribute that Graph does not have is told where it is named, in words, before anything is stored."""

import httpx
import pytest

from local.graph import GraphEmulator
from sync_core.connections import attributes
from sync_core.domain.documents.mapping import MappingRule
from sync_core.services import Services
from tests.api.conftest import Create, Json, document, scope_of
from tests.system import run_now

pytestmark = pytest.mark.misspelt("departement")

CLAUSE = {"attribute": "departement", "operator": "EQUALS", "value": "Sales"}


def misspelt(connection_id: str) -> Json:
    return scope_of(connection_id) | {"filters": [{"clauses": [CLAUSE]}]}


def told(answer: httpx.Response) -> list[tuple[str, bool]]:
    """Return the paths of the errors, and whether each guesses what is meant."""
    assert "OData" not in answer.text
    assert "report" not in answer.text
    return [
        (one["path"], "Did you mean department?" in one["message"])
        for one in answer.json()["errors"]
    ]


async def test_no_connection_is_made_with_it(admin: httpx.AsyncClient, connection_id: str) -> None:
    given = document(connection_id, scope=misspelt(connection_id))
    answer = await admin.post("/api/connections", json=given)

    assert answer.status_code == 422
    assert told(answer) == [("scope.filters[0].clauses[0].attribute", True)]
    assert (await admin.get(f"/api/connections/{connection_id}")).status_code == 404


async def test_none_is_changed_or_previewed_with_it(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    url = f"/api/connections/{connection_id}"
    mapping = [{"target": "team", "expression": "ToUpper([departement])"}]
    patched = await admin.patch(url, json={"mapping": mapping})
    previewed = await admin.post(f"{url}/preview", json={"scope": misspelt(connection_id)})

    assert (patched.status_code, told(patched)) == (422, [("mapping[0].expression", True)])
    assert (previewed.status_code, told(previewed)) == (
        422,
        [("scope.filters[0].clauses[0].attribute", True)],
    )


async def test_one_that_is_stored_can_be_edited_and_its_check_and_runs_tell(
    admin: httpx.AsyncClient, services: Services, create: Create, connection_id: str
) -> None:
    await create()
    stored = await services.store.connections.get(connection_id)
    rules = [MappingRule(target="team", source="departement")]
    older = stored.connection.model_copy(update={"mapping": rules})
    await services.store.connections.replace(older, stored)
    url = f"/api/connections/{connection_id}"
    renamed = await admin.patch(url, json={"displayName": "Renamed", "enabled": False})
    checked = (await admin.post(f"{url}/check")).json()
    await services.store.connections.replace(
        older, await services.store.connections.get(connection_id)
    )
    run = await run_now(services, connection_id)
    failing = [one for one in checked["checks"] if not one["ok"]]

    assert renamed.status_code == 200
    assert {one["name"] for one in failing} == {"read a user", "read group members"}
    for check in failing:
        assert check["code"] == "graph.attributeUnknown"
        assert check["message"].startswith("mapping[0].source: ")
        assert "Did you mean department?" in check["message"]
    assert run.error is not None
    assert run.error.message.endswith("Microsoft Graph has no attribute departement of a user.")


@pytest.mark.parametrize("fault", ["notFound", "slow"])
async def test_a_save_does_not_depend_on_the_schema(
    *,
    emulator: GraphEmulator,
    services: Services,
    create: Create,
    connection_id: str,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await create()
    stored = (await services.store.connections.get(connection_id)).connection
    rules = [MappingRule(target="team", source="departement")]
    wanted = stored.model_copy(update={"mapping": rules})
    monkeypatch.setattr(attributes, "SCHEMA_PATIENCE_S", 0.3)
    monkeypatch.setattr("sync_core.directory.attributes._schemas", {})
    slow = {"milliseconds": 900} if fault == "slow" else {}
    emulator.control.add_fault(fault, path="/v1.0/$metadata", **slow)
    try:
        found = await attributes.attribute_problems(services, wanted)
    finally:
        emulator.control.clear_faults()

    assert found == []

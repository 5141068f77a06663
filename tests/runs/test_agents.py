"""Accounts of agents: no people, so they stay out unless they are chosen."""

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.scope import Agents
from sync_core.people.why import explain
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.system import active, changes_of, group_scope, rows_of, run_now, stored_connection

PARENT = "a9e47000-0000-4000-8000-000000000001"
MAPPING = [{"target": "displayName", "source": "displayName"}]


@pytest.fixture
def person(emulator: GraphEmulator) -> str:
    return str(emulator.control.create_person({"displayName": "Ann"})["id"])


@pytest.fixture
def agent(emulator: GraphEmulator) -> str:
    made = emulator.control.create_person({"displayName": "Copilot", "identityParentId": PARENT})
    return str(made["id"])


@pytest.mark.parametrize("agents", ["exclude", "include", "only"])
@pytest.mark.parametrize("by_group", [True, False])
async def test_who_comes_in(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    person: str,
    agent: str,
    agents: str,
    by_group: bool,
) -> None:
    group = emulator.control.create_group("Both", members=[person, agent])["id"]
    scope = group_scope(group) if by_group else {"everyone": True}
    connection = await stored_connection(
        services, connection_id, scope={**scope, "agents": agents}, mapping=MAPPING
    )
    told = await preview(services, connection)
    await run_now(services, connection_id)
    found = active(await rows_of(services, connection_id))

    assert (person in found, agent in found) == (agents != "only", agents != "exclude")
    assert told.by_user_type["agent"] == (agents != "exclude")
    assert [one.people for one in told.warnings if one.code == "scope.agents"] == (
        [1] if agents == "exclude" else []
    )


async def test_one_who_came_in_as_a_person_leaves_and_it_is_told_why(
    services: Services, emulator: GraphEmulator, connection_id: str, person: str, agent: str
) -> None:
    """As after an upgrade from a release that knew no agents."""
    group = emulator.control.create_group("Both", members=[person, agent])["id"]
    await stored_connection(
        services,
        connection_id,
        scope={**group_scope(group), "agents": "include"},
        policy={"guard": {"maxRemovals": None, "maxRemovalPercent": None}},
        mapping=MAPPING,
    )
    await run_now(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    scope = stored.connection.scope.model_copy(update={"agents": Agents.EXCLUDE})
    changed = stored.connection.model_copy(update={"scope": scope})
    await services.store.connections.replace(changed, stored)
    run = await run_now(services, connection_id)
    [change] = await changes_of(services, run)
    connection = (await services.store.connections.get(connection_id)).connection
    told = await explain(services, connection, agent, values_of_outsiders=True)

    assert active(await rows_of(services, connection_id)) == {person}
    assert (change["reason"], change["evidence"]["agent"]) == ("leftScope", True)
    assert told.code == "agents"

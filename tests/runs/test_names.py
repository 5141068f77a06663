"""Sign-in names in a connection mean a person, also after a rename; one that means nobody is told."""

from typing import Any

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.run import RunStatus
from sync_core.people.why import explain
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.system import active, group_scope, rows_of, run_now, stored_connection

MAPPING = [{"target": "displayName", "source": "displayName"}]
FREE = {"guard": {"maxRemovals": None, "maxRemovalPercent": None}}
ANN, BEN = "ann@contoso.com", "ben@contoso.com"


@pytest.fixture
def people(emulator: GraphEmulator) -> dict[str, str]:
    """Object ids by sign-in name."""
    return {name: made(emulator, name) for name in (ANN, BEN)}


@pytest.fixture
def group(emulator: GraphEmulator, people: dict[str, str]) -> str:
    return str(emulator.control.create_group("Named", members=[*people.values()])["id"])


def made(emulator: GraphEmulator, name: str) -> str:
    given = {"displayName": name.partition("@")[0], "userPrincipalName": name}
    return str(emulator.control.create_person(given)["id"])


async def connect(services: Services, connection_id: str, group: str, **changes: Any) -> None:
    exclude = changes.pop("exclude", [])
    policy = FREE | changes.pop("policy", {})
    scope = group_scope(group, exclude=exclude)
    await stored_connection(
        services, connection_id, scope=scope, mapping=MAPPING, policy=policy, **changes
    )


async def names_of(services: Services, connection_id: str) -> dict[str, str | None]:
    bindings = await services.store.bindings.read(connection_id)
    return {one.name: one.object_id for one in bindings.names}


async def test_an_excluded_person_stays_out_under_another_name(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group, exclude=[ANN.upper()])
    await run_now(services, connection_id)
    emulator.control.patch_person(people[ANN], {"userPrincipalName": "ann.new@contoso.com"})
    follower = made(emulator, ANN)
    emulator.control.add_members(group, follower)
    run = await run_now(services, connection_id)
    connection = (await services.store.connections.get(connection_id)).connection
    told = await explain(services, connection, people[ANN], values_of_outsiders=True)

    assert run.status is RunStatus.SUCCEEDED
    assert active(await rows_of(services, connection_id)) == {people[BEN], follower}
    assert await names_of(services, connection_id) == {ANN.upper(): people[ANN]}
    assert told.code == "excluded"
    assert connection.scope.exclude == [ANN.upper()]


async def test_a_protected_person_stays_under_another_name(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group, policy={"protected": [ANN]})
    await run_now(services, connection_id)
    emulator.control.patch_person(people[ANN], {"userPrincipalName": "ann.new@contoso.com"})
    await run_now(services, connection_id)
    emulator.control.remove_members(group, *people.values())
    await run_now(services, connection_id)

    assert active(await rows_of(services, connection_id)) == {people[ANN]}


async def test_an_assertion_is_about_the_person_and_not_the_name(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(
        services, connection_id, group, assertions=[{"in": ANN}, {"never": "cid@contoso.com"}]
    )
    cid = made(emulator, "cid@contoso.com")
    await run_now(services, connection_id)
    emulator.control.patch_person(people[ANN], {"userPrincipalName": "ann.new@contoso.com"})
    renamed = await run_now(services, connection_id)
    emulator.control.patch_person(cid, {"userPrincipalName": "cid.new@contoso.com"})
    emulator.control.add_members(group, cid)
    broken = await run_now(services, connection_id)

    assert renamed.status is RunStatus.SUCCEEDED
    assert broken.error is not None
    assert (broken.error.code, "cid@contoso.com" in broken.error.message) == (
        "assertion.failed",
        True,
    )


async def test_a_name_that_nobody_has_is_told_until_somebody_has_it(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group, exclude=["cid@contoso.com"])
    connection = (await services.store.connections.get(connection_id)).connection
    told = await preview(services, connection)
    unread = await names_of(services, connection_id)
    misspelt = await run_now(services, connection_id)
    cid = made(emulator, "cid@contoso.com")
    emulator.control.add_members(group, cid)
    found = await run_now(services, connection_id)

    assert [one.code for one in told.warnings if "cid@" in one.message] == ["name.unbound"]
    assert unread == {}
    assert misspelt.status is RunStatus.SUCCEEDED
    assert [one.code for one in misspelt.warnings] == ["name.unbound"]
    assert (found.warnings, await names_of(services, connection_id)) == (
        [],
        {"cid@contoso.com": cid},
    )
    assert active(await rows_of(services, connection_id)) == set(people.values())


async def test_a_new_account_of_a_deleted_one_takes_its_name_over(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group, exclude=[ANN])
    await run_now(services, connection_id)
    emulator.control.hard_delete(people[ANN])
    again = made(emulator, ANN)
    emulator.control.add_members(group, again)
    await run_now(services, connection_id)
    bindings = await services.store.bindings.read(connection_id)

    assert active(await rows_of(services, connection_id)) == {people[BEN]}
    assert [one.object_id for one in bindings.names] == [people[ANN], again]


async def test_a_person_who_was_renamed_before_is_known_by_the_stored_name(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group)
    await run_now(services, connection_id)
    stored = await services.store.connections.get(connection_id)
    policy = stored.connection.policy.model_copy(update={"protected": [ANN]})
    # As an older release stored it: nothing was bound at the save.
    await services.store.connections.replace(
        stored.connection.model_copy(update={"policy": policy}), stored
    )
    emulator.control.patch_person(people[ANN], {"userPrincipalName": "ann.new@contoso.com"})
    await run_now(services, connection_id)
    emulator.control.remove_members(group, *people.values())
    await run_now(services, connection_id)

    assert active(await rows_of(services, connection_id)) == {people[ANN]}


async def test_a_name_that_graph_refuses_to_look_for_stops_nothing(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    people: dict[str, str],
    group: str,
) -> None:
    await connect(services, connection_id, group, exclude=[ANN])
    await run_now(services, connection_id)
    emulator.control.patch_person(people[ANN], {"userPrincipalName": "ann.new@contoso.com"})
    emulator.control.add_fault(
        "errorBody", path="/v1.0/users", where="batch", error="Request_UnsupportedQuery"
    )
    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert active(await rows_of(services, connection_id)) == {people[BEN]}


async def test_a_connection_without_names_asks_nothing_for_them(
    services: Services, emulator: GraphEmulator, connection_id: str, group: str
) -> None:
    await connect(services, connection_id, group, exclude=["a0000000-0000-4000-8000-00000000000a"])
    emulator.control.reset_requests()
    await run_now(services, connection_id)

    assert not [one for one in emulator.control.requests() if "userPrincipalName in" in str(one)]
    assert await names_of(services, connection_id) == {}

"""What changes in the directory changes in the table: field by field, with its history."""

import orjson
import pytest
from azure.data.tables import EdmType, EntityProperty

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID
from sync_core.domain.documents.run import RunStatus
from sync_core.services import Services
from sync_core.store.tables import USERS
from tests.system import active, changes_of, history_of, rows_of, run_now, stored_connection


@pytest.fixture
async def somebody(services: Services, emulator: GraphEmulator, connection_id: str) -> str:
    """Import the sample group, and give one of the people in it."""
    await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    return min(await rows_of(services, connection_id))


async def test_a_rename_is_an_update_of_the_same_row(
    services: Services, emulator: GraphEmulator, connection_id: str, somebody: str
) -> None:
    before = (await rows_of(services, connection_id))[somebody]
    emulator.control.patch_person(
        somebody, {"userPrincipalName": "renamed@contoso.com", "displayName": "Zoë O'Brien"}
    )

    run = await run_now(services, connection_id)

    after = (await rows_of(services, connection_id))[somebody]
    assert (run.counts.updated, run.counts.created, run.counts.disabled) == (1, 0, 0)
    assert after["UserPrincipalName"] == "renamed@contoso.com"
    assert after["displayName"] == "Zoë O'Brien"
    assert after["CreatedAt"] == before["CreatedAt"]
    assert after["UpdatedAt"] > before["UpdatedAt"]


async def test_a_change_is_told_field_by_field(
    services: Services, emulator: GraphEmulator, connection_id: str, somebody: str
) -> None:
    old = (await rows_of(services, connection_id))[somebody].get("department")
    emulator.control.patch_person(somebody, {"department": "Legal & Compliance"})

    run = await run_now(services, connection_id)

    [change] = await changes_of(services, run)
    assert change["fields"] == {"department": [old, "Legal & Compliance"]}
    newest = (await history_of(services, connection_id, somebody))[0]
    assert orjson.loads(newest["Changes"]) == change["fields"]
    assert newest["RunId"] == run.id


async def test_an_emptied_attribute_is_cleared(
    services: Services, emulator: GraphEmulator, connection_id: str, somebody: str
) -> None:
    emulator.control.patch_person(somebody, {"department": "Legal"})
    await run_now(services, connection_id)
    emulator.control.patch_person(somebody, {"department": None})

    await run_now(services, connection_id)

    assert "department" not in (await rows_of(services, connection_id))[somebody]


async def test_columns_of_the_application_survive_an_update(
    services: Services, emulator: GraphEmulator, connection_id: str, somebody: str
) -> None:
    table = await services.store.tables.table(USERS)
    row = (await rows_of(services, connection_id))[somebody]
    keys = {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]}
    await table.update_entity(
        keys | {"appTheme": "dark", "appLogins": EntityProperty(2**40, EdmType.INT64)}
    )
    emulator.control.patch_person(somebody, {"jobTitle": "Astronaut"})

    await run_now(services, connection_id)

    after = (await rows_of(services, connection_id))[somebody]
    assert after["jobTitle"] == "Astronaut"
    assert after["appTheme"] == "dark"
    assert after["appLogins"].value == 2**40


# The change was confirmed: the guard asks whether columns may be emptied.
ANY_VALUES = {"maxBlankedPercent": None, "maxRewrittenPercent": None}


async def test_a_changed_mapping_rewrites_and_removes_columns(
    services: Services, connection_id: str, somebody: str
) -> None:
    stored = await services.store.connections.get(connection_id)
    mapping = [{"target": "name", "source": "displayName"}]
    changed = type(stored.connection).model_validate(
        stored.connection.to_json() | {"mapping": mapping, "policy": {"guard": ANY_VALUES}}
    )
    await services.store.connections.replace(changed, stored)
    before = (await rows_of(services, connection_id))[somebody]

    run = await run_now(services, connection_id)

    after = (await rows_of(services, connection_id))[somebody]
    assert run.counts.updated == len(active(await rows_of(services, connection_id)))
    assert after["name"] == before["displayName"]
    assert not {"displayName", "email", "userName"} & after.keys()


async def test_a_new_colleague_is_created(
    services: Services, emulator: GraphEmulator, connection_id: str, somebody: str
) -> None:
    person = emulator.control.create_person({"displayName": "Ελένη Παπαδοπούλου"})
    emulator.control.add_members(SAMPLE_GROUP_ID, person["id"])

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.counts.created == 1
    assert rows[person["id"]]["displayName"] == "Ελένη Παπαδοπούλου"


async def test_one_record_that_cannot_be_stored_does_not_stop_the_others(
    services: Services, emulator: GraphEmulator, connection_id: str, somebody: str
) -> None:
    """It is reported and tried again by the next run; nobody is removed for it."""
    other = sorted(await rows_of(services, connection_id))[1]
    emulator.control.patch_person(somebody, {"jobTitle": "x" * 40_000})
    emulator.control.patch_person(other, {"jobTitle": "Painter"})

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.status is RunStatus.PARTIAL
    assert [(e.object_id, e.code) for e in run.errors] == [(somebody, "record.valueTooLarge")]
    assert "x" * 10 not in run.errors[0].message
    assert rows[other]["jobTitle"] == "Painter"
    assert rows[somebody]["Status"] == "active"

    emulator.control.patch_person(somebody, {"jobTitle": "Poet"})
    healed = await run_now(services, connection_id)

    assert healed.status is RunStatus.SUCCEEDED
    assert (await rows_of(services, connection_id))[somebody]["jobTitle"] == "Poet"


async def test_a_row_of_somebody_else_is_never_touched(
    services: Services, emulator: GraphEmulator, connection_id: str, somebody: str
) -> None:
    person = emulator.control.create_person({"displayName": "Contested"})
    emulator.control.add_members(SAMPLE_GROUP_ID, person["id"])
    table = await services.store.tables.table(USERS)
    foreign = {
        "PartitionKey": f"{connection_id}-{person['id'][0]}",
        "RowKey": person["id"],
        "note": "made by the application",
    }
    await table.create_entity(foreign)

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert [error.code for error in run.errors] == ["record.notOwned"]
    assert rows[person["id"]] == foreign

"""A preview is the run that follows it, up to the first write."""

from typing import Any

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection, RetryLater
from sync_core.domain.plan.survey import PreviewWarning
from sync_core.runs import planner
from sync_core.runs import preview as previewing
from sync_core.runs.preview import OutOfTime, Preview, preview
from sync_core.services import Services
from sync_core.store.tables import TABLES
from tests.runs.previews import as_planned
from tests.system import (
    active,
    changes_of,
    group_scope,
    rows_of,
    run_now,
    stored_connection,
)

Rows = dict[str, list[dict[str, Any]]]


async def everything_stored(services: Services) -> Rows:
    """Give all rows of all tables, with their versions."""
    found: Rows = {}
    for name in TABLES:
        table = await services.store.tables.table(name)
        found[name] = [
            dict(row) | {"etag": row.metadata["etag"]} async for row in table.list_entities()
        ]
    return found


def warning(found: Preview, code: str) -> PreviewWarning:
    return next(one for one in found.warnings if one.code == code)


def codes(found: Preview) -> set[str]:
    return {one.code for one in found.warnings}


async def changed(emulator: GraphEmulator, services: Services, connection: Connection) -> list[str]:
    """Let somebody of every kind change; gives those who were in."""
    control = emulator.control
    people = sorted(active(await rows_of(services, connection.id)))
    control.patch_person(people[0], {"jobTitle": "Promoted"})
    control.soft_delete(people[1])
    control.change_many("block", keys=people[2:3])
    control.remove_members(SAMPLE_GROUP_ID, people[3])
    control.add_members(SAMPLE_GROUP_ID, control.create_person()["id"])
    return people


async def test_a_preview_and_the_run_after_it_decide_the_same(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)
    first = await preview(services, connection)
    imported = await run_now(services, connection_id)
    await changed(emulator, services, connection)
    before = await everything_stored(services)
    second = await preview(services, connection)
    after = await everything_stored(services)
    run = await run_now(services, connection_id, mode="full")

    assert before == after, "the preview wrote something"
    assert first.plan_hash == imported.plan_hash
    assert as_planned(first) == await changes_of(services, imported)
    assert second.plan_hash == run.plan_hash
    assert as_planned(second) == await changes_of(services, run)
    for name in ("read", "in_scope", "created", "updated", "disabled", "unchanged", "held"):
        assert getattr(second.counts, name) == getattr(run.counts, name), name


async def test_a_preview_names_everybody_with_reasons_and_proof(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    people = await changed(emulator, services, connection)
    rows = await rows_of(services, connection_id)

    found = await preview(services, connection)

    by_id = {one.object_id: one for one in found.changes}
    assert (found.counts.leavers, found.counts.joiners, found.counts.updated) == (3, 1, 1)
    assert found.counts.active == len(people)
    assert found.leavers_by_reason == {"accountDisabled": 1, "leftScope": 1, "softDeleted": 1}
    assert by_id[people[0]].fields["jobTitle"] == (rows[people[0]].get("jobTitle"), "Promoted")
    assert (by_id[people[1]].evidence or {})["found"] is False
    assert [one.action.is_removal for one in found.changes[:3]] == [True] * 3
    assert all(one.display_name == rows[one.object_id]["displayName"] for one in found.changes[:3])
    assert found.counts.blocked >= 1


async def test_the_reading_is_told_in_words_and_by_group(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    control = emulator.control
    people = [control.create_person()["id"] for _ in range(5)]
    inner = control.create_group("Sales DE", members=people[2:])
    outer = control.create_group("Sales", members=[*people[:3], inner["id"]])
    out = control.create_group("Interns", members=people[:1])
    scope = group_scope(outer["id"])
    scope["filters"][0]["clauses"].append(
        {"attribute": "groups", "operator": "NOT ARRAYCONTAINS", "value": [out["id"]]}
    )
    connection = await stored_connection(services, connection_id, scope=scope)

    found = await preview(services, connection)

    assert found.reading.sentence == "Reads 1 group and 1 nested in it, about 5 members."
    assert {one.name: one.count for one in found.reading.groups} == {"Sales": 5, "Interns": 1}
    assert found.counts.in_scope == 4
    assert found.by_user_type == {"member": 4, "guest": 0, "unknown": 0, "agent": 0}


async def test_guests_and_blocked_accounts_are_counted_apart(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    scope = {"everyone": True, "guests": "include"}
    connection = await stored_connection(services, connection_id, scope=scope)

    found = await preview(services, connection)

    people = emulator.control.people()
    guests = sum(one.get("userType") == "Guest" for one in people)
    assert found.by_user_type["guest"] == guests > 0
    assert sum(found.by_user_type.values()) == found.counts.in_scope == len(people)
    assert found.counts.blocked == sum(one["accountEnabled"] is False for one in people) > 0
    assert found.counts.created == len(people) - found.counts.blocked
    assert warning(found, "scope.everyone").people == len(people)
    assert found.reading.sentence == f"Reads all users of the tenant, about {len(people)}."


async def test_more_leavers_than_the_guard_allows_are_warned_of(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    narrow = connection.model_copy(
        update={"scope": connection.scope.model_copy(update={"filters": []})}
    )

    found = await preview(services, narrow)

    assert codes(found) >= {"scope.nobody", "guard.held"}
    assert "the limit is 20 %" in warning(found, "guard.held").message
    assert found.counts.held == found.counts.leavers == found.counts.active > 0
    assert all(one.held for one in found.changes)


async def test_of_very_many_leavers_the_rest_is_said_to_be_unproven(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "CONFIRM_AT_ONCE", 5)
    monkeypatch.setattr(planner, "CONFIRM_HELD", 15)
    connection = await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    nobody = connection.model_copy(
        update={"scope": connection.scope.model_copy(update={"filters": []})}
    )

    found = await preview(services, nobody)

    unasked = found.counts.leavers - 15
    assert found.leavers_by_reason == {"leftScope": 15, "unasked": unasked}
    assert warning(found, "removals.unasked").people == unasked


async def test_blank_columns_doubled_keys_and_failing_expressions_are_warned_of(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    control = emulator.control
    people = [control.create_person({"mail": f"{n}@contoso.com"})["id"] for n in range(8)]
    group = control.create_group("Eight", members=people)["id"]
    for one in people[:2]:
        control.patch_person(one, {"mail": "shared@contoso.com"})
    control.patch_person(people[2], {"mail": None})
    control.patch_person(people[3], {"department": "not a date"})
    for one in people[4:]:
        control.patch_person(one, {"department": "2026-01-31"})
    date = 'FormatDateTime([department], , "yyyy-MM-dd", "yyyy")'
    connection = await stored_connection(
        services,
        connection_id,
        scope=group_scope(group),
        mapping=[
            {"target": "email", "source": "mail"},
            {"target": "year", "expression": date},
        ],
    )

    found = await preview(services, connection)

    doubled = warning(found, "matching.doubled")
    assert (doubled.target, doubled.people) == ("email", 2)
    assert "doubled 1 time" in doubled.message
    blank = next(one for one in found.warnings if one.target == "email" and "empty" in one.code)
    assert blank.people == 1
    failed = warning(found, "records.failed")
    assert failed.people == found.counts.failed >= 1
    assert "not a date" not in found.model_dump_json()


async def test_an_incomplete_reading_removes_nobody_and_says_so(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    emulator.control.delete_group(SAMPLE_GROUP_ID)

    found = await preview(services, connection)

    assert found.reading.complete is False
    assert found.counts.leavers == 0
    assert "Nobody would be removed" in warning(found, "reading.incomplete").message


@pytest.mark.parametrize("kind", ["outage", "throttled"])
async def test_graph_that_does_not_answer_is_a_problem_and_writes_nothing(
    services: Services, emulator: GraphEmulator, connection_id: str, kind: str
) -> None:
    connection = await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    before = await everything_stored(services)
    emulator.control.add_fault(kind)

    with pytest.raises(RetryLater):
        await preview(services, connection)

    assert await everything_stored(services) == before


async def test_a_lost_permission_is_a_problem_that_names_it(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    before = await everything_stored(services)
    emulator.control.add_fault("lostPermission", roles=["User.Read.All"])

    with pytest.raises(FixConnection, match=r"User\.Read\.All is missing"):
        await preview(services, connection)

    assert await everything_stored(services) == before


async def test_a_preview_that_takes_too_long_stops(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id)

    with pytest.raises(OutOfTime, match="longer than"):
        await preview(services, connection, limit_s=0.001)


async def test_only_the_first_changes_are_shown_and_all_are_counted(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewing, "SHOWN", 3)
    connection = await stored_connection(services, connection_id)

    found = await preview(services, connection)

    assert len(found.changes) == 3
    assert found.counts.created == found.counts.joiners > 3


async def test_a_disabled_connection_that_never_ran_can_be_previewed(
    services: Services, connection_id: str
) -> None:
    connection = await stored_connection(services, connection_id, enabled=False)

    assert (await preview(services, connection)).counts.created > 0


async def test_a_value_in_other_letters_is_told_by_the_preview_and_the_run(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    control = emulator.control
    for number in range(3):
        control.create_person({"displayName": f"Nr {number}", "department": "Aftersales"})
    clause = {"attribute": "department", "operator": "EQUALS", "value": "aftersales"}
    connection = await stored_connection(
        services, connection_id, scope={"filters": [{"clauses": [clause]}]}
    )
    found = warning(await preview(services, connection), "scope.otherLetters")
    run = await run_now(services, connection_id)

    assert found.people == 3
    assert "3 people have the value of scope.filters[0].clauses[0]" in found.message
    assert "in other letters: Aftersales." in found.message
    assert [(one.code, one.message) for one in run.warnings] == [
        ("scope.otherLetters", found.message)
    ]

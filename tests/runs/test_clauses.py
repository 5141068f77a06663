"""A clause that changes its answer for nearly everybody is named: by what holds a run, and by the preview."""

from typing import Any

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_ROLES
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.runs.preview import preview
from sync_core.services import Services
from tests.system import active, group_scope, rows_of, run_now, stored_connection

LEAVES = "employeeLeaveDateTime"
# Null for everybody without it, and no error: learn.microsoft.com/graph/api/resources/user.
LIFE_CYCLE = "User-LifeCycleInfo.Read.All"
CHANGED = "scope.clauseChanged"
DAY = "2027-01-31T00:00:00Z"


@pytest.fixture
def people(emulator: GraphEmulator) -> list[str]:
    return [emulator.control.create_person()["id"] for _ in range(30)]


def scope(emulator: GraphEmulator, people: list[str], **clause: Any) -> dict[str, Any]:
    """Give a scope of a group of these people, with one more clause."""
    found = group_scope(emulator.control.create_group("All of them", members=people)["id"])
    found["filters"][0]["clauses"].append(clause)
    return found


def leaves(emulator: GraphEmulator, *people: str) -> None:
    emulator.control.set_roles([*SAMPLE_ROLES, LIFE_CYCLE])
    for one in people:
        emulator.control.patch_person(one, {LEAVES: DAY})


async def imported(services: Services, connection_id: str, **changes: Any) -> Connection:
    mapping = [{"target": "displayName", "source": "displayName"}]
    made = await stored_connection(services, connection_id, mapping=mapping, **changes)
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED
    return made


def told(run: Run) -> list[str]:
    return [one.message for one in run.warnings if one.code == CHANGED]


async def test_a_lost_permission_that_turns_everybody_out_is_named(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    leaves(emulator, *people)
    dated = scope(emulator, people, attribute=LEAVES, operator="IS NOT NULL")
    connection = await imported(services, connection_id, scope=dated)
    emulator.control.set_roles(SAMPLE_ROLES)
    previewed = await preview(services, connection)
    held = await run_now(services, connection_id)
    emulator.control.set_roles([*SAMPLE_ROLES, LIFE_CYCLE])
    back = await run_now(services, connection_id)

    said = (
        "clause /scope/filters/0/clauses/1 (employeeLeaveDateTime IS NOT NULL) turns out 30 of 30 people of "
        "its filter, and 30 of these have no employeeLeaveDateTime, as where a permission is missing"
    )
    assert held.status is RunStatus.HELD
    assert held.error is not None
    assert held.error.code == "guard.held"
    assert f"the limit is 20 %; the {said}. 30 changes wait" in held.error.message
    assert [said in one for one in told(held)] == [True]
    [warning] = [one for one in previewed.warnings if one.code == CHANGED]
    assert said in warning.message
    [guarded] = [one for one in previewed.warnings if one.code == "guard.held"]
    assert said in guarded.message
    assert (back.status, told(back)) == (RunStatus.SUCCEEDED, [])
    assert active(await rows_of(services, connection_id)) == set(people)


async def test_a_lost_permission_that_lets_everybody_in_is_named(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    leaves(emulator, *people[10:])
    undated = scope(emulator, people, attribute=LEAVES, operator="IS NULL")
    connection = await imported(services, connection_id, scope=undated)
    emulator.control.set_roles(SAMPLE_ROLES)
    previewed = await preview(services, connection)
    held = await run_now(services, connection_id)

    said = (
        "clause /scope/filters/0/clauses/1 (employeeLeaveDateTime IS NULL) lets in 20 of 20 people who come, "
        "and 30 of 30 people who were read have no employeeLeaveDateTime"
    )
    assert (held.status, held.counts.held) == (RunStatus.HELD, 20)
    assert held.error is not None
    assert said in held.error.message
    assert [said in one.message for one in previewed.warnings if one.code == CHANGED] == [True]
    assert active(await rows_of(services, connection_id)) == set(people[:10])


async def test_what_is_not_held_is_told_as_a_warning_of_the_run(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    """A third more than there were: under the limits, and nearly all by one clause."""
    leaves(emulator, *people[22:])
    undated = scope(emulator, people, attribute=LEAVES, operator="IS NULL")
    await imported(services, connection_id, scope=undated)
    emulator.control.set_roles(SAMPLE_ROLES)
    run = await run_now(services, connection_id)

    assert (run.status, run.counts.created) == (RunStatus.SUCCEEDED, 8)
    assert ["lets in 8 of 8 people who come" in one for one in told(run)] == [True]


@pytest.mark.parametrize("policy", ["disable", "keep"])
async def test_a_department_that_was_renamed_is_named_without_a_guess(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str], policy: str
) -> None:
    """Graph is asked for the department: whoever is not in the list is asked for by id, and judged."""
    for one in people:
        emulator.control.patch_person(one, {"department": "Sales of the North"})
    clause = {"attribute": "department", "operator": "EQUALS", "value": "Sales of the North"}
    named = {"filters": [{"clauses": [clause]}]}
    await imported(services, connection_id, scope=named, policy={"leftScope": policy})
    for one in people:
        emulator.control.patch_person(one, {"department": "Vertrieb Nord"})
    run = await run_now(services, connection_id)

    assert run.status is (RunStatus.HELD if policy == "disable" else RunStatus.SUCCEEDED)
    assert told(run) == [
        "The clause /scope/filters/0/clauses/0 (department EQUALS) turns out 30 of 30 people of its filter."
    ]


async def test_a_first_import_and_days_like_others_name_no_clause(
    services: Services, emulator: GraphEmulator, connection_id: str, people: list[str]
) -> None:
    """Hardly anybody has the attribute, some come and some leave."""
    leaves(emulator, people[0])
    group = emulator.control.create_group("Growing", members=people[:25])["id"]
    undated = group_scope(group)
    undated["filters"][0]["clauses"].append({"attribute": LEAVES, "operator": "IS NULL"})
    connection = await stored_connection(services, connection_id, scope=undated)
    first = await run_now(services, connection_id)
    emulator.control.add_members(group, *people[26:])
    emulator.control.patch_person(people[1], {LEAVES: DAY})
    emulator.control.remove_members(group, people[2])
    previewed = await preview(services, connection)
    run = await run_now(services, connection_id)

    assert (first.counts.created, run.counts.created, run.counts.disabled) == (24, 4, 2)
    assert told(first) == told(run) == []
    assert CHANGED not in {one.code for one in previewed.warnings}

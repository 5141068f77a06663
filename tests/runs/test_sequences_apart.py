"""Sequences that need a connection of their own: its settings change, it holds, its links die, it is killed.

What breaks in the midst of others without disturbing them stands in `test_sequences.py`.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_ROLES, SCHEMA_EXTENSION
from sync_core.domain.documents.run import Mode, ModeReason, Run, RunStatus
from sync_core.domain.errors import LeaseLost
from sync_core.domain.incremental.open_people import Settlement
from sync_core.domain.plan.digest import moves_of
from sync_core.runs import planner
from sync_core.runs.hold import held
from sync_core.runs.preview import preview
from sync_core.services import Services, utc_now
from sync_core.store.checkpoints import CheckpointStore, Move
from sync_core.store.tables import USERS
from tests.runs.world import LAG, MINUTES, NO_LIMITS
from tests.system import (
    BY_HAND,
    Rig,
    active,
    group_scope,
    rows_of,
    run_now,
    set_clock,
    stored_connection,
)

NAMES = [{"target": "name", "source": "displayName"}]


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=2, groups=0, seed=1, tls=rig.tls) as running:
        yield running


class Team:
    """A group of some people, and a connection that reads it, in a tenant with nobody else."""

    def __init__(self, services: Services, emulator: GraphEmulator, connection_id: str) -> None:
        self.services = services
        self.control = emulator.control
        self.id = connection_id
        self.group = str(self.control.create_group("Team", members=[])["id"])
        self._offset = timedelta()
        set_clock(services, self.now)

    def now(self) -> datetime:
        return utc_now() + self._offset

    def pass_time(self, minutes: float) -> None:
        self.control.advance_clock(minutes * 60)
        self._offset += timedelta(minutes=minutes)

    def hire(self, number: int = 1, **values: Any) -> list[str]:
        people = [
            str(self.control.create_person({"displayName": "Before", **values})["id"])
            for _ in range(number)
        ]
        self.control.add_members(self.group, *people)
        return sorted(people)

    def hire_nested(self) -> tuple[str, str]:
        """Return somebody who is only in a group nested in the team's, and that group."""
        [person] = self.hire()
        nested = str(self.control.create_group("Nested", members=[person])["id"])
        self.control.add_members(self.group, nested)
        self.control.remove_members(self.group, person)
        return person, nested

    def hire_deep(self) -> tuple[str, str, str]:
        """Return somebody who is only in a group nested two levels below the team's, and both groups."""
        person, deep = self.hire_nested()
        middle = str(self.control.create_group("Middle", members=[deep])["id"])
        self.control.add_members(self.group, middle)
        self.control.remove_members(self.group, deep)
        return person, middle, deep

    async def connect(self, **changes: Any) -> None:
        known = {
            "scope": group_scope(self.group),
            "policy": {"guard": NO_LIMITS},
            "mapping": NAMES,
        }
        await stored_connection(self.services, self.id, **(known | changes))
        for _ in range(2):
            await self.run("full")
            self.pass_time(LAG + 1)

    async def change(self, **changes: Any) -> None:
        """Save the connection with other settings, as the API would."""
        stored = await self.services.store.connections.get(self.id)
        document = stored.connection.to_json() | changes
        changed = type(stored.connection).model_validate(document)
        await self.services.store.connections.replace(changed, stored)

    async def run(self, mode: str = "incremental") -> Run:
        run = await run_now(self.services, self.id, mode=mode)
        assert run.error is None or run.error.code != "run.unexpected", run.error
        return run

    async def looked(self) -> Run:
        run = await self.run()
        assert (run.mode, run.mode_reason) == (Mode.INCREMENTAL, None), run.error
        return run

    async def members(self) -> set[str]:
        return active(await rows_of(self.services, self.id))

    async def names(self) -> dict[str, Any]:
        return {
            one: row.get("name") for one, row in (await rows_of(self.services, self.id)).items()
        }

    async def what_is_left(self) -> set[str]:
        connection = (await self.services.store.connections.get(self.id)).connection
        return {one.object_id for one in (await preview(self.services, connection)).changes}

    def rename(self, person: str, name: str = "After") -> None:
        self.control.patch_person(person, {"displayName": name})


@pytest.fixture
def team(services: Services, emulator: GraphEmulator, connection_id: str) -> Team:
    return Team(services, emulator, connection_id)


async def test_the_process_dies_after_the_batch_and_the_window_still_counts_it(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = team.hire(12)
    await team.connect(policy={"guard": NO_LIMITS | {"maxRemovals": 2}})
    team.control.remove_members(team.group, people[0], people[1])

    await dies_before_its_checkpoint(team, monkeypatch)
    assert await team.members() == set(people[2:])
    team.pass_time(MINUTES)
    team.control.remove_members(team.group, people[2])

    run = await team.looked()

    assert (run.status, run.counts.disabled) == (RunStatus.HELD, 0)
    assert await team.members() == set(people[2:])


async def dies_before_its_checkpoint(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run until all people are written, and no further."""

    async def die(*_: object) -> None:
        raise LeaseLost("run.leaseLost", "The process is gone.", "")

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "move", die)
        with pytest.raises(AssertionError):
            await team.run()


@pytest.mark.parametrize("most", [4_000, 0])
async def test_whom_a_run_has_let_in_before_it_died_is_of_interest_to_the_next_one(
    team: Team, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Of somebody who was in no group at the last checkpoint, it does not matter that the account is gone.

    More people than are named make the next run a full one.
    """
    monkeypatch.setattr("sync_core.store.checkpoints.MOST_TOUCHED", most)
    [colleague] = team.hire()
    await team.connect()
    stranger = str(team.control.create_person({"displayName": "Before"})["id"])
    await team.looked()
    team.pass_time(LAG + 1)
    team.control.add_members(team.group, stranger)
    await dies_before_its_checkpoint(team, monkeypatch)
    assert await team.members() == {colleague, stranger}
    team.control.soft_delete(stranger)
    team.pass_time(MINUTES)

    run = await team.run()
    team.pass_time(MINUTES)
    await team.looked()

    assert (run.mode is Mode.FULL) == (most == 0)
    assert await team.members() == {colleague}


async def test_whom_a_run_has_let_in_that_missed_a_group_is_of_interest_to_the_next_one(
    team: Team,
) -> None:
    [colleague] = team.hire()
    other = team.control.create_group("Other")["id"]
    await team.connect(scope=group_scope(team.group, other))
    [newcomer] = team.hire()
    team.control.delete_group(other)
    run = await team.run("full")
    assert run.status is RunStatus.PARTIAL
    assert await team.members() == {colleague, newcomer}

    team.control.soft_delete(newcomer)
    await team.looked()

    assert await team.members() == {colleague}


async def test_a_change_is_followed_by_a_full_run_whose_lists_are_from_before_it(
    team: Team,
) -> None:
    [person] = team.hire()
    await team.connect()
    team.rename(person)
    team.control.add_fault("lag", what=["members"], minSeconds=600, maxSeconds=600)
    await team.run("full")
    assert await team.names() == {person: "Before"}
    team.control.clear_faults()
    team.pass_time(LAG + 1)

    await team.looked()

    assert await team.names() == {person: "After"}


async def test_held_people_change_their_minds_and_the_rest_is_approved_after_other_runs(
    team: Team,
) -> None:
    people = team.hire(12)
    await team.connect(policy={"guard": NO_LIMITS | {"maxRemovals": 2}})
    gone, comes_back, other = people[:6], people[0], people[-1]
    team.control.remove_members(team.group, *gone)
    held = await team.looked()
    assert (held.status, held.counts.held) == (RunStatus.HELD, 6)
    lag = team.control.add_fault("lag", what=["delta"], minSeconds=3600, maxSeconds=3600)
    team.control.add_members(team.group, comes_back)
    team.pass_time(MINUTES)
    team.rename(other)
    without_a_hint = await team.looked()
    team.control.remove_fault(lag["id"])
    team.pass_time(MINUTES)
    await team.looked()
    team.pass_time(MINUTES)
    again = await team.looked()
    assert without_a_hint.counts.held == 5
    assert again.plan_hash is not None
    moves = moves_of(again.plan_hash)
    await team.services.store.approvals.remember(team.id, moves, BY_HAND.name, team.now())

    approved = await team.looked()

    assert (approved.counts.disabled, approved.counts.held) == (5, 0)
    assert await team.members() == {comes_back, *people[6:]}
    assert await team.what_is_left() == set()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"mapping": [{"target": "name", "expression": "ToUpper([displayName])"}]}, id="mapping"
        ),
        pytest.param({"policy": {"guard": NO_LIMITS, "accountDisabled": "keep"}}, id="policy"),
    ],
)
async def test_what_decides_is_edited_and_what_is_read_stays_the_same(
    team: Team, changes: dict[str, Any]
) -> None:
    [person, _] = team.hire(2)
    team.control.patch_person(person, {"accountEnabled": False})
    await team.connect()
    await team.change(**changes)

    run = await team.run()

    assert run.mode_reason is ModeReason.SETTINGS_CHANGED
    assert await team.what_is_left() == set()


async def test_sign_in_activity_is_mapped_and_runs_still_go_by_the_delta(team: Team) -> None:
    [person] = team.hire()
    team.control.set_roles([*SAMPLE_ROLES, "AuditLog.Read.All"])
    await team.connect(
        mapping=[*NAMES, {"target": "seen", "source": "signInActivity.lastSignInDateTime"}]
    )
    team.rename(person)

    await team.looked()

    assert await team.names() == {person: "After"}


async def test_the_scope_reads_what_no_delta_tells_and_every_run_is_full(team: Team) -> None:
    [person] = team.hire()
    [clause] = group_scope(team.group)["filters"][0]["clauses"]
    level = {"attribute": f"{SCHEMA_EXTENSION}.level", "operator": "NOT EQUALS", "value": "out"}
    await team.connect(scope={"filters": [{"clauses": [clause, level]}]})
    team.control.patch_person(person, {SCHEMA_EXTENSION: {"level": "out"}})

    run = await team.run()

    assert run.mode_reason is ModeReason.UNTRACKED_SCOPE
    assert await team.members() == set()


async def test_the_named_group_is_gone_before_the_delta_says_so_and_its_people_are_changed(
    team: Team,
) -> None:
    people = team.hire(3)
    await team.connect()
    team.control.delete_group(team.group)
    lag = team.control.add_fault("lag", what=["delta"], minSeconds=600, maxSeconds=600)
    for person in people:
        team.pass_time(MINUTES)
        team.rename(person)
        await team.looked()
    assert await team.members() == set(people)
    team.control.remove_fault(lag["id"])
    # Another group with the same name and members is another group.
    team.control.create_group("Team", members=people)
    await team.looked()

    assert await team.members() == set(people)


async def test_the_clock_passes_midnight_and_a_value_depends_on_the_day(team: Team) -> None:
    [person] = team.hire(employeeHireDate="2020-01-01T00:00:00Z")
    days = 'DateDiff("d", CDate([employeeHireDate]), Now())'
    await team.connect(mapping=[{"target": "name", "expression": days}])
    await team.run()
    before = (await team.names())[person]
    team.pass_time(24 * 60)

    run = await team.run()

    assert run.mode_reason in {ModeReason.TIME_DEPENDENT, ModeReason.FULL_EVERY_HOURS}
    assert float((await team.names())[person]) == float(before) + 1


async def test_a_newcomer_takes_over_a_row_and_a_second_one_with_the_same_key_waits(
    team: Team,
) -> None:
    team.hire()
    mapping = [*NAMES, {"target": "mail", "source": "mail"}]
    await team.connect(mapping=mapping, matching=["mail"])
    table = await team.services.store.tables.table(USERS)
    row = {"PartitionKey": f"{team.id}-a", "RowKey": "app-17", "mail": "new@contoso.com"}
    await table.upsert_entity(row)
    team.hire(mail="new@contoso.com")

    first = await team.looked()
    [second] = team.hire(mail="new@contoso.com")
    later = await team.looked()

    assert (first.counts.linked, later.counts.created) == (1, 0)
    assert [error.object_id for error in later.errors] == [second]
    assert await team.what_is_left() == set()


async def test_somebody_stored_is_renamed_to_what_an_assertion_never_wants(team: Team) -> None:
    [person] = team.hire()
    await team.connect(assertions=[{"never": "svc-*"}])
    team.control.patch_person(person, {"userPrincipalName": "svc-x@contoso.com"})
    renamed = await team.looked()
    [newcomer] = team.hire()
    run = await team.looked()

    full = await team.run("full")

    assert [one.status for one in (renamed, run, full)] == [RunStatus.PARTIAL] + [
        RunStatus.HELD
    ] * 2
    assert [one.counts.held for one in (run, full)] == [1, 1]
    assert newcomer not in await team.members()


# What happens to a round, how often, and how the run then goes.
ROUNDS: list[tuple[str, dict[str, Any], Mode]] = [
    ("emptyPages", {"count": 40}, Mode.INCREMENTAL),
    ("loopingLink", {}, Mode.FULL),
    ("gone", {"page": 2, "times": 1}, Mode.INCREMENTAL),
    ("gone", {"page": 2}, Mode.FULL),
    ("badRequest", {}, Mode.FULL),
    ("notFound", {}, Mode.FULL),
    ("gone", {}, Mode.FULL),
]


async def test_a_round_is_long_or_endless_or_dies(team: Team) -> None:
    people = team.hire(3)
    await team.connect()
    team.control.settings(delta_page_size=1)
    for number, (kind, options, mode) in enumerate(ROUNDS):
        for person in people:
            team.rename(person, str(number))
        team.control.add_fault(kind, path="/v1.0/users/delta**", **options)
        run = await team.run()
        team.control.clear_faults()

        assert run.mode is mode, (kind, options, run.mode_reason)
        assert (run.graph.empty_delta_pages >= 40) is (kind == "emptyPages")
        assert set((await team.names()).values()) == {str(number)}
        if mode is Mode.FULL:
            # Graph gave no new link under that fault, either: the next run takes one, not that of next week.
            await team.run("full")
            await team.looked()


async def test_a_permission_is_lost_in_a_look_and_nobody_is_changed(team: Team) -> None:
    people = team.hire(3)
    await team.connect()
    team.rename(people[0])
    team.control.remove_members(team.group, people[1])
    team.control.add_fault("denied", path=f"/v1.0/users/{people[1]}**")

    refused = await team.run()
    team.control.clear_faults()

    assert refused.status is RunStatus.FAILED
    assert await team.members() == set(people)
    await team.looked()
    assert await team.what_is_left() == set()


async def test_two_connections_of_one_tenant_have_their_own_checkpoints_and_direct_members(
    team: Team, emulator: GraphEmulator
) -> None:
    people = team.hire(3)
    nested = str(team.control.create_group("Nested", members=[people[0]])["id"])
    team.control.add_members(team.group, nested)
    other = Team(team.services, emulator, f"{team.id}b")
    await team.connect()
    scope = group_scope(team.group) | {"nestedGroups": False}
    await other.connect(scope=scope)
    set_clock(team.services, other.now)
    team.control.remove_members(team.group, people[0])
    await team.change(scope=group_scope(nested))

    await other.looked()
    narrowed = await team.run()

    assert narrowed.mode_reason is ModeReason.SETTINGS_CHANGED
    assert await other.members() == set(people[1:])
    assert await team.members() == {people[0]}


async def test_a_connection_is_enabled_after_eight_days(team: Team) -> None:
    people = team.hire(2)
    await team.connect(schedule={"fullEveryHours": 24 * 30})
    team.control.remove_members(team.group, people[0])
    team.pass_time(8 * 24 * 60)

    run = await team.run()

    assert run.mode_reason is ModeReason.LINK_OLD
    assert await team.members() == {people[1]}


async def test_the_settings_change_while_a_run_is_under_way(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    [person] = team.hire()
    await team.connect()
    team.rename(person)
    move = CheckpointStore.move

    async def edited(self: CheckpointStore, *given: Any) -> None:
        await team.change(mapping=[{"target": "name", "expression": "ToUpper([displayName])"}])
        await move(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "move", edited)
        await team.looked()
    run = await team.run()

    assert run.mode_reason is ModeReason.SETTINGS_CHANGED
    assert await team.names() == {person: "AFTER"}


async def test_more_people_are_held_than_a_plan_asks_for_and_one_approval_lets_them_all_go(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "CONFIRM_HELD", 2)
    monkeypatch.setattr(planner, "CONFIRM_AT_ONCE", 1)
    people = team.hire(8)
    await team.connect(policy={"guard": NO_LIMITS | {"maxRemovals": 1}})
    team.control.remove_members(team.group, *people[:6])
    held = await team.looked()
    assert held.plan_hash is not None
    moves = moves_of(held.plan_hash)
    await team.services.store.approvals.remember(team.id, moves, BY_HAND.name, team.now())

    approved = await team.looked()

    assert (approved.counts.disabled, approved.counts.held) == (6, 0)


async def test_a_checkpoint_that_fits_into_no_transaction_makes_the_next_run_a_full_one(
    team: Team,
) -> None:
    """Two hundred thousand people are assigned to an application."""
    people = team.hire(2)
    await team.connect()
    store = team.services.store.checkpoints
    kept = await store.load(team.id)
    assert kept.checkpoint is not None
    assigned = {"app": [str(UUID(bytes=os.urandom(16))) for _ in range(200_000)]}
    large = kept.checkpoint.model_copy(update={"assignments": assigned})
    async with held(team.services, team.id, budget=None) as hold:
        await store.move(team.id, kept, Move(Settlement((), ()), large), hold.fence)
    team.control.remove_members(team.group, people[0])

    run = await team.run()

    assert (run.status, run.mode_reason) == (RunStatus.SUCCEEDED, ModeReason.FIRST)
    assert await team.members() == {people[1]}
    team.rename(people[1])
    await team.looked()


async def test_a_list_lacks_somebody_who_stays_and_whose_manager_is_renamed(team: Team) -> None:
    team.pass_time(60)
    [person] = team.hire()
    boss = str(team.control.create_person({"displayName": "Ann"})["id"])
    team.control.patch_person(person, {"manager": boss})
    await team.connect(mapping=[{"target": "name", "source": "manager.displayName"}])
    lag = team.control.add_fault("lag", what=["members"], minSeconds=3000, maxSeconds=3000)
    await team.run("full")
    team.control.remove_fault(lag["id"])
    team.rename(boss, "Bea")

    await team.looked()

    assert await team.names() == {person: "Bea"}


async def test_a_manager_is_renamed_and_a_report_shows_the_former_name_for_a_while(
    team: Team,
) -> None:
    """The look at the manager says what was told, so nothing contradicts."""
    boss, person = team.hire(2)
    team.control.patch_person(person, {"manager": boss})
    await team.connect(mapping=[{"target": "name", "source": "manager.displayName"}])
    team.pass_time(LAG + 1)
    team.rename(boss, "Bea")
    team.control.add_fault("lag", what=["user", "list"], maxSeconds=900)
    await team.looked()
    assert (await team.names())[person] == "Before"
    team.control.clear_faults()

    team.pass_time(LAG + 1)
    await team.looked()

    assert (await team.names())[person] == "Bea"


async def test_a_list_lacks_somebody_whom_the_look_before_it_did_not_show_either(
    team: Team,
) -> None:
    [colleague] = team.hire()
    await team.connect()
    [newcomer] = team.hire()
    team.control.add_fault("lag", minSeconds=890, maxSeconds=900, what=["user", "memberOf"])
    await team.looked()
    assert await team.members() == {colleague}
    team.control.clear_faults()
    team.pass_time(LAG + 1)
    team.control.add_fault("flappingCast", share=1.0)

    await team.run("full")

    assert await team.members() == {colleague, newcomer}


async def test_the_people_of_a_group_that_is_taken_away_are_read_where_no_list_lacks_them(
    team: Team,
) -> None:
    """Lists with a cast lack some people, also a quarter of an hour later."""
    _, nested = team.hire_nested()
    [colleague] = team.hire()
    await team.connect()
    team.control.add_fault("flappingCast", share=1.0)
    team.control.remove_members(team.group, nested)

    await team.looked()
    team.pass_time(MINUTES)
    await team.looked()

    assert await team.members() == {colleague}


async def test_a_nested_group_that_a_list_lacked_is_deleted_and_takes_its_people_with_it(
    team: Team,
) -> None:
    _, nested = team.hire_nested()
    [colleague] = team.hire()
    await team.connect()
    team.control.add_fault("flappingCast", share=1.0)
    team.control.add_members(team.group, team.control.create_group("Other")["id"])
    await team.looked()
    team.control.clear_faults()
    team.pass_time(LAG + 1)

    team.control.delete_group(nested)
    await team.run()

    assert await team.members() == {colleague}


async def test_what_is_below_a_nested_group_that_lists_lacked_leaves_with_it(team: Team) -> None:
    _, middle, _ = team.hire_deep()
    [colleague] = team.hire()
    await team.connect()
    team.control.add_fault("flappingCast", share=1.0)
    for group in (middle, team.group):
        team.control.add_members(group, team.control.create_group("Other")["id"])
        await team.looked()
        team.pass_time(LAG + 1)
    team.control.clear_faults()

    team.control.remove_members(team.group, middle)
    await team.looked()
    team.pass_time(LAG + 1)
    await team.looked()

    assert await team.members() == {colleague}


async def test_a_nested_group_is_deleted_while_the_named_one_above_it_is_gone(team: Team) -> None:
    person, nested = team.hire_nested()
    [colleague] = team.hire()
    await team.connect()
    team.control.delete_group(team.group)
    await team.looked()
    team.control.delete_group(nested)
    await team.looked()
    assert await team.members() == {colleague, person}

    team.control.restore_group(team.group)
    team.pass_time(LAG + 1)
    await team.run()

    assert await team.members() == {colleague}


@pytest.mark.parametrize("is_told", [True, False])
async def test_whom_a_deleted_group_kept_out_come_in_once_that_is_approved(
    team: Team, is_told: bool
) -> None:
    """The delta tells of it, or the groups are read again for another reason before it does."""
    kept_out, person = team.hire(2)
    out = team.control.create_group("Out", members=[kept_out])["id"]
    team.control.add_members(team.group, out)
    scope = group_scope(team.group)
    scope["filters"][0]["clauses"].append(
        {"attribute": "groups", "operator": "NOT ARRAYCONTAINS", "value": [out]}
    )
    await team.connect(scope=scope)
    assert await team.members() == {person}
    if not is_told:
        team.control.add_members(team.group, team.control.create_group("Nested")["id"])
        await team.looked()
        team.control.add_fault("lag", minSeconds=890, maxSeconds=900, what=["delta"])

    team.control.delete_group(out)
    held = await team.run()
    assert (held.mode_reason, held.status) == (ModeReason.CHEAPER, RunStatus.HELD)
    assert held.error is not None
    assert f"hat keeps people out is gone ({out}): 1 people would be created" in (
        held.error.message
    )
    # What is known to be gone costs no further reading.
    again = await team.looked()
    assert (again.counts.held, await team.members()) == (1, {person})

    assert again.plan_hash is not None
    moves = moves_of(again.plan_hash)
    await team.services.store.approvals.remember(team.id, moves, BY_HAND.name, team.now())
    await team.looked()

    assert await team.members() == {kept_out, person}


async def test_a_nested_group_that_is_restored_and_not_listed_yet_is_known_afterwards(
    team: Team,
) -> None:
    person, nested = team.hire_nested()
    [colleague] = team.hire()
    await team.connect()
    team.control.delete_group(nested)
    await team.run()
    team.pass_time(LAG + 1)
    await team.looked()
    assert await team.members() == {colleague}
    team.control.add_fault("flappingCast", share=1.0)
    team.control.restore_group(nested)
    await team.run()
    team.control.clear_faults()
    for _ in range(2):
        team.pass_time(LAG + 1)
        await team.run()
    assert await team.members() == {colleague, person}

    team.control.remove_members(team.group, nested)
    await team.looked()
    team.pass_time(LAG + 1)
    await team.looked()

    assert await team.members() == {colleague}


@pytest.mark.parametrize("was_seen_gone", [True, False])
async def test_a_deleted_group_that_seems_to_be_there_lets_nobody_stay_for_good(
    team: Team, was_seen_gone: bool
) -> None:
    """Answers from before the deletion come after the delta has told it, or after one that knew it."""
    _, nested = team.hire_nested()
    [colleague] = team.hire()
    await team.connect()
    team.control.delete_group(nested)
    if was_seen_gone:
        await team.run()
        assert await team.members() == {colleague}
    team.control.add_fault(
        "lag", minSeconds=890, maxSeconds=900, what=["groups", "list", "members"]
    )
    for _ in range(2):
        await team.run("full")
    assert await team.members() > {colleague}
    team.control.clear_faults()

    for _ in range(2):
        team.pass_time(LAG + 1)
        await team.run()

    assert await team.members() == {colleague}


async def test_a_group_is_deleted_while_it_is_not_nested_and_restored_when_it_is_again(
    team: Team,
) -> None:
    person, middle, deep = team.hire_deep()
    [colleague] = team.hire()
    await team.connect()
    team.control.remove_members(team.group, middle)
    await team.looked()
    team.control.delete_group(deep)
    team.pass_time(LAG + 1)
    await team.looked()
    team.control.add_members(team.group, middle)
    await team.looked()
    team.pass_time(LAG + 1)
    await team.looked()
    assert await team.members() == {colleague}

    team.control.restore_group(deep)
    await team.looked()

    assert await team.members() == {colleague, person}


async def test_memberships_that_end_in_a_404_fail_one_person_and_not_the_run(team: Team) -> None:
    """As of somebody who is deleted between two pages."""
    [person] = team.hire()
    await team.connect()
    team.rename(person)
    team.control.add_fault("emptyPages", count=1)
    path = f"/v1.0/users/{person}/transitiveMemberOf**"
    late = team.control.add_fault("notFound", path=path, where="direct")

    run = await team.run()
    assert run.error is None
    assert [(one.object_id, one.code) for one in run.errors] == [(person, "record.unanswered")]
    assert await team.members() == {person}

    team.control.remove_fault(late["id"])
    await team.looked()
    assert await team.names() == {person: "After"}


async def test_a_named_group_that_answers_404_once_removes_nobody_and_is_read_whole_afterwards(
    team: Team,
) -> None:
    goes, stays = team.hire(2)
    await team.connect()
    fault = team.control.add_fault("notFound", path=f"/v1.0/groups/{team.group}**")
    team.control.add_members(team.group, team.control.create_group("Nested")["id"])
    await team.looked()
    team.control.remove_fault(fault["id"])
    assert await team.members() == {goes, stays}

    assert (await team.run()).mode is Mode.FULL
    team.control.remove_members(team.group, goes)
    team.pass_time(LAG + 1)
    await team.looked()

    assert await team.members() == {stays}


@pytest.mark.parametrize("when", ["before the first run", "between two runs"])
async def test_somebody_who_was_never_seen_is_restored_into_the_groups_of_before(
    team: Team, when: str
) -> None:
    """Of memberships that come back with a restored person, groups/delta tells nothing."""
    [colleague] = team.hire()
    if when == "before the first run":
        [stranger] = team.hire()
        team.control.soft_delete(stranger)
        await team.connect()
    else:
        await team.connect()
        [stranger] = team.hire()
        team.control.soft_delete(stranger)
        await team.looked()
    team.pass_time(LAG + 1)
    await team.run("full")

    team.control.restore(stranger)
    await team.looked()

    assert await team.members() == {colleague, stranger}


async def test_a_look_that_contradicts_the_reading_is_repeated_when_answers_no_longer_lag(
    team: Team,
) -> None:
    """The nested group is gone from all lists, and its people still answer that they are in it."""
    person, nested = team.hire_nested()
    [colleague] = team.hire()
    await team.connect()
    team.control.delete_group(nested)
    team.control.add_fault("lag", maxSeconds=900, seed=7, what=["memberOf"])

    assert (await team.run()).mode is Mode.FULL
    assert await team.members() == {colleague, person}
    team.control.clear_faults()
    for _ in range(2):
        team.pass_time(LAG + 1)
        await team.looked()

    assert await team.members() == {colleague}

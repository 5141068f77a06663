"""A connection is made again under another id: once confirmed, it has the rows of the deleted one."""

import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from azure.data.tables import EdmType, EntityProperty, UpdateMode

from local.graph import GraphEmulator
from sync_core.connections import delete
from sync_core.connections.refusals import NeedsConfirmation
from sync_core.connections.takeover import Takeover, confirm, take_back, takeovers
from sync_core.domain.connections.deletion import Users
from sync_core.domain.documents.run import ModeReason, Run, RunStatus
from sync_core.domain.errors import RetryLater
from sync_core.domain.matching.takeover import Standing
from sync_core.domain.plan.takeovers import PreviewTakeover
from sync_core.people.sync_now import sync_person
from sync_core.people.why import PersonExplained, explain
from sync_core.runs.preview import Preview, preview
from sync_core.services import Services, utc_now
from sync_core.store.fences import Fence
from sync_core.store.tables import USERS
from sync_core.store.wire import Entity, Operation, Verb
from tests.runs.killed import KILLED, run_until_write
from tests.runs.recovery import assert_fences_stand, recover
from tests.system import (
    BY_HAND,
    Rig,
    active,
    fences_of,
    group_scope,
    histories_of,
    rows_of,
    run_now,
    set_clock,
    stored_connection,
)

CREDITS = EntityProperty(2**40, EdmType.INT64)
# What a move changes of a row: where it stands and whose it is, when and by which run that was written.
MOVED = {"PartitionKey", "ConnectionId", "LastRunId", "UpdatedAt", "TakenOverFrom", "Returns"}


class Story:
    """A connection that is deleted and made again under another id, over one group of people."""

    def __init__(self, services: Services, emulator: GraphEmulator, name: str, people: int) -> None:
        self.services = services
        self.control = emulator.control
        self.old, self.new = f"{name}-old", f"{name}-new"
        self.people = sorted(self.control.create_person()["id"] for _ in range(people))
        self.group = self.control.create_group("Taken", members=self.people)["id"]

    async def connect(self, name: str, **changes: Any) -> None:
        await stored_connection(self.services, name, scope=group_scope(self.group), **changes)

    async def write(self, object_id: str, name: str = "", **columns: Any) -> None:
        """Write columns of the application into a person's row."""
        table = await self.services.store.tables.table(USERS)
        keys = {"PartitionKey": f"{name or self.old}-{object_id[0]}", "RowKey": object_id}
        await table.update_entity(keys | columns, mode=UpdateMode.MERGE)

    async def deleted(self, users: Users, **changes: Any) -> dict[str, Entity]:
        """Run the old connection and delete it; give its rows as they are left."""
        await self.connect(self.old, **changes)
        await run_now(self.services, self.old)
        await self.write(self.people[0], theme="dark", credits=CREDITS)
        await self.delete(self.old, users)
        return await rows_of(self.services, self.old)

    async def delete(self, name: str, users: Users) -> None:
        stored = await self.services.store.connections.get(name)
        try:
            await delete.delete(self.services, stored, users, (), BY_HAND)
        except NeedsConfirmation as needed:
            plan = [needed.members["planHash"]]
            await delete.delete(self.services, stored, users, plan, BY_HAND)

    async def preview(self) -> tuple[Preview, PreviewTakeover | None]:
        stored = await self.services.store.connections.get(self.new)
        found = await preview(self.services, stored.connection)
        return found, next((one for one in found.takeovers if one.connection == self.old), None)

    async def confirm(self) -> Takeover:
        stored = await self.services.store.connections.get(self.new)
        return await confirm(self.services, stored.connection, self.old, "me", "made again")

    async def standing(self) -> Standing:
        stored = await self.services.store.connections.get(self.new)
        found = await takeovers(self.services, stored.connection)
        return next(one.standing for one in found if one.leftover.connection_id == self.old)

    async def run(self, **changes: Any) -> Run:
        return await run_now(self.services, self.new, **changes)

    async def why(self, object_id: str) -> PersonExplained:
        stored = await self.services.store.connections.get(self.new)
        return await explain(self.services, stored.connection, object_id, values_of_outsiders=True)

    async def rows(self, name: str = "") -> dict[str, Entity]:
        return await rows_of(self.services, name or self.new)


def unmoved(rows: Mapping[str, Entity]) -> dict[str, dict[str, Any]]:
    """Return rows without what says where they stand."""
    return {
        one: {name: value for name, value in row.items() if name not in MOVED}
        for one, row in rows.items()
    }


def codes(found: Preview) -> set[str]:
    return {one.code for one in found.warnings}


@pytest.mark.parametrize("users", [Users.KEEP, Users.DISABLE])
async def test_the_connection_made_again_has_the_rows_once_it_is_confirmed(
    services: Services, emulator: GraphEmulator, connection_id: str, users: Users
) -> None:
    """Whoever left meanwhile is out, who was disabled by the deletion is back, and nobody is new."""
    story = Story(services, emulator, connection_id, people=12)
    control = story.control
    gone, left = story.people[1:3], story.people[3]
    control.remove_members(story.group, left)
    left_before = await story.deleted(users)
    control.add_members(story.group, left)
    control.change_many("softDelete", keys=gone)
    # Without the takeover, so few newcomers would be held, and so many who come back.
    policy = {"guard": {"maxCreates": 1, "maxRemovalPercent": 100, "maxRemovals": None}}
    await story.connect(story.new, policy=policy)
    newcomer = control.create_person()["id"]
    control.add_members(story.group, newcomer)

    await assert_told(story, users)
    confirmed = await story.confirm()
    assert (confirmed.standing, len(confirmed.people)) == (Standing.CONFIRMED, 11)
    planned, seen = await story.preview()
    assert seen is not None
    assert (seen.standing, planned.counts.linked, planned.counts.held) == (
        Standing.CONFIRMED,
        11,
        2,
    )
    assert "takeover.confirmed" in codes(planned)
    assert await story.rows(story.old) == left_before
    held = await story.run()

    assert held.plan_hash == planned.plan_hash
    assert held.mode_reason is ModeReason.FIRST
    for name in ("read", "created", "reenabled", "disabled", "unchanged", "linked", "active"):
        before = 0 if name == "created" else getattr(planned.counts, name)
        assert getattr(held.counts, name) == before, name
    assert held.status is RunStatus.HELD, "two newcomers, and one may come"
    assert await fences_of(services, story.old) == {}
    assert await histories_of(services, story.old) == {}
    await assert_moved(story, left_before, gone, users)
    assert await story.standing() is Standing.DONE
    control.patch_person(story.people[5], {"jobTitle": "Moved"})
    later = await story.run(mode="incremental")
    assert later.mode_reason is None
    assert (later.counts.updated, later.counts.linked) == (1, 0)
    assert (await story.rows())[story.people[0]]["theme"] == "dark"
    _, seen = await story.preview()
    assert seen is None
    await assert_fences_stand(services, story.new)


async def assert_told(story: Story, users: Users) -> None:
    """The preview says whose rows stand already, and what it takes to have them."""
    found, seen = await story.preview()
    assert seen is not None
    assert (seen.standing, seen.people, seen.coming, seen.here) == (Standing.OPEN, 11, 9, 0)
    assert seen.active == (11 if users is Users.KEEP else 0)
    assert len(seen.sample) == 5
    assert (found.counts.created, found.counts.linked) == (11, 0)
    assert "people.ofDeletedConnection" in codes(found)


async def assert_moved(
    story: Story, before: Mapping[str, Entity], gone: Collection[str], users: Users
) -> None:
    """Everybody has the one row that they had, with what the application keeps in it, and its history."""
    rows, histories = await story.rows(), await histories_of(story.services, story.new)
    assert rows.keys() == before.keys()
    assert await story.rows(story.old) == {}
    assert active(rows) == before.keys() - {*gone}
    reasons = {one: rows[one]["DisabledReason"] for one in gone}
    expected = "softDeleted" if users is Users.KEEP else "connectionDeleted"
    assert reasons == dict.fromkeys(gone, expected)
    ann = rows[story.people[0]]
    assert (ann["theme"], ann["credits"].value) == ("dark", 2**40)
    assert ann["CreatedAt"] == before[story.people[0]]["CreatedAt"]
    assert ann["TakenOverFrom"] == f"{story.old}-{story.people[0][0]}|{story.people[0]}"
    assert {row.get("Returns") for one, row in rows.items() if one not in gone} == {None}
    told = [(one["Action"], "Link" in one) for one in histories[story.people[0]]]
    again = [("disable", False)] if users is Users.DISABLE else []
    back = [("reenable", False)] if users is Users.DISABLE else []
    assert told == [*back, ("update", True), *again, ("create", False)]


async def test_killed_before_any_write_of_a_takeover(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    """Copied and not deleted, or neither: the next run ends with one row for everybody, told once."""
    story = Story(services, emulator, connection_id, people=1)
    wanted: dict[str, dict[str, Any]] = {}
    # The lease and the record are those of any run. `make proof` tries every write.
    for deadly in itertools.count(3, 1 if os.environ.get("KILLS") == "all" else 3):
        story.old, story.new = (f"{connection_id}-{word}{deadly}" for word in ("old", "new"))
        set_clock(services, utc_now)
        await story.deleted(Users.DISABLE)
        await story.connect(story.new)
        await story.confirm()
        request = {"connectionId": story.new, "trigger": "manual"}
        code = run_until_write(rig.environment(emulator), request, deadly)
        if code == KILLED:
            await recover(services, story.new)
        rows, histories = await story.rows(), await histories_of(services, story.new)
        told = {tuple(entry["Action"] for entry in histories[one]) for one in story.people}

        wanted = wanted or essence_of(rows)
        assert essence_of(rows) == wanted
        assert rows[story.people[0]]["theme"] == "dark"
        assert active(rows) == {*story.people}
        assert await story.rows(story.old) == {}
        assert await histories_of(services, story.old) == {}
        assert told == {("reenable", "update", "disable", "create")}
        assert await story.standing() is Standing.DONE
        await assert_fences_stand(services, story.new)
        if code != KILLED:
            break
    # Plan; copy, deletion; history, its deletion; the fence; person; and how the run ends.
    assert deadly > 12


async def test_rows_on_both_sides_are_joined_and_a_row_in_the_way_stays(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The connection ran before it was confirmed; and the application has put a row where one would go."""
    story = Story(services, emulator, connection_id, people=4)
    ann, ben, cat, dan = story.people
    await story.deleted(Users.KEEP)
    await story.write(ben, theme="dark", seen=1)
    table = await services.store.tables.table(USERS)
    in_the_way = {"PartitionKey": f"{story.new}-{cat[0]}", "RowKey": cat}
    await table.create_entity(in_the_way)
    story.control.remove_members(story.group, dan)
    await story.connect(story.new, policy={"guard": {"maxRemovalPercent": 34}})
    await story.run()
    await story.write(ben, story.new, theme="light")
    before = await story.rows()
    found, seen = await story.preview()
    await story.confirm()
    run = await story.run()
    rows, left = await story.rows(), await story.rows(story.old)
    await table.delete_entity(in_the_way["PartitionKey"], in_the_way["RowKey"])
    again = await story.confirm()
    last = await story.run()

    assert seen is not None
    assert (seen.people, seen.coming, seen.here, seen.active) == (4, 0, 2, 4)
    assert "2 people have a second row" in next(
        one.message for one in found.warnings if one.code == "people.ofDeletedConnection"
    )
    assert (rows[ann]["theme"], rows[ann]["credits"].value) == ("dark", 2**40)
    assert (rows[ben]["theme"], rows[ben]["seen"]) == ("light", 1)
    assert rows[ben]["CreatedAt"] < before[ben]["CreatedAt"]
    assert (run.mode_reason, run.counts.linked, run.counts.created) == (ModeReason.TAKEOVER, 3, 0)
    assert rows[dan]["DisabledReason"] == "leftScope", "was active for ever"
    assert {one.object_id: one.code for one in run.errors}[cat] == "takeover.rowTaken"
    assert left.keys() == {cat}
    assert (again.standing, len(again.people)) == (Standing.CONFIRMED, 1)
    assert last.counts.linked == 1
    assert active(await story.rows()) == {ann, ben, cat}
    assert await story.rows(story.old) == {}


async def test_one_person_alone_is_moved_and_explained(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    story = Story(services, emulator, connection_id, people=2)
    ann, ben = story.people
    await story.deleted(Users.DISABLE)
    await story.connect(story.new, matching=["email"])
    before = await story.why(ann)
    await story.confirm()
    confirmed = await story.why(ann)
    done = await sync_person(services, story.new, ann, BY_HAND)
    after = await story.why(ann)
    old = f"{story.old}-{ann[0]}|{ann}"

    assert (before.match.how, before.match.row, before.next_run.action) == ("none", old, "create")
    assert f"POST /api/connections/{story.new}/takeovers/{story.old}" in before.match.message
    assert (confirmed.match.by, confirmed.match.row) == ("takeover", old)
    assert confirmed.stored is not None
    assert (confirmed.stored.connection_id, confirmed.next_run.action) == (story.old, "reenable")
    assert [one.action for one in confirmed.history] == ["disable", "create"]
    assert (done.run.counts.reenabled, done.run.counts.linked) == (1, 1)
    assert done.person is not None
    assert (done.person.status, done.person.taken_over_from) == ("active", old)
    assert (await story.rows())[ann]["theme"] == "dark"
    assert (await story.rows(story.old)).keys() == {ben}
    assert (after.match.by, after.match.row, after.next_run.action) == ("takeover", old, None)
    assert len(after.history) == 4
    assert await story.standing() is Standing.CONFIRMED


async def test_what_the_application_writes_while_a_row_moves_goes_along(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = Story(services, emulator, connection_id, people=1)
    [ann] = story.people
    await story.deleted(Users.KEEP)
    await story.connect(story.new)
    await story.confirm()
    submit, written = Fence.submit, []

    async def submit_and_write(self: Fence, table: str, operations: Sequence[Operation]) -> None:
        await submit(self, table, operations)
        if operations[0].verb is Verb.INSERT and "TakenOverFrom" in operations[0].entity:
            written.append(operations[0].entity["theme"])
            await story.write(ann, theme="light", seen=1)

    monkeypatch.setattr(Fence, "submit", submit_and_write)
    await story.run()
    row = (await story.rows())[ann]

    assert written == ["dark"]
    assert (row["theme"], row["seen"], row["credits"].value) == ("light", 1, 2**40)
    assert await story.rows(story.old) == {}


@pytest.mark.parametrize("where", ["old", "new"])
async def test_what_the_application_writes_after_a_row_was_copied_is_not_lost(
    *,
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """A run was ended between copy and deletion: the application may know only the old row by then."""
    story = Story(services, emulator, connection_id, people=1)
    [ann] = story.people
    await story.deleted(Users.DISABLE)
    await story.connect(story.new)
    await story.confirm()
    submit = Fence.submit

    async def fail_to_delete(self: Fence, table: str, operations: Sequence[Operation]) -> None:
        if table == USERS and operations[0].verb is Verb.DELETE:
            raise RetryLater("storage.unavailable", "Gone.", "Wait.")
        await submit(self, table, operations)

    with monkeypatch.context() as patch:
        patch.setattr(Fence, "submit", fail_to_delete)
        ended = await story.run()
    copied, planned = await story.rows(), await services.store.plans.has(story.new, ended.id)
    await story.write(ann, getattr(story, where), theme="light", seen=1)
    await story.run()
    row = (await story.rows())[ann]

    assert (ended.status, copied[ann]["theme"]) == (RunStatus.FAILED, "dark")
    assert planned, "the plan can be read whatever happens next"
    assert (row["theme"], row["seen"], row["credits"].value) == ("light", 1, 2**40)
    assert await story.rows(story.old) == {}


async def test_what_was_taken_back_or_made_again_is_left_alone(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    story = Story(services, emulator, connection_id, people=2)
    left = await story.deleted(Users.KEEP)
    await story.connect(story.new)
    await story.confirm()
    stored = await services.store.connections.get(story.new)
    await take_back(services, stored.connection, story.old, "me")
    await story.run()
    taken_back = await story.rows(story.old)
    await story.confirm()
    await story.connect(story.old)
    run = await story.run()

    assert taken_back == left == await story.rows(story.old)
    assert (run.counts.linked, run.counts.unchanged) == (0, 2)


def essence_of(rows: Mapping[str, Entity]) -> dict[str, dict[str, Any]]:
    """Return what is the same of the rows, whichever two connections they went between."""
    own = MOVED - {"Returns"} | {"DisabledAt", "CreatedAt"}
    return {
        one: {name: value for name, value in row.items() if name not in own}
        for one, row in rows.items()
    }

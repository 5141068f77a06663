"""People who stand in the table already are linked, wait, or are decided about; nobody is taken over."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from azure.data.tables import EdmType, EntityProperty, UpdateMode

from local.graph import GraphEmulator
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.domain.matching.decide import Decision, DecisionKind, Wait, Why
from sync_core.domain.plan.digest import moves_of
from sync_core.people.links import break_link
from sync_core.runs.preview import preview
from sync_core.services import Services
from sync_core.store.matches import Match, MatchStore
from sync_core.store.tables import USERS
from sync_core.store.wire import Entity, point
from tests.runs.killed import KILLED, run_until_write
from tests.runs.previews import as_planned
from tests.runs.recovery import essence, recover
from tests.system import (
    Rig,
    active,
    changes_of,
    connection,
    group_scope,
    history_of,
    rows_of,
    run_now,
    stored_connection,
)

REFERRING = [{"target": "email", "source": "mail"}, {"target": "boss", "source": "manager"}]
LIBERAL = {"guard": {"maxRemovals": None, "maxRemovalPercent": None}}


class Tenant:
    """A group of the emulated tenant, with a connection to it and the application's rows beside."""

    def __init__(
        self, services: Services, emulator: GraphEmulator, connection_id: str, group: str = ""
    ) -> None:
        self.services = services
        self.control = emulator.control
        self.id = connection_id
        self.group = group or emulator.control.create_group("Matched", members=[])["id"]

    async def connect(self, **changes: Any) -> None:
        known: dict[str, Any] = {
            "scope": group_scope(self.group),
            "matching": ["email", "employeeId"],
            "policy": LIBERAL,
        }
        await stored_connection(self.services, self.id, **(known | changes))

    async def reconnect(self, **changes: Any) -> None:
        """Change the stored connection."""
        stored = await self.services.store.connections.get(self.id)
        document = stored.connection.to_json() | changes
        await self.services.store.connections.replace(
            type(stored.connection).model_validate(document), stored
        )

    def joins(self, mail: str, **attributes: Any) -> str:
        """Make a person with a mail address, and put the person into the group."""
        person = self.control.create_person({"mail": mail, **attributes})
        self.control.add_members(self.group, person["id"])
        return str(person["id"])

    async def put(self, row_key: str, digit: str | None = None, **columns: Any) -> str:
        """Put a row of the application into the table; gives its address."""
        table = await self.services.store.tables.table(USERS)
        partition = f"{self.id}-{digit or row_key[0]}"
        await table.create_entity({"PartitionKey": partition, "RowKey": row_key} | columns)
        return f"{partition}|{row_key}"

    async def row(self, row_key: str) -> Mapping[str, Any]:
        return (await self.rows())[row_key]

    async def rows(self) -> dict[str, Entity]:
        return await rows_of(self.services, self.id)

    async def run(self) -> Run:
        return await run_now(self.services, self.id)

    async def queue(self) -> dict[str, Match]:
        return await self.services.store.matches(self.id).all()

    async def decide(self, object_id: str, kind: str, row: str = "") -> None:
        store = self.services.store.matches(self.id)
        match = await store.find(object_id)
        assert match is not None
        decision = Decision(DecisionKind(kind), row)
        await store.decide(match, decision, self.services.clock(), "an administrator")

    async def newest(self, object_id: str) -> Mapping[str, Any]:
        """Give the newest history entry as the API does."""
        people = self.services.store.people(self.id)
        entries, _ = await people.history(object_id, top=1)
        return entries[0].to_json()

    def do_after_planning(
        self, act: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Let something happen between the plan of the next run and its first change."""
        save = self.services.store.plans.save

        async def save_and_act(*plan: Any) -> None:
            await save(*plan)
            await act()

        monkeypatch.setattr(self.services.store.plans, "save", save_and_act)

    async def assert_waits(self, run: Run, **why: Why) -> None:
        """The run says it, the queue says why, and everybody else was done."""
        assert run.status is RunStatus.PARTIAL
        assert {error.object_id for error in run.errors} == why.keys()
        assert {error.code for error in run.errors} == {"match.waiting"}
        assert run.counts.failed == len(why)
        queue = await self.queue()
        assert {object_id: one.wait.why for object_id, one in queue.items()} == why


@pytest.fixture
def tenant(services: Services, emulator: GraphEmulator, connection_id: str) -> Tenant:
    return Tenant(services, emulator, connection_id)


# --- linked ---------------------------------------------------------------------------------------


async def test_a_row_of_the_application_becomes_the_persons(tenant: Tenant) -> None:
    ann = tenant.joins("Ann@contoso.com", department="Legal")
    address = await tenant.put(
        "app-17",
        "a",
        email=" ann@CONTOSO.com",
        department="as it was",
        appTheme="dark",
        appLogins=EntityProperty(2**40, EdmType.INT64),
        Status="member",
    )
    await tenant.connect()

    run = await tenant.run()

    person, source = await tenant.row(ann), await tenant.row("app-17")
    assert run.status is RunStatus.SUCCEEDED
    assert (run.counts.created, run.counts.linked) == (1, 1)
    assert (person["Status"], person["ConnectionId"]) == ("active", tenant.id)
    assert (person["email"], person["department"]) == ("Ann@contoso.com", "Legal")
    assert person["appTheme"] == "dark"
    assert person["appLogins"].value == 2**40
    assert (person["LinkedFrom"], person["LinkedBy"]) == (address, "email")
    assert (source["LinkedObjectId"], source["LinkedBy"]) == (ann, "email")
    assert (source["Status"], source["department"]) == ("member", "as it was")
    entry = await tenant.newest(ann)
    assert entry["action"] == "create"
    assert entry["link"] == {"row": address, "by": "email", "rehire": False, "broken": False}
    [change] = await changes_of(tenant.services, run)
    assert change["link"] == {"row": address, "by": "email"}


@pytest.mark.parametrize("row_key", ["app'17", "app-ü %7c|+&;=", "!first"])
async def test_a_row_may_have_any_key(tenant: Tenant, row_key: str) -> None:
    ann = tenant.joins("ann@contoso.com")
    address = await tenant.put(row_key, "a", email="ann@contoso.com", appTheme="dark")
    await tenant.connect()

    run = await tenant.run()

    assert run.status is RunStatus.SUCCEEDED
    assert (await tenant.row(row_key))["LinkedObjectId"] == ann
    assert ((await tenant.row(ann))["LinkedFrom"], (await tenant.row(ann))["appTheme"]) == (
        address,
        "dark",
    )


async def test_a_mark_that_the_application_set_is_followed(tenant: Tenant) -> None:
    ann = tenant.joins("ann@contoso.com")
    await tenant.put("app-17", "a", LinkedObjectId=ann.upper(), appTheme="dark")
    await tenant.connect()

    run = await tenant.run()

    assert run.status is RunStatus.SUCCEEDED
    assert (await tenant.row(ann))["LinkedBy"] == "objectId"
    assert (await tenant.row("app-17"))["LinkedObjectId"] == ann


async def test_a_row_at_the_persons_own_address_is_adopted_with_its_columns(
    tenant: Tenant,
) -> None:
    ann = tenant.joins("ann@contoso.com", department=None)
    await tenant.put(ann, email="old@contoso.com", department="as it was", appTheme="dark")
    await tenant.connect()

    run = await tenant.run()

    row = await tenant.row(ann)
    assert run.status is RunStatus.SUCCEEDED
    assert row["appTheme"] == "dark"
    assert row["email"] == "ann@contoso.com"
    assert "department" not in row
    assert (row["Status"], row["LinkedBy"]) == ("active", "objectId")
    entry = await tenant.newest(ann)
    assert entry["fields"]["email"] == ["old@contoso.com", "ann@contoso.com"]
    assert entry["fields"]["department"] == ["as it was", None]
    assert entry["link"]["by"] == "objectId"


async def test_rows_that_would_be_emptied_by_being_adopted_wait(tenant: Tenant) -> None:
    """A first import brings in as many as there are, and empties none of their columns unasked."""
    people = [tenant.joins(f"p{n}@contoso.com", department=None) for n in range(5)]
    for one in people:
        await tenant.put(one, department="as it was")
    other = tenant.joins("other@contoso.com")
    await tenant.connect()

    held = await tenant.run()
    rows = await tenant.rows()
    only_them = await tenant.run()
    moves = moves_of(only_them.plan_hash or "")
    await tenant.services.store.approvals.remember(tenant.id, moves, "Ann", tenant.services.clock())
    approved = await tenant.run()

    assert (held.status, held.counts.created, held.counts.held) == (RunStatus.HELD, 1, 5)
    assert held.error is not None
    assert "department would be emptied for 5 of 5 people" in held.error.message
    assert rows[other]["Status"] == "active"
    assert {(rows[one]["department"], rows[one].get("Status")) for one in people} == {
        ("as it was", None)
    }
    assert (approved.status, approved.counts.linked) == (RunStatus.SUCCEEDED, 5)


async def test_a_linked_person_is_synced_like_any_other(tenant: Tenant) -> None:
    ann = tenant.joins("ann@contoso.com")
    await tenant.put("app-17", "a", email="ann@contoso.com", appTheme="dark")
    await tenant.connect()
    await tenant.run()
    unchanged = await tenant.run()
    tenant.control.patch_person(ann, {"mail": "ann.new@contoso.com"})
    changed = await tenant.run()

    row = await tenant.row(ann)
    assert (unchanged.counts.unchanged, unchanged.counts.created) == (1, 0)
    assert changed.counts.updated == 1
    assert (row["email"], row["appTheme"]) == ("ann.new@contoso.com", "dark")
    assert row["LinkedFrom"] == f"{tenant.id}-a|app-17"


async def test_without_matching_keys_nothing_is_linked_and_no_table_is_asked(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, ben = tenant.joins("ann@contoso.com"), tenant.joins("ben@contoso.com")
    await tenant.put("app-17", "a", email="ann@contoso.com")
    await tenant.put(ben, email="ben@contoso.com")
    await tenant.connect(matching=[])

    async def unasked(self: MatchStore) -> None:
        pytest.fail("the queue was read")

    monkeypatch.setattr(MatchStore, "all", unasked)
    run = await tenant.run()

    rows = await tenant.rows()
    assert [error.code for error in run.errors] == ["record.notOwned"]
    assert "LinkedFrom" not in rows[ann]
    assert "LinkedObjectId" not in rows["app-17"]
    assert "Status" not in rows[ben]


async def with_one_person(tenant: Tenant, **connection: Any) -> str:
    """Connect and import one person, as the guard lets everybody of a first import in."""
    first = tenant.joins("zed@contoso.com")
    await tenant.connect(**connection)
    await tenant.run()
    return first


async def test_links_count_like_creates_for_the_guard(tenant: Tenant) -> None:
    first = await with_one_person(tenant, policy={"guard": {"maxCreates": 0}})
    tenant.joins("ann@contoso.com")
    await tenant.put("app-17", "a", email="ann@contoso.com")

    run = await tenant.run()

    assert run.status is RunStatus.HELD
    assert run.counts.held == 1
    assert (await tenant.rows()).keys() == {"app-17", first}
    assert "LinkedObjectId" not in await tenant.row("app-17")


async def test_more_links_than_a_batch_holds(tenant: Tenant) -> None:
    """The rows of the application may all stand in one partition, and people in sixteen."""
    people = [tenant.joins(f"p{number}@contoso.com") for number in range(70)]
    for number in range(70):
        await tenant.put(f"app-{number}", "a", email=f"P{number}@contoso.com", appNumber=number)
    await tenant.connect()

    run = await tenant.run()

    rows = await tenant.rows()
    assert (run.status, run.counts.linked) == (RunStatus.SUCCEEDED, 70)
    assert [rows[one]["appNumber"] for one in people] == list(range(70))
    assert [rows[f"app-{number}"]["LinkedObjectId"] for number in range(70)] == people


@pytest.mark.parametrize("taken", [True, False])
async def test_a_row_that_is_lost_while_the_run_is_under_way_stops_nobody_else(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    ann, ben = tenant.joins("ann@contoso.com"), tenant.joins("ben@contoso.com")
    await tenant.put("app-1", "a", email="ann@contoso.com")
    await tenant.put("app-2", "a", email="ben@contoso.com")
    await tenant.connect()
    keys = {"PartitionKey": f"{tenant.id}-a", "RowKey": "app-1"}

    async def lose() -> None:
        table = await tenant.services.store.tables.table(USERS)
        if taken:
            await table.update_entity(keys | {"LinkedObjectId": "somebody else"})
        else:
            await table.delete_entity(keys)

    tenant.do_after_planning(lose, monkeypatch)
    run = await tenant.run()
    monkeypatch.undo()
    healed = await tenant.run()

    assert [(error.object_id, error.code) for error in run.errors] == [
        (ann, "record.changedMeanwhile")
    ]
    assert run.counts.linked == 1
    assert (await tenant.row(ben))["LinkedBy"] == "email"
    assert healed.status is RunStatus.SUCCEEDED
    assert "LinkedFrom" not in await tenant.row(ann)


async def test_a_row_that_is_changed_between_its_reading_and_its_mark_is_read_again(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark names the version whose columns are copied: nothing that was written since gets lost."""
    ann = tenant.joins("ann@contoso.com")
    await tenant.put("app-1", "a", email="ann@contoso.com", appTheme="dark")
    await tenant.connect()
    table = await tenant.services.store.tables.table(USERS)

    async def then_changed(*address: Any) -> Entity | None:
        row = await point(*address)
        await table.update_entity(
            {"PartitionKey": f"{tenant.id}-a", "RowKey": "app-1", "appTheme": "light"}
        )
        return row

    monkeypatch.setattr("sync_core.store.links.point", then_changed)
    run = await tenant.run()
    monkeypatch.undo()
    await tenant.run()

    assert [error.code for error in run.errors] == ["record.changedMeanwhile"]
    assert (await tenant.row(ann))["appTheme"] == "light"


async def test_a_former_person_who_comes_back_meanwhile_is_not_taken_over(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tenant.joins("ann@contoso.com")
    await tenant.connect()
    await tenant.run()
    tenant.control.change_many("softDelete", keys=[old])
    new = tenant.joins("ann@contoso.com")
    await tenant.run()
    await tenant.decide(new, "link", f"{tenant.id}-{old[0]}|{old}")
    table = await tenant.services.store.tables.table(USERS)

    async def come_back() -> None:
        keys = {"PartitionKey": f"{tenant.id}-{old[0]}", "RowKey": old}
        await table.update_entity(keys | {"Status": "active"})

    tenant.do_after_planning(come_back, monkeypatch)
    run = await tenant.run()

    rows = await tenant.rows()
    assert [(error.object_id, error.code) for error in run.errors] == [
        (new, "record.changedMeanwhile")
    ]
    assert new not in rows
    assert "LinkedObjectId" not in rows[old]
    assert (await tenant.queue()).keys() == {new}


# --- waiting --------------------------------------------------------------------------------------


async def test_the_contested_wait_and_everybody_else_flows(tenant: Tenant) -> None:
    ann, ben = tenant.joins("shared@contoso.com"), tenant.joins("shared@contoso.com")
    cat, dan = tenant.joins("cat@contoso.com"), tenant.joins("dan@contoso.com")
    rows = [await tenant.put(f"app-{n}", "a", email="cat@contoso.com") for n in (1, 2)]
    await tenant.connect()

    run = await tenant.run()

    await tenant.assert_waits(
        run,
        **{ann: Why.SEVERAL_PEOPLE, ben: Why.SEVERAL_PEOPLE, cat: Why.SEVERAL_ROWS},
    )
    assert active({key: row for key, row in (await tenant.rows()).items() if "Status" in row}) == {
        dan
    }
    queue = await tenant.queue()
    assert queue[ann].wait.people == (ben,)
    assert list(queue[cat].wait.rows) == rows
    assert queue[cat].user_principal_name == tenant.control.person(cat)["userPrincipalName"]
    for error in run.errors:
        assert "contoso.com" not in error.message.replace(tenant.id, "")


async def test_a_wait_ends_by_itself_when_its_cause_is_gone(tenant: Tenant) -> None:
    ann, ben = tenant.joins("shared@contoso.com"), tenant.joins("shared@contoso.com")
    await tenant.put("app-1", "a", email="shared@contoso.com")
    await tenant.connect()
    await tenant.run()
    since = (await tenant.queue())[ann].since
    again = await tenant.run()
    still = await tenant.queue()
    tenant.control.patch_person(ben, {"mail": "ben@contoso.com"})

    run = await tenant.run()

    assert again.status is RunStatus.PARTIAL
    assert still[ann].since == since
    assert run.status is RunStatus.SUCCEEDED
    assert await tenant.queue() == {}
    assert (await tenant.row(ann))["LinkedBy"] == "email"
    assert "LinkedFrom" not in await tenant.row(ben)


async def test_a_protected_row_waits(tenant: Tenant) -> None:
    ann = tenant.joins("root@contoso.com")
    await tenant.put("app-1", "a", email="root@contoso.com", role="owner")
    await tenant.connect(policy=LIBERAL | {"protected": ["ROOT@contoso.com"]})

    await tenant.assert_waits(await tenant.run(), **{ann: Why.PROTECTED_ROW})


async def test_an_address_that_was_given_to_somebody_else_in_the_same_run(tenant: Tenant) -> None:
    """The value counts for who has it now: Ann was renamed, so Ben is no double of hers."""
    ann = tenant.joins("desk@contoso.com")
    await tenant.connect()
    await tenant.run()
    tenant.control.patch_person(ann, {"mail": "ann@contoso.com"})
    ben = tenant.joins("desk@contoso.com")

    run = await tenant.run()

    assert run.status is RunStatus.SUCCEEDED
    assert (await tenant.row(ben))["email"] == "desk@contoso.com"


async def test_a_second_active_person_with_the_same_address_waits(tenant: Tenant) -> None:
    ann = tenant.joins("desk@contoso.com")
    await tenant.connect()
    await tenant.run()
    ben = tenant.joins("Desk@contoso.com")

    run = await tenant.run()

    await tenant.assert_waits(run, **{ben: Why.SAME_AS_ACTIVE})
    assert (await tenant.queue())[ben].wait.people == (ann,)


async def test_who_waits_and_leaves_the_scope_waits_no_longer(tenant: Tenant) -> None:
    ann = tenant.joins("x@contoso.com")
    ben = tenant.joins("x@contoso.com")
    await tenant.connect()
    await tenant.run()
    tenant.control.remove_members(tenant.group, ben)

    run = await tenant.run()

    assert run.status is RunStatus.SUCCEEDED
    assert await tenant.queue() == {}
    assert (await tenant.row(ann))["email"] == "x@contoso.com"


async def test_while_a_group_of_the_scope_is_missing_no_key_links(tenant: Tenant) -> None:
    """Who was not read could claim the same row; nobody is taken over on the word of half a reading."""
    ann = tenant.joins("ann@contoso.com")
    ben = tenant.joins("ben@contoso.com")
    await tenant.put("app-1", "a", email="ann@contoso.com")
    missing = "99999999-0000-4000-8000-000000000000"
    await tenant.connect(scope=group_scope(tenant.group, missing))

    run = await tenant.run()

    codes = {error.object_id: error.code for error in run.errors}
    assert codes == {ann: "match.waiting", missing: "scope.groupNotFound"}
    assert (await tenant.queue())[ann].wait.why is Why.READING_INCOMPLETE
    assert "LinkedFrom" not in await tenant.row(ben)
    await tenant.reconnect(scope=group_scope(tenant.group))
    assert (await tenant.run()).counts.linked == 1


async def test_who_waits_because_of_somebody_who_is_not_read_goes_on_waiting(
    tenant: Tenant,
) -> None:
    other = tenant.control.create_group("Other", members=[])["id"]
    ann, ben = tenant.joins("desk@contoso.com"), tenant.joins("desk@contoso.com")
    tenant.control.remove_members(tenant.group, ben)
    tenant.control.add_members(other, ben)
    await tenant.connect(scope=group_scope(tenant.group, other))
    both = await tenant.run()
    await tenant.assert_waits(both, **{ann: Why.SEVERAL_PEOPLE, ben: Why.SEVERAL_PEOPLE})
    tenant.control.delete_group(other)

    half = await tenant.run()

    assert (ann, "match.waiting") in [(one.object_id, one.code) for one in half.errors]
    assert await tenant.rows() == {}
    assert (await tenant.queue()).keys() == {ann, ben}


async def test_a_decision_outlives_a_run_that_does_not_find_the_person(tenant: Tenant) -> None:
    ann, _ = tenant.joins("x@contoso.com"), tenant.joins("x@contoso.com")
    await tenant.connect()
    await tenant.run()
    await tenant.decide(ann, "ignore")
    tenant.control.remove_members(tenant.group, ann)
    await tenant.run()
    tenant.control.add_members(tenant.group, ann)

    run = await tenant.run()

    assert run.status is RunStatus.SUCCEEDED
    assert ann not in await tenant.rows()


# --- decided --------------------------------------------------------------------------------------


async def test_decisions_are_carried_out_by_the_next_run(tenant: Tenant) -> None:
    ann, ben, cat = (tenant.joins("x@contoso.com") for _ in range(3))
    address = await tenant.put("app-1", "a", email="x@contoso.com", appTheme="dark")
    await tenant.connect()
    await tenant.run()
    await tenant.decide(ann, "link", address)
    await tenant.decide(ben, "create")
    await tenant.decide(cat, "ignore")

    run = await tenant.run()
    after = await tenant.run()

    rows = await tenant.rows()
    assert (run.status, run.counts.created, run.counts.linked) == (RunStatus.SUCCEEDED, 2, 1)
    assert (rows[ann]["LinkedBy"], rows[ann]["appTheme"]) == ("decision", "dark")
    assert "LinkedFrom" not in rows[ben]
    assert cat not in rows
    assert (after.status, after.counts.unchanged) == (RunStatus.SUCCEEDED, 2)
    assert (await tenant.queue()).keys() == {cat}


async def test_a_decision_that_has_become_stale_waits_again_with_the_reason(
    tenant: Tenant,
) -> None:
    ann = tenant.joins("x@contoso.com")
    rows = [await tenant.put(f"app-{n}", "a", email="x@contoso.com") for n in (1, 2)]
    await tenant.connect()
    await tenant.run()
    await tenant.decide(ann, "link", rows[0])
    table = await tenant.services.store.tables.table(USERS)
    await table.delete_entity(f"{tenant.id}-a", "app-1")

    run = await tenant.run()

    await tenant.assert_waits(run, **{ann: Why.DECISION_STALE})
    match = (await tenant.queue())[ann]
    assert match.is_stale
    assert match.wait.rows == (rows[1],)
    await tenant.decide(ann, "link", rows[1])
    assert not (await tenant.queue())[ann].is_stale
    assert (await tenant.run()).counts.linked == 1


async def test_a_rehire_takes_over_what_the_application_kept_of_the_former_account(
    tenant: Tenant,
) -> None:
    old = tenant.joins("ann@contoso.com", department="Sales")
    await tenant.connect()
    await tenant.run()
    table = await tenant.services.store.tables.table(USERS)
    keys = {"PartitionKey": f"{tenant.id}-{old[0]}", "RowKey": old}
    await table.update_entity(keys | {"appTheme": "dark"}, mode=UpdateMode.MERGE)
    tenant.control.change_many("softDelete", keys=[old])
    new = tenant.joins("ann@contoso.com", department="Legal")

    run = await tenant.run()
    await tenant.assert_waits(run, **{new: Why.SAME_AS_FORMER})
    assert (await tenant.queue())[new].wait.former == (old,)
    await tenant.decide(new, "link", f"{tenant.id}-{old[0]}|{old}")
    rehired = await tenant.run()
    settled = await tenant.run()

    rows = await tenant.rows()
    assert rehired.status is settled.status is RunStatus.SUCCEEDED
    assert (rows[new]["appTheme"], rows[new]["department"]) == ("dark", "Legal")
    assert (rows[old]["Status"], rows[old]["LinkedObjectId"]) == ("disabled", new)
    assert "DisabledAt" not in rows[new]
    former = await tenant.services.store.people(tenant.id).find(old)
    assert former is not None
    assert former.linked_object_id == new
    link = (await tenant.newest(new))["link"]
    assert (link["rehire"], link["by"]) == (True, "decision")


async def test_a_rename_keeps_the_record_and_its_history(tenant: Tenant) -> None:
    """Sign-in name, mail and name change at once, and an old row bears the new address already."""
    ann = tenant.joins("ann@contoso.com", displayName="Ann Old")
    await tenant.connect()
    await tenant.run()
    await tenant.put("app-9", "a", email="ann.new@contoso.com")
    before = await tenant.row(ann)
    renamed = {
        "userPrincipalName": "ann.new@contoso.com",
        "mail": "ann.new@contoso.com",
        "displayName": "Ann New",
    }
    tenant.control.patch_person(ann, renamed)

    run = await tenant.run()

    rows = await tenant.rows()
    assert (run.status, run.counts.updated) == (RunStatus.SUCCEEDED, 1)
    assert rows.keys() == {ann, "app-9"}
    assert rows[ann]["CreatedAt"] == before["CreatedAt"]
    assert "LinkedObjectId" not in rows["app-9"]
    fields = (await tenant.newest(ann))["fields"]
    assert fields["email"] == ["ann@contoso.com", "ann.new@contoso.com"]
    assert fields["displayName"] == ["Ann Old", "Ann New"]


# --- broken ---------------------------------------------------------------------------------------


async def test_a_broken_link_leaves_the_person_and_is_not_made_again_by_itself(
    tenant: Tenant,
) -> None:
    ann = tenant.joins("ann@contoso.com")
    address = await tenant.put("app-17", "a", email="ann@contoso.com", appTheme="dark")
    await tenant.connect(policy=LIBERAL | {"leftScope": "delete"})
    await tenant.run()
    connection = (await tenant.services.store.connections.get(tenant.id)).connection

    broken = await break_link(tenant.services, connection, ann)
    twice = await break_link(tenant.services, connection, ann)
    unchanged = await tenant.run()

    person, source = await tenant.row(ann), await tenant.row("app-17")
    assert broken is not None
    assert twice is None
    assert unchanged.counts.unchanged == 1
    assert (person["appTheme"], person["Status"]) == ("dark", "active")
    assert not {"LinkedFrom", "LinkedBy"} & person.keys()
    assert "LinkedObjectId" not in source
    entry = await tenant.newest(ann)
    assert entry["link"] == {"row": address, "by": "email", "rehire": False, "broken": True}

    tenant.control.remove_members(tenant.group, ann)
    await tenant.run()
    tenant.control.add_members(tenant.group, ann)
    await tenant.assert_waits(await tenant.run(), **{ann: Why.LINK_BROKEN})
    await tenant.decide(ann, "link", address)
    assert (await tenant.run()).counts.linked == 1


# --- killed ---------------------------------------------------------------------------------------


async def test_killed_before_any_write_of_a_run_that_links(
    services: Services, rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    """One is linked by a key, one in place, one by decision, one waits, and one is created."""
    first = Tenant(services, emulator, connection_id)
    ann, ben = first.joins("ann@contoso.com"), first.joins("ben@contoso.com")
    cat, dan = first.joins("cat@contoso.com"), first.joins("dan@contoso.com")
    first.joins("eve@contoso.com")
    victims = [f"{connection_id}-{number}" for number in range(1, 30)]

    async def prepare(name: str) -> None:
        tenant = Tenant(services, emulator, name, first.group)
        await tenant.put("app-1", "a", email="ann@contoso.com", appTheme="dark")
        await tenant.put(ben, appTheme="light")
        for number in (2, 3):
            await tenant.put(f"app-{number}", "b", email="cat@contoso.com", appTheme="blue")
            await tenant.put(f"app-{number + 2}", "b", email="dan@contoso.com")
        await tenant.connect(enabled=False)
        store = services.store.matches(name)
        waiting = Match(cat, "cat", Wait(Why.SEVERAL_ROWS, "email"), services.clock())
        await store.save_waits([waiting], {})
        await tenant.decide(cat, "link", f"{name}-b|app-3")
        await tenant.reconnect(enabled=True)

    await prepare(connection_id)
    await run_now(services, connection_id)
    wanted = linked_essence(await rows_of(services, connection_id), connection_id)
    assert {key for key in wanted if "LinkedFrom" in wanted[key]} == {ann, ben, cat}
    assert (await first.queue()).keys() == {dan}

    deaths = 0
    for deadly, victim in enumerate(victims, start=1):
        await prepare(victim)
        request = {"connectionId": victim, "trigger": "manual"}
        if run_until_write(rig.environment(emulator), request, deadly) != KILLED:
            break
        deaths += 1
        await recover(services, victim)
        assert linked_essence(await rows_of(services, victim), victim) == wanted
        assert (await services.store.matches(victim).all()).keys() == {dan}
        for object_id in (ann, ben, cat):
            [entry] = await history_of(services, victim, object_id)
            assert "Link" in entry
    # Lease, run, queue, plan, marks and people of five, queue, run, lease.
    assert 12 <= deaths < len(victims)


def linked_essence(rows: Mapping[str, Entity], connection_id: str) -> dict[str, dict[str, Any]]:
    """Leave out the connection's own name, which addresses hold, too."""
    found = essence(rows)
    for row in found.values():
        if "LinkedFrom" in row:
            row["LinkedFrom"] = row["LinkedFrom"].removeprefix(connection_id)
    return found


def test_a_connection_to_match_by_names_targets_that_are_mapped() -> None:
    with pytest.raises(ValueError, match="matching names targets that no mapping fills"):
        connection("contoso", matching=["nickname"])


# --- with references ------------------------------------------------------------------------------


async def test_nobody_refers_to_a_manager_who_waits_for_a_match(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Manager and report come in with one run; the manager's match is doubtful, so there is no row."""
    control = emulator.control
    boss = str(control.create_person({"displayName": "Boss", "mail": "boss@contoso.com"})["id"])
    made = {"displayName": "Report", "mail": "report@contoso.com"}
    report = str(control.create_person(made)["id"])
    control.patch_person(report, {"manager": boss})
    group = str(control.create_group("Two", members=[boss, report])["id"])
    mapping = [{"target": "email", "source": "mail"}, {"target": "boss", "source": "manager"}]
    await stored_connection(
        services,
        connection_id,
        scope=group_scope(group),
        mapping=mapping,
        matching=["email"],
    )
    table = await services.store.tables.table(USERS)
    for number in (1, 2):
        row = {"PartitionKey": f"{connection_id}-a", "RowKey": f"app-{number}"}
        await table.create_entity(row | {"email": "boss@contoso.com"})

    waiting = await run_now(services, connection_id)
    before = await rows_of(services, connection_id)
    await table.delete_entity(f"{connection_id}-a", "app-2")
    await run_now(services, connection_id)
    after = await rows_of(services, connection_id)

    assert [(one.object_id, one.code) for one in waiting.errors] == [(boss, "match.waiting")]
    assert boss not in before
    assert before[report].get("boss") is None
    assert after[boss]["Status"] == "active"
    assert after[report]["boss"] == boss


async def test_a_preview_a_held_run_and_the_confirmed_one_agree_about_links_and_references(
    tenant: Tenant,
) -> None:
    """Whoever was held is referred to from the run after the one that was confirmed."""
    limit = {"guard": {"maxCreates": 2}}
    await with_one_person(tenant, mapping=REFERRING, matching=["email"], policy=limit)
    boss, ann, ben = (tenant.joins(f"{name}@contoso.com") for name in ("boss", "ann", "ben"))
    waiting = [tenant.joins("desk@contoso.com") for _ in range(2)]
    for person, manager in ((ann, boss), (ben, boss), (boss, waiting[0])):
        tenant.control.patch_person(person, {"manager": manager})
    row = await tenant.put("app-1", "a", email="ann@contoso.com")
    connection = (await tenant.services.store.connections.get(tenant.id)).connection

    before = await preview(tenant.services, connection)
    held = await tenant.run()
    moves = moves_of(before.plan_hash)
    await tenant.services.store.approvals.remember(tenant.id, moves, "me", tenant.services.clock())
    told = await preview(tenant.services, connection)
    let_through = await tenant.run()
    first = await tenant.rows()
    await tenant.run()
    last = await tenant.rows()
    after = await preview(tenant.services, connection)

    assert before.plan_hash == held.plan_hash == told.plan_hash == let_through.plan_hash
    assert as_planned(before) == await changes_of(tenant.services, held)
    assert as_planned(told) == await changes_of(tenant.services, let_through)
    assert (held.status, held.counts.held, let_through.counts.created) == (RunStatus.HELD, 3, 3)
    linked = [one.counts.linked for one in (before, held, told, let_through, after)]
    assert linked == [1, 0, 1, 1, 0]
    assert first[ann]["LinkedFrom"] == row
    assert first.keys() & {*waiting} == set()
    assert [first[one].get("boss") for one in (boss, ann, ben)] == [None, None, None]
    assert [last[one].get("boss") for one in (boss, ann, ben)] == [None, boss, boss]
    assert after.changes == []


async def test_whoever_waits_for_a_match_does_not_count_against_the_limit_of_references(
    tenant: Tenant,
) -> None:
    """Two come in and two wait: that is no more than the limit, so nobody is held."""
    limit = {"guard": {"maxCreates": 2}}
    await with_one_person(tenant, mapping=REFERRING, matching=["email"], policy=limit)
    boss = tenant.joins("boss@contoso.com")
    others = [tenant.joins(f"{name}@contoso.com") for name in ("desk", "desk", "ann")]
    for one in others:
        tenant.control.patch_person(one, {"manager": boss})

    run = await tenant.run()

    assert run.counts.created == 2
    assert (await tenant.row(others[-1]))["boss"] == boss


async def test_the_example_of_a_failed_record_is_a_record(tenant: Tenant) -> None:
    """Not the group that is missing, which is told by a warning of its own."""
    for _ in range(2):
        tenant.joins("desk@contoso.com")
    missing = "99999999-0000-4000-8000-000000000000"
    await tenant.connect(scope=group_scope(tenant.group, missing))
    connection = (await tenant.services.store.connections.get(tenant.id)).connection

    found = await preview(tenant.services, connection)

    [failed] = [one.message for one in found.warnings if one.code == "records.failed"]
    assert "Not brought in yet" in failed

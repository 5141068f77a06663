"""People brought in by hand: what an import answers, that they stay and stay right, and what ends it."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.run import RunStatus, Trigger
from sync_core.domain.errors import Conflict, Invalid, RetryLater, Unconfirmed
from sync_core.domain.matching.decide import Decision, DecisionKind
from sync_core.people.release import Outcome
from sync_core.runs import worker
from sync_core.runs.by_name import message_for
from sync_core.runs.hold import held
from sync_core.services import Services, utc_now
from sync_core.store.tables import CHECKPOINTS, USERS
from tests.runs.by_hand import asked_for, done, imported, released, result, results, synced
from tests.runs.world import NO_LIMITS
from tests.system import (
    active,
    group_scope,
    history_of,
    rows_of,
    run_now,
    set_clock,
    stored_connection,
)

MODES = pytest.mark.parametrize("mode", ["full", "incremental"])
MAPPING = [
    {"target": "displayName", "source": "displayName"},
    {"target": "department", "source": "department"},
]


class Tenant:
    """A connection of one group with two people in it, two runs old, and a clock that is set by hand."""

    def __init__(self, services: Services, emulator: GraphEmulator, connection_id: str) -> None:
        self.services, self.control, self.id = services, emulator.control, connection_id
        # In the morning, whenever the tests run: some go on to the next day.
        self.now = (utc_now() + timedelta(days=1)).replace(hour=8)
        set_clock(services, lambda: self.now)

    async def begin(self, **changes: Any) -> None:
        self.members = [self.person(f"Member {number}") for number in range(2)]
        self.group = self.control.create_group("Few", members=self.members)["id"]
        given = {
            "scope": group_scope(self.group),
            "mapping": MAPPING,
            "policy": {"guard": NO_LIMITS},
        }
        await stored_connection(self.services, self.id, **given | changes)
        for _ in range(2):
            self.now += timedelta(minutes=20)
            await run_now(self.services, self.id, mode="full")

    def person(self, name: str = "Zoë", **values: Any) -> str:
        return str(self.control.create_person({"displayName": name, **values})["id"])

    async def run(self, mode: str = "incremental", times: int = 1) -> Any:
        """Run so often, each time a while later, so that a second look counts as one."""
        self.now += timedelta(minutes=20)
        run = await run_now(self.services, self.id, mode=mode)
        assert run.error is None, run.error
        assert run.mode.value == mode, run.mode_reason
        return run if times == 1 else await self.run(mode, times - 1)

    async def rows(self) -> Any:
        return await rows_of(self.services, self.id)

    async def active(self) -> set[str]:
        rows = await self.rows()
        return active({one: row for one, row in rows.items() if "Status" in row})


@pytest.fixture
async def tenant(services: Services, emulator: GraphEmulator, connection_id: str) -> Tenant:
    made = Tenant(services, emulator, connection_id)
    await made.begin()
    return made


async def test_each_is_answered_for_once_and_only_these_come_in(tenant: Tenant) -> None:
    ann, guest = tenant.person("Ann"), tenant.person("Gus", userType="Guest")
    blocked = tenant.person(accountEnabled=False)
    deleted, nobody = tenant.person(), str(uuid4())
    tenant.control.soft_delete(deleted)
    who = [ann, guest, blocked, deleted, nobody, tenant.group, tenant.members[0], ann.upper()]

    run = await imported(tenant.services, tenant.id, who)
    rows = await tenant.rows()

    assert run.status is RunStatus.SUCCEEDED
    assert (run.trigger, run.mode, run.note) == (Trigger.IMPORT, "users", "picked")
    assert run.by is not None
    assert run.by.name == "an administrator"
    assert results(run) == {
        ann: "imported",
        guest: "imported",
        blocked: "blocked",
        deleted: "notFound",
        nobody: "notFound",
        tenant.group: "notAPerson",
        tenant.members[0]: "alreadyIn",
    }
    assert result(run, deleted) == ("notFound", "softDeleted")
    assert result(run, tenant.members[0]) == ("alreadyIn", "scope")
    assert rows.keys() == {ann, guest, *tenant.members}
    assert {rows[one]["Origin"] for one in (ann, guest)} == {"manual"}
    assert {rows[one]["Origin"] for one in tenant.members} == {"auto"}
    assert run.counts.created == 2
    assert (await history_of(tenant.services, tenant.id, ann))[0]["Origin"] == "manual"


@pytest.mark.parametrize(
    ("roles", "kinds"),
    [
        pytest.param(["User.Read.All", "Group.Read.All"], {None}, id="of groups alone"),
        pytest.param(
            ["Directory.Read.All"], {"device", "servicePrincipal", "orgContact"}, id="of every kind"
        ),
    ],
)
async def test_what_is_no_person_is_said_as_far_as_the_app_may_know(
    tenant: Tenant, roles: list[str], kinds: set[str | None]
) -> None:
    control, nobody = tenant.control, str(uuid4())
    others = next(group["others"] for group in control.groups() if group["others"])
    control.set_roles(roles)
    run = await imported(tenant.services, tenant.id, [tenant.group, nobody, *others])
    found = [result(run, one) for one in others]

    assert run.status is RunStatus.SUCCEEDED
    assert result(run, nobody) == ("notFound", None)
    assert result(run, tenant.group) == ("notAPerson", "group")
    assert {outcome for outcome, _ in found} == {"notFound" if None in kinds else "notAPerson"}
    assert {kind for _, kind in found} == kinds


async def test_a_wide_permission_that_is_refused_all_the_same_hides_no_group(
    tenant: Tenant,
) -> None:
    tenant.control.set_roles(["Directory.Read.All"])
    tenant.control.add_fault("denied", path="/v1.0/directoryObjects/**")
    run = await imported(tenant.services, tenant.id, [tenant.group])

    assert run.status is RunStatus.SUCCEEDED
    assert result(run, tenant.group) == ("notAPerson", "group")


async def test_the_same_import_again_changes_nothing(tenant: Tenant) -> None:
    ann = tenant.person()
    await imported(tenant.services, tenant.id, [ann])
    before = await tenant.rows()
    run = await imported(tenant.services, tenant.id, [ann])

    assert result(run, ann) == ("alreadyIn", "manual")
    assert await tenant.rows() == before


@MODES
async def test_they_stay_and_stay_right_until_account_or_day_end_it(
    tenant: Tenant, mode: str
) -> None:
    control, until = tenant.control, (tenant.now + timedelta(days=2)).date()
    names = ("renamed", "scoped", "blocked", "deleted", "purged", "ended", "given")
    who = {name: tenant.person(name) for name in names}
    timed = [who["ended"], who["given"]]
    await imported(tenant.services, tenant.id, [one for one in who.values() if one not in timed])
    await imported(tenant.services, tenant.id, timed, until)
    await tenant.run(mode)
    assert await tenant.active() == {*who.values(), *tenant.members}

    control.patch_person(who["renamed"], {"displayName": "Änn", "department": "Sales"})
    control.add_members(tenant.group, who["scoped"], who["given"])
    control.patch_person(who["blocked"], {"accountEnabled": False})
    for gone in (who["deleted"], who["purged"]):
        control.soft_delete(gone)
    control.hard_delete(who["purged"])
    await tenant.run(mode, times=2)
    rows = await tenant.rows()
    out = {name: rows[who[name]] for name in ("blocked", "deleted", "purged")}
    assert {name: row.get("DisabledReason") for name, row in out.items()} == {
        "blocked": "accountDisabled",
        "deleted": "softDeleted",
        "purged": "hardDeleted",
    }
    assert (rows[who["renamed"]]["displayName"], rows[who["renamed"]]["department"]) == (
        "Änn",
        "Sales",
    )

    control.patch_person(who["blocked"], {"accountEnabled": True})
    control.restore(who["deleted"])
    control.remove_members(tenant.group, who["scoped"])
    run = await tenant.run(mode, times=2)
    assert await tenant.active() == {*who.values(), *tenant.members} - {who["purged"]}
    assert run.counts.disabled == 0

    tenant.now += timedelta(days=2)
    await tenant.run("full")
    await tenant.run(mode, times=2)
    rows = await tenant.rows()
    ended, given = rows[who["ended"]], rows[who["given"]]
    [last, *_] = await history_of(tenant.services, tenant.id, who["ended"])
    assert (ended["Status"], ended["DisabledReason"]) == ("disabled", "leftScope")
    assert f'"importEnded":"{until.isoformat()}"' in last["Evidence"]
    assert (given["Status"], given["Origin"]) == ("active", "auto")
    assert "ManualUntil" not in given
    origins = {
        name: rows[who[name]]["Origin"] for name in ("renamed", "scoped", "blocked", "deleted")
    }
    assert set(origins.values()) == {"manual"}


@MODES
async def test_while_a_named_group_is_missing_they_are_brought_up_to_date_and_nobody_leaves(
    tenant: Tenant, mode: str
) -> None:
    ann, bob = tenant.person("Ann"), tenant.person("Bob")
    await imported(tenant.services, tenant.id, [ann, bob])
    tenant.control.delete_group(tenant.group)
    tenant.control.patch_person(ann, {"department": "Sales"})
    everybody = await tenant.active()

    await tenant.run(mode)
    assert (await tenant.rows())[ann]["department"] == "Sales"

    tenant.control.soft_delete(bob)
    await tenant.run("full", times=2)
    assert await tenant.active() == everybody


async def test_the_day_is_kept_by_runs_by_the_delta_and_may_be_named_anew(tenant: Tenant) -> None:
    ann, ben = tenant.person("Ann"), tenant.person("Ben")
    tenant.now = tenant.now.replace(hour=20)
    first = (tenant.now + timedelta(days=1)).date()
    await imported(tenant.services, tenant.id, [ann, ben], first)
    run = await imported(tenant.services, tenant.id, [ben], first + timedelta(days=3))
    await tenant.run()
    tenant.now = tenant.now.replace(hour=23, minute=0)
    await tenant.run()
    before = await tenant.active()
    tenant.now += timedelta(hours=1)
    await tenant.run(times=2)

    assert result(run, ben) == ("alreadyIn", "untilChanged")
    assert before == {ann, ben, *tenant.members}
    assert await tenant.active() == {ben, *tenant.members}


@pytest.mark.parametrize(
    ("today", "last"),
    [
        pytest.param("2026-11-30", "2027-11-30", id="a year"),
        pytest.param("2027-03-01", "2028-03-01", id="with a leap day"),
        pytest.param("2028-02-29", "2029-03-01", id="from a leap day"),
    ],
)
async def test_the_day_is_at_most_a_year_ahead(tenant: Tenant, today: str, last: str) -> None:
    tenant.now = datetime.fromisoformat(f"{today}T23:59:59+00:00")
    day, who = date.fromisoformat(last), [tenant.person()]
    run = await asked_for(tenant.services, tenant.id, who, day)
    with pytest.raises(Invalid) as refused:
        await asked_for(tenant.services, tenant.id, who, day + timedelta(days=1))

    assert run.status is RunStatus.QUEUED
    assert refused.value.problems[0].message == f"must be at most a year away, not after {last}"


async def test_somebody_who_was_disabled_comes_back_by_hand(tenant: Tenant) -> None:
    left = tenant.members[0]
    tenant.control.remove_members(tenant.group, left)
    await tenant.run(times=2)
    assert left not in await tenant.active()
    run = await imported(tenant.services, tenant.id, [left])
    await tenant.run(times=2)
    row = (await tenant.rows())[left]

    assert result(run, left) == ("imported", None)
    assert (row["Status"], row["Origin"]) == ("active", "manual")


async def test_who_has_left_the_scope_unnoticed_is_not_thrown_out_after_being_picked(
    tenant: Tenant,
) -> None:
    """The row is active by the rules, and the next run would remove it."""
    left, stays = tenant.members
    tenant.control.remove_members(tenant.group, left)
    run = await imported(tenant.services, tenant.id, [left, stays])
    await tenant.run("full")
    await tenant.run(times=2)
    rows = await tenant.rows()

    assert result(run, left) == ("imported", None)
    assert result(run, stays) == ("alreadyIn", "scope")
    assert (rows[left]["Status"], rows[left]["Origin"]) == ("active", "manual")
    assert rows[stays]["Origin"] == "auto"


# --- who stays out, or waits ----------------------------------------------------------------------


async def test_excluded_people_are_answered_for_and_leave_when_they_are_excluded_later(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    tenant = Tenant(services, emulator, connection_id)
    ann, ben = tenant.person("Ann"), tenant.person("Ben")
    group = tenant.control.create_group("None")["id"]
    await stored_connection(
        services, tenant.id, scope=group_scope(group, exclude=[ann]), policy={"guard": NO_LIMITS}
    )
    run = await imported(services, tenant.id, [ann, ben])
    stored = await services.store.connections.get(tenant.id)
    scope = stored.connection.scope.model_copy(update={"exclude": [ben]})
    changed = stored.connection.model_copy(update={"scope": scope})
    await services.store.connections.replace(changed, stored)
    await run_now(services, tenant.id, mode="full")

    assert results(run) == {ann: "excluded", ben: "imported"}
    assert await tenant.active() == set()
    assert (await tenant.rows())[ben]["DisabledReason"] == "leftScope"


async def test_assertions_hold_for_them(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    tenant = Tenant(services, emulator, connection_id)
    await tenant.begin(assertions=[{"atMost": 1}, {"in": "nobody@contoso.com"}])
    ann, ben = tenant.person("Ann"), tenant.person("Ben")
    one = await imported(services, tenant.id, [ann])
    two = await imported(services, tenant.id, [ben])

    # That somebody is in who is not was not true before, and nobody else makes it worse.
    assert results(one) == {ann: "imported"}
    assert result(two, ben) == ("held", "assertion.failed")
    assert "2 people would be active; at most 1 are asserted." in str(
        (two.results or [])[0].message
    )
    assert (two.status, two.error and two.error.code) == (RunStatus.HELD, "assertion.failed")
    assert await tenant.active() == {ann}


async def test_imports_count_for_no_limit(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    tenant = Tenant(services, emulator, connection_id)
    guard = {"maxCreates": 1, "maxCreatePercent": 1}
    await tenant.begin(policy={"guard": guard})
    picked = [tenant.person() for _ in range(5)]
    run = await imported(services, tenant.id, picked)
    tenant.control.add_members(tenant.group, tenant.person("New"))
    later = await tenant.run(times=2)

    assert set(results(run).values()) == {"imported"}
    assert later.counts.held == 0
    assert len(await tenant.active()) == 8


async def test_a_mapping_that_fails_is_said_of_one_person_only(tenant: Tenant) -> None:
    stored = await tenant.services.store.connections.get(tenant.id)
    rules = [*MAPPING, {"target": "long", "source": "jobTitle"}]
    changed = type(stored.connection).model_validate(
        stored.connection.to_json() | {"mapping": rules}
    )
    await tenant.services.store.connections.replace(changed, stored)
    ann, ben = tenant.person("Ann", jobTitle="x" * 40_000), tenant.person("Ben")
    run = await imported(tenant.services, tenant.id, [ann, ben])

    assert result(run, ann) == ("mappingFailed", "record.valueTooLarge")
    assert result(run, ben) == ("imported", None)
    assert run.status is RunStatus.PARTIAL


# --- matches --------------------------------------------------------------------------------------


async def application_row(services: Services, connection_id: str, key: str, **columns: Any) -> None:
    table = await services.store.tables.table(USERS)
    row = {"PartitionKey": f"{connection_id}-a", "RowKey": key, **columns}
    await table.upsert_entity(row)


@MODES
async def test_somebody_with_a_row_of_the_application_waits_and_comes_in_by_hand(
    services: Services, emulator: GraphEmulator, connection_id: str, mode: str
) -> None:
    """The next run links the row; it is sure that nobody else in scope claims it."""
    tenant = Tenant(services, emulator, connection_id)
    mapping = [*MAPPING, {"target": "email", "source": "mail"}]
    await tenant.begin(mapping=mapping, matching=["email"])
    ann, ben = (tenant.person(name, mail=f"{name}@contoso.com") for name in ("Ann", "Ben"))
    await application_row(services, tenant.id, "app-1", email="ann@contoso.com", seats=3)
    for number in (2, 3):
        await application_row(services, tenant.id, f"app-{number}", email="ben@contoso.com")
    run = await imported(services, tenant.id, [ann, ben])
    before = await tenant.active()
    await tenant.run(mode, times=2)
    linked = (await tenant.rows())[ann]
    match = await services.store.matches(tenant.id).find(ben)
    assert match is not None
    decision = Decision(DecisionKind.LINK, f"{tenant.id}-a|app-2")
    await services.store.matches(tenant.id).decide(match, decision, tenant.now, "me")
    await tenant.run(mode, times=2)
    decided = (await tenant.rows())[ben]

    assert results(run) == {ann: "waitsForMatch", ben: "waitsForMatch"}
    assert before == set(tenant.members)
    assert (linked["Origin"], linked["LinkedBy"], linked["seats"]) == ("manual", "email", 3)
    assert (decided["Origin"], decided["LinkedBy"]) == ("manual", "decision")


async def test_the_day_holds_for_who_had_to_wait_for_a_match_also_without_full_runs(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    tenant = Tenant(services, emulator, connection_id)
    mapping = [*MAPPING, {"target": "email", "source": "mail"}]
    await tenant.begin(mapping=mapping, matching=["email"])
    ann, day = tenant.person("Ann", mail="ann@contoso.com"), timedelta(days=1)
    tenant.now = tenant.now.replace(hour=20)
    await application_row(services, tenant.id, "app-1", email="ann@contoso.com")
    await imported(services, tenant.id, [ann], (tenant.now + day).date())
    await tenant.run()
    before = await tenant.active()
    tenant.now = tenant.now.replace(hour=0) + day
    await tenant.run(times=2)

    assert ann in before
    assert ann not in await tenant.active()


async def test_a_full_run_writes_down_again_on_which_day_somebody_leaves(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Nothing else brings a run by the delta to look at them then."""
    tenant = Tenant(services, emulator, connection_id)
    await tenant.begin(schedule={"everyMinutes": 60, "fullEveryHours": 168})
    ann, until = tenant.person("Ann"), (tenant.now + timedelta(days=2)).date()
    await imported(tenant.services, tenant.id, [ann], until)
    table = await tenant.services.store.tables.table(CHECKPOINTS)
    rows = [row async for row in table.query_entities(f"PartitionKey eq '{tenant.id}'")]
    [case] = [row["RowKey"] for row in rows if "until" in row["RowKey"]]
    await table.delete_entity(tenant.id, case)
    await tenant.run("full")
    tenant.now += timedelta(days=2)
    await tenant.run(times=2)

    assert ann not in await tenant.active()


# --- what goes wrong ------------------------------------------------------------------------------


async def test_a_permission_that_is_lost_imports_nobody(tenant: Tenant) -> None:
    ann = tenant.person()
    tenant.control.set_roles(["Group.Read.All"])
    run = await imported(tenant.services, tenant.id, [ann])

    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert "User.Read.All" in run.error.message
    assert await tenant.active() == set(tenant.members)
    assert await tenant.services.store.named.waiting(tenant.id) == []


async def test_answers_that_die_in_the_middle_are_asked_for_again(tenant: Tenant) -> None:
    who = [tenant.person(f"P{number}") for number in range(60)]
    for kind in ("reset", "truncated", "errorBody"):
        tenant.control.add_fault(kind, path="/v1.0/$batch", times=1)
    run = await imported(tenant.services, tenant.id, who)

    assert set(results(run).values()) == {"imported"}
    assert run.graph.retried


async def test_an_import_during_a_run_is_done_after_it(tenant: Tenant) -> None:
    ann = tenant.person()
    async with held(tenant.services, tenant.id, budget=None):
        run = await asked_for(tenant.services, tenant.id, [ann])
        met = await done(tenant.services, run)
        waits = await tenant.services.store.named.waiting(tenant.id)
    after = await done(tenant.services, run)

    assert met.status is RunStatus.QUEUED
    assert [named.run_id for named in waits] == [run.id]
    assert result(after, ann) == ("imported", None)
    assert ann in await tenant.active()


async def test_an_import_of_a_connection_that_was_disabled_meanwhile_is_rejected(
    tenant: Tenant,
) -> None:
    run = await asked_for(tenant.services, tenant.id, [tenant.person()])
    stored = await tenant.services.store.connections.get(tenant.id)
    disabled = stored.connection.model_copy(update={"enabled": False})
    await tenant.services.store.connections.replace(disabled, stored)
    ended = await done(tenant.services, run)

    assert ended.status is RunStatus.REJECTED
    assert await tenant.services.store.named.waiting(tenant.id) == []


async def test_a_request_that_kills_its_workers_is_given_up(tenant: Tenant) -> None:
    run = await asked_for(tenant.services, tenant.id, [tenant.person()])
    [named] = await tenant.services.store.named.waiting(tenant.id)
    await tenant.services.store.named.save(named.model_copy(update={"attempts": 5}))
    ended = await done(tenant.services, run)

    assert (ended.status, ended.error and ended.error.code) == (RunStatus.FAILED, "run.gaveUp")
    assert await tenant.services.store.named.waiting(tenant.id) == []


# --- given back -----------------------------------------------------------------------------------


async def test_who_would_leave_by_a_release_is_confirmed_first(tenant: Tenant) -> None:
    ann = tenant.person("Ann")
    await imported(tenant.services, tenant.id, [ann])
    with pytest.raises(Unconfirmed) as refused:
        await released(tenant.services, tenant.id, ann)
    before = (await tenant.rows())[ann]
    plan_hash = refused.value.members["planHash"]
    found = await released(tenant.services, tenant.id, ann, plan_hash)
    after = (await tenant.rows())[ann]
    await tenant.run(times=2)

    assert refused.value.code == "release.needsConfirmation"
    assert "Ann is out" in refused.value.message
    assert refused.value.members["changes"][0]["reason"] == "leftScope"
    assert (before["Status"], before["Origin"]) == ("active", "manual")
    assert (found.outcome, found.run and found.run.trigger) == (Outcome.LEAVES, "byHand")
    assert (after["Status"], after["DisabledReason"]) == ("disabled", "leftScope")
    assert after["Origin"] == "auto"
    assert ann not in await tenant.active()


async def test_who_stays_by_the_rules_is_given_back_at_once(tenant: Tenant) -> None:
    ann = tenant.person("Ann")
    await imported(tenant.services, tenant.id, [ann])
    tenant.control.add_members(tenant.group, ann)
    await tenant.run()
    found = await released(tenant.services, tenant.id, ann)
    again = await released(tenant.services, tenant.id, ann)
    tenant.control.remove_members(tenant.group, ann)
    await tenant.run(times=2)

    assert found.outcome is Outcome.STAYS
    assert found.person is not None
    assert (found.person.origin, found.person.status) == ("auto", "active")
    assert "Ann is in" in found.message
    assert (again.outcome, again.run) == (Outcome.BY_RULES, None)
    assert ann not in await tenant.active()


async def test_who_is_protected_or_asserted_does_not_leave_by_a_release(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    tenant = Tenant(services, emulator, connection_id)
    ann, ben = tenant.person("Ann"), tenant.person("Ben")
    await tenant.begin(policy={"guard": NO_LIMITS, "protected": [ann]}, assertions=[{"in": ben}])
    await imported(services, tenant.id, [ann, ben])
    found = await released(services, tenant.id, ann)
    with pytest.raises(Conflict) as refused:
        await released(services, tenant.id, ben)

    assert found.outcome is Outcome.STAYS
    assert "policy.protected" in found.message
    assert refused.value.code == "release.assertionBroken"
    assert await tenant.active() >= {ann, ben}


async def test_nobody_is_given_back_while_it_is_not_known_whether_they_stay(
    tenant: Tenant,
) -> None:
    """The next run would remove them, and nobody has been asked."""
    ann = tenant.person("Ann")
    await imported(tenant.services, tenant.id, [ann])
    tenant.control.add_fault("notFound", path="/v1.0/users/*/**", where="batch")
    with pytest.raises(RetryLater) as unanswered:
        await released(tenant.services, tenant.id, ann)
    tenant.control.clear_faults()
    tenant.control.delete_group(tenant.group)
    with pytest.raises(Unconfirmed) as refused:
        await released(tenant.services, tenant.id, ann)
    row = (await tenant.rows())[ann]

    assert unanswered.value.code == "release.unanswered"
    assert refused.value.members["changes"][0]["action"] == "disable"
    assert (row["Status"], row["Origin"]) == ("active", "manual")


async def test_what_a_release_would_do_is_what_the_policy_wants(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Also where one look of Graph is not proof enough to do it at once."""
    tenant = Tenant(services, emulator, connection_id)
    await tenant.begin(policy={"guard": NO_LIMITS, "leftScope": "delete", "hardDeleted": "delete"})
    ann = tenant.person("Ann")
    await imported(services, tenant.id, [ann])
    tenant.control.soft_delete(ann)
    tenant.control.hard_delete(ann)
    with pytest.raises(Unconfirmed) as refused:
        await released(services, tenant.id, ann)

    assert refused.value.members["changes"][0]["action"] == "delete"


# --- several people now ---------------------------------------------------------------------------


async def test_several_people_are_synced_and_each_is_answered_for(tenant: Tenant) -> None:
    new, out, manual = tenant.person("New"), tenant.person("Out"), tenant.person("Hand")
    tenant.control.add_members(tenant.group, new)
    await imported(tenant.services, tenant.id, [manual])
    tenant.control.patch_person(tenant.members[0], {"displayName": "Renamed"})
    tenant.control.remove_members(tenant.group, tenant.members[1])
    who = [new, out, manual, *tenant.members, "nobody@contoso.com", str(uuid4())]
    run = await synced(tenant.services, tenant.id, who)
    assert run.results is not None
    told = [(one.result, one.action, one.fields) for one in run.results]

    assert run.trigger is Trigger.PERSON
    assert told == [
        ("in", "create", ["displayName"]),
        ("notInScope", None, []),
        ("in", None, []),
        ("in", "update", ["displayName"]),
        ("notInScope", "disable", []),
        ("notFound", None, []),
        ("notFound", None, []),
    ]
    assert (
        "Out is out: the filter does not match, because of groups ARRAYCONTAINS Few (in none of them)."
        in str(run.results[1].message)
    )
    assert run.results[2].code == "byHand"
    assert "Hand is in: brought in by hand. By the rules alone" in str(run.results[2].message)
    assert [one.who for one in run.results] == who


async def test_who_has_just_left_is_not_said_to_be_shown_late(tenant: Tenant) -> None:
    """The delta has told of them lately, and no answer shows a group that lets them in."""
    ann, ben = tenant.person("Ann"), tenant.person("Ben")
    tenant.control.add_members(tenant.group, ann)
    await imported(tenant.services, tenant.id, [ben])
    await tenant.run()
    tenant.control.remove_members(tenant.group, ann)
    await run_now(tenant.services, tenant.id, mode="incremental")
    with pytest.raises(Unconfirmed) as refused:
        await released(tenant.services, tenant.id, ben)
    await released(tenant.services, tenant.id, ben, refused.value.members["planHash"])
    run = await synced(tenant.services, tenant.id, [ann, ben])

    assert {ann, ben}.isdisjoint(await tenant.active())
    assert [result(run, one) for one in (ann, ben)] == [("notInScope", "notInScope")] * 2


async def test_people_are_named_by_address_too_where_it_names_one_person(tenant: Tenant) -> None:
    ann = tenant.person("Ann", mail="Ann.O'Neil@mail.contoso.com")
    for name in ("Ben", "Eve"):
        tenant.person(name, mail="team@mail.contoso.com")
    tenant.control.add_members(tenant.group, ann)
    who = ["ann.o'neil@mail.contoso.com", "team@mail.contoso.com", "no\x00body@contoso.com"]
    run = await synced(tenant.services, tenant.id, who)
    told = [(one.object_id, one.result) for one in run.results or []]

    assert run.error is None
    assert told == [(ann, "in"), (None, "notFound"), (None, "notFound")]
    assert "or more than one" in str((run.results or [])[1].message)


async def test_a_change_of_a_group_that_entra_does_not_show_yet_is_asked_for_again(
    tenant: Tenant,
) -> None:
    ann = tenant.person("Ann")
    tenant.control.stop_clock()
    tenant.control.advance_clock(3_600)
    tenant.control.add_members(tenant.group, ann)
    tenant.control.add_fault("lag", maxSeconds=600, minSeconds=600, what=["memberOf"])
    run = await synced(tenant.services, tenant.id, [ann])
    [again] = await tenant.services.store.named.waiting(tenant.id)
    tenant.control.clear_faults()
    early = await done(tenant.services, await tenant.services.store.runs.get(tenant.id, run.id))
    tenant.now += timedelta(minutes=3)
    await worker.handle(tenant.services, message_for(again))
    later = await tenant.services.store.runs.get(tenant.id, again.run_id)

    assert result(run, ann)[0] == "notShownYet"
    assert early == run
    assert result(later, ann)[0] == "in"
    assert await tenant.services.store.named.waiting(tenant.id) == []
    assert ann in await tenant.active()

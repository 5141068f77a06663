"""A directory that changes at random, with runs by the delta and by notifications, faults and kills between,
and a model of it.

The model knows the scope in a few lines of its own and nothing of the product. Two things have to be true: in
every state nobody is removed who is in scope now and was so for as long as answers may lag; and once the lag
is over, two runs later, the table is what the model says, and a full reading finds nothing to change but what
waits for an approval.
"""

import asyncio
import itertools
from contextlib import ExitStack
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import aiohttp
import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.graph import GraphEmulator
from local.graph.control.people import describe
from local.graph.directory.changes import Change
from local.graph.directory.directory import Directory
from local.graph.faults.kinds import LAGGING
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Run, RunStatus, Trigger
from sync_core.domain.errors import RetryLater, Unconfirmed
from sync_core.runs import worker
from sync_core.runs.notifications import Deliveries
from sync_core.runs.preview import preview
from sync_core.services import Services, utc_now
from tests.notified import Item, Subscribed, post, subscribed
from tests.runs.by_hand import imported, released, results
from tests.runs.world import NO_LIMITS
from tests.system import Rig, changes_of, rows_of, run_now, set_clock, stored_connection

LAG_S = 900
PEOPLE = 8
ROOT, SALES_ROOT, MIDDLE, DEEP, OUT = "root", "salesRoot", "middle", "deep", "out"
GROUPS = (ROOT, SALES_ROOT, MIDDLE, DEEP, OUT)
MAPPING = [
    {"target": "name", "source": "displayName"},
    {"target": "department", "source": "department"},
    {"target": "bossName", "source": "manager.displayName"},
]
people = st.integers(0, PEOPLE - 1)
groups = st.sampled_from(GROUPS)
# Answers of some kinds are behind, and of the others are not: then the witnesses contradict each other.
lagging = st.one_of(st.just(set(LAGGING)), st.sets(st.sampled_from(LAGGING), min_size=1))
# Each settling is two runs and a full reading; a long walk has one in so many steps at most.
STEPS_BETWEEN = 25
texts = st.sampled_from(["Ann", "Ben", "Zoë", None])


class Killed(BaseException):
    """The process ends before a write: nothing that catches exceptions sees it."""


class DirectoryMachine(RuleBasedStateMachine):
    """One tenant, one connection, and what is true of them."""

    def __init__(self, rig: Rig, connection_id: str) -> None:
        super().__init__()
        self._rig = rig
        self._id = connection_id
        self._stack = ExitStack()
        self._runner = self._stack.enter_context(asyncio.Runner())
        self._emulator = self._stack.enter_context(
            GraphEmulator(people=2, groups=0, seed=1, tls=rig.tls)
        )
        self._control = self._emulator.control
        # With clocks that stand still and ids that are given, a walk can be replayed.
        self._control.stop_clock()
        self._began, self._offset = utc_now(), timedelta()
        self._ids = (str(uuid5(NAMESPACE_OID, f"{number}")) for number in itertools.count())
        self._people: list[str] = []
        self._groups: dict[str, str] = {}
        self._in_since: dict[str, timedelta] = {}
        self._by_hand: dict[str, date | None] = {}
        self._stored: dict[str, str] = {}
        self._read: dict[str, Any] | None = None
        self._since_settled = 0
        self.steps = self.runs = self.contradictions = self.notified = 0
        # What Graph has to tell and has not sent yet, in the order in which it happened.
        self._untold: list[Item] = []
        self._deliveries = Deliveries()

    @initialize()
    def begin(self) -> None:
        """Make the tenant: a chain of groups under one root, another root, and a group that keeps out."""
        for name in GROUPS:
            self._groups[name] = self._control.create_group(name, group_id=next(self._ids))["id"]
        for number in range(PEOPLE):
            self._people.append(self._new_person(f"Person {number}", "Sales"))
            self._control.add_members(self._groups[GROUPS[number % 4]], self._people[-1])
        self._control.add_members(self._groups[ROOT], self._groups[MIDDLE])
        self._control.add_members(self._groups[MIDDLE], self._groups[DEEP])
        self._services = self._runner.run(self._opened())
        self._subscribed = self._runner.run(self._subscriptions())
        self._directory.log.listen(self._note_change)
        self._run("full")
        self.time_passes(20)
        self._run("full")

    def _new_person(self, name: str, department: str) -> str:
        values = {"id": next(self._ids), "displayName": name, "department": department}
        return str(self._control.create_person(values)["id"])

    async def _opened(self) -> Services:
        self._context = self._rig.services(self._emulator)
        services = await self._context.__aenter__()
        set_clock(services, lambda: self._began + self._offset)
        clauses = [self._in(ROOT), self._in(OUT, "NOT ARRAYCONTAINS")]
        sales = [
            self._in(SALES_ROOT),
            {"attribute": "department", "operator": "EQUALS", "value": "Sales"},
        ]
        await stored_connection(
            services,
            self._id,
            scope={"filters": [{"clauses": clauses}, {"clauses": sales}]},
            mapping=MAPPING,
            policy={"guard": NO_LIMITS},
            realtime=True,
        )
        return services

    async def _subscriptions(self) -> dict[str, Subscribed]:
        slots = ["users", *(self._groups[name] for name in GROUPS)]
        return {slot: await subscribed(self._services, self._id, slot) for slot in slots}

    def _note_change(self, change: Change) -> None:
        """Write down what Graph tells of a change to whoever has subscribed."""
        at = self._began + self._offset
        if isinstance(change.key, int):
            person = self._directory.object_id(change.key)
            self._untold.append(self._subscribed["users"].user(person, at))
        elif change.key in self._subscribed and change.member is not None:
            member = change.member
            known = self._directory.object_id(member) if isinstance(member, int) else member
            told = self._subscribed[change.key]
            self._untold.append(told.members(change.key, {known: not change.added}, at))

    def _in(self, group: str, operator: str = "ARRAYCONTAINS") -> dict[str, Any]:
        return {"attribute": "groups", "operator": operator, "value": [self._groups[group]]}

    # --- what changes in the directory ----------------------------------------------------------

    @rule(person=people, name=texts)
    def rename(self, person: int, name: str | None) -> None:
        self._patch(person, displayName=name)

    @rule(person=people, department=st.sampled_from(["Sales", "Kitchen", None]))
    def move(self, person: int, department: str | None) -> None:
        self._patch(person, department=department)

    @rule(person=people, enabled=st.booleans())
    def block(self, person: int, enabled: bool) -> None:
        self._patch(person, accountEnabled=enabled)

    @rule(person=people, kind=st.sampled_from(["Guest", "Member"]))
    def turn(self, person: int, kind: str) -> None:
        self._patch(person, userType=kind)

    @rule(person=people, manager=people)
    def report(self, person: int, manager: int) -> None:
        if self._is_live(self._people[manager]):
            self._patch(person, manager=self._people[manager])

    def _patch(self, person: int, **values: Any) -> None:
        if self._is_live(self._people[person]):
            self._control.patch_person(self._people[person], values)

    @rule(place=people, group=groups, department=st.sampled_from(["Sales", "Kitchen"]))
    def hire(self, place: int, group: str, department: str) -> None:
        """Let a new person come; of the one in whose place they come nothing more is changed."""
        self._people[place] = self._new_person("New", department)
        self.join(place, group)

    @rule(person=people)
    def soft_delete(self, person: int) -> None:
        if self._is_live(self._people[person]):
            self._control.soft_delete(self._people[person])

    @rule(person=people)
    def restore(self, person: int) -> None:
        if self._is_deleted(self._people[person]):
            self._control.restore(self._people[person])

    @rule(person=people)
    def hard_delete(self, person: int) -> None:
        if self._is_deleted(self._people[person]):
            self._control.hard_delete(self._people[person])

    @rule(person=people, group=groups)
    def join(self, person: int, group: str) -> None:
        if self._is_live(self._people[person]) and self._is_there(group):
            self._control.add_members(self._groups[group], self._people[person])

    @rule(person=people, group=groups)
    def leave(self, person: int, group: str) -> None:
        if self._is_live(self._people[person]) and self._is_there(group):
            self._control.remove_members(self._groups[group], self._people[person])

    @rule(child=groups, parent=groups)
    def nest(self, child: str, parent: str) -> None:
        if child != parent and self._is_there(child) and self._is_there(parent):
            self._control.add_members(self._groups[parent], self._groups[child])

    @rule(child=groups, parent=groups)
    def unnest(self, child: str, parent: str) -> None:
        if child != parent and self._is_there(child) and self._is_there(parent):
            self._control.remove_members(self._groups[parent], self._groups[child])

    @rule(group=groups)
    def delete_group(self, group: str) -> None:
        if self._is_there(group):
            self._control.delete_group(self._groups[group])

    @rule(group=groups)
    def restore_group(self, group: str) -> None:
        if not self._is_there(group):
            self._control.restore_group(self._groups[group])

    # --- what an administrator does ---------------------------------------------------------------

    @rule(who=st.sets(people, min_size=1, max_size=3), days=st.sampled_from([0, 0, 1, 2]))
    def bring_in(self, who: set[int], days: int) -> None:
        """Pick people by hand, whatever they are in; for good, or until a day."""
        until = self._today + timedelta(days=days) if days else None
        picked = [self._people[number] for number in who]
        run = self._runner.run(imported(self._services, self._id, picked, until))
        self._read = None
        self._note_scope()
        note(f"{run.trigger} {run.status} {run.error}")
        assert run.status in {RunStatus.SUCCEEDED, RunStatus.PARTIAL}, run.error
        for object_id, result in results(run).items():
            renewed = result == "alreadyIn" and object_id in self._by_hand and until is not None
            if result == "imported" or renewed:
                self._by_hand[object_id] = until

    @rule(person=people)
    def give_back(self, person: int) -> None:
        """Let the rules decide again; whoever leaves by that is confirmed, and who is not clear stays."""
        object_id = self._people[person]
        if self._rows().get(object_id, {}).get("Origin") != "manual":
            return
        self._read = None
        try:
            self._runner.run(released(self._services, self._id, object_id))
        except Unconfirmed as refused:
            plan_hash = refused.members["planHash"]
            self._runner.run(released(self._services, self._id, object_id, plan_hash))
            self._in_since.pop(object_id, None)
        except RetryLater as unclear:
            if unclear.code != "release.unanswered":
                raise
            return
        self._by_hand.pop(object_id, None)
        self._note_scope()

    # --- what goes wrong ------------------------------------------------------------------------

    def _lag(self, seed: int, what: set[str]) -> None:
        self._control.clear_faults()
        self._control.add_fault("lag", maxSeconds=LAG_S, seed=seed, what=sorted(what))
        self._control.add_fault("flappingCast", seed=seed)

    @rule(count=st.integers(1, 3))
    def pages_are_empty(self, count: int) -> None:
        self._control.add_fault("emptyPages", count=count)

    @rule(kind=st.sampled_from(["gone", "badRequest", "repeatedPage"]))
    def a_round_dies(self, kind: str) -> None:
        self._control.add_fault(kind, path="/v1.0/users/delta", times=1)

    @rule()
    def answers_are_true_again(self) -> None:
        self._control.clear_faults()

    @rule(minutes=st.integers(1, 12))
    def time_passes(self, minutes: float) -> None:
        """Let time pass; who is in scope is written down minute by minute of the directory's clock."""
        self._note_scope()
        self._control.advance_clock(minutes * 60)
        self._offset += timedelta(minutes=minutes)

    # --- runs -----------------------------------------------------------------------------------

    @rule(mode=st.sampled_from(["incremental", "incremental", "incremental", "full"]))
    def run(self, mode: str) -> None:
        self._run(mode)

    @rule(seed=st.integers(0, 1000), what=lagging)
    def run_behind_the_times(self, seed: int, what: set[str]) -> None:
        """Run while answers lag; they go on to lag until something ends it."""
        self._lag(seed, what)
        self._run("incremental")

    @rule(seed=st.integers(0, 1000), what=lagging, minutes=st.integers(1, 12))
    def run_twice_behind_the_times(self, seed: int, what: set[str], minutes: int) -> None:
        """Run twice, some minutes apart: a second look that lags is no better than the first one."""
        self.run_behind_the_times(seed, what)
        self.time_passes(minutes)
        self._run("incremental")

    @rule(write=st.integers(1, 14))
    def run_killed(self, write: int) -> None:
        """End the process before a write; the lease it held is taken over when it has ended."""
        send, writes = aiohttp.ClientSession._request, 0

        async def counting(session: Any, method: str, url: Any, **options: Any) -> Any:
            nonlocal writes
            if method != "GET" and str(url).startswith("http://"):
                writes += 1
                if writes == write:
                    raise Killed
            return await send(session, method, url, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aiohttp.ClientSession, "_request", counting)
            try:
                self._run("incremental")
            except Killed:
                note(f"killed before write {write}")
        self._see_removals()
        self.time_passes(2)

    def _run(self, mode: str) -> None:
        self._read = None
        self._check(self._runner.run(run_now(self._services, self._id, mode=mode)))

    def _check(self, run: Run) -> None:
        self.runs += 1
        self.contradictions += run.counts.contradictions
        note(f"{run.mode} {run.mode_reason} {run.status} {run.counts} {run.error}")
        ended = {RunStatus.SUCCEEDED, RunStatus.PARTIAL, RunStatus.HELD, RunStatus.FAILED}
        assert run.status in ended
        assert run.error is None or run.error.code != "run.unexpected", run.error
        self._last = run
        self._see_removals()

    # --- notifications --------------------------------------------------------------------------

    @rule(count=st.integers(1, 4))
    def notifications_come(self, count: int) -> None:
        """Deliver what happened first, and run."""
        come, self._untold = self._untold[:count], self._untold[count:]
        self._deliver(come)
        self._wake()

    @rule(minutes=st.integers(1, 30), seed=st.integers(0, 1000), what=lagging)
    def notifications_come_late(self, minutes: int, seed: int, what: set[str]) -> None:
        """Deliver what happened before, some minutes later, while answers lag."""
        come, self._untold = self._untold, []
        self.time_passes(minutes)
        self._lag(seed, what)
        self._deliver(come)
        self._wake()

    @rule(order=st.randoms(use_true_random=False))
    def notifications_come_twice_and_out_of_order(self, order: Random) -> None:
        come, self._untold = self._untold * 2, []
        order.shuffle(come)
        for item in come:
            self._deliver([item])
        self._wake()

    @rule()
    def notifications_have_no_time(self) -> None:
        for item in self._untold:
            item["resourceData"].pop("eventTime", None)

    @rule()
    def notifications_are_lost(self) -> None:
        self._untold.clear()

    @rule(person=people, group=groups, left=st.booleans(), ours=st.booleans())
    def a_notification_is_forged(self, person: int, group: str, left: bool, ours: bool) -> None:
        """Tell what never happened: with somebody else's proof, or (`ours`) by who knows a state of ours."""
        told = self._subscribed[self._groups[group]]
        at = self._began + self._offset if not ours else None
        item = told.members(self._groups[group], {self._people[person]: left}, at)
        if not ours:
            item["clientState"] = told.state[:-4] + "0000"
            item["subscriptionId"] = self._groups[group]
        self._deliver([item])
        self._wake()

    def _deliver(self, items: list[Item]) -> None:
        if items:
            self._runner.run(self._deliveries.take(self._services, post(*items)))

    def _wake(self) -> None:
        """Let the second pass after which the message comes, and handle it."""
        self.time_passes(1 / 60)
        request = SyncRequest(connection_id=self._id, trigger=Trigger.WEBHOOK)
        self._read = None
        run = self._runner.run(worker.handle(self._services, request))
        if run is not None:
            self.notified += 1
            self._check(run)

    # --- what has to be true --------------------------------------------------------------------

    @invariant()
    def nobody_is_removed_who_is_in_scope(self) -> None:
        if not self._people:
            return
        self.steps += 1
        self._since_settled += 1
        self._see_removals()

    def _see_removals(self) -> None:
        """Compare with what was stored before, at the very time of a run: later, the lag may be over."""
        self._note_scope()
        stored = {oid: row["Status"] for oid, row in self._rows().items()}
        lag = timedelta(seconds=LAG_S)
        for object_id, status in stored.items():
            was = self._stored.get(object_id)
            since = self._in_since.get(object_id)
            if was == "active" and status == "disabled" and since is not None:
                assert self._offset - since < lag, f"{object_id} was removed and is in scope"
        self._stored = stored

    @precondition(lambda self: self._since_settled >= STEPS_BETWEEN)
    @rule()
    def settle(self) -> None:
        """Let the lag pass, and run twice: then the table is right.

        Where a day begins between the two, somebody's time may be over, and that takes another look.
        """
        self._since_settled = 0
        self._control.clear_faults()
        self._run_after_the_lag()
        day = self._today
        self._run_after_the_lag()
        if self._today != day:
            self._run_after_the_lag()
        self._compare()

    def _run_after_the_lag(self) -> None:
        self.time_passes(20)
        self._run("incremental")

    def _compare(self) -> None:
        rows = self._rows()
        expected = {oid for oid in self._all_people() if self._is_in(oid)}
        active = {oid for oid, row in rows.items() if row["Status"] == "active"}
        if not self._is_there(OUT):
            # Whoever would come in waits for an approval; see below.
            expected &= active
        if all(map(self._is_there, (ROOT, SALES_ROOT, OUT))):
            assert active == expected
        else:
            assert active >= expected
        for object_id in expected:
            found = {name: rows[object_id].get(name) for name in ("name", "department", "bossName")}
            assert found == self._values(object_id)
        connection = self._runner.run(self._services.store.connections.get(self._id)).connection
        full = self._runner.run(preview(self._services, connection))
        if not self._is_there(OUT) and full.counts.held:
            assert {one.object_id for one in full.changes} == self._held()
            return
        counts = full.counts
        changes = counts.created, counts.updated, counts.reenabled, counts.disabled, counts.deleted
        assert changes == (0, 0, 0, 0, 0), counts

    def _held(self) -> set[str]:
        """Return the people whose changes the last run has held."""
        changes = self._runner.run(changes_of(self._services, self._last))
        return {one["objectId"] for one in changes if one["held"]}

    def teardown(self) -> None:
        try:
            if self._people:
                self.settle()
        finally:
            self._runner.run(self._context.__aexit__(None, None, None))
            self._stack.close()

    # --- the model ------------------------------------------------------------------------------

    def _rows(self) -> dict[str, Any]:
        """Return the stored people; only a run changes them."""
        if self._read is None:
            self._read = self._runner.run(rows_of(self._services, self._id))
        return self._read

    @property
    def _directory(self) -> Directory:
        """The directory as it is, seen from this thread: nothing is asked of it at the same time."""
        return self._control.directory(None)

    @property
    def _today(self) -> date:
        return (self._began + self._offset).date()

    def _person(self, object_id: str) -> dict[str, Any]:
        return describe(self._directory, self._directory.person(object_id))

    def _all_people(self) -> list[str]:
        return [self._directory.object_id(number) for number in self._directory.live()]

    def _note_scope(self) -> None:
        """Write down since when each person is in scope without a break."""
        for object_id in {*self._all_people(), *self._in_since}:
            if self._is_in(object_id):
                self._in_since.setdefault(object_id, self._offset)
            else:
                self._in_since.pop(object_id, None)

    def _is_live(self, object_id: str) -> bool:
        number = self._directory.find(object_id)
        return number is not None and self._directory.is_live(number)

    def _is_deleted(self, object_id: str) -> bool:
        return self._directory.find(object_id) in self._directory.soft_deleted

    def _is_there(self, group: str) -> bool:
        return self._directory.groups[self._groups[group]].deleted_at is None

    def _is_in(self, object_id: str) -> bool:
        """Whether a person is in scope, by the emulator's own state."""
        if not self._is_live(object_id):
            return False
        person = self._person(object_id)
        if person.get("accountEnabled") is False:
            return False
        if object_id in self._by_hand and not self._is_over(object_id):
            return True
        if person.get("userType") == "Guest":
            return False
        above = self._above(object_id)
        in_root = ROOT in above and OUT not in above
        return in_root or (SALES_ROOT in above and person.get("department") == "Sales")

    def _is_over(self, object_id: str) -> bool:
        """Whether the day has come until which somebody was brought in by hand."""
        until = self._by_hand[object_id]
        return until is not None and until <= self._today

    def _above(self, object_id: str) -> set[str]:
        """Return the names of the groups that a person is in, through groups that are there."""
        found: set[str] = set()
        waiting = [object_id]
        directory = self._directory
        while waiting:
            member = waiting.pop()
            number = directory.find(member)
            for name in GROUPS:
                group = directory.groups[self._groups[name]]
                holds = number in group.people if number is not None else member in group.nested
                if holds and name not in found and group.deleted_at is None:
                    found.add(name)
                    waiting.append(group.id)
        return found

    def _values(self, object_id: str) -> dict[str, Any]:
        person = self._person(object_id)
        manager = self._directory.manager_of(self._directory.person(object_id))
        boss = None
        if manager is not None and self._directory.is_live(manager):
            boss = self._directory.value(manager, "displayName")
        return {
            "name": person.get("displayName"),
            "department": person.get("department"),
            "bossName": boss,
        }

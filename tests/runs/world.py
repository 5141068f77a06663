"""One tenant in which many short stories happen side by side, with a run of one connection after each step.

A story is a generator: it changes its own people and groups and yields, and what comes after the `yield` sees
the table as the run left it. All stories share the runs, so that forty of them take little longer than one.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from azure.data.tables import UpdateMode

from local.graph import GraphEmulator
from sync_core.domain.documents.run import Mode, Run
from sync_core.domain.incremental.open_people import Key
from sync_core.runs.preview import preview
from sync_core.services import Services, utc_now
from sync_core.store.tables import USERS
from sync_core.store.wire import Entity
from tests.system import Rig, rows_of, run_now, set_clock, stored_connection

# Between two runs: longer than the time between two witnesses, shorter than answers may lag.
MINUTES = 6
LAG = 15
# How old the accounts are of people who came into their groups just before the first run.
AGES = timedelta(days=10)
NO_LIMITS = dict.fromkeys(
    [
        "maxRemovals",
        "maxRemovalPercent",
        "maxGroupLossPercent",
        "maxDeletes",
        "maxCreates",
        "maxCreatePercent",
        "maxBlankedPercent",
        "maxRewrittenPercent",
    ]
)

Steps = Generator[None, None, None]
Story = Callable[["World"], Steps]


class World:
    """The tenant, its connection, and what is true of the people of each story."""

    def __init__(self, rig: Rig, connection_id: str) -> None:
        self._stack = ExitStack()
        self._runner = self._stack.enter_context(asyncio.Runner())
        self._emulator = self._stack.enter_context(
            GraphEmulator(people=2, groups=0, seed=1, tls=rig.tls)
        )
        self._id = connection_id
        self._opened = rig.services(self._emulator)
        self._services: Services = self._runner.run(self._opened.__aenter__())
        self._offset = timedelta()
        self._roots: list[str] = []
        # Who comes into which group shortly before the first run.
        self._joining: list[tuple[str, str]] | None = []
        self._always: dict[str, str] = {}
        self._came: set[str] = set()
        self._story = ""
        self.control = self._emulator.control
        self.failures: dict[str, BaseException] = {}
        self.runs: list[Run] = []
        set_clock(self._services, self.now)
        self.out = self.group("out")

    def now(self) -> datetime:
        return utc_now() + self._offset

    def close(self) -> None:
        self._runner.run(self._opened.__aexit__(None, None, None))
        self._stack.close()

    # --- what stories are made of ---------------------------------------------------------------

    def root(self, name: str = "root") -> str:
        """Make a group that the scope names; only before the first `yield`."""
        self._roots.append(self.group(name))
        return self._roots[-1]

    def group(self, name: str, *members: str) -> str:
        return str(self.control.create_group(name, members=list(members))["id"])

    def person(self, *groups: str, **values: Any) -> str:
        """Make a person who is in these groups; before the first `yield`, of an account of long ago."""
        made = str(self.control.create_person({"displayName": "Before", **values})["id"])
        if self._joining is None:
            self._join((group, made) for group in groups)
        else:
            self._joining += [(group, made) for group in groups]
        return made

    def _join(self, pairs: Iterable[tuple[str, str]]) -> None:
        for group, member in pairs:
            self.control.add_members(group, member)

    def always(self, person: str) -> str:
        """Let a person be in scope all the time: no run may remove them."""
        self._always[person] = self._story
        return person

    def lag(self, path: str, *what: str, minutes: float = 10) -> str:
        """Have answers be as they were some minutes before they are asked for."""
        seconds = minutes * 60
        fault = self.control.add_fault(
            "lag", path=f"/v1.0/{path}**", what=list(what), minSeconds=seconds, maxSeconds=seconds
        )
        return str(fault["id"])

    def forgetful(self, person: str) -> str:
        """Have Graph name none of the groups that a person has long been in."""
        return self.lag(f"users/{person}", "memberOf", minutes=AGES.total_seconds() / 120)

    def fault(self, kind: str, path: str, **options: Any) -> str:
        return str(self.control.add_fault(kind, path=f"/v1.0/{path}**", **options)["id"])

    def mend(self, *faults: str) -> None:
        for one in faults:
            self.control.remove_fault(one)

    def pass_time(self, minutes: float) -> None:
        self.control.advance_clock(minutes * 60)
        self._offset += timedelta(minutes=minutes)

    # --- what is true ---------------------------------------------------------------------------

    def row(self, person: str) -> Entity:
        return self.rows[person]

    def is_in(self, person: str) -> bool:
        return self.rows.get(person, {}).get("Status") == "active"

    def cases(self, person: str) -> set[Key]:
        kept = self._runner.run(self._services.store.checkpoints.load(self._id))
        return {key for key in kept.cases if key[0] == person}

    def put_row(self, person: str, **columns: Any) -> None:
        """Write a row as an application does, beside the product."""
        entity = {"PartitionKey": f"{self._id}-{person[0]}", "RowKey": person, **columns}
        self._runner.run(self._write(entity))

    async def _write(self, entity: Entity) -> None:
        table = await self._services.store.tables.table(USERS)
        if len(entity) > 2:
            await table.upsert_entity(entity, mode=UpdateMode.REPLACE)
        else:
            await table.delete_entity(entity)

    def drop_row(self, person: str) -> None:
        self.put_row(person)

    # --- the play -------------------------------------------------------------------------------

    def play(self, stories: dict[str, Story], **changes: Any) -> None:
        """Let all stories happen, each step before one run, and tell which of them ended badly."""
        playing = {name: story(self) for name, story in stories.items()}
        self._step(playing)
        self.pass_time(AGES.total_seconds() / 60)
        self._join(self._joining or ())
        self._joining = None
        clauses = [
            {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": self._roots},
            {"attribute": "groups", "operator": "NOT ARRAYCONTAINS", "value": [self.out]},
        ]
        policy = changes.pop("policy", {}) | {"guard": NO_LIMITS}
        self._runner.run(
            stored_connection(
                self._services,
                self._id,
                scope={"filters": [{"clauses": clauses}]},
                policy=policy,
                **changes,
            )
        )
        for _ in range(2):
            self._run("full")
            self.pass_time(LAG + 1)
        while playing:
            self._step(playing)
            self.pass_time(MINUTES)
            self._run("incremental")

    def _step(self, playing: dict[str, Steps]) -> None:
        for self._story in list(playing):
            try:
                next(playing[self._story])
            except StopIteration:
                del playing[self._story]
            except Exception as error:  # noqa: BLE001 -- the other stories go on
                del playing[self._story]
                self.failures.setdefault(self._story, error)

    def _run(self, mode: str) -> None:
        run = self._runner.run(run_now(self._services, self._id, mode=mode))
        self.runs.append(run)
        assert run.error is None, run.error
        assert run.mode is Mode(mode), run.mode_reason
        self.rows = self._runner.run(rows_of(self._services, self._id))
        self._came |= set(filter(self.is_in, self._always))
        for person, story in self._always.items():
            if person in self._came and not self.is_in(person):
                wrong = AssertionError(f"{person} was removed by run {len(self.runs)}")
                self.failures.setdefault(story, wrong)

    def settle(self) -> set[str]:
        """Let all lags pass, run twice, and return whom a full run would change then."""
        self.control.clear_faults()
        for _ in range(2):
            self.pass_time(LAG + 1)
            self._run("incremental")
        return self._runner.run(self._what_is_left())

    async def _what_is_left(self) -> set[str]:
        connection = (await self._services.store.connections.get(self._id)).connection
        return {one.object_id for one in (await preview(self._services, connection)).changes}

"""Three workers, fifty connections, and one worker that is killed: no connection runs twice at a time."""

import asyncio
import os
import re
import signal
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from azure.storage.queue.aio import QueueClient

from local.graph import GraphEmulator
from local.processes import Child
from sync_core.domain.documents.run import RunStatus
from sync_core.runs.request import request_due
from sync_core.services import Services
from sync_core.store.queue import QUEUE
from sync_core.store.tables import USERS
from tests.system import Rig, group_scope, stored_connection

REPOSITORY = Path(__file__).parents[2]
INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")
CONNECTIONS, VICTIM = 50, 1
# `batchSize` and `newBatchThreshold` of host.json.
AT_ONCE = 8 + 4
# Else one of them may be due again while the test goes on.
WEEKLY = {"everyMinutes": 7 * 24 * 60}
MEMBERS = "/v1.0/groups/*/members**"
# The timer of the test, and how long a message of the killed host stays hidden.
TICK_S, HIDDEN_S = 2.0, 3
TOO_LONG_S = 120
# More often than `maxDequeueCount` of the Functions' defaults allows.
TAKEN_AWAY = 6
TURN = re.compile(r"^(\d\d):(\d\d):(\d\d\.\d+) .*\brun\.(started|finished) connection=(\S+)")


@dataclass
class Turns:
    """When runs of each connection began and ended, by the logs of the hosts."""

    seen: list[tuple[float, str, str, int]] = field(default_factory=list)

    def note(self, worker: int, line: str) -> None:
        if found := TURN.match(line):
            hours, minutes, seconds, what, connection_id = found.groups()
            at = (int(hours) * 60 + int(minutes)) * 60 + float(seconds)
            self.seen.append((at, what, connection_id, worker))

    def in_hand(self, worker: int) -> set[str]:
        """Return whom a worker has begun and not ended."""
        hand: set[str] = set()
        for _, what, connection_id, who in sorted(self.seen):
            if who == worker:
                (hand.add if what == "started" else hand.discard)(connection_id)
        return hand

    def at_once(self, killed: int, died_at: float) -> list[str]:
        """Name the connections that a worker began while another one that lived had not ended."""
        under_way: dict[str, int] = {}
        doubled = []
        # What ends and begins in the same millisecond follows one another.
        for at, what, connection_id, worker in sorted(self.seen):
            holder = under_way.get(connection_id)
            if what == "finished":
                under_way.pop(connection_id, None)
            else:
                if holder is not None and not (holder == killed and at > died_at):
                    doubled.append(connection_id)
                under_way[connection_id] = worker
        return doubled


def started(rig: Rig, emulator: GraphEmulator, worker: int, turns: Turns) -> Child:
    """Start a host; its log tells when it is ready."""
    bundle = str(rig.tls.bundle_file)
    environment = {one: os.environ[one] for one in INHERITED if one in os.environ}
    environment |= rig.environment(emulator)
    environment |= {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}
    # The test is the timer.
    environment |= {"SYNC_SCHEDULE": "0 0 0 1 1 *"}
    command = [sys.executable, "-m", "tests.runs.hurried_host", "--port", "0"]
    command += ["--root", str(REPOSITORY), "--message-lease", str(HIDDEN_S)]
    return Child(
        f"worker {worker}",
        command,
        env=environment,
        cwd=REPOSITORY,
        on_line=lambda line: turns.note(worker, line),
    )


async def take_away(rig: Rig) -> None:
    """Let some messages be delivered to hosts that are taken away before they look at them."""
    async with QueueClient.from_connection_string(rig.azurite.connection_string, QUEUE) as queue:
        for _ in range(TAKEN_AWAY):
            found = queue.receive_messages(max_messages=8, visibility_timeout=60)
            for message in [message async for message in found]:
                await queue.update_message(message, visibility_timeout=0)


def now_s() -> float:
    """Return the seconds of this day (UTC), as the hosts write them."""
    return time.time() % 86_400


async def test_one_of_three_workers_is_killed(
    rig: Rig, emulator: GraphEmulator, connection_id: str
) -> None:
    people = {emulator.control.create_person()["id"] for _ in range(2)}
    group = emulator.control.create_group("Two", members=list(people))["id"]
    names = [f"{connection_id}-{number:02d}" for number in range(CONNECTIONS)]
    turns = Turns()
    emulator.control.add_fault("slow", path=MEMBERS, milliseconds=500)
    own = rig.apart()
    async with own.services(emulator) as services:
        for name in names:
            await stored_connection(services, name, scope=group_scope(group), schedule=WEEKLY)
        await request_due(services)
        await take_away(own)
        with ExitStack() as stack:
            victim, *_ = [
                stack.enter_context(started(own, emulator, worker, turns))
                for worker in (VICTIM, 2, 3)
            ]
            await until_in_hand(turns)
            os.kill(victim.pid, signal.SIGKILL)
            died_at = now_s()
            emulator.control.clear_faults()
            await until_all_ran(services, names)

        await assert_runs_ended(services, names)
        assert await created(services) == dict.fromkeys(names, people)
    assert turns.at_once(VICTIM, died_at) == []


async def until_in_hand(turns: Turns) -> None:
    for _ in range(20 * TOO_LONG_S):
        if len(turns.in_hand(VICTIM)) >= 3:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def until_all_ran(services: Services, names: list[str]) -> None:
    """Tick, more often than the timer does, until a run of each connection has succeeded and none waits."""
    async with asyncio.timeout(TOO_LONG_S):
        while True:
            leases = await services.store.leases.all_by_id()
            free = [one.connection_id for one in leases.values() if one.run_id is None]
            if set(free) >= set(names) and await request_due(services) == 0:
                return
            await asyncio.sleep(TICK_S)


async def assert_runs_ended(services: Services, names: list[str]) -> None:
    """Each connection ran once; those that the killed worker had, once more, and nothing stands open."""
    for name in names:
        runs = await services.store.runs.page(name, top=10, after=None)
        assert all(run.status.is_final for run in runs), name
        assert [run.status for run in runs].count(RunStatus.SUCCEEDED) == 1, name
    leases = await services.store.leases.all_by_id()
    taken_over = [name for name in names if leases[name].epoch > 1]
    assert 1 <= len(taken_over) <= AT_ONCE


async def created(services: Services) -> dict[str, set[str]]:
    """Return who was created, by connection; whoever was created twice fails."""
    table = await services.store.tables.table(USERS)
    rows = [row async for row in table.list_entities()]
    people: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if not row["RowKey"].startswith("~"):
            people[row["ConnectionId"]].add(row["RowKey"])
    histories = [row["Action"] for row in rows if "Action" in row]
    assert histories == ["create"] * sum(map(len, people.values()))
    return people

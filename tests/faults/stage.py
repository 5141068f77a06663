"""A small tenant on the rig in which one fault strikes one kind of request, and what then is seen."""

import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_SECRET
from sync_core.connections.subscriptions import tend
from sync_core.directory import client, credentials, requests
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.domain.documents.scope import Scope
from sync_core.domain.subscriptions import Failure
from sync_core.runs import way
from sync_core.services import Services, utc_now
from sync_core.store.wire import Entity
from tests.faults.matrix import Case
from tests.faults.strikes import FULL, Kind, Means, strike
from tests.rig.graph.webhook import Webhook, served
from tests.system import Rig, group_scope, impatient, rows_of, run_now, set_clock, stored_connection

# With guests and blocked accounts: a dozen are in scope.
PEOPLE = 18
HOUR = timedelta(hours=1)
# Long enough for a busy machine, and short enough for a test that waits for it several times.
PATIENCE_S = 0.6
# The cells come one after the other: their leavers are not one run's.
NO_GUARD = {
    "maxRemovals": None,
    "maxRemovalPercent": None,
    "maxGroupLossPercent": None,
    "maxCreates": None,
    "maxCreatePercent": None,
    "maxRewrittenPercent": None,
}

Rows = Mapping[str, Entity]


@dataclass(frozen=True, slots=True)
class Change:
    """What really happens in the tenant before a run: one person leaves, one comes back, one is renamed."""

    leaves: str
    returns: str
    renamed: str
    title: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How a run ended: its record, and the rows before and after."""

    run: Run
    before: Rows
    after: Rows
    logs: str

    @property
    def touched(self) -> set[str]:
        """Return the people whose rows are other ones than before."""
        ids = self.before.keys() | self.after.keys()
        return {one for one in ids if self.before.get(one) != self.after.get(one)}


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What became of a subscription: why it failed, if it did, and what Graph has."""

    failure: Failure | None
    at_graph: list[str]
    logs: str


@dataclass(slots=True)
class Stage:
    """One tenant with one connection, whose table is up to date whenever a cell begins."""

    rig: Rig
    emulator: GraphEmulator
    connection_id: str
    everyone: bool
    webhook: Webhook
    group: str = ""
    out: str = ""
    insiders: list[str] = field(default_factory=list)
    changes: int = 0
    is_settled: bool = False
    is_made: bool = False

    async def settle(self) -> None:
        """Bring the table up to date, where a case has not left it so."""
        if not self.is_made:
            await self.set_up()
        elif not self.is_settled:
            await self.afterwards(FULL)
        self.is_made, self.is_settled = True, False

    async def set_up(self) -> None:
        """Import the people, and once more after the lag, so that the next run goes by the delta."""
        control = self.emulator.control
        live = [one["id"] for one in control.people() if one["accountEnabled"]]
        self.insiders = [one for one in live if control.person(one).get("userType") == "Member"]
        scope: dict[str, Any] = {"everyone": True}
        if not self.everyone:
            inner = control.create_group("Inner", members=self.insiders[-2:])["id"]
            self.group = control.create_group("Staff", members=self.insiders[:-2])["id"]
            control.add_members(self.group, inner)
            scope = group_scope(self.group)
        async with self.services() as services:
            await stored_connection(
                services, self.connection_id, scope=scope, policy={"guard": NO_GUARD}
            )
            set_clock(services, lambda: utc_now() - HOUR)
            await run_now(services, self.connection_id)
            set_clock(services, utc_now)
            self.out = self.insiders[0]
            self._leave(self.out)
            run = await run_now(services, self.connection_id)
            assert run.status is RunStatus.SUCCEEDED, run.error

    @asynccontextmanager
    async def services(self, budget_s: float = 30.0) -> AsyncIterator[Services]:
        async with self.rig.services(self.emulator, lambda: impatient(budget_s)) as services:
            yield services

    def change(self) -> Change:
        """Let one person leave and the one who had left come back, and rename a third."""
        self.changes += 1
        position = 1 + self.changes % 2
        leaves, renamed = self.insiders[position], self.insiders[4]
        change = Change(leaves, self.out, renamed, f"Colleague {self.changes}")
        self._return(self.out)
        self._leave(leaves)
        self.insiders[position], self.out = self.out, leaves
        self.emulator.control.patch_person(renamed, {"jobTitle": change.title})
        return change

    def _leave(self, person: str) -> None:
        if self.everyone:
            self.emulator.control.soft_delete(person)
        else:
            self.emulator.control.remove_members(self.group, person)

    def _return(self, person: str) -> None:
        if self.everyone:
            self.emulator.control.restore(person)
        else:
            self.emulator.control.add_members(self.group, person)

    async def run(self, services: Services, mode: str) -> Seen:
        before = await rows_of(services, self.connection_id)
        with heard() as lines:
            run = await run_now(services, self.connection_id, mode=mode)
        return Seen(run, before, await rows_of(services, self.connection_id), "\n".join(lines))

    async def struck(self, case: Case) -> Seen:
        """Run while a fault strikes, once or for as long as the run lasts."""
        slow = case.fault.means is Means.TIMEOUT
        with bringing_about(self.emulator, case) as was_struck:
            async with self.services(budget_s=2.0 if slow else 30.0) as services:
                if case.fault.means is Means.CLOCK:
                    off = timedelta(minutes=case.fault.options["minutes"])
                    set_clock(services, lambda: utc_now() + off)
                seen = await self.run(services, case.mode)
            assert was_struck(), "the fault met no request"
        return seen

    async def subscribed(self, case: Case | None = None) -> Subscribed:
        """Look after the subscriptions, while a fault strikes or without one."""
        control = self.emulator.control
        with ExitStack() as stack:
            was_struck = (
                stack.enter_context(bringing_about(self.emulator, case)) if case else lambda: True
            )
            if case is None:
                control.clear_faults()
                control.add_secret(value=SAMPLE_CLIENT_SECRET)
            slow = case is not None and case.fault.means is Means.TIMEOUT
            async with self.services(budget_s=2.0 if slow else 30.0) as services:
                if case is not None and case.fault.means is Means.CLOCK:
                    off = timedelta(minutes=case.fault.options["minutes"])
                    set_clock(services, lambda: utc_now() + off)
                lines = stack.enter_context(heard())
                failure = await self._tended(services, anew=case is not None)
            assert was_struck(), "the fault met no request"
        at_graph = [one["resource"] for one in control.subscriptions()]
        return Subscribed(failure, at_graph, "\n".join(lines))

    async def _tended(self, services: Services, *, anew: bool) -> Failure | None:
        """Subscribe to users alone, as who looks at no group does; return why that failed."""
        if anew:
            await services.store.subscriptions.delete_all(self.connection_id)
            for one in self.emulator.control.subscriptions():
                self.emulator.control.drop_subscription(one["id"])
        settings = replace(services.settings, public_base_url=self.webhook.url)
        stored = await services.store.connections.get(self.connection_id)
        changes = {"realtime": True, "scope": Scope(everyone=True)}
        connection = stored.connection.model_copy(update=changes)
        # An answer that was lost is asked for again when nobody else can be at it any more.
        if not anew:
            set_clock(services, lambda: utc_now() + HOUR)
        await tend.tend(replace(services, settings=settings), connection)
        [row] = await services.store.subscriptions.of(self.connection_id)
        return row.failure

    async def afterwards(self, mode: str) -> Seen:
        """Run when the fault is gone."""
        self.emulator.control.clear_faults()
        self.emulator.control.add_secret(value=SAMPLE_CLIENT_SECRET)
        async with self.services() as services:
            return await self.run(services, mode)


@contextmanager
def staged(rig: Rig, connection_id: str, *, everyone: bool) -> Iterator[Stage]:
    """Make a tenant of a dozen people, which is read in pages of five."""
    with (
        served(rig.tls, "http") as webhook,
        GraphEmulator(people=PEOPLE, groups=1, seed=7, tls=rig.tls) as emulator,
        patch.object(requests, "MAX_PAGE", 5),
        patch.object(way, "MOST_PAGES", 20),
        patch.object(client, "MOST_FRUITLESS_PAGES", 20),
    ):
        yield Stage(rig, emulator, connection_id, everyone, webhook)


@contextmanager
def bringing_about(emulator: GraphEmulator, case: Case) -> Iterator[Callable[[], bool]]:
    """Let a fault happen; what comes out tells whether a request met it."""
    control, fault, kind = emulator.control, case.fault, case.kind
    document = strike(fault, kind, passing=case.passing)

    def was_struck() -> bool:
        left = control.faults()
        return document is None or not left or left[0]["hits"] > 0

    with ExitStack() as stack:
        if fault.kind == "revokedSecret" and kind is Kind.TOKEN:
            control.remove_secrets()
            document = None
        if fault.means is Means.RESOLVER:
            struck = (lambda: True) if kind is Kind.TOKEN else was_struck
            stack.enter_context(names_not_found(emulator, kind, struck, passing=case.passing))
            document = None if kind is Kind.TOKEN else document
        if document is not None:
            control.add_fault(document.pop("kind"), **document)
        if fault.means is Means.TIMEOUT:
            short = httpx.Timeout(PATIENCE_S, connect=15)
            stack.enter_context(patch.object(client, "TIMEOUT", short))
            stack.enter_context(patch.object(credentials, "READ_TIMEOUT_S", PATIENCE_S))
        stack.callback(control.clear_faults)
        yield was_struck


@contextmanager
def names_not_found(
    emulator: GraphEmulator, kind: Kind, struck: Callable[[], bool], *, passing: bool
) -> Iterator[None]:
    """Let the resolver not know the host any more, from the first request of the kind on.

    The emulator cuts the connection then, as a connection that is open needs no resolver.
    """
    address = emulator.authority_url if kind is Kind.TOKEN else emulator.graph_url
    port, resolve, failures = urlsplit(address).port, socket.getaddrinfo, 0

    def getaddrinfo(host: Any, wanted: Any, *rest: Any, **options: Any) -> Any:
        nonlocal failures
        if wanted == port and struck() and not (passing and failures):
            failures += 1
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, wanted, *rest, **options)

    with patch.object(socket, "getaddrinfo", getaddrinfo):
        yield


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect what the program logs, as its operators see it."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root, collector = logging.getLogger(), Collector(logging.INFO)
    level = root.level
    root.addHandler(collector)
    root.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        root.removeHandler(collector)
        root.setLevel(level)

"""What the steps of one run share: the settings, the two ways out, and what is learned on the way."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sync_core.concurrency import TimeLimit, Turns
from sync_core.directory.assignments import Assignments
from sync_core.directory.client import GraphClient
from sync_core.directory.evidence import read_evidence
from sync_core.directory.groups import GroupTree
from sync_core.directory.reading import Reading
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import RunWarning
from sync_core.domain.mapping.compile import CompiledMapping, compile_mapping
from sync_core.domain.matching.takeover import Leftover, pending
from sync_core.domain.model import Action, Change, Evidence
from sync_core.domain.names import UNBOUND, Bindings, asserted_ids, unbound, with_ids
from sync_core.domain.plan.assertions import Assertions
from sync_core.domain.plan.headcounts import EVERYBODY
from sync_core.domain.plan.judge import Observer
from sync_core.domain.plan.ledger import Ledger
from sync_core.domain.plan.window import FIRST
from sync_core.domain.realtime import Account
from sync_core.domain.scope.compile import CompiledScope, compile_scope
from sync_core.runs.linking import Linking
from sync_core.runs.names import look_up
from sync_core.services import Services
from sync_core.store.checkpoints import CheckpointStore, Kept
from sync_core.store.group_sizes import GroupSizeStore
from sync_core.store.rows import Stamp
from sync_core.store.runs import RunStore
from sync_core.store.users import UserStore

# A person takes microseconds; one of whom an expression takes longer than this is left as stored.
PERSON_LIMIT_S = 5.0


@dataclass(slots=True)
class Written:
    """What a run has written of people: marks for the guard's window, and how many more there are.

    `active` people came in or came back, less those who went; `stored` are rows by first digit.
    """

    marks: list[str] = field(default_factory=list)
    first: int = 0
    active: int = 0
    stored: Counter[str] = field(default_factory=Counter)

    def add(self, change: Change, mark: str) -> None:
        """Learn of a change that was written, and of the letter that marks it."""
        if mark == FIRST:
            self.first += 1
        elif mark:
            self.marks.append(mark + change.object_id)
        self.active += EVERYBODY.step(change)
        self.stored[change.object_id[0]] += change.action is Action.CREATE
        self.stored[change.object_id[0]] -= change.deletes


@dataclass(frozen=True, slots=True)
class Takeovers:
    """Deleted connections whose rows this one takes over: what is `pending`, and whether any was confirmed.

    `leftovers` are all deleted connections of the tenant whose rows stay.
    """

    leftovers: Sequence[Leftover] = ()
    pending: Sequence[Leftover] = ()
    has_taken: bool = False

    @property
    def sources(self) -> list[str]:
        return [one.connection_id for one in self.pending]


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run of one connection: of its whole scope, of one person, or only a preview.

    `connection` has object ids for the names that are bound, `bindings` say which those are. `kept` is what
    earlier runs have left; `account` is what this one learns of notifications.
    """

    connection: Connection
    client: GraphClient
    users: UserStore
    runs: RunStore
    group_sizes: GroupSizeStore
    checkpoints: CheckpointStore
    stamp: Stamp
    scope: CompiledScope
    mapping: CompiledMapping
    linking: Linking
    assertions: Assertions
    bindings: Bindings
    kept: Kept
    clock: Callable[[], datetime]
    takeovers: Takeovers = field(default_factory=Takeovers)
    observer: Observer | None = None
    ledger: Ledger = field(default_factory=Ledger)
    turns: Turns = field(default_factory=Turns)
    written: Written = field(default_factory=Written)
    account: Account = field(default_factory=Account)

    @property
    def selected(self) -> frozenset[str]:
        """What is asked of each person; scope and mapping read nothing else."""
        return self.scope.attributes | self.mapping.attributes

    def reading(self) -> Reading:
        """Begin a reading of the whole scope."""
        groups = self.scope.asked_groups | self.mapping.groups
        return Reading(self.client, self.scope, self.selected, groups, self.connection.id)

    async def look(
        self,
        object_ids: Sequence[str],
        tree: GroupTree | None = None,
        assignments: Assignments | None = None,
    ) -> list[Evidence]:
        """Ask Graph for people by id; `tree` and `assignments` are what was read before."""
        self.ledger.count("looks", len(object_ids))
        return await read_evidence(
            self.client,
            object_ids,
            self.scope,
            self.selected,
            self.mapping.groups,
            tree=tree,
            assignments=assignments,
        )


async def run_context(
    services: Services,
    connection: Connection,
    client: GraphClient,
    run_id: str,
    now: datetime,
    *,
    observer: Observer | None = None,
) -> RunContext:
    """Prepare a run; `run_id` and `now` go into every row that it writes."""
    named, bindings = connection, await look_up(services, connection, client)
    connection = with_ids(named, bindings)
    takeovers = await takeovers_of(services, connection)
    context = RunContext(
        connection=connection,
        client=client,
        users=services.store.users(connection.id, takeovers.sources, has_taken=takeovers.has_taken),
        runs=services.store.runs,
        group_sizes=services.store.group_sizes,
        checkpoints=services.store.checkpoints,
        stamp=Stamp(connection.id, connection.known_tenant(), run_id, now),
        scope=compile_scope(connection.scope),
        mapping=compile_mapping(connection.mapping, patience=partial(TimeLimit, PERSON_LIMIT_S)),
        linking=Linking(connection, services.store.matches(connection.id), now),
        assertions=Assertions(connection.assertions, asserted_ids(named, bindings)),
        bindings=bindings,
        kept=await services.store.checkpoints.load(connection.id),
        clock=services.clock,
        takeovers=takeovers,
        observer=observer,
    )
    context.ledger.warnings += [
        RunWarning(code=UNBOUND, message=place.said(tried=bindings.is_tried(place.name)))
        for place in unbound(named, bindings)
    ]
    return context


async def takeovers_of(services: Services, connection: Connection) -> Takeovers:
    """Return what the connection takes over; one that was made again since keeps its own rows."""
    if connection.tenant_id is None:
        return Takeovers()
    found = await services.store.leftovers.of_tenant(connection.tenant_id)
    mine = [one for one in found if one.taker == connection.id]
    existing = {
        one.connection_id
        for one in mine
        if one.is_pending and await services.store.connections.find(one.connection_id) is not None
    }
    return Takeovers(found, pending(mine, existing), has_taken=bool(mine))

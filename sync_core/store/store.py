"""Every table in one place, and how a connection leaves all of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from sync_core.domain.documents.connection import Connection
from sync_core.domain.model import StillHeld
from sync_core.store.approvals import ApprovalStore
from sync_core.store.audit import AuditStore
from sync_core.store.bindings import BindingStore
from sync_core.store.checkpoints import CheckpointStore
from sync_core.store.clocks import ClockStore
from sync_core.store.connections import ConnectionStore
from sync_core.store.consents import ConsentStore
from sync_core.store.deletions import DeletionStore
from sync_core.store.fences import Claim, Fence
from sync_core.store.group_sizes import GroupSizeStore
from sync_core.store.health import HealthStore
from sync_core.store.incidents import IncidentStore
from sync_core.store.leases import LeaseStore
from sync_core.store.leftovers import LeftoverStore
from sync_core.store.links import Links
from sync_core.store.matches import MatchStore
from sync_core.store.moves import Moves
from sync_core.store.named import NamedStore
from sync_core.store.people import People
from sync_core.store.plans import PlanStore
from sync_core.store.readings import ReadingStore
from sync_core.store.realtime import RealtimeStore
from sync_core.store.refused_plans import RefusedPlanStore
from sync_core.store.reports import ReportStore
from sync_core.store.retention import OldHistories, OldRuns, PassStore
from sync_core.store.rows import Stamp
from sync_core.store.runs import RunStore
from sync_core.store.spending import RunSpending
from sync_core.store.subscriptions import SubscriptionStore
from sync_core.store.tables import (
    APPROVALS,
    BINDINGS,
    CHECKPOINTS,
    CONSENTS,
    GROUPS,
    HEALTH,
    INCIDENTS,
    MATCHES,
    NAMED,
    PLANS,
    READINGS,
    REFUSED_PLANS,
    RUNS,
    SUBSCRIPTIONS,
    TABLES,
    TENANT_CLAIMS,
    USERS,
    VERIFICATIONS,
    OnDelete,
    Tables,
)
from sync_core.store.tenant_claims import TenantClaimStore
from sync_core.store.users import UserStore, bounded
from sync_core.store.verifications import VerificationStore

RUNS_A_PAGE = 500
PLANS_AT_ONCE = 8

# How a connection's rows are deleted, by table; returns how many went where they are counted.
Deletions = Mapping[str, Callable[[], Awaitable[int | None]]]


class Store:
    """The tables of this app: most for all connections, four ways into the rows of one."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.connections = ConnectionStore(tables)
        self.runs = RunStore(tables)
        self.plans = PlanStore(tables)
        self.leases = LeaseStore(tables)
        self.consents = ConsentStore(tables)
        self.verifications = VerificationStore(tables)
        self.approvals = ApprovalStore(tables)
        self.health = HealthStore(tables)
        self.incidents = IncidentStore(tables)
        self.group_sizes = GroupSizeStore(tables)
        self.tenant_claims = TenantClaimStore(tables)
        self.bindings = BindingStore(tables)
        self.checkpoints = CheckpointStore(tables)
        self.reports = ReportStore(tables)
        self.readings = ReadingStore(tables)
        self.realtime = RealtimeStore(tables)
        self.named = NamedStore(tables)
        self.refused_plans = RefusedPlanStore(tables, self.plans)
        self.deletions = DeletionStore(tables)
        self.leftovers = LeftoverStore(tables)
        self.subscriptions = SubscriptionStore(tables)
        self.audit = AuditStore(tables)
        self.clocks = ClockStore(tables)
        self.passes = PassStore(tables)
        self.old_runs = OldRuns(tables, self.plans)
        self.old_histories = OldHistories(tables)

    def people(self, connection_id: str) -> People:
        """Return the way to read people and their history."""
        return People(self.tables, connection_id)

    def users(
        self, connection_id: str, sources: Sequence[str] = (), *, has_taken: bool = False
    ) -> UserStore:
        """Return the way to write people, as a run does; `sources` are deleted connections it takes over."""
        return UserStore(self.tables, connection_id, sources, has_taken=has_taken)

    def moves(self, source: str, stamp: Stamp, fence: Fence) -> Moves:
        """Return the way to move the rows of a deleted connection to the one of the stamp."""
        return Moves(self.tables, source, stamp, fence)

    def fence(self, claim: Claim, still_held: StillHeld) -> Fence:
        """Return the way to write for who has taken a lease; `still_held` raises when that must stop."""
        return Fence(self.tables, self.leases, claim, still_held)

    def spending(
        self, connection: Connection, run_id: str, clock: Callable[[], datetime]
    ) -> RunSpending:
        """Return the way to share the allowance of a connection's app in its tenant with other runs."""
        application = f"{connection.client_id}|{connection.known_tenant()}".lower()
        return RunSpending(self.tables, application, run_id, clock)

    def matches(self, connection_id: str) -> MatchStore:
        """Return the queue of those who wait for a match to be decided."""
        return MatchStore(self.tables, connection_id)

    def links(self, connection_id: str) -> Links:
        """Return the way to look at links and to break them."""
        return Links(self.tables, connection_id)

    async def forget(self, connection_id: str, etag: str) -> None:
        """Delete a connection from every table but those that `TABLES` declares as kept, and the lease.

        The document goes first, since no run is asked for without it. Raises `PreconditionFailed` before
        anything is deleted if the document is another than the one with this ETag.
        """
        await self.connections.delete(connection_id, etag)
        await self.forget_state(connection_id)

    async def forget_state(self, connection_id: str) -> None:
        """Delete what the next connection of the same id must not inherit."""
        await _clear(OnDelete.DELETED, self._deletions_of_state(connection_id))

    async def erase(self, connection_id: str, run_id: str, fence: Fence) -> int:
        """Delete a connection's people, histories, plans and runs; return how many rows of people went.

        The run `run_id`, which does it, stays. The `fence` is asked between the batches of what may take
        long, and raises when the deleting has to stop.
        """
        return await _clear(OnDelete.KEPT, self._deletions_of_records(connection_id, run_id, fence))

    def _deletions_of_records(self, connection_id: str, run_id: str, fence: Fence) -> Deletions:
        return {
            USERS: partial(self.people(connection_id).delete_all, fence),
            PLANS: partial(self._delete_plans, connection_id, fence.check),
            RUNS: partial(self.runs.delete_all_but, connection_id, run_id, fence.check),
        }

    def _deletions_of_state(self, connection_id: str) -> Deletions:
        return {
            HEALTH: partial(self.health.delete, connection_id),
            CONSENTS: partial(self.consents.forget, connection_id),
            VERIFICATIONS: partial(self.verifications.delete, connection_id),
            MATCHES: self.matches(connection_id).delete_all,
            APPROVALS: partial(self.approvals.forget_all, connection_id),
            GROUPS: partial(self.group_sizes.delete, connection_id),
            INCIDENTS: partial(self.incidents.delete_all, connection_id),
            TENANT_CLAIMS: partial(self.tenant_claims.forget, connection_id),
            BINDINGS: partial(self.bindings.delete, connection_id),
            REFUSED_PLANS: partial(self.refused_plans.forget_all, connection_id),
            CHECKPOINTS: partial(self.checkpoints.forget, connection_id),
            READINGS: partial(self.readings.forget, connection_id),
            SUBSCRIPTIONS: partial(self.subscriptions.delete_all, connection_id),
            NAMED: partial(self.named.forget_all, connection_id),
        }

    async def _delete_plans(self, connection_id: str, still_held: StillHeld) -> None:
        after: str | None = None
        while runs := await self.runs.page(connection_id, top=RUNS_A_PAGE, after=after):
            await still_held()
            after = runs[-1].id
            deletions = (partial(self.plans.delete, connection_id, run.id) for run in runs)
            await bounded(PLANS_AT_ONCE, deletions)

    async def close(self) -> None:
        await self.tables.close()


async def _clear(on_delete: OnDelete, deletions: Deletions) -> int:
    """Delete a connection's rows from every table that is declared so; return how many were counted."""
    names = [name for name, declared in TABLES.items() if declared is on_delete]
    return sum([await deletions[name]() or 0 for name in names])

"""What every Graph route works with: tenants, tokens, links, faults and the settings of the rig."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from local.graph.directory.clock import Clock
from local.graph.directory.directory import Directory
from local.graph.directory.members import Unions
from local.graph.directory.registered import Registered
from local.graph.directory.tenants import Registry
from local.graph.directory.view import View
from local.graph.faults.faults import Faults
from local.graph.faults.stale_members import StaleMembers
from local.graph.http.access import READ_LEAVE_DATES, Caller, TokenMint
from local.graph.http.budgets import Account, Budgets, units_by_size
from local.graph.http.id_tokens import IdTokens
from local.graph.http.messages import GraphRequest
from local.graph.http.recorder import Recorder
from local.graph.odata.delta import LIFETIME_S, Round, Rounds, Terms
from local.graph.odata.paging import Links
from local.graph.odata.renderer import Renderer
from local.graph.odata.selection import Matches
from local.graph.subscriptions.notifications import Notifier

_OF_MEMBERSHIP = frozenset(("members", "memberOf"))

# Where sources disagree: what is told first is the default, the other is for a suite that passes both ways.
CHOICES: dict[str, tuple[str | int, ...]] = {
    # Who lists the members of a group with hidden membership without Member.Read.Hidden is denied (as its
    # page is read), or sees an empty list, as people saw elsewhere (microsoft-graph-docs/issues/12552).
    "hidden_members": ("denied", "empty"),
    # api/group-delete and MC1183299; api/directory-deleteditems-restore says they cannot be restored.
    "security_groups": ("restorable", "gone"),
    # concepts/delta-query-groups; removed members came in first rounds: microsoft-graph-docs/issues/6651.
    "first_round": ("members", "removedToo"),
    # concepts/delta-query-groups; nobody was told after 20 minutes: microsoft-graph-docs/issues/14708.
    "gone_members": ("told", "untold"),
    # delta-query-overview: a restored one looks newly created; with $select it did not surface:
    # microsoft-graph-docs-contrib/issues/6555.
    "restored_in_delta": ("told", "untoldWithSelect"),
    # What a group's members@delta says of a nested group that is soft-deleted or restored. Nobody tells; of
    # people it is documented that they are not mentioned (concepts/delta-query-groups).
    "nested_group_gone": ("untold", "told"),
    # microsoft-graph-explorer-v4/issues/4018; delta-query-overview: all selected properties, ever set.
    "manager_in_delta": ("changed", "always"),
    # delta-query-overview: 410 and "a 40X error"; concepts/errors.
    "lost_link": (410, 400, 404),
    # concepts/json-batching: 200; concepts/throttling: 424 when items are throttled.
    "throttled_batch": (200, 424),
    # resources/subscription: optional; change-notifications-delivery-webhooks: required.
    "client_state": ("optional", "required"),
}


@dataclass(slots=True)
class RigSettings:
    """What Graph does not document and the rig can choose; the control API changes it."""

    delta_page_size: int = 200
    """Observed on a first page: github.com/microsoftgraph/microsoft-graph-docs/issues/5363."""
    delta_members_per_page: int = 1000
    next_link_life_s: float = LIFETIME_S
    """Of a nextLink of a delta round; nobody documents it (o365-moodle/issues/1841 is of a late one)."""
    handshake_timeout_s: float = 10.0
    subscription_quota: int = 100
    units_per_10_s: float = 0
    """Resource units of one application in one tenant; 0 stands for what the tenant's size gives."""
    choices: dict[str, str | int] = field(
        default_factory=lambda: {name: of[0] for name, of in CHOICES.items()}
    )
    consent_delay_s: float = 0.0
    """After a consent the token endpoint still says for so long, and ..."""
    consent_delay_requests: int = 0
    """... to so many requests that it does not know the app in the tenant."""
    roles_delay_s: float = 0.0
    """For so long, and ..."""
    roles_delay_requests: int = 0
    """... in so many tokens after that, the granted roles are missing."""


@dataclass(slots=True)
class Service:
    clock: Clock
    registry: Registry
    mint: TokenMint
    links: Links
    notifier: Notifier
    id_tokens: IdTokens = field(default_factory=IdTokens)
    settings: RigSettings = field(default_factory=RigSettings)
    faults: Faults = field(default_factory=Faults)
    recorder: Recorder = field(default_factory=Recorder)
    matches: Matches = field(default_factory=Matches)
    unions: Unions = field(default_factory=Unions)
    rounds: Rounds = field(default_factory=Rounds)
    stale: StaleMembers = field(default_factory=StaleMembers)
    budgets: Budgets = field(default_factory=Budgets)
    registered: dict[str, Registered] = field(default_factory=dict)
    """By tenant: what administrators have made there."""
    _renderers: dict[tuple[str, frozenset[str]], Renderer] = field(default_factory=dict)

    def registered_in(self, tenant_id: str) -> Registered:
        return self.registered.setdefault(tenant_id, Registered())

    def renderer(self, request: GraphRequest, view: View) -> Renderer:
        """People of the view, as this caller sees them."""
        directory = request.tenant.directory
        if view.version != directory.version:
            return Renderer(view, request.hidden)
        key = (request.tenant.id, request.hidden)
        renderer = self._renderers.get(key)
        if renderer is None:
            renderer = self._renderers[key] = Renderer(directory, request.hidden)
            directory.log.listen(renderer.forget)
        return renderer

    def hidden_attributes(self, caller: Caller) -> frozenset[str]:
        """Name what comes as null for the caller, without an error."""
        hidden = self.faults.hidden_attributes(caller.roles)
        return hidden if caller.may(READ_LEAVE_DATES) else hidden | {"employeeLeaveDateTime"}

    def caller_now(self, caller: Caller) -> Caller:
        """The caller with the permissions that are left at the moment."""
        lost = self.faults.lost_roles(caller.app_id, caller.roles)
        return replace(caller, roles=caller.roles - lost) if lost else caller

    def account(self, request: GraphRequest) -> Account:
        """Whose budget a request is paid from."""
        limit = self.settings.units_per_10_s or units_by_size(request.tenant.directory.live_count())
        return Account(request.caller.app_id, request.tenant.id, limit)

    def chosen(self, name: str) -> str | int:
        return self.settings.choices[name]

    def delete_group(self, directory: Directory, group_id: str) -> None:
        """Delete a group as its kind is deleted: for 30 days, or for good."""
        group = directory.group(group_id)
        kept = group.is_kept_when_deleted
        if self.chosen("security_groups") == "gone":
            kept = group.is_microsoft_365
        directory.delete_group(group_id, for_good=not kept)

    def view(self, request: GraphRequest, what: str) -> View:
        """The directory as this answer, one of the kind ``what``, sees it: behind the times under a fault."""
        seen = request.tenant.directory.as_of(self.version(request, what))
        if what in _OF_MEMBERSHIP:
            return self.stale.view(seen, self.faults.members_are_stale)
        return seen

    def terms(self, request: GraphRequest) -> Terms:
        return Terms(
            int(self.clock.now().timestamp()),
            lambda: self.version(request, "delta"),
            int(self.chosen("lost_link")),
            self.settings.next_link_life_s,
        )

    def round_view(self, request: GraphRequest, current: Round) -> View:
        """The directory as a delta round tells it."""
        directory = request.tenant.directory
        return directory.as_of(current.until) if current.lags else directory

    def version(self, request: GraphRequest, what: str) -> int:
        """How many changes an answer of the kind ``what`` knows of."""
        directory = request.tenant.directory
        age_s = self.faults.age_s(what, request.asked)
        if not age_s:
            return directory.version
        return directory.version_at(self.clock.now() - timedelta(seconds=age_s))

"""What every Graph route works with: tenants, tokens, links, faults and the settings of the rig."""

from dataclasses import dataclass, field

from local.graph.directory.clock import Clock
from local.graph.directory.directory import Directory
from local.graph.directory.members import Unions
from local.graph.directory.tenants import Registry
from local.graph.faults.faults import Faults
from local.graph.faults.stale_members import StaleMembers
from local.graph.http.access import READ_LEAVE_DATES, Caller, TokenMint
from local.graph.http.messages import GraphRequest
from local.graph.http.recorder import Recorder
from local.graph.odata.delta import Rounds
from local.graph.odata.paging import Links
from local.graph.odata.renderer import Renderer
from local.graph.odata.selection import Matches
from local.graph.subscriptions.notifications import Notifier

CHOICES = {"hidden_members": ("denied", "empty")}


@dataclass(slots=True)
class RigSettings:
    """What Graph does not document and the rig can choose; the control API changes it."""

    delta_page_size: int = 200
    """Observed on a first page: github.com/microsoftgraph/microsoft-graph-docs/issues/5363."""
    delta_members_per_page: int = 1000
    handshake_timeout_s: float = 10.0
    subscription_quota: int = 100
    hidden_members: str = "denied"
    """Who lists the members of a group with hidden membership without Member.Read.Hidden is denied
    (as its page is read), or sees an empty list (as people report of other lists, for instance
    microsoft-graph-docs/issues/12552)."""
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
    settings: RigSettings = field(default_factory=RigSettings)
    faults: Faults = field(default_factory=Faults)
    recorder: Recorder = field(default_factory=Recorder)
    matches: Matches = field(default_factory=Matches)
    unions: Unions = field(default_factory=Unions)
    rounds: Rounds = field(default_factory=Rounds)
    stale: StaleMembers = field(default_factory=StaleMembers)
    _renderers: dict[tuple[str, frozenset[str]], Renderer] = field(default_factory=dict)

    def renderer(self, request: GraphRequest) -> Renderer:
        """People of the caller's tenant, as this caller sees them."""
        key = (request.tenant.id, request.hidden)
        renderer = self._renderers.get(key)
        if renderer is None:
            renderer = self._renderers[key] = Renderer(request.tenant.directory, request.hidden)
        return renderer

    def hidden_attributes(self, caller: Caller) -> frozenset[str]:
        """Name what comes as null for the caller, without an error."""
        hidden = self.faults.hidden_attributes(caller.roles)
        return hidden if caller.may(READ_LEAVE_DATES) else hidden | {"employeeLeaveDateTime"}

    def members_view(self, directory: Directory) -> Directory:
        """The directory as answers about membership see it: behind the times under that fault."""
        return self.stale.view(directory, self.faults.members_are_stale)

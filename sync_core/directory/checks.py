"""Tries a connection out: asks Entra for a token and Graph for a few answers; gives Check documents.

Nothing is written, and no error leaves: each becomes a check. What depends on a failed check is left
out, because it would only say the same thing again.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.applications_with_app_id.applications_with_app_id_request_builder import (
    ApplicationsWithAppIdRequestBuilder,
)
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph.graph_service_client import GraphServiceClient

from sync_core.directory.access import Directory, Secrets
from sync_core.directory.answers import to_page
from sync_core.directory.assignments import assigned_groups
from sync_core.directory.client import GraphClient
from sync_core.directory.delta import groups_link, users_link
from sync_core.directory.groups import GroupTree, read_group_tree, refused_members
from sync_core.directory.lookup import check_attributes
from sync_core.directory.members import first_pages, users_in
from sync_core.directory.requests import (
    APPLICATIONS_READ,
    MAX_PAGE,
    USERS_READ,
    assigned_to,
    properties,
    relationships,
)
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.attributes import ALWAYS_SELECTED
from sync_core.domain.clouds import CLOUDS
from sync_core.domain.connections import certificates
from sync_core.domain.connections.changes import changes_check, no_changes_check
from sync_core.domain.connections.checks import (
    NEVER_EXPIRES,
    READ_ASSIGNED,
    READ_MEMBERS,
    READ_USER,
    SCOPE_GROUPS,
    TOKEN,
    WHOLE,
    Check,
    CheckResult,
    Expiry,
    ExpirySource,
    certificate_check,
    conclude,
    effective_expiry,
    expiry_check,
    failed,
    given_expiry,
    groups_check,
    hidden_check,
    notification_check,
    passed,
    paused_check,
    permission_check,
    privilege_check,
    secret_end,
    token_check,
    unfinished_check,
)
from sync_core.domain.connections.permissions import (
    APPLICATIONS,
    GROUPS,
    LIFE_CYCLE,
    MEMBERS,
    OWN_PERMISSION,
    READS_OWN_APPLICATION,
    USERS,
    Needs,
    needs_of,
    notified_by,
    permissions,
)
from sync_core.domain.connections.token import TokenFacts, read_token
from sync_core.domain.documents.connection import Connection, CredentialKind
from sync_core.domain.errors import FixConnection, RetryLater, SyncError
from sync_core.domain.incremental.checkpoint import STREAM_GROUPS
from sync_core.domain.incremental.tracking import names_to_track

# Somebody waits for the answer, and the Functions host ends an HTTP request after 230 seconds: a save
# may need three checks.
STEP_RETRY_BUDGET_S = 20.0
WHOLE_PATIENCE_S = 60.0
HIRE_DATE = "employeeHireDate"


async def check_connection(
    directory: Directory, connection: Connection, now: datetime
) -> CheckResult:
    """Try everything that the connection needs; raises nothing that `sync_core` raises on purpose."""
    trial = _Trial(directory, connection, now, needs_of(connection))
    try:
        async with (
            asyncio.timeout(WHOLE_PATIENCE_S),
            directory.open(connection, _little(directory.retry_budget())) as client,
        ):
            await trial.run(client)
    except TimeoutError:
        trial.checks.append(failed(WHOLE, _too_slow(WHOLE_PATIENCE_S)))
    except SyncError as error:  # without its credential nothing can be asked
        trial.checks.append(failed(TOKEN, error))
    return conclude(trial.checks, tenant_id=trial.tenant_id, expiries=trial.expiries)


async def credential_expiry(
    directory: Directory, connection: Connection, now: datetime
) -> Expiry | None:
    """Tell when the credential ends, as far as anybody knows; None for what never ends."""
    if connection.credential.kind in NEVER_EXPIRES:
        return None
    roles: frozenset[str] = frozenset()
    try:
        async with directory.open(connection, _little(directory.retry_budget())) as client:
            facts = await _token(client, connection)
            roles = facts.roles if facts else roles
            known = await _expiries(directory.vault, connection, now, client, roles)
    except SyncError:  # no token: Entra cannot be asked, the others can
        known = await _expiries(directory.vault, connection, now, None, roles)
    return effective_expiry(known)


@dataclass(slots=True)
class _Trial:
    directory: Directory
    connection: Connection
    now: datetime
    needs: Needs
    checks: list[Check] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)
    tenant_id: str | None = None

    async def run(self, client: GraphClient) -> None:
        reached, facts = await self._token(client)
        if reached:
            await self._permitted(client, facts)
        await self._certificate()
        await self._expiry(client if reached else None, facts)

    async def _token(self, client: GraphClient) -> tuple[bool, TokenFacts | None]:
        facts: list[TokenFacts | None] = []

        async def ask() -> None:
            facts.append(await self._fresh_token(client))

        if not await self._step(TOKEN, ask()):
            return False, None
        check = token_check(self.connection, facts[0])
        self.checks.append(check)
        self.tenant_id = facts[0].tenant_id if facts[0] and check.ok else None
        return check.ok, facts[0]

    async def _fresh_token(self, client: GraphClient) -> TokenFacts | None:
        """Look into the token; one that lacks what is needed is thrown away and asked for again.

        A token keeps the permissions of the moment it was issued for as long as it is cached.
        """
        facts = await _token(client, self.connection)
        needed = [*permissions(self.needs), *notified_by(self.needs)]
        if facts and not all(one.granted(facts.roles) for one in needed):
            await client.credential.renew()
            facts = await _token(client, self.connection)
        return facts

    async def _permitted(self, client: GraphClient, facts: TokenFacts | None) -> None:
        """Check what the token allows, and try what it should; a token that tells nothing is tried."""
        missing = await self._missing(client, facts) if facts else set()
        # What needs a permission that is missing would only fail the read as well.
        readable = {
            name
            for name in self.needs.attributes
            if OWN_PERMISSION.get(name.lower()) not in missing
        }
        if USERS not in missing and await self._try(
            READ_USER, self._read_user(client, frozenset(readable))
        ):
            groups = self.needs.groups if missing.isdisjoint({MEMBERS, GROUPS}) else frozenset()
            await self._changes(client, readable, sorted(groups)[:STREAM_GROUPS])
        if self.needs.groups and missing.isdisjoint({MEMBERS, GROUPS}):
            await self._groups(client, facts, frozenset() if USERS in missing else readable)
        if self.needs.applications and missing.isdisjoint({MEMBERS, GROUPS, APPLICATIONS}):
            await self._assigned(client, facts)
        if facts:
            self.checks.append(privilege_check(facts.roles))

    async def _missing(self, client: GraphClient, facts: TokenFacts) -> set[str]:
        """Check each permission that is needed; return the narrowest names of those that are missing."""
        missing = set[str]()
        for one in permissions(self.needs):
            check = permission_check(one, facts.roles, self.needs.kind)
            if not check.ok and one.names[0] == LIFE_CYCLE:
                check = await self._life_cycle(client, check)
            self.checks.append(check)
            if not check.ok:
                missing.add(one.names[0])
        self.checks += [
            notification_check(one, self.needs.kind)
            for one in notified_by(self.needs)
            if not one.granted(facts.roles) and one.names[0] not in missing
        ]
        return missing

    async def _life_cycle(self, client: GraphClient, check: Check) -> Check:
        """Let the date of hire pass where it is seen to be readable.

        Of employeeLeaveDateTime, Microsoft says that the permission is needed; of employeeHireDate it was
        only seen (see `OWN_PERMISSION`). A person who has the date proves that it is not hidden here.
        """
        names = self.needs.own(LIFE_CYCLE)
        if [name.lower() for name in names] != [HIRE_DATE.lower()]:
            return check
        with suppress(SyncError):
            page = to_page(await client.get(_users(client.sdk, names, MAX_PAGE), needs=USERS_READ))
            if any(person.get(names[0]) for person in page.items):
                return passed(LIFE_CYCLE, f"{names[0]} can be read without {LIFE_CYCLE}.")
        return check

    async def _read_user(self, client: GraphClient, attributes: frozenset[str]) -> str:
        request = _users(client.sdk, attributes, 1)
        async for page in client.pages(request, needs=USERS_READ):
            await check_attributes(client, page.items, "users")
            if page.items:
                return "A user can be read with every attribute that the connection uses."
        raise FixConnection(
            "graph.noUsers",
            "Graph gives no user at all of this tenant.",
            "Check that the tenant id is the one of the tenant in which your people are.",
        )

    async def _changes(
        self, client: GraphClient, attributes: AbstractSet[str], groups: Sequence[str]
    ) -> None:
        """Look at what the tenant tells of changes; where it tells nothing, runs read everything."""
        try:
            async with asyncio.timeout(STEP_RETRY_BUDGET_S):
                _, refused = await users_link(client, names_to_track(attributes))
                if groups:
                    await groups_link(client, groups)
        except TimeoutError:
            self.checks.append(no_changes_check(_too_slow(STEP_RETRY_BUDGET_S)))
        except SyncError as error:
            self.checks.append(no_changes_check(error))
        else:
            self.checks.append(changes_check(self.connection, refused))

    async def _groups(
        self, client: GraphClient, facts: TokenFacts | None, attributes: AbstractSet[str]
    ) -> None:
        """Look at every group that a run will read; at members, if `attributes` can be read."""
        tree = GroupTree()
        if not await self._step(SCOPE_GROUPS, self._read_tree(client, tree)):
            return
        self.checks.append(groups_check(self.needs.groups, tree.missing))
        self._hidden(tree, facts)
        if tree.paused:
            self.checks.append(paused_check(map(tree.name, tree.paused)))
        readable = sorted(tree.names.keys() - tree.unreadable)
        if readable and attributes:
            await self._try(READ_MEMBERS, self._read_members(client, tree, readable, attributes))

    def _hidden(self, tree: GroupTree, facts: TokenFacts | None) -> None:
        """Check that members can be read which groups hide."""
        hidden = tree.hiding if facts else tree.unreadable
        if hidden:
            names = sorted(map(tree.name, hidden))
            roles = facts.roles if facts else frozenset[str]()
            self.checks.append(hidden_check(names, roles, self.needs.kind))

    async def _read_tree(self, client: GraphClient, tree: GroupTree) -> None:
        """Fill the tree; of one that takes too long, as much as was read is looked at, and a note says so."""
        needs = self.needs
        try:
            async with asyncio.timeout(STEP_RETRY_BUDGET_S / 2):
                await read_group_tree(client, needs.groups, nested=needs.nested, tree=tree)
        except TimeoutError:
            if not tree.names:
                raise
            self.checks.append(unfinished_check(len(tree.names)))

    async def _read_members(
        self, client: GraphClient, tree: GroupTree, groups: list[str], attributes: AbstractSet[str]
    ) -> str:
        lists = [users_in(client, group, attributes, 1) for group in groups]
        for group, page in zip(groups, await first_pages(client, lists), strict=True):
            if isinstance(page, FixConnection):
                raise refused_members(page, tree.name(group))
            # None: deleted since it was read
            await check_attributes(client, page.items if page else [], "members of a group")
        return f"The members of the groups can be read with their attributes ({len(groups)})."

    async def _assigned(self, client: GraphClient, facts: TokenFacts | None) -> None:
        """Look at who is assigned, and whether the groups that are hide their members."""
        tree = GroupTree()
        await self._try(READ_ASSIGNED, self._read_assigned(client, tree))
        self._hidden(tree, facts)

    async def _read_assigned(self, client: GraphClient, tree: GroupTree) -> str:
        """Read the first page of each: a group with many people in it would take longer than a check."""
        named = sorted(self.needs.applications)
        requests = [assigned_to(client.sdk, one) for one in named]
        answers = await client.batch(requests, needs=APPLICATIONS_READ)
        if missing := [one for one, answer in zip(named, answers, strict=True) if answer is None]:
            raise FixConnection(
                "scope.applicationNotFound",
                f"The tenant has no enterprise application {', '.join(missing)}, which assignedTo names.",
                "Give the object id of the enterprise application (Entra, Enterprise applications, its "
                "overview), not the application (client) id of its registration.",
            )
        groups = [group for answer in answers for group in assigned_groups(to_page(answer).items)]
        await read_group_tree(client, groups, nested=False, tree=tree)
        return f"It can be read who is assigned to the enterprise applications ({len(named)})."

    async def _certificate(self) -> None:
        """Name the certificate, whether Entra takes it or not; one that cannot be read is told elsewhere."""
        credential = self.connection.credential
        if self.needs.kind is not CredentialKind.CERTIFICATE or credential.secret_name is None:
            return
        with suppress(SyncError):
            pem = await self.directory.vault.get(credential.secret_name, credential.secret_version)
            self.checks.append(certificate_check(certificates.read(pem, self.now)))

    async def _expiry(self, client: GraphClient | None, facts: TokenFacts | None) -> None:
        roles: frozenset[str] = facts.roles if facts else frozenset()
        self.expiries = await _expiries(
            self.directory.vault, self.connection, self.now, client, roles
        )
        expiry = effective_expiry(self.expiries)
        self.checks.append(expiry_check(self.needs.kind, expiry, self.now))

    async def _try(self, name: str, ask: Awaitable[str]) -> bool:
        async def told() -> None:
            self.checks.append(passed(name, await ask))

        return await self._step(name, told())

    async def _step(self, name: str, ask: Awaitable[None]) -> bool:
        """Do one step within a bounded time; a failure becomes a check of this name."""
        try:
            async with asyncio.timeout(STEP_RETRY_BUDGET_S):
                await ask
        except TimeoutError:
            self.checks.append(failed(name, _too_slow(STEP_RETRY_BUDGET_S)))
        except SyncError as error:
            self.checks.append(failed(name, error))
        else:
            return True
        return False


def _little(retry_budget: RetryBudget) -> RetryBudget:
    """Try a few times at most: the reason of a failure is worth more here than a late success."""
    return replace(retry_budget, budget_s=STEP_RETRY_BUDGET_S / 2)


def _too_slow(seconds: float) -> RetryLater:
    return RetryLater(
        "check.timeout",
        f"There was no answer within {seconds:g} seconds.",
        "Try again in a few minutes. See status.microsoft.com if it goes on.",
    )


async def _token(client: GraphClient, connection: Connection) -> TokenFacts | None:
    # With the option that the SDK's pipeline uses, so that this is the token that requests carry.
    scope = CLOUDS[connection.cloud].graph_scope
    token = await client.credential.get_token(scope, enable_cae=True)
    return read_token(token.token)


async def _expiries(
    vault: Secrets,
    connection: Connection,
    now: datetime,
    client: GraphClient | None,
    roles: frozenset[str],
) -> list[Expiry]:
    """Ask everybody who may know; who cannot answer is left out."""
    kind, name = connection.credential.kind, connection.credential.secret_name
    known = given_expiry(connection)
    if kind in NEVER_EXPIRES:
        return []
    if name is None:
        return known
    version = connection.credential.secret_version
    try:
        secret = (await vault.get(name, version)).strip()
        ends = await vault.expires_on(name, version)
        known += _by(ExpirySource.KEY_VAULT, ends)
        if kind is CredentialKind.CERTIFICATE:
            known += _by(ExpirySource.CERTIFICATE, certificates.read(secret, now).not_after)
        elif client and not roles.isdisjoint(READS_OWN_APPLICATION):
            answer = await client.get(
                _own_application(client.sdk, connection.client_id), needs=APPLICATIONS
            )
            known += _by(ExpirySource.ENTRA, secret_end(answer, secret, now))
    except SyncError:  # Key Vault is away, or the application's home is another tenant
        pass
    return known


def _by(source: ExpirySource, ends: datetime | None) -> list[Expiry]:
    return [] if ends is None else [Expiry(expires_on=ends, source=source)]


# --- the requests -----------------------------------------------------------------------------------


def _users(sdk: GraphServiceClient, select: Iterable[str], top: int) -> RequestInformation:
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        select=properties({*select, *ALWAYS_SELECTED}), expand=relationships(select), top=top
    )
    return sdk.users.to_get_request_information(RequestConfiguration(query_parameters=query))


def _own_application(sdk: GraphServiceClient, client_id: str) -> RequestInformation:
    query = (
        ApplicationsWithAppIdRequestBuilder.ApplicationsWithAppIdRequestBuilderGetQueryParameters(
            select=["passwordCredentials"]
        )
    )
    return sdk.applications_with_app_id(client_id).to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )

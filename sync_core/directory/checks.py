"""Tries a connection out: asks Entra for a token and Graph for a few answers; gives Check documents.

Nothing is written, and no error leaves: each becomes a check. What depends on a failed check is left
out, because it would only say the same thing again.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.applications_with_app_id.applications_with_app_id_request_builder import (
    ApplicationsWithAppIdRequestBuilder,
)
from msgraph.generated.groups.item.group_item_request_builder import GroupItemRequestBuilder
from msgraph.generated.groups.item.members.graph_user.graph_user_request_builder import (
    GraphUserRequestBuilder as MemberUsers,
)
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph.graph_service_client import GraphServiceClient

from sync_core.directory.access import Directory, Secrets
from sync_core.directory.answers import to_page
from sync_core.directory.client import GraphClient
from sync_core.directory.lookup import check_attributes
from sync_core.directory.requests import (
    APPLICATIONS_READ,
    GROUPS_READ,
    USERS_READ,
    advanced_headers,
    assigned_to,
    properties,
    relationships,
)
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.clouds import CLOUDS
from sync_core.domain.connections import certificates
from sync_core.domain.connections.checks import (
    APPLICATIONS,
    GROUPS,
    HIDDEN,
    NEVER_EXPIRES,
    READ_ASSIGNED,
    READ_MEMBERS,
    READ_USER,
    READS_OWN_APPLICATION,
    SCOPE_GROUPS,
    TOKEN,
    USERS,
    WHOLE,
    Check,
    CheckResult,
    Expiry,
    ExpirySource,
    Needs,
    TokenFacts,
    certificate_check,
    conclude,
    effective_expiry,
    expiry_check,
    failed,
    given_expiry,
    groups_check,
    hidden_check,
    needs_of,
    passed,
    permission_check,
    permissions,
    privilege_check,
    read_token,
    secret_end,
    token_check,
)
from sync_core.domain.documents import Connection, CredentialKind
from sync_core.domain.errors import FixConnection, RetryLater, SyncError

# Somebody waits for the answer, and the Functions host ends an HTTP request after 230 seconds: a save
# may need three checks.
STEP_RETRY_BUDGET_S = 20.0
WHOLE_PATIENCE_S = 60.0
ATTEMPTS = 3
APPLICATION_READ = "Application.Read.All"


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
        if facts and not all(one.granted(facts.roles) for one in permissions(self.needs)):
            await client.credential.renew()
            facts = await _token(client, self.connection)
        return facts

    async def _permitted(self, client: GraphClient, facts: TokenFacts | None) -> None:
        """Check what the token allows, and try what it should; a token that tells nothing is tried."""
        refused: set[str] = set()
        if facts:
            for one in permissions(self.needs):
                self.checks.append(permission_check(one, facts.roles, self.needs.kind))
                refused |= set() if one.granted(facts.roles) else set(one.names)
        users, groups = USERS not in refused, GROUPS not in refused
        if users:
            await self._try(READ_USER, self._read_user(client))
        if groups and self.needs.groups:
            await self._groups(client, facts, may_read_users=users)
        if groups and self.needs.applications and APPLICATIONS not in refused:
            await self._try(READ_ASSIGNED, self._read_assigned(client))
        if facts:
            self.checks.append(privilege_check(facts.roles))

    async def _read_user(self, client: GraphClient) -> str:
        request = _first_user(client.sdk, self.needs.attributes)
        async for page in client.pages(request, needs=USERS_READ):
            check_attributes(page.items, "users")
            if page.items:
                return "A user can be read with every attribute that the connection uses."
        raise FixConnection(
            "graph.noUsers",
            "Graph gives no user at all of this tenant.",
            "Check that the tenant id is the one of the tenant in which your people are.",
        )

    async def _groups(
        self, client: GraphClient, facts: TokenFacts | None, *, may_read_users: bool
    ) -> None:
        named = sorted(self.needs.groups)
        heads: list[dict[str, Any] | None] = []

        async def ask() -> None:
            requests = [_group(client.sdk, group) for group in named]
            heads.extend(await client.batch(requests, needs=GROUPS_READ))

        if not await self._step(SCOPE_GROUPS, ask()):
            return
        found = [head for head in heads if head is not None]
        missing = {group for group, head in zip(named, heads, strict=True) if head is None}
        self.checks.append(groups_check(self.needs.groups, missing))
        hidden = [head for head in found if head.get("visibility") == "HiddenMembership"]
        if hidden and facts:
            names = [str(head.get("displayName") or head["id"]) for head in hidden]
            self.checks.append(hidden_check(names, facts.roles, self.needs.kind))
            if HIDDEN not in facts.roles:
                found = [head for head in found if head not in hidden]
        if found and may_read_users:
            needs = f"{GROUPS_READ} and {HIDDEN}" if hidden else GROUPS_READ
            await self._try(READ_MEMBERS, self._read_members(client, found, needs))

    async def _read_members(
        self, client: GraphClient, groups: Sequence[dict[str, Any]], needs: str
    ) -> str:
        requests = [_first_member(client.sdk, one["id"], self.needs.attributes) for one in groups]
        for answer in await client.batch(requests, needs=needs):
            page = to_page(answer or {"value": []})  # None: deleted since it was read
            check_attributes(page.items, "members of a group")
        return f"The members of the groups can be read with their attributes ({len(groups)})."

    async def _read_assigned(self, client: GraphClient) -> str:
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

    async def _try(self, name: str, ask: Awaitable[str]) -> None:
        async def told() -> None:
            self.checks.append(passed(name, await ask))

        await self._step(name, told())

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
    return replace(retry_budget, attempts=ATTEMPTS, budget_s=STEP_RETRY_BUDGET_S / 2)


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
                _own_application(client.sdk, connection.client_id), needs=APPLICATION_READ
            )
            known += _by(ExpirySource.ENTRA, secret_end(answer, secret, now))
    except SyncError:  # Key Vault is away, or the application's home is another tenant
        pass
    return known


def _by(source: ExpirySource, ends: datetime | None) -> list[Expiry]:
    return [] if ends is None else [Expiry(expires_on=ends, source=source)]


# --- the requests -----------------------------------------------------------------------------------


def _first_user(sdk: GraphServiceClient, select: frozenset[str]) -> RequestInformation:
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        select=properties(select), expand=relationships(select), top=1
    )
    return sdk.users.to_get_request_information(RequestConfiguration(query_parameters=query))


def _group(sdk: GraphServiceClient, group_id: str) -> RequestInformation:
    query = GroupItemRequestBuilder.GroupItemRequestBuilderGetQueryParameters(
        select=["id", "displayName", "visibility"]
    )
    return sdk.groups.by_group_id(group_id).to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )


def _first_member(
    sdk: GraphServiceClient, group_id: str, select: Iterable[str]
) -> RequestInformation:
    query = MemberUsers.GraphUserRequestBuilderGetQueryParameters(
        select=properties(select), top=1, count=True
    )
    return sdk.groups.by_group_id(group_id).members.graph_user.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=advanced_headers())
    )


def _own_application(sdk: GraphServiceClient, client_id: str) -> RequestInformation:
    query = (
        ApplicationsWithAppIdRequestBuilder.ApplicationsWithAppIdRequestBuilderGetQueryParameters(
            select=["passwordCredentials"]
        )
    )
    return sdk.applications_with_app_id(client_id).to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )

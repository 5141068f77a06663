"""Trying a connection out says what is missing, in sentences, and never asks more than it has to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from local.graph import GraphEmulator
from local.identity import IDENTITY_CLIENT_ID
from local.sample import (
    FABRIKAM_TENANT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_DOMAIN,
    SAMPLE_GROUP_ID,
    SAMPLE_ROLES,
    SAMPLE_TENANT_ID,
)
from sync_core.directory import checks
from sync_core.directory.access import Directory
from sync_core.directory.checks import check_connection
from sync_core.directory.client import GraphClient
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.connections.checks import Check, CheckResult, Severity
from sync_core.domain.documents.connection import Connection
from sync_core.services import Services
from tests.switches import either_way
from tests.system import Rig, connection, group_scope, impatient

NOW = datetime.now(UTC)
UNKNOWN = "99999999-9999-4999-8999-999999999999"
EVERYONE = {"everyone": True}
# What takes no time has to be done within the short one, also on a busy machine.
SHORT_S, LONG_MS = 5.0, 30_000


@pytest.fixture
async def secret(services: Services, connection_id: str) -> str:
    """Store the sample app's secret for the test's connection."""
    name = f"{connection_id}-client-secret"
    return await services.vault.set(name, SAMPLE_CLIENT_SECRET, content_type="text/plain")


async def result_of(services: Services, connection_id: str, **changes: Any) -> CheckResult:
    return await check_connection(services.directory, connection(connection_id, **changes), NOW)


def failing(result: CheckResult) -> dict[str, str]:
    """Give name and code of what failed."""
    return {check.name: check.code for check in result.checks if not check.ok}


def named(result: CheckResult, name: str) -> Check:
    return next(check for check in result.checks if check.name == name)


def paths(emulator: GraphEmulator) -> list[str]:
    return [request.path for request in emulator.requests]


@pytest.mark.usefixtures("secret")
async def test_a_connection_that_can_work_passes_every_check(
    services: Services, connection_id: str
) -> None:
    result = await result_of(services, connection_id)

    assert [check.name for check in result.checks] == [
        "token",
        "User.Read.All",
        "Group.Read.All",
        "read a user",
        "read changes",
        "scope groups exist",
        "read group members",
        "least privilege",
        "secret expiry",
    ]
    assert (result.ok, result.retryable, failing(result)) == (True, False, {})
    assert result.tenant_id == SAMPLE_TENANT_ID


@pytest.mark.usefixtures("secret")
async def test_the_tenants_id_is_learnt_where_a_domain_is_named(
    services: Services, connection_id: str
) -> None:
    result = await result_of(services, connection_id, tenantId=SAMPLE_DOMAIN)

    assert (result.ok, result.tenant_id) == (True, SAMPLE_TENANT_ID)


@pytest.mark.usefixtures("secret")
async def test_a_check_is_a_handful_of_requests(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """One token, one user, two links, and a batch each for groups, those in them, and their members."""
    inner = emulator.control.create_group("Inner")["id"]
    outer = emulator.control.create_group("Outer", members=[inner])["id"]
    emulator.control.reset_requests()
    await result_of(services, connection_id, scope=group_scope(outer))

    asked = [request.path for request in emulator.requests if not request.inside_batch]
    assert asked == [
        f"/{SAMPLE_TENANT_ID}/oauth2/v2.0/token",
        "/v1.0/users",
        "/v1.0/users/delta()",
        "/v1.0/groups/delta()",
        "/v1.0/$batch",
        "/v1.0/$batch",
        "/v1.0/$batch",
        "/v1.0/$batch",
    ]


# --- permissions ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("secret")
async def test_without_any_permission_nothing_is_read(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Entra gives a token all the same; what depends on the permissions would only fail again."""
    emulator.control.set_roles([])

    result = await result_of(services, connection_id)

    assert failing(result) == {
        "User.Read.All": "permission.missing",
        "GroupMember.Read.All": "permission.missing",
    }
    assert result.retryable
    assert all(path.endswith("/token") for path in paths(emulator))


@pytest.mark.usefixtures("secret")
async def test_without_group_permissions_users_are_still_tried(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_roles(["User.Read.All"])

    result = await result_of(services, connection_id)

    assert failing(result) == {"GroupMember.Read.All": "permission.missing"}
    assert named(result, "read a user").ok
    assert "scope groups exist" not in {check.name for check in result.checks}


@pytest.mark.usefixtures("secret")
async def test_the_narrower_group_permission_suffices(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_roles(["User.Read.All", "GroupMember.Read.All"])

    polling = await result_of(services, connection_id)
    realtime = await result_of(services, connection_id, realtime=True)

    assert (polling.ok, failing(polling)) == (True, {})
    assert (realtime.ok, failing(realtime)) == (True, {})
    [warning] = [one for one in realtime.checks if one.code == "realtime.permissionMissing"]
    assert "Group.Read.All" in warning.message


@pytest.mark.usefixtures("secret")
async def test_a_cached_token_from_before_the_consent_is_thrown_away(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_roles([])
    async with services.directory.open(connection(connection_id)) as client:
        before = await check_connection(reusing(services, client), connection(connection_id), NOW)
        emulator.control.set_roles(SAMPLE_ROLES)
        after = await check_connection(reusing(services, client), connection(connection_id), NOW)

    assert (before.ok, after.ok) == (False, True)


@pytest.mark.usefixtures("secret")
async def test_permissions_beyond_the_needed_are_named_and_stop_nothing(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_roles([*SAMPLE_ROLES, "Directory.ReadWrite.All", "Mail.Read"])

    result = await result_of(services, connection_id)

    note = named(result, "least privilege")
    assert (result.ok, note.severity, note.code) == (True, "note", "permission.tooMany")
    assert "Directory.ReadWrite.All, Mail.Read" in note.message


@pytest.mark.usefixtures("secret")
async def test_a_token_that_tells_nothing_is_tried_out(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The format of a token is Microsoft's business; reads tell what it allows."""
    emulator.control.issue_opaque_tokens(True)

    result = await result_of(services, connection_id)

    assert result.ok
    assert [check.name for check in result.checks] == [
        "token",
        "read a user",
        "read changes",
        "scope groups exist",
        "read group members",
        "secret expiry",
    ]


@pytest.mark.usefixtures("secret")
async def test_a_token_that_tells_nothing_and_allows_nothing_is_found_out(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.issue_opaque_tokens(True)
    emulator.control.set_roles([])

    result = await result_of(services, connection_id)

    assert failing(result) == {
        "read a user": "graph.permissionMissing",
        "scope groups exist": "graph.permissionMissing",
    }
    assert result.retryable


# --- groups -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("secret")
async def test_a_group_that_does_not_exist_is_named(services: Services, connection_id: str) -> None:
    scope = group_scope(SAMPLE_GROUP_ID, UNKNOWN)

    result = await result_of(services, connection_id, scope=scope)

    assert failing(result) == {"scope groups exist": "scope.groupNotFound"}
    assert UNKNOWN in named(result, "scope groups exist").message
    assert SAMPLE_GROUP_ID not in named(result, "scope groups exist").message
    assert not result.retryable


@pytest.mark.parametrize(
    ("roles", "failed"),
    [
        pytest.param([], {"Member.Read.Hidden": "permission.missing"}, id="not granted"),
        pytest.param(["Member.Read.Hidden"], {}, id="granted"),
    ],
)
@pytest.mark.usefixtures("secret")
async def test_a_group_that_hides_its_members_needs_one_more_permission(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    roles: list[str],
    failed: dict[str, str],
) -> None:
    hidden = emulator.control.create_group("Works council", hidden=True, microsoft_365=True)
    emulator.control.set_roles([*SAMPLE_ROLES, *roles])

    result = await result_of(services, connection_id, scope=group_scope(hidden["id"]))

    assert failing(result) == failed
    assert "Works council" in named(result, "Member.Read.Hidden").message


@either_way("hidden_members")
@pytest.mark.parametrize("opaque", [False, True], ids=["roles told", "roles untold"])
@pytest.mark.usefixtures("secret")
async def test_a_nested_group_that_hides_its_members_is_found_before_the_first_run(
    services: Services, emulator: GraphEmulator, connection_id: str, opaque: bool
) -> None:
    control = emulator.control
    control.issue_opaque_tokens(opaque)
    people = [one["id"] for one in control.people(top=3)]
    hidden = control.create_group("Works council", hidden=True, microsoft_365=True, members=people)[
        "id"
    ]
    middle = control.create_group("Middle", members=[hidden])["id"]
    outer = control.create_group("Outer", members=[middle])["id"]

    nested = await result_of(services, connection_id, scope=group_scope(outer))
    flat = await result_of(
        services, connection_id, scope={**group_scope(outer), "nestedGroups": False}
    )

    assert failing(nested) == {"Member.Read.Hidden": "permission.missing"}
    assert "Works council" in named(nested, "Member.Read.Hidden").message
    assert failing(flat) == {}


@pytest.mark.usefixtures("secret")
async def test_a_forest_of_groups_is_looked_at_as_far_as_time_allows(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a run has time for must not keep a connection from being enabled."""
    monkeypatch.setattr(checks, "STEP_RETRY_BUDGET_S", SHORT_S)
    inner = emulator.control.create_group("Inner")["id"]
    outer = emulator.control.create_group("Outer", members=[inner])["id"]
    emulator.control.add_fault(
        "slow", path=f"/v1.0/groups/{inner}/members/**group", milliseconds=LONG_MS
    )

    result = await result_of(services, connection_id, scope=group_scope(outer))

    assert result.ok
    assert [one.code for one in result.checks if one.name == "scope groups exist"] == [
        "check.groupsUnfinished",
        "ok",
    ]


@pytest.mark.usefixtures("secret")
async def test_a_tenant_without_advanced_queries_passes(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Azure AD B2C has no casts and no delta queries."""
    emulator.control.set_tenant(advanced_queries=False)

    result = await result_of(services, connection_id, scope=group_scope(SAMPLE_GROUP_ID))

    assert failing(result) == {}
    told = named(result, "read changes")
    assert (told.code, told.severity) == ("graph.noDelta", Severity.NOTE)


# --- what a delta query tells -----------------------------------------------------------------------

KIND = [{"target": "kind", "source": "employeeType"}, {"target": "city", "source": "city"}]
BY_KIND = {
    "filters": [
        {"clauses": [{"attribute": "employeeType", "operator": "IS NOT NULL", "value": None}]}
    ]
}


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize(
    ("changes", "passes", "code"),
    [
        ({"mapping": KIND}, True, "incremental.untracked"),
        ({"scope": BY_KIND}, True, "incremental.untrackedScope"),
        (
            {"mapping": KIND, "schedule": {"fullEveryHours": 48}},
            False,
            "incremental.fullTooRare",
        ),
        ({"mapping": [{"target": "town", "source": "city"}]}, True, "ok"),
    ],
    ids=["mapped", "in the scope", "mapped and read every second day", "not used"],
)
async def test_a_property_of_which_the_tenant_tells_no_changes_is_named(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    changes: dict[str, Any],
    passes: bool,
    code: str,
) -> None:
    emulator.control.set_tenant(refused_in_delta=["employeeType"])

    result = await result_of(services, connection_id, **{"scope": EVERYONE, **changes})

    told = named(result, "read changes")
    assert (told.ok, told.code) == (passes, code)
    assert told.attributes == ([] if code == "ok" else ["employeeType"])


# --- attributes with a permission of their own ------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "permission"),
    [
        ("employeeLeaveDateTime", "User-LifeCycleInfo.Read.All"),
        ("employeeHireDate", "User-LifeCycleInfo.Read.All"),
        ("signInActivity.lastSignInDateTime", "AuditLog.Read.All"),
    ],
)
@pytest.mark.usefixtures("secret")
async def test_an_attribute_asks_for_its_own_permission(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    attribute: str,
    permission: str,
) -> None:
    """Without it the attribute is null for everybody, without an error, or the read is refused."""
    mapping = [{"target": "date", "source": attribute}]
    emulator.control.add_fault(
        "hiddenAttributes", attributes=["employeeHireDate"], roles=[permission]
    )

    without = await result_of(services, connection_id, mapping=mapping, scope=EVERYONE)
    emulator.control.set_roles([*SAMPLE_ROLES, permission])
    granted = await result_of(services, connection_id, mapping=mapping, scope=EVERYONE)

    assert failing(without) == {permission: "permission.missing"}
    assert attribute.split(".", maxsplit=1)[0] in named(without, permission).message
    assert permission in named(without, permission).remedy
    assert failing(granted) == {}


@pytest.mark.usefixtures("secret")
async def test_a_date_of_hire_that_can_be_read_needs_no_permission(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Only of the date of leave do Microsoft's pages say that it does."""
    [person] = emulator.control.people(top=1)
    emulator.control.patch_person(person["id"], {"employeeHireDate": "2020-01-31T00:00:00Z"})
    mapping = [{"target": "date", "source": "employeeHireDate"}]

    result = await result_of(services, connection_id, mapping=mapping, scope=EVERYONE)

    assert failing(result) == {}
    assert named(result, "User-LifeCycleInfo.Read.All").ok


@pytest.mark.usefixtures("secret")
async def test_a_missing_licence_is_not_waited_for(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_roles([*SAMPLE_ROLES, "AuditLog.Read.All"])
    emulator.control.set_tenant(premium=False)
    mapping = [{"target": "seen", "source": "signInActivity.lastSignInDateTime"}]

    result = await result_of(services, connection_id, mapping=mapping, scope=EVERYONE)

    assert failing(result) == {"read a user": "graph.licenceMissing"}
    assert not result.retryable
    assert "User.Read.All" not in named(result, "read a user").remedy


@pytest.mark.usefixtures("secret")
async def test_nobody_is_told_to_grant_what_the_token_has(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.add_fault("denied", path="/v1.0/users")

    result = await result_of(services, connection_id, scope=EVERYONE)

    assert failing(result) == {"read a user": "graph.accessDenied"}
    assert not result.retryable


@pytest.mark.usefixtures("secret")
async def test_an_empty_group_is_in_order(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    empty = emulator.control.create_group("New team")

    result = await result_of(services, connection_id, scope=group_scope(empty["id"]))

    assert result.ok


@pytest.mark.usefixtures("secret")
async def test_a_dynamic_group_whose_rule_is_paused_is_told_and_stops_nothing(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Nested ones, too; one whose rule goes on is not told."""
    control = emulator.control
    paused = control.create_group("Team North", membership_rule="a")["id"]
    running = control.create_group("Team South", membership_rule="b")["id"]
    outer = control.create_group("All teams", members=[paused, running])["id"]
    control.patch_group(paused, {"membershipRuleProcessingState": "Paused"})

    result = await result_of(services, connection_id, scope=group_scope(outer))

    check = named(result, "rules of dynamic groups")
    assert (result.ok, check.code, check.severity) == (True, "scope.rulePaused", "warning")
    assert "Team North" in check.message
    assert "Team South" not in check.message


@pytest.mark.usefixtures("secret")
async def test_groups_are_not_asked_for_where_none_is_named(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.set_roles(["User.Read.All"])

    result = await result_of(services, connection_id, scope=EVERYONE)

    assert result.ok
    assert not any("group" in path.lower() or "batch" in path for path in paths(emulator))


# --- reading ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("secret")
async def test_a_permission_lost_since_the_token_was_issued_is_found_by_reading(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Graph gives members all the same then: 200, with nothing but their ids."""
    async with services.directory.open(connection(connection_id)) as client:
        directory = reusing(services, client)
        await check_connection(directory, connection(connection_id), NOW)
        emulator.control.add_fault("lostPermission", roles=["User.Read.All"])
        result = await check_connection(directory, connection(connection_id), NOW)

    assert failing(result) == {
        "read a user": "graph.permissionMissing",
        "read group members": "graph.limitedInformation",
    }


@pytest.mark.usefixtures("secret")
@pytest.mark.misspelt("departmnet")
async def test_an_attribute_that_graph_does_not_have_is_found_before_the_first_run(
    services: Services, connection_id: str
) -> None:
    mapping = [{"target": "team", "source": "departmnet"}]

    result = await result_of(services, connection_id, mapping=mapping, scope=EVERYONE)

    assert failing(result) == {"read a user": "graph.attributeUnknown"}
    assert "departmnet" in named(result, "read a user").message
    assert not result.retryable


@pytest.mark.usefixtures("secret")
async def test_an_outage_of_graph_may_pass(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.add_fault("outage", path="/v1.0/users")

    result = await result_of(services, connection_id)

    assert failing(result) == {"read a user": "graph.unavailable"}
    assert result.retryable


@pytest.mark.usefixtures("secret")
async def test_a_wish_to_wait_for_minutes_is_told_and_not_followed(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Somebody waits for the answer of the check."""
    emulator.control.add_fault("throttled", path="/v1.0/users", retryAfter=300)

    result = await result_of(services, connection_id, scope=EVERYONE)

    assert failing(result) == {"read a user": "graph.throttled"}
    assert paths(emulator).count("/v1.0/users") == 1


@pytest.mark.usefixtures("secret")
async def test_an_endless_answer_does_not_keep_the_caller_waiting(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "STEP_RETRY_BUDGET_S", SHORT_S)
    emulator.control.add_fault("slow", path="/v1.0/users", milliseconds=LONG_MS)

    result = await result_of(services, connection_id, scope=EVERYONE)

    assert failing(result) == {"read a user": "check.timeout"}
    assert result.retryable


@pytest.mark.usefixtures("secret")
async def test_all_steps_together_end_in_time(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody waits for the answer to a save; what was found until then is told."""
    monkeypatch.setattr(checks, "WHOLE_PATIENCE_S", SHORT_S)
    emulator.control.add_fault("slow", path="/v1.0/users", milliseconds=LONG_MS)

    result = await result_of(services, connection_id, scope=EVERYONE)

    assert failing(result) == {"the whole check": "check.timeout"}
    assert result.retryable
    assert result.checks[0].name == "token"


@pytest.mark.usefixtures("secret")
async def test_a_tenant_without_anybody_is_the_wrong_one(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.add_fault("lostRest", path="/v1.0/users")
    for person in emulator.control.people(top=100):
        emulator.control.soft_delete(person["id"])

    result = await result_of(services, connection_id, scope=EVERYONE)

    assert failing(result) == {"read a user": "graph.noUsers"}


# --- the token --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "code", "retryable"),
    [
        pytest.param("abc8Q~not-this-one", "credential.secretInvalid", True, id="maybe too new"),
        pytest.param(UNKNOWN, "credential.secretIsId", False, id="an id"),
    ],
)
async def test_without_a_token_only_the_expiry_is_looked_at(
    services: Services, connection_id: str, secret: str, code: str, retryable: bool
) -> None:
    name = f"{connection_id}-client-secret"
    await services.vault.set(name, secret, content_type="text/plain")

    result = await result_of(services, connection_id)

    assert [check.name for check in result.checks] == ["token", "secret expiry"]
    assert failing(result) == {"token": code}
    assert (result.retryable, result.tenant_id) == (retryable, None)
    assert secret not in str(result.to_json())


async def test_a_secret_that_is_not_in_key_vault_is_a_failed_token(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    result = await result_of(services, connection_id)

    assert failing(result) == {"token": "vault.secretMissing"}
    assert emulator.requests == []


async def test_a_key_vault_that_is_away_may_come_back(
    rig: Rig, services: Services, connection_id: str
) -> None:
    rig.vault.faults.forbidden = True
    forbidden = await result_of(services, connection_id)
    rig.vault.faults.forbidden = False

    assert failing(forbidden) == {"token": "vault.forbidden"}
    assert not forbidden.retryable


async def test_an_app_that_is_not_there_yet_is_waited_for(
    services: Services, emulator: GraphEmulator, connection_id: str, secret: str
) -> None:
    """Right after consent Entra may not know the app for some minutes."""
    emulator.control.remove_from_tenant()

    result = await result_of(services, connection_id)

    assert failing(result) == {"token": "credential.appNotFound"}
    assert (result.retryable, secret != "") == (True, True)


async def test_a_managed_identity_can_only_read_its_own_tenant(
    rig: Rig, services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    emulator.control.trust_identity(rig.identity.identity.public_key)
    changes = {"credential": {"kind": "managedIdentity"}, "clientId": IDENTITY_CLIENT_ID}

    own = await result_of(services, connection_id, **changes)
    other = await result_of(services, connection_id, tenantId=FABRIKAM_TENANT_ID, **changes)

    assert (own.ok, own.tenant_id) == (True, SAMPLE_TENANT_ID)
    assert failing(other) == {"token": "credential.wrongTenant"}
    assert other.tenant_id is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reusing(Directory):
    """Opens the directory with a client that has been in use for a while."""

    client: GraphClient

    @asynccontextmanager
    async def open(
        self, connection: Connection, retry_budget: RetryBudget | None = None
    ) -> AsyncIterator[GraphClient]:
        yield self.client


def reusing(services: Services, client: GraphClient) -> Reusing:
    return Reusing(services.settings, services.vault, services.clock, impatient, client=client)


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("scope", [EVERYONE, group_scope(SAMPLE_GROUP_ID)])
async def test_a_mapped_manager_is_asked_for_as_a_run_does(
    services: Services, emulator: GraphEmulator, connection_id: str, scope: dict[str, Any]
) -> None:
    """Expanded for users, and never selected: Graph refuses the one or answers nothing to the other."""
    mapping = [{"target": "managerId", "source": "manager"}]

    result = await result_of(services, connection_id, scope=scope, mapping=mapping)

    queries = [request.query for request in emulator.requests if request.path == "/v1.0/users"]
    assert result.ok, failing(result)
    assert queries
    assert all("expand=manager" in query for query in queries)

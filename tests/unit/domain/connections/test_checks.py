"""What a connection needs and what a token says decide the checks; nothing is asked of anybody."""

import base64
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest

from sync_core.domain.clouds import CloudName
from sync_core.domain.connections.certificates import CertificateFacts
from sync_core.domain.connections.checks import (
    Check,
    Expiry,
    ExpirySource,
    Severity,
    certificate_check,
    cloud_check,
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
    with_check,
)
from sync_core.domain.connections.permissions import needs_of, notified_by, permissions
from sync_core.domain.connections.token import TokenFacts, read_token
from sync_core.domain.documents.connection import Connection, CredentialKind
from sync_core.domain.errors import FixConnection, RetryLater

TENANT = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
GROUP = "aaaaaaaa-2222-4333-8444-555555555555"
GROUP_OF_MAPPING = "bbbbbbbb-2222-4333-8444-555555555555"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = CredentialKind.CLIENT_SECRET
IN_GROUP = {
    "filters": [
        {"clauses": [{"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [GROUP]}]}
    ]
}
ASSIGNED = {
    "filters": [
        {"clauses": [{"attribute": "assignedTo", "operator": "ARRAYCONTAINS", "value": GROUP}]}
    ]
}


def connection(**changes: Any) -> Connection:
    document = {
        "id": "contoso",
        "displayName": "Contoso",
        "tenantId": TENANT,
        "clientId": OTHER,
        "scope": IN_GROUP,
    }
    return Connection.model_validate(document | changes)


def token(claims: Any) -> str:
    part = base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip("=")
    return f"head.{part}.signature"


# --- the token --------------------------------------------------------------------------------------


def test_a_token_tells_tenant_and_roles() -> None:
    facts = read_token(token({"tid": TENANT.upper(), "roles": ["User.Read.All"]}))

    assert facts == TokenFacts(TENANT, frozenset({"User.Read.All"}))


def test_a_token_without_roles_has_none() -> None:
    """Entra issues a token also where nothing was granted; the claim is absent then."""
    assert read_token(token({"tid": 7})) == TokenFacts(None, frozenset())


@pytest.mark.parametrize(
    "opaque",
    [
        pytest.param("EwBwA8l6BAAU", id="one part"),
        pytest.param("a.b.c.d.e", id="encrypted"),
        pytest.param("head.!!!.signature", id="not base64"),
        pytest.param("head.Zm9v.signature", id="not JSON"),
        pytest.param(token([1]), id="not an object"),
    ],
)
def test_a_token_that_is_no_jwt_tells_nothing(opaque: str) -> None:
    assert read_token(opaque) is None


@pytest.mark.parametrize(
    ("wanted", "tenant", "code"),
    [
        pytest.param(TENANT, TENANT, "ok", id="the very one"),
        pytest.param(TENANT, OTHER, "credential.wrongTenant", id="another one"),
        pytest.param("contoso.com", OTHER, "ok", id="a domain says nothing of the id"),
        pytest.param(None, OTHER, "ok", id="not known yet"),
        pytest.param(TENANT, None, "ok", id="the token does not say"),
    ],
)
def test_a_token_of_another_tenant_is_refused(
    wanted: str | None, tenant: str | None, code: str
) -> None:
    """A managed identity gets a token of its own tenant, whatever the connection names."""
    check = token_check(connection(tenantId=wanted), TokenFacts(tenant, frozenset()))

    assert (check.name, check.code, check.ok) == ("token", code, code == "ok")


def test_an_opaque_token_is_a_token() -> None:
    assert token_check(connection(), None).ok


def test_a_tenant_of_another_cloud_is_told_with_the_cloud_to_set() -> None:
    check = cloud_check(connection(), {CloudName.US_GOV, CloudName.US_GOV_DOD})

    assert (check.ok, check.code, check.retryable) == (False, "credential.wrongCloud", False)
    assert TENANT in check.message
    assert '"cloud" to "usGov" or "usGovDoD"' in check.remedy


# --- permissions ------------------------------------------------------------------------------------


def test_needs_come_from_scope_and_mapping() -> None:
    mapping = [
        {"target": "team", "source": "department"},
        {"target": "inside", "expression": f'InGroup("{GROUP_OF_MAPPING}")'},
    ]

    needs = needs_of(connection(mapping=mapping, realtime=True))

    assert needs.groups == {GROUP, GROUP_OF_MAPPING}
    assert {"department", "userPrincipalName", "accountEnabled"} <= needs.attributes
    assert needs.realtime


EVERYONE = {"everyone": True}


@pytest.mark.parametrize(
    ("scope", "realtime", "roles", "expected"),
    [
        pytest.param(
            EVERYONE, False, ["User.Read.All"], {"User.Read.All": True}, id="everyone needs no groups"
        ),
        pytest.param(
            EVERYONE, True, ["User.Read.All"], {"User.Read.All": True}, id="nor in real time"
        ),
        pytest.param(EVERYONE, False, [], {"User.Read.All": False}, id="nothing granted"),
        pytest.param(
            EVERYONE, False, ["Directory.Read.All"], {"User.Read.All": True}, id="a wider one"
        ),
        pytest.param(
            IN_GROUP, False, ["User.Read.All", "GroupMember.Read.All"],
            {"User.Read.All": True, "GroupMember.Read.All": True}, id="the narrowest for groups",
        ),
        pytest.param(
            IN_GROUP, False, ["User.Read.All", "Group.Read.All"],
            {"User.Read.All": True, "Group.Read.All": True}, id="the usual one for groups",
        ),
        pytest.param(
            IN_GROUP, False, ["Directory.Read.All"],
            {"User.Read.All": True, "GroupMember.Read.All": True}, id="one for both",
        ),
        pytest.param(
            IN_GROUP, False, ["User.Read.All", "GroupMember.ReadBasic.All"],
            {"User.Read.All": True, "GroupMember.Read.All": False}, id="too narrow for changes",
        ),
        pytest.param(
            IN_GROUP, True, ["User.Read.All", "GroupMember.Read.All"],
            {"User.Read.All": True, "GroupMember.Read.All": True}, id="runs need no more in real time",
        ),
        pytest.param(
            IN_GROUP, True, ["User.Read.All", "Group.Read.All"],
            {"User.Read.All": True, "Group.Read.All": True}, id="enough for notifications",
        ),
        pytest.param(
            ASSIGNED, False, ["User.Read.All", "GroupMember.Read.All"],
            {"User.Read.All": True, "GroupMember.Read.All": True, "Application.Read.All": False},
            id="assignments, not allowed",
        ),
        pytest.param(
            ASSIGNED, True, ["User.Read.All", "Group.Read.All", "Application.ReadWrite.All"],
            {"User.Read.All": True, "Group.Read.All": True, "Application.Read.All": True},
            id="assignments, by a wider one",
        ),
    ],
)  # fmt: skip
def test_permissions_are_judged_by_what_this_connection_needs(
    scope: dict[str, Any], realtime: bool, roles: list[str], expected: dict[str, bool]
) -> None:
    """As the permission tables of Graph's reference pages have them."""
    needs = needs_of(connection(scope=scope, realtime=realtime))

    checks = [permission_check(one, frozenset(roles), needs.kind) for one in permissions(needs)]

    assert {check.name: check.ok for check in checks} == expected


@pytest.mark.parametrize(
    ("scope", "realtime", "roles", "lacking"),
    [
        pytest.param(IN_GROUP, False, [], [], id="no real time"),
        pytest.param(EVERYONE, True, ["Directory.Read.All"], ["User.Read.All"], id="no wider one"),
        pytest.param(EVERYONE, True, ["User.Read.All"], [], id="no groups"),
        pytest.param(
            IN_GROUP, True, ["User.Read.All", "GroupMember.Read.All"], ["Group.Read.All"], id="too narrow"
        ),
        pytest.param(
            IN_GROUP, True, ["User.Read.All", "Group.ReadWrite.All"], ["Group.Read.All"],
            id="writing is not reading there",
        ),
        pytest.param(IN_GROUP, True, ["User.Read.All", "Group.Read.All"], [], id="enough"),
    ],
)  # fmt: skip
def test_what_notifications_take_is_a_warning_and_no_wider_one_counts(
    scope: dict[str, Any], realtime: bool, roles: list[str], lacking: list[str]
) -> None:
    """As subscription-post-subscriptions has it; without, the schedule finds the changes."""
    needs = needs_of(connection(scope=scope, realtime=realtime))
    missing = [one for one in notified_by(needs) if not one.granted(frozenset(roles))]
    checks = [notification_check(one, needs.kind) for one in missing]

    assert [one.names[0] for one in missing] == lacking
    assert all(check.ok and check.severity is Severity.WARNING for check in checks)
    assert all(name in check.remedy for name, check in zip(lacking, checks, strict=True))


def test_a_missing_permission_names_all_that_would_do() -> None:
    needs = needs_of(connection())

    check = permission_check(permissions(needs)[1], frozenset(), SECRET)

    assert (check.code, check.retryable) == ("permission.missing", True)
    assert "GroupMember.Read.All or Group.Read.All" in check.message
    assert "application permission" in check.remedy


def test_a_managed_identity_gets_permissions_in_another_way() -> None:
    check = permission_check(
        permissions(needs_of(connection()))[0], frozenset(), CredentialKind.MANAGED_IDENTITY
    )

    assert "PowerShell" in check.remedy


@pytest.mark.parametrize("granted", [True, False])
def test_hidden_members_need_a_permission_of_their_own(granted: bool) -> None:
    roles = frozenset({"Member.Read.Hidden"} if granted else ())

    check = hidden_check(["Works council"], roles, SECRET)

    assert (check.name, check.ok) == ("Member.Read.Hidden", granted)
    assert "Works council" in check.message


@pytest.mark.parametrize(
    ("roles", "named"),
    [
        pytest.param(["User.Read.All", "Group.Read.All"], [], id="nothing too much"),
        pytest.param(
            ["User.Read.All", "Member.Read.Hidden", "Application.Read.All"], [], id="useful"
        ),
        pytest.param(["User.ReadWrite.All"], ["User.ReadWrite.All"], id="writing"),
        pytest.param(
            ["User.Read.All", "Mail.Read", "Directory.Read.All"],
            ["Directory.Read.All", "Mail.Read"],
            id="in the order of the alphabet",
        ),
    ],
)
def test_permissions_beyond_the_needed_are_a_note(roles: list[str], named: list[str]) -> None:
    check = privilege_check(frozenset(roles))

    assert (check.ok, check.severity) == (True, Severity.NOTE)
    assert check.code == ("permission.tooMany" if named else "ok")
    assert ", ".join(named) in check.message


# --- what was read ----------------------------------------------------------------------------------


def test_groups_that_are_missing_are_named() -> None:
    check = groups_check({GROUP, OTHER}, {OTHER})

    assert (check.ok, check.code, check.retryable) == (False, "scope.groupNotFound", False)
    assert "1 of 2" in check.message
    assert OTHER in check.message


def test_groups_that_are_there_pass() -> None:
    assert groups_check({GROUP}, set()) == passed(
        "scope groups exist", "Every group that is named exists (1)."
    )


def test_a_check_is_added_and_counts() -> None:
    good = conclude([passed("token", "Entra gave one.")], tenant_id=TENANT, expiries=[])
    added = with_check(
        good, failed("people", FixConnection("scope.nobody", "Nobody is in.", "Look."))
    )

    assert [check.name for check in added.checks] == ["token", "people"]
    assert (added.ok, added.tenant_id) == (False, TENANT)


def test_a_certificate_is_named_as_the_portal_names_it() -> None:
    facts = CertificateFacts("AB12", "cd34", "CN=contoso", NOW, NOW)

    assert "CN=contoso, thumbprint AB12" in certificate_check(facts).message


# --- expiry -----------------------------------------------------------------------------------------


def credential(hint: str, end: str | None) -> dict[str, Any]:
    return {"hint": hint, "endDateTime": end}


@pytest.mark.parametrize(
    ("credentials", "end"),
    [
        pytest.param([], None, id="none"),
        pytest.param([credential("xyz", "2026-05-01T00:00:00Z")], None, id="another secret's"),
        pytest.param([credential("abc", None)], None, id="without an end"),
        pytest.param([credential("abc", "soon")], None, id="not a time"),
        pytest.param([credential("abc", "2026-05-01T00:00:00")], date(2026, 5, 1), id="no zone"),
        pytest.param([credential("abc", "2026-05-01T00:00:00Z")], date(2026, 5, 1), id="ours"),
        pytest.param(
            [credential("abc", "2026-05-01T00:00:00.1234567Z")],
            date(2026, 5, 1),
            id="Entra's digits",
        ),
        pytest.param(
            [credential("abc", "2026-06-01T00:00:00Z"), credential("abc", "2026-05-01T00:00:00Z")],
            date(2026, 5, 1),
            id="two that fit: the first that ends",
        ),
        pytest.param(
            [credential("abc", "2026-05-01T00:00:00Z"), credential("abc", "2025-05-01T00:00:00Z")],
            date(2026, 5, 1),
            id="one has ended: it is not in use",
        ),
        pytest.param(
            [credential("abc", "2025-05-01T00:00:00Z")], date(2025, 5, 1), id="it has ended"
        ),
    ],
)
def test_our_secret_is_found_by_its_first_three_characters(
    credentials: list[dict[str, Any]], end: date | None
) -> None:
    found = secret_end({"passwordCredentials": credentials}, "abc8Q~the-rest", NOW)

    assert (found and found.date()) == end


@pytest.mark.parametrize("answer", [None, [], {}, {"passwordCredentials": None}], ids=repr)
def test_an_application_that_tells_nothing_of_secrets_is_no_error(answer: Any) -> None:
    assert secret_end(answer, "abc8Q~the-rest", NOW) is None


def expiry(days: float, source: str = "keyVault") -> Expiry:
    return Expiry(expires_on=NOW + timedelta(days=days), source=ExpirySource(source))


@pytest.mark.parametrize(
    ("known", "chosen"),
    [
        pytest.param([], None, id="nobody knows"),
        pytest.param([expiry(5, "given")], expiry(5, "given"), id="what was written down"),
        pytest.param([expiry(5, "given"), expiry(9)], expiry(9), id="who knows is believed rather"),
        pytest.param([expiry(9), expiry(7, "entra")], expiry(7, "entra"), id="the earliest"),
    ],
)
def test_the_earliest_known_end_counts(known: list[Expiry], chosen: Expiry | None) -> None:
    assert effective_expiry(known) == chosen


@pytest.mark.parametrize("given", [None, "2027-01-31"])
def test_a_given_day_is_its_beginning(given: str | None) -> None:
    known = given_expiry(connection(credential={"expiresOn": given}))

    moment = datetime(2027, 1, 31, tzinfo=UTC)
    assert known == ([Expiry(expires_on=moment, source=ExpirySource.GIVEN)] if given else [])


@pytest.mark.parametrize(
    ("kind", "end", "code", "severity"),
    [
        pytest.param("clientSecret", None, "credential.expiryUnknown", "note", id="unknown"),
        pytest.param("clientSecret", expiry(60), "ok", "note", id="60 days"),
        pytest.param("clientSecret", expiry(59.9), "credential.expiresSoon", "warning", id="fewer"),
        pytest.param("certificate", expiry(0.1), "credential.expiresSoon", "warning", id="today"),
        pytest.param("certificate", expiry(0), "credential.expiryPast", "warning", id="now"),
        pytest.param("clientSecret", expiry(-9), "credential.expiryPast", "warning", id="past"),
        pytest.param("federated", None, "ok", "note", id="federated"),
        pytest.param("managedIdentity", None, "ok", "note", id="managed identity"),
    ],
)
def test_the_end_of_a_credential_is_told_in_time(
    kind: str, end: Expiry | None, code: str, severity: str
) -> None:
    """Never an error: a date can be wrong, and whether Entra takes the credential the token tells."""
    check = expiry_check(CredentialKind(kind), end, NOW)

    assert (check.ok, check.code, check.severity) == (True, code, severity)


def test_an_end_says_what_when_and_who_says_so() -> None:
    check = expiry_check(CredentialKind.CERTIFICATE, expiry(10, "certificate"), NOW)

    assert check.message == (
        "The certificate expires in 10 days, on 2026-03-11, by the certificate itself."
    )


# --- the result -------------------------------------------------------------------------------------


def check(ok: bool, *, retryable: bool = False) -> Check:
    return Check(name="x", ok=ok, code="c", message="m", retryable=retryable)


@pytest.mark.parametrize(
    ("checks", "ok", "retryable"),
    [
        pytest.param([check(True)], True, False, id="all well"),
        pytest.param([check(True), check(False)], False, False, id="to be mended"),
        pytest.param([check(False, retryable=True)], False, True, id="not ready yet"),
        pytest.param(
            [check(False, retryable=True), check(False)], False, False, id="waiting is not enough"
        ),
    ],
)
def test_waiting_is_worth_it_when_nothing_else_failed(
    checks: list[Check], ok: bool, retryable: bool
) -> None:
    result = conclude(checks, tenant_id=TENANT, expiries=[expiry(5, "given")])

    assert (result.ok, result.retryable) == (ok, retryable)
    assert result.expiry == expiry(5, "given")


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        pytest.param(RetryLater("graph.unavailable", "m", "r"), True, id="passes by itself"),
        pytest.param(
            FixConnection("credential.appNotFound", "m", "r"), True, id="may be on its way"
        ),
        pytest.param(
            FixConnection("credential.secretIsId", "m", "r"), False, id="has to be mended"
        ),
    ],
)
def test_an_error_becomes_a_check(error: FixConnection, retryable: bool) -> None:
    result = failed("token", error)

    assert (result.ok, result.code, result.message, result.remedy) == (False, error.code, "m", "r")
    assert (result.severity, result.retryable) == (Severity.ERROR, retryable)


def test_a_check_has_the_names_of_the_contract() -> None:
    document = failed("token", FixConnection("c", "m", "r")).to_json()

    assert {"name", "ok", "code", "message", "remedy"} <= document.keys()


def test_a_paused_rule_is_a_warning_and_stops_nothing() -> None:
    check = paused_check(["Team North", "Team East"])
    result = conclude([check], tenant_id=None, expiries=[])

    assert (result.ok, check.code, check.severity) == (True, "scope.rulePaused", Severity.WARNING)
    assert "the rule of Team East, Team North" in check.message
    assert check.remedy


def test_a_forest_of_groups_is_only_a_note() -> None:
    note = unfinished_check(400)

    assert (note.ok, note.severity) == (True, Severity.NOTE)
    assert "400" in note.message

"""`python -m deploy entra` against the emulator, signed in as people with more and less rights.

`az` is a program that hands out the emulator's token for such a person; everything else is the real way.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from deploy.__main__ import main
from deploy.entra import documents
from deploy.entra.documents import ADMIN_ROLE_ID, AZURE_CLI, READER_ROLE_ID, SCOPE_ID
from local.graph import GraphEmulator
from local.graph.entra.accounts import find_account
from local.identity import EXCHANGE, IDENTITY_CLIENT_ID, IDENTITY_OBJECT_ID, ISSUER
from local.sample import FABRIKAM_TENANT_ID, SAMPLE_TENANT_ID
from sync_core.api.app import ROUTES
from sync_core.api.http.auth import Role
from sync_core.domain.connections.token import read_token
from tests.deploy.conftest import Deploy, deployed
from tests.deploy.programs import Programs
from tests.system import Rig, connection

URL = "https://func-abc.azurewebsites.net"
EMPLOYEE, APP_ADMIN = "employee@contoso.com", "app-admin@contoso.com"
ADMIN, ROLE_ADMIN = "admin@contoso.com", "role-admin@contoso.com"
WRITES = ("PATCH", "POST")


@pytest.fixture
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    """A directory of its own for every test: registrations stay."""
    with GraphEmulator(people=12, groups=2, seed=7, tls=rig.tls) as running:
        running.control.trust_identity(rig.identity.identity.public_key)
        running.control.add_identity(
            "id-abc", object_id=IDENTITY_OBJECT_ID, client_id=IDENTITY_CLIENT_ID
        )
        yield running


@dataclass
class Entra:
    """Who runs the command, and what it did."""

    emulator: GraphEmulator
    programs: Programs
    captured: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    def run(self, *words: str, account: str = EMPLOYEE, **values: str) -> int:
        token = self.emulator.control.administrator_token(account)
        self.programs.forget("")
        self.programs.answer("az account get-access-token ms-graph", {"accessToken": token})
        self.programs.answer("azd env set")
        self.programs.azd_values(deployed(URL, **values))
        self.emulator.control.reset_requests()
        return main(["entra", "--pause", "0.01", *words])

    def told(self) -> str:
        out = self.captured.readouterr()
        return out.out + out.err

    def writes(self) -> list[str]:
        return [
            f"{one.method} {one.path}" for one in self.emulator.requests if one.method in WRITES
        ]

    def registered(self) -> dict[str, Any]:
        found: dict[str, Any] = self.emulator.control.registered()
        return found

    def application(self, kind: str = "api") -> dict[str, Any]:
        wanted = f"usersync-{kind}-id-abc"
        found = self.registered()["applications"]
        return next(one for one in found if one["uniqueName"] == wanted)

    def principal(self, kind: str = "api") -> dict[str, Any]:
        app_id = self.application(kind)["appId"]
        return next(one for one in self.registered()["servicePrincipals"] if one["appId"] == app_id)

    def assignments(self) -> set[tuple[str, str, str]]:
        return {
            (one["principalId"], one["resourceId"], one["appRoleId"])
            for one in self.registered()["appRoleAssignments"]
        }


@pytest.fixture
def entra(
    emulator: GraphEmulator,
    programs: Programs,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Entra:
    programs.install("azd", "az")
    monkeypatch.setenv("PATH", programs.env["PATH"])
    monkeypatch.setenv("GRAPH_ENDPOINT", emulator.graph_url)
    # What the identity's tokens name as their issuer; nothing is asked of it here.
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com")
    return Entra(emulator, programs, capsys, monkeypatch)


def test_everybody_may_make_the_registration_of_the_api(entra: Entra) -> None:
    assert entra.run() == 0

    application = entra.application()
    assert application["signInAudience"] == "AzureADMyOrg"
    assert application["api"]["requestedAccessTokenVersion"] == 2
    assert application["identifierUris"] == [f"api://{application['appId']}"]
    assert application["web"]["redirectUris"] == [f"{URL}/.auth/login/aad/callback"]
    assert application["api"]["preAuthorizedApplications"] == [
        {"appId": AZURE_CLI, "delegatedPermissionIds": [SCOPE_ID]}
    ]
    assert [(one["value"], one["id"]) for one in application["api"]["oauth2PermissionScopes"]] == [
        ("user_impersonation", SCOPE_ID)
    ]


def test_its_roles_are_for_people_and_programs_with_ids_that_stay(entra: Entra) -> None:
    entra.run()

    roles = entra.application()["appRoles"]
    assert {one["value"]: one["id"] for one in roles} == {
        "Sync.Admin": ADMIN_ROLE_ID,
        "Sync.Reader": READER_ROLE_ID,
    }
    assert all(one["allowedMemberTypes"] == ["User", "Application"] for one in roles)


def test_nobody_gets_a_token_who_was_not_assigned_and_the_caller_is(entra: Entra) -> None:
    entra.run()

    principal = entra.principal()
    assert principal["appRoleAssignmentRequired"] is True
    caller = find_account(entra.emulator.service, EMPLOYEE)
    assert caller is not None
    assert entra.assignments() == {(caller.object_id, principal["id"], ADMIN_ROLE_ID)}


def test_the_identity_stands_in_the_place_of_a_secret(entra: Entra) -> None:
    entra.run()

    application = entra.application()
    [credential] = entra.registered()["federatedIdentityCredentials"][application["id"]]
    assert application["passwordCredentials"] == []
    assert (credential["issuer"], credential["subject"], credential["audiences"]) == (
        ISSUER,
        IDENTITY_OBJECT_ID,
        [EXCHANGE],
    )


def test_the_client_id_goes_to_azd_for_the_next_provisioning(entra: Entra) -> None:
    entra.run()

    app_id = entra.application()["appId"]
    assert f"azd env set USERSYNC_API_CLIENT_ID {app_id}" in entra.programs.calls("azd")
    assert "python -m deploy up" in entra.told()


def test_what_reads_other_tenants_is_what_a_consent_needs(entra: Entra) -> None:
    """docs/connect.md tells each; without the claim of directory roles no consent would connect anybody."""
    entra.run("--reader")

    application = entra.application("reader")
    [access] = application["requiredResourceAccess"]
    assert application["signInAudience"] == "AzureADMultipleOrgs"
    assert application["web"]["redirectUris"] == [f"{URL}/api/consent/callback"]
    assert application["groupMembershipClaims"] == "DirectoryRole"
    assert [one["type"] for one in access["resourceAccess"]] == ["Role", "Role", "Scope", "Scope"]
    assert application["passwordCredentials"] == []


def test_a_second_time_nothing_is_written(entra: Entra) -> None:
    entra.run("--reader", "--graph", account=ADMIN)
    before = entra.registered()

    assert entra.run("--reader", "--graph", account=ADMIN) == 0
    assert entra.writes() == []
    assert entra.registered() == before
    assert "Nothing had to be changed." in entra.told()


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("after", range(5))
def test_what_was_left_off_half_done_is_completed(entra: Entra, method: str, after: int) -> None:
    """Whatever write fails, the next time the rest is made, and nothing twice."""
    entra.emulator.control.add_fault("denied", method=method, after=after, times=1)
    entra.run("--reader", "--graph", account=ADMIN)
    entra.emulator.control.clear_faults()

    assert entra.run("--reader", "--graph", account=ADMIN) == 0
    done = entra.registered()
    assert [len(one["identifierUris"]) for one in done["applications"]] == [1, 0]
    assert [len(one) for one in done["federatedIdentityCredentials"].values()] == [1, 1]
    assert entra.principal("reader")["appId"] == entra.application("reader")["appId"]
    # The first administrator, and two permissions of the identity.
    assert len(done["appRoleAssignments"]) == 3


def test_new_objects_are_waited_for_until_every_replica_has_them(entra: Entra) -> None:
    entra.emulator.control.set_registering(lag_requests=2)

    assert entra.run() == 0
    assert len(entra.assignments()) == 1


def test_a_busy_graph_is_waited_for(entra: Entra) -> None:
    entra.emulator.control.add_fault("throttled", times=3, retryAfter=0.25)

    assert entra.run() == 0


def test_the_link_for_the_other_tenant_is_asked_for_by_an_administrator_of_this_app(
    entra: Entra,
) -> None:
    """Its page asks for a role, which nobody of another tenant has: what is printed has to send a token."""
    [start] = [one for one in ROUTES if one.path == "/api/consent/start"]
    entra.run("--reader")
    [line] = [one for one in entra.told().splitlines() if start.path in one]

    assert start.role is Role.ADMIN
    assert "curl" in line
    assert "$AUTH" in line
    assert "%{redirect_url}" in line


@pytest.mark.parametrize("words", [(), ("--reader", "--graph")])
def test_what_if_prints_the_calls_and_sends_none(entra: Entra, words: tuple[str, ...]) -> None:
    assert entra.run("--what-if", *words, account=ADMIN) == 0
    printed = [line for line in entra.told().splitlines() if line.startswith(WRITES)]

    assert entra.writes() == []
    assert entra.registered()["applications"] == []
    entra.run(*words, account=ADMIN)
    assert len(entra.writes()) == len(printed)


def test_a_tenant_where_not_everybody_may_register_says_who_may(entra: Entra) -> None:
    entra.emulator.control.set_registering(users_may=False)

    assert entra.run() == 1
    assert "Application Developer" in entra.told()
    assert entra.registered()["applications"] == []
    assert entra.run(account=APP_ADMIN) == 0


def test_permissions_of_graph_need_the_one_role_that_may_grant_them(entra: Entra) -> None:
    assert entra.run("--graph", account=APP_ADMIN) == 1
    assert "Privileged Role Administrator" in entra.told()
    # Everything before it is done and stays.
    assert len(entra.assignments()) == 1

    assert entra.run("--graph", account=ROLE_ADMIN) == 0
    granted = [role for who, _, role in entra.assignments() if who == IDENTITY_OBJECT_ID]
    assert len(granted) == 2


def test_what_somebody_else_has_registered_is_not_changed_by_everybody(entra: Entra) -> None:
    entra.run(account=ADMIN)

    assert entra.run("--url", "https://moved.azurewebsites.net") == 1
    assert "owner of the registration" in entra.told()


def test_a_move_to_another_address_keeps_the_old_one(entra: Entra) -> None:
    entra.run()
    entra.run("--url", "https://moved.azurewebsites.net")

    addresses = entra.application()["web"]["redirectUris"]
    assert [urlsplit(one).hostname for one in addresses] == [
        "func-abc.azurewebsites.net",
        "moved.azurewebsites.net",
    ]


def test_an_identity_that_was_made_anew_takes_the_place_of_the_former(entra: Entra) -> None:
    """`azd down` and up again: name and registration are the same, the identity is another one."""
    entra.run()
    other = {"AZURE_IDENTITY_PRINCIPAL_ID": "c2a9e1d4-0000-4f36-9e0d-3a1b5c7d9e2f"}

    assert entra.run(**other) == 0
    [credential] = entra.registered()["federatedIdentityCredentials"][entra.application()["id"]]
    assert credential["subject"] == other["AZURE_IDENTITY_PRINCIPAL_ID"]


def test_what_was_added_by_hand_stays(entra: Entra) -> None:
    """Roles of one's own, other clients: a registration is completed, not replaced."""
    entra.run()
    own = {**entra.application()["appRoles"][0], "id": "f00d0000-0000-4000-8000-00000000f00d"}
    own["value"] = "Sync.Auditor"
    applications = entra.emulator.service.registered_in(SAMPLE_TENANT_ID).applications
    [application] = applications.values()
    application["appRoles"].append(own)
    application["api"]["preAuthorizedApplications"] = []
    application["api"]["requestedAccessTokenVersion"] = None

    assert entra.run() == 0
    assert own in entra.application()["appRoles"]
    assert entra.application()["api"]["requestedAccessTokenVersion"] == 2
    assert len(entra.application()["api"]["preAuthorizedApplications"]) == 1


def test_a_registration_made_by_hand_is_taken_over_with_its_own_ids(entra: Entra) -> None:
    """Its people keep their roles: the ids of roles are those that were assigned."""
    entra.run("--key", "by-hand")
    [application] = entra.emulator.service.registered_in(SAMPLE_TENANT_ID).applications.values()
    application["uniqueName"] = None
    application["appRoles"][0]["id"] = "0ddba110-0000-4000-8000-00000ba11000"

    assert entra.run("--adopt", application["appId"]) == 0
    assert entra.application()["appId"] == application["appId"]
    assert len(entra.registered()["applications"]) == 1
    assert "0ddba110-0000-4000-8000-00000ba11000" in {role for _, _, role in entra.assignments()}


def test_a_program_has_to_say_who_becomes_the_administrator(
    entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = entra.emulator.service.mint.issue(
        tenant_id=SAMPLE_TENANT_ID,
        app_id=IDENTITY_CLIENT_ID,
        resource="https://graph.microsoft.com",
        roles=["Application.ReadWrite.All"],
    )
    monkeypatch.setenv("GRAPH_TOKEN", token)

    assert entra.run() == 1
    assert "--administrator" in entra.told()


def test_a_token_can_be_given_in_the_place_of_az(
    entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPH_TOKEN", entra.emulator.control.administrator_token(EMPLOYEE))

    assert entra.run() == 0
    assert entra.programs.calls("az") == []


def test_an_old_token_is_not_taken_for_a_missing_role(
    entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPH_TOKEN", "not-a-token")

    assert entra.run() == 1
    assert "az login" in entra.told()


def test_a_permission_that_graph_does_not_have_is_named(entra: Entra) -> None:
    assert entra.run("--reader", "--permissions", "User.Read.Everything") == 1
    assert "User.Read.Everything" in entra.told()


async def test_the_app_reads_another_tenant_with_what_was_registered(
    entra: Entra, rig: Rig
) -> None:
    """From the command to people: registered, consented to elsewhere, and read without any secret."""
    entra.run("--reader")
    link = next(word for word in entra.told().split() if "adminconsent" in word)
    form = dict(parse_qsl(urlsplit(link).query))
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(
            f"{entra.emulator.authority_url}{urlsplit(link).path}",
            data={**form, "scope": "https://graph.microsoft.com/.default",
                  "account": "admin@fabrikam.com", "decision": "accept"},
        )  # fmt: skip
    made = connection(
        "fabrikam",
        tenantId=FABRIKAM_TENANT_ID,
        clientId=entra.application("reader")["appId"],
        credential={"kind": "federated"},
    )
    async with rig.services(entra.emulator) as services:
        facts = read_token(await services.directory.token(made))

    assert answer.headers["Location"].startswith(f"{URL}/api/consent/callback?admin_consent=True")
    assert facts is not None
    assert facts.roles == set(documents.PERMISSIONS)


@pytest.mark.parametrize(
    ("found", "wanted", "sent"),
    [
        pytest.param({"a": 1}, {"a": 1}, {}, id="the same"),
        pytest.param({"a": 1, "b": 2}, {"a": 3}, {"a": 3}, id="another value"),
        pytest.param({}, {"web": {"uris": ["x"]}}, {"web": {"uris": ["x"]}}, id="nothing there"),
        pytest.param(
            {"web": {"uris": ["x"], "logout": "y"}},
            {"web": {"uris": ["z"]}},
            {"web": {"uris": ["x", "z"]}},
            id="a list is added to, and what stands beside it is not sent",
        ),
        pytest.param(
            {"roles": [{"id": "1", "value": "Sync.Admin"}]},
            {"roles": [{"id": "2", "value": "Sync.Admin"}]},
            {},
            id="a role of that value keeps its id",
        ),
        pytest.param({"displayName": "ours"}, {"displayName": "theirs"}, {}, id="a name stays"),
        pytest.param(
            {"clients": [{"appId": "1", "ids": ["a"]}, {"appId": "2", "ids": ["c"]}]},
            {"clients": [{"appId": "1", "ids": ["b"]}]},
            {"clients": [{"appId": "2", "ids": ["c"]}, {"appId": "1", "ids": ["a", "b"]}]},
            id="a client gets one more",
        ),
    ],
)
def test_only_what_is_missing_is_sent(
    found: dict[str, Any], wanted: dict[str, Any], sent: dict[str, Any]
) -> None:
    before = json.dumps(found)

    assert documents.missing(found, wanted) == sent
    assert json.dumps(found) == before


def test_somebody_without_azd_gives_the_values_as_options(entra: Entra, deploy: Deploy) -> None:
    """Who has the rights in Entra need not be who deploys: repository, Python and az are enough."""
    token = entra.emulator.control.administrator_token(APP_ADMIN)
    (entra.programs.folder / "azd").unlink()
    entra.programs.answer("az account get-access-token ms-graph", {"accessToken": token})
    options = {
        "url": URL,
        "tenant": SAMPLE_TENANT_ID,
        "identity": IDENTITY_OBJECT_ID,
        "key": "id-abc",
        "administrator": entra.emulator.control.people()[0]["id"],
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]

    done = deploy(
        "entra",
        *words,
        GRAPH_ENDPOINT=entra.emulator.graph_url,
        AZURE_AUTHORITY_HOST="https://login.microsoftonline.com",
    )

    assert done.returncode == 0, done.stderr
    assert {who for who, _, _ in entra.assignments()} == {options["administrator"]}
    assert f"azd env set USERSYNC_API_CLIENT_ID {entra.application()['appId']}" in done.stdout

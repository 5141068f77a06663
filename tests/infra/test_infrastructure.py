"""What Azure is asked for, as evaluated resources: nothing open that need not be, nothing missing."""

from itertools import product
from typing import Any

import pytest

from sync_core.domain.documents.base import GUID
from tests.infra import app_lists
from tests.infra.infrastructure import TENANT, Deployment, Resource, deployment, scenarios

ALL = scenarios()
ACCOUNTS = [
    pytest.param(scenario, account, id=f"{scenario}, {account['name']}")
    for scenario in ALL
    for account in deployment(scenario).of("Storage/storageAccounts")
]
PRIVATE = {"private", "national"}
TWO_ACCOUNTS = {"private", "two-accounts"}
SIGN_IN = {"national", "sign-in"}
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


def site(scenario: str) -> dict[str, Any]:
    properties: dict[str, Any] = deployment(scenario).one("Web/sites")["properties"]
    return properties


def children(made: Deployment, kind: str) -> list[tuple[str, str]]:
    """Return the account and the name of everything of a kind that is kept in an account."""
    parts = [one["name"].split("/") for one in made.of(f"Storage/storageAccounts/{kind}")]
    return sorted((part[0], part[2]) for part in parts)


# --- storage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scenario", "account"), ACCOUNTS)
def test_an_account_lets_in_who_has_a_role_and_nobody_else(
    scenario: str, account: Resource
) -> None:
    properties = account["properties"]

    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["allowCrossTenantReplication"] is False
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["minimumTlsVersion"] == "TLS1_2"
    assert is_closed(account) == (scenario in PRIVATE)


def is_closed(resource: Resource) -> bool:
    """Whether nothing but a private endpoint leads there; half closed is neither."""
    properties = resource["properties"]
    access = (properties["publicNetworkAccess"], *properties["networkAcls"].values())
    assert access in (("Disabled", "Deny", "None"), ("Enabled", "Allow", "AzureServices"))
    return access[0] == "Disabled"


@pytest.mark.parametrize("scenario", ALL)
def test_everything_that_the_code_keeps_is_made(scenario: str) -> None:
    made = deployment(scenario)
    host, data = (
        made.outputs["AZURE_HOST_STORAGE_ACCOUNT"],
        made.outputs["AZURE_DATA_STORAGE_ACCOUNT"],
    )

    assert children(made, "tableServices/tables") == [(data, name) for name in app_lists.tables()]
    assert children(made, "queueServices/queues") == [(host, name) for name in app_lists.queues()]
    assert children(made, "blobServices/containers") == [(host, "app-package")]
    assert {host, data} == {*made.names("Storage/storageAccounts")}
    assert (host != data) == (scenario in TWO_ACCOUNTS)


def test_what_the_code_names_is_found() -> None:
    """Else the test above would compare nothing with nothing."""
    assert {"Users", "Connections", "Runs", "Audit"} <= {*app_lists.tables()}
    assert {"sync-requests", "sync-requests-poison"} <= {*app_lists.queues()}
    assert not any(name.endswith("-poison-poison") for name in app_lists.queues())


# --- the function app -----------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ALL)
def test_the_app_is_reached_by_https_only_and_published_with_an_identity_only(
    scenario: str,
) -> None:
    made, properties = deployment(scenario), site(scenario)
    policies = made.of("Web/sites/basicPublishingCredentialsPolicies")

    assert properties["httpsOnly"] is True
    assert properties["siteConfig"] == {
        "minTlsVersion": "1.2",
        "scmMinTlsVersion": "1.2",
        "http20Enabled": True,
        "ftpsState": "Disabled",
        "remoteDebuggingEnabled": False,
    }
    assert [one["properties"] for one in policies] == [{"allow": False}, {"allow": False}]
    assert made.names("Web/sites/basicPublishingCredentialsPolicies") == ["ftp", "scm"]


@pytest.mark.parametrize("scenario", ALL)
def test_the_app_is_one_identity_everywhere(scenario: str) -> None:
    made = deployment(scenario)
    identity = made.one("ManagedIdentity/userAssignedIdentities")["id"]
    app = made.one("Web/sites")
    storage = site(scenario)["functionAppConfig"]["deployment"]["storage"]
    clients = {
        value for name, value in made.config("appsettings").items() if name.endswith("lientId")
    }
    principals = {
        one["properties"]["principalId"] for one in made.of("Authorization/roleAssignments")
    }

    assert app["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    assert storage["authentication"] == {
        "type": "UserAssignedIdentity",
        "userAssignedIdentityResourceId": identity,
    }
    assert clients == {f"[reference('{identity}', '2023-01-31').clientId]"}
    assert principals == {f"[reference('{identity}', '2023-01-31').principalId]"}


@pytest.mark.parametrize("scenario", ALL)
def test_the_plan_is_flex_consumption(scenario: str) -> None:
    plan, config = deployment(scenario).one("Web/serverfarms"), site(scenario)["functionAppConfig"]

    assert plan["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    assert plan["properties"] == {"reserved": True}
    assert config["siteUpdateStrategy"] == {"type": "Recreate"}
    assert config["runtime"]["name"] == "python"


@pytest.mark.parametrize(
    ("scenario", "version", "memory", "most", "ready"),
    [
        pytest.param("plain", "3.13", 2048, 10, {}, id="as it comes"),
        pytest.param(
            "two-accounts", "3.12", 4096, 20, {"http": 1, "function:run_sync": 2}, id="as asked"
        ),
    ],
)
def test_how_large_the_app_is(
    scenario: str, version: str, memory: int, most: int, ready: dict[str, int]
) -> None:
    config = site(scenario)["functionAppConfig"]
    scale = config["scaleAndConcurrency"]

    assert config["runtime"]["version"] == version
    assert (scale["instanceMemoryMB"], scale["maximumInstanceCount"]) == (memory, most)
    assert {one["name"]: one["instanceCount"] for one in scale["alwaysReady"]} == ready


def test_what_never_goes_away_is_a_function_of_ours() -> None:
    """A name that nothing has costs money and keeps nothing ready."""
    scale = site("two-accounts")["functionAppConfig"]["scaleAndConcurrency"]
    names = {one["name"].partition(":")[2] for one in scale["alwaysReady"]} - {""}

    assert names == {"run_sync"}
    assert names <= app_lists.functions()


@pytest.mark.parametrize("scenario", ALL)
def test_azd_finds_the_app_by_its_tags(scenario: str) -> None:
    made = deployment(scenario)
    tagged = [one for one in made.resources if "azd-service-name" in one.get("tags", {})]
    untagged = {one["type"] for one in made.resources if "location" in one and "tags" not in one}

    assert [(one["type"], one["tags"]["azd-service-name"]) for one in tagged] == [
        ("Microsoft.Web/sites", "app")
    ]
    assert untagged == set()


def test_another_suffix_is_another_app_over_the_same_data() -> None:
    """Where an app cannot be deployed to any more: github.com/Azure/functions-action/issues/390."""
    first, second = deployment("plain").outputs, deployment("sign-in").outputs
    changed = {name for name in first if first[name] != second[name]}

    assert changed == {"AZURE_FUNCTION_APP_NAME", "AZURE_FUNCTION_APP_URL"}
    assert second["AZURE_FUNCTION_APP_NAME"] == f"{first['AZURE_FUNCTION_APP_NAME']}-b"


# --- sign-in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", sorted({*ALL} - SIGN_IN))
def test_without_a_registration_nobody_signs_in(scenario: str) -> None:
    auth = deployment(scenario).config("authsettingsV2")

    assert auth["platform"] == {"enabled": False}
    assert auth["identityProviders"] == {}
    assert "ADMIN_API_SCOPE" not in deployment(scenario).config("appsettings")


@pytest.mark.parametrize(
    ("scenario", "login"),
    [
        ("sign-in", "https://login.microsoftonline.com"),
        ("national", "https://login.microsoftonline.us"),
    ],
)
def test_entra_alone_signs_in_people_of_this_tenant_without_a_secret(
    scenario: str, login: str
) -> None:
    made = deployment(scenario)
    auth, settings = made.config("authsettingsV2"), made.config("appsettings")
    (provider,) = auth["identityProviders"].values()
    client = provider["registration"]["clientId"]
    identity = made.one("ManagedIdentity/userAssignedIdentities")["id"]

    assert auth["platform"] == {"enabled": True}
    assert list(auth["identityProviders"]) == ["azureActiveDirectory"]
    assert provider["registration"] == {
        "clientId": client,
        "clientSecretSettingName": "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
        "openIdIssuer": f"{login}/{TENANT}/v2.0",
    }
    assert provider["validation"]["allowedAudiences"] == [f"api://{client}", client]
    # Both halves: the name above, and the identity's client id under it.
    assert settings["OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"] == (
        f"[reference('{identity}', '2023-01-31').clientId]"
    )
    assert settings["ADMIN_API_SCOPE"] == f"api://{client}/user_impersonation"
    assert settings["ADMIN_TENANT_IDS"] == TENANT
    assert auth["login"] == {"tokenStore": {"enabled": False}}
    assert auth["httpSettings"] == {"requireHttps": True}


def test_tokens_of_the_azure_cli_and_of_named_programs_are_taken() -> None:
    allowed = _provider("sign-in")["validation"]["defaultAuthorizationPolicy"][
        "allowedApplications"
    ]

    assert allowed[0] == AZURE_CLI
    assert allowed[1] == _provider("sign-in")["registration"]["clientId"]
    assert allowed[2:] == [f"{letter * 8}-bbbb-cccc-dddd-eeeeeeeeeeee" for letter in "bc"]
    assert all(map(GUID.fullmatch, allowed))


def _provider(scenario: str) -> dict[str, Any]:
    providers = deployment(scenario).config("authsettingsV2")["identityProviders"]
    provider: dict[str, Any] = providers["azureActiveDirectory"]
    return provider


def test_the_app_judges_every_call_unless_asked_otherwise() -> None:
    judged = deployment("national").config("authsettingsV2")["globalValidation"]
    refused = deployment("sign-in").config("authsettingsV2")["globalValidation"]

    assert judged == {
        "requireAuthentication": False,
        "unauthenticatedClientAction": "AllowAnonymous",
        "excludedPaths": [],
    }
    assert refused == {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "Return401",
        "excludedPaths": app_lists.excluded_paths(),
    }


def test_graph_and_consents_pass_where_app_service_refuses() -> None:
    assert {
        "/api/graph/notifications",
        "/api/graph/lifecycle",
        "/api/sync",
        "/api/consent/callback",
        "/api/consent/result",
    } <= {*app_lists.excluded_paths()}


def test_nothing_that_believes_a_principal_lies_at_or_below_an_excluded_path() -> None:
    """No page tells how far such a path reaches, and whether a forged principal is taken off there."""
    pairs = product(app_lists.excluded_paths(), app_lists.guarded_paths())

    assert [pair for pair in pairs if f"{pair[1]}/".startswith(f"{pair[0]}/")] == []
    assert not any("{" in path for path in app_lists.excluded_paths())


# --- network --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ALL)
def test_a_network_is_there_where_it_is_asked_for(scenario: str) -> None:
    made = deployment(scenario)
    network = [one for one in made.resources if one["type"].startswith("Microsoft.Network/")]

    assert bool(network) == bool(site(scenario)["virtualNetworkSubnetId"]) == (scenario in PRIVATE)
    assert is_closed(made.one("KeyVault/vaults")) == (scenario in PRIVATE)
    # Graph has to reach it.
    assert site(scenario)["publicNetworkAccess"] == "Enabled"


@pytest.mark.parametrize(
    ("scenario", "storage", "vault"),
    [
        ("private", "core.windows.net", "vaultcore.azure.net"),
        ("national", "core.usgovcloudapi.net", "vaultcore.usgovcloudapi.net"),
    ],
)
def test_everything_that_is_closed_has_an_endpoint_and_a_name(
    scenario: str, storage: str, vault: str
) -> None:
    made = deployment(scenario)
    endpoints = [
        (connection["privateLinkServiceId"], *connection["groupIds"])
        for one in made.of("Network/privateEndpoints")
        for connection in (
            part["properties"] for part in one["properties"]["privateLinkServiceConnections"]
        )
    ]
    accounts = {name: made.outputs[f"AZURE_{name}_STORAGE_ACCOUNT"] for name in ("HOST", "DATA")}
    ids = {one["name"]: one["id"] for one in made.resources}
    wanted = [(ids[accounts["HOST"]], kind) for kind in ("blob", "queue", "table")]
    zones = {f"privatelink.{kind}.{storage}" for kind in ("blob", "queue", "table")}

    assert {*endpoints} == {
        *wanted,
        (ids[accounts["DATA"]], "table"),
        (made.one("KeyVault/vaults")["id"], "vault"),
    }
    assert {*made.names("Network/privateDnsZones")} == {*zones, f"privatelink.{vault}"}
    assert {
        one["name"].partition("/")[0]
        for one in made.of("Network/privateDnsZones/virtualNetworkLinks")
    } == {
        *zones,
        f"privatelink.{vault}",
    }
    assert len(made.of("Network/privateEndpoints/privateDnsZoneGroups")) == len(endpoints)


@pytest.mark.parametrize("scenario", sorted(PRIVATE))
def test_the_app_has_a_subnet_of_its_own_with_the_delegation_of_flex(scenario: str) -> None:
    """Microsoft.Web/serverFarms is that of the other plans; names with an underscore are refused."""
    network = deployment(scenario).one("Network/virtualNetworks")
    subnets = {one["name"]: one["properties"] for one in network["properties"]["subnets"]}

    assert site(scenario)["virtualNetworkSubnetId"] == f"{network['id']}/subnets/app"
    assert [one["properties"]["serviceName"] for one in subnets["app"]["delegations"]] == [
        "Microsoft.App/environments"
    ]
    assert "delegations" not in subnets["endpoints"]
    assert not any("_" in name for name in subnets)


# --- vault and telemetry --------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", ALL)
def test_secrets_cannot_be_lost_and_every_look_at_them_is_written_down(scenario: str) -> None:
    made = deployment(scenario)
    vault, audit = made.one("KeyVault/vaults"), made.one("Insights/diagnosticSettings")

    assert vault["properties"]["enablePurgeProtection"] is True
    assert vault["properties"]["enableSoftDelete"] is True
    assert vault["properties"]["softDeleteRetentionInDays"] == 90
    assert vault["properties"]["enableRbacAuthorization"] is True
    assert audit["id"].startswith(f"{vault['id']}/")
    assert audit["properties"] == {
        "workspaceId": made.one("OperationalInsights/workspaces")["id"],
        "logs": [{"categoryGroup": "audit", "enabled": True}],
    }


@pytest.mark.parametrize("scenario", ALL)
def test_logs_have_a_limit_a_day_and_are_written_with_the_identity(scenario: str) -> None:
    made = deployment(scenario)
    workspace = made.one("OperationalInsights/workspaces")["properties"]
    insights = made.one("Insights/components")["properties"]
    settings = made.config("appsettings")

    assert workspace["workspaceCapping"] == {"dailyQuotaGb": 5 if scenario == "sign-in" else 1}
    assert insights["DisableLocalAuth"] is True
    assert settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].endswith(".clientId)]")
    assert "ClientId={0};Authorization=AAD" in settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]


@pytest.mark.parametrize(
    ("scenario", "addresses"), [("plain", []), ("sign-in", ["operations@contoso.com"])]
)
def test_alerts_go_to_who_is_named(scenario: str, addresses: list[str]) -> None:
    group = deployment(scenario).one("Insights/actionGroups")["properties"]

    assert [one["emailAddress"] for one in group["emailReceivers"]] == addresses
    assert group["enabled"] is True
    assert len(group["groupShortName"]) <= 12


@pytest.mark.parametrize("scenario", ALL)
def test_names_are_as_long_as_azure_takes_them(scenario: str) -> None:
    made = deployment(scenario)

    assert all(len(name) <= 24 for name in made.names("Storage/storageAccounts"))
    assert all(len(name) <= 24 for name in made.names("KeyVault/vaults"))
    # Longer ones have the same host id as others that begin alike: functions-host, ScriptHostIdProvider.
    assert all(len(name) <= 32 for name in made.names("Web/sites"))
    assert len({one["id"].lower() for one in made.resources}) == len(made.resources)


@pytest.mark.parametrize("scenario", ALL)
def test_outputs_hold_no_secret(scenario: str) -> None:
    """They end up in a file of azd."""
    outputs = deployment(scenario).outputs

    assert not [name for name, value in outputs.items() if "onnectionString" in str(value)]
    assert not [name for name in outputs if name.endswith(("KEY", "SECRET"))]

"""One list of settings, the table of docs/deploy.md, is compared with code, Bicep, rig and sample."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest

from sync_core.domain.errors import FixSettings
from sync_core.settings import Settings
from tests.infra import app_lists
from tests.infra.infrastructure import deployment, scenarios
from tests.infra.sources import ROOT

BICEP, YOU, RIG, PLATFORM, NOBODY = "Bicep", "you", "rig", "platform", "nobody"
SETTERS = {BICEP, YOU, RIG, PLATFORM, NOBODY}
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
# What the platform reads and the app does not. Nothing comes in here without a reason.
FOR_THE_PLATFORM = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
}
# What the local host needs beside the app's own settings.
FOR_THE_LOCAL_HOST = {"FUNCTIONS_WORKER_RUNTIME"}
# Read by libraries: OpenSSL, and for the rig's clients that are built on requests.
BY_LIBRARIES = {"SSL_CERT_FILE"}
RIG_ALONE = FOR_THE_LOCAL_HOST | {"REQUESTS_CA_BUNDLE", "FUNCTION_KEY", "MASTER_KEY"}
# Empty, the first leaves OpenSSL without roots; with the second a header is believed that `func start` takes
# off nobody.
NEVER_IN_THE_SAMPLE = {"SSL_CERT_FILE", "SYNC_LOCAL_SIGN_IN"}
# Gone, ignored or refused on Flex Consumption:
# learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
NOT_ON_FLEX = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "TZ",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_LOAD_CERTIFICATES",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_VNET_ROUTE_ALL",
}


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows below a heading of the page, by each name in their first column."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
    return {name: row[1:] for row in rows for name in re.findall(r"`(\w+)`", row[0])}


LIST = {name: set(row[0].split(", ")) for name, row in table("App settings").items()}


def set_by(*setters: str) -> set[str]:
    return {name for name, by in LIST.items() if by & {*setters}}


class Recorded(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, **values: str) -> None:
        self.values_, self.asked = values, set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings are asked for by name")

    def __len__(self) -> int:
        return len(self.values_)


def read_by_the_code() -> set[str]:
    asked: set[str] = set()
    # Each asks for what the others leave out.
    for given in ({"WEBSITE_AUTH_ENABLED": "true"}, {"AzureWebJobsStorage__accountName": "x"}):
        env = Recorded(**given)
        with suppress(FixSettings):
            Settings.from_env(env)
        asked |= env.asked
    return asked


def read_by_the_host() -> set[str]:
    """Return what function_app.py leaves to the settings, and the parts of each trigger's connection."""
    text = (ROOT / "function_app.py").read_text("utf-8")
    parts = {f"{one}__{part}" for one in app_lists.connections() for part in PARTS}
    return {*re.findall(r'"%(\w+)%"', text)} | parts


PARTS = (
    "accountName",
    "blobServiceUri",
    "queueServiceUri",
    "tableServiceUri",
    "credential",
    "clientId",
)
# The app reads who it is in one place; the connections say it to the host, and alike for the tables.
SAID_ALIKE = {"SYNC_TABLES__credential", "SYNC_TABLES__clientId"}


def test_the_list_names_every_setting_that_is_read_and_no_other() -> None:
    read = read_by_the_code() | read_by_the_host() | BY_LIBRARIES | SAID_ALIKE

    assert {*LIST} == read


def test_the_list_says_of_each_who_sets_it() -> None:
    assert {name for name, by in LIST.items() if not by or by - SETTERS} == set()
    assert len(LIST) > 25


@pytest.mark.parametrize("scenario", scenarios())
def test_bicep_sets_what_the_list_says_and_nothing_else(scenario: str) -> None:
    settings = {*deployment(scenario).config("appsettings")}
    by_bicep = set_by(BICEP)

    assert settings <= by_bicep | set_by(YOU) | FOR_THE_PLATFORM
    sometimes = {name for name in by_bicep if name.startswith("AzureWebJobsStorage__")}
    assert by_bicep - sometimes - {"ADMIN_API_SCOPE"} <= settings
    assert settings & (NOT_ON_FLEX | {"WEBSITE_AUTH_ENABLED", "AzureWebJobsStorage"}) == set()


def test_every_setting_of_bicep_is_set_in_some_scenario() -> None:
    anywhere = {name for one in scenarios() for name in deployment(one).config("appsettings")}

    assert set_by(BICEP) | FOR_THE_PLATFORM <= anywhere
    assert "HISTORY_DAYS" in deployment("sign-in").config("appsettings")
    assert "PUBLIC_BASE_URL" not in deployment("sign-in").config("appsettings"), "it is empty there"


@pytest.mark.parametrize("scenario", scenarios())
@pytest.mark.parametrize("connection", sorted(app_lists.connections() | {"SYNC_TABLES"}))
def test_every_connection_has_its_three_settings(scenario: str, connection: str) -> None:
    settings = deployment(scenario).config("appsettings")
    own = {
        name.partition("__")[2]: settings[name] for name in settings if name.startswith(connection)
    }

    assert own.pop("credential") == "managedidentity"
    assert own.pop("clientId") == settings["AZURE_CLIENT_ID"]
    assert set(own) in (
        {"accountName"},
        {"tableServiceUri"},
        {"blobServiceUri", "queueServiceUri", "tableServiceUri"},
    )


@pytest.mark.parametrize("scenario", scenarios())
def test_the_app_reads_the_settings_of_bicep_without_a_problem(scenario: str) -> None:
    made = deployment(scenario)
    of_the_platform = {
        "WEBSITE_HOSTNAME": "x.azurewebsites.net",
        "WEBSITE_SITE_NAME": "x",
        "WEBSITE_AUTH_ENABLED": str(made.config("authsettingsV2")["platform"]["enabled"]),
        "IDENTITY_ENDPOINT": "http://localhost/msi",
    }

    read = Settings.from_env(made.config("appsettings") | of_the_platform)

    assert read.tables.service_url == made.outputs["AZURE_TABLES_URL"]
    host = made.outputs["AZURE_HOST_STORAGE_ACCOUNT"]
    suffix = made.outputs["AZURE_TABLES_URL"].partition(".table.")[2]
    assert read.queues.service_url == f"https://{host}.queue.{suffix}"
    assert read.key_vault_url.startswith(f"https://{made.outputs['AZURE_KEY_VAULT_NAME']}.vault.")
    assert (read.warnings, read.has_managed_identity) == ((), True)
    assert bool(read.api_scope) == read.has_app_service_auth


def test_the_rig_sets_what_the_list_says() -> None:
    tree = ast.parse((ROOT / "local" / "rig.py").read_text("utf-8"))
    (method,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "app_settings"
    ]
    keys = [key for node in ast.walk(method) if isinstance(node, ast.Dict) for key in node.keys]
    names = {ast.unparse(key).strip("'") for key in keys if key}

    assert names - RIG_ALONE == set_by(RIG)


def test_the_sample_holds_what_a_machine_can_be_given() -> None:
    """Neither the parts of an identity's connection, nor what the platform says."""
    values = json.loads((ROOT / "local.settings.sample.json").read_text("utf-8"))["Values"]
    wanted = {name for name in set_by(BICEP, YOU, RIG, NOBODY) if "__" not in name}

    assert {*values} == wanted - NEVER_IN_THE_SAMPLE | FOR_THE_LOCAL_HOST


def test_nobody_is_told_to_switch_on_the_belief_in_the_header() -> None:
    """`WEBSITE_AUTH_ENABLED` is App Service's alone: set by hand it lets anybody be an administrator."""
    suspects = [*(ROOT / "infra").rglob("*.*"), *(ROOT / "tests/infra/scenarios").iterdir()]
    suspects += [ROOT / "azure.yaml", ROOT / "local.settings.sample.json", ROOT / "README.md"]

    assert [one.name for one in suspects if "WEBSITE_AUTH_ENABLED" in one.read_text("utf-8")] == []
    assert LIST["WEBSITE_AUTH_ENABLED"] == {PLATFORM}


def test_the_page_names_what_the_platform_reads() -> None:
    assert [name for name in FOR_THE_PLATFORM if f"`{name}`" not in PAGE] == []

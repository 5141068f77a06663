"""Two scanners look at the evaluated templates and at the package: `make scan` installs them and runs this.

    SCANNERS=FOLDER pytest tests/infra/test_scanners.py

They get what was evaluated and not the text: checkov understands few of our templates, and says nothing of it
in its exit code.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.infra.infrastructure import deployment, scenarios
from tests.infra.sources import ROOT, shipped

SCANNERS = Path(os.environ.get("SCANNERS", ""))
PRIVATE = {"private", "national"}
PUBLIC = {*scenarios()} - PRIVATE
SITE, CONFIG = "Microsoft.Web/sites", "Microsoft.Web/sites/config"
# What checkov finds and we have looked at: at which kind, and why it stays. What is found no more goes.
ACCEPTED = {
    (
        "CKV_AZURE_13",
        CONFIG,
    ): "looks for the older authsettings; authsettingsV2 has tests of its own",
    ("CKV_AZURE_17", SITE): "a client certificate would shut Graph out",
    (
        "CKV_AZURE_63",
        CONFIG,
    ): "Flex Consumption keeps no log files: Application Insights has the logs",
    ("CKV_AZURE_65", CONFIG): "the same of detailed errors",
    ("CKV_AZURE_66", CONFIG): "the same of traces of failed requests",
    ("CKV_AZURE_80", CONFIG): "the version of .NET, of a Python app",
    ("CKV_AZURE_88", CONFIG): "Azure Files, which Flex Consumption has none of",
    (
        "CKV_AZURE_206",
        "Microsoft.Storage/storageAccounts",
    ): "copies in other regions are a choice, and dear",
    ("CKV_AZURE_212", SITE): "scales to nothing on purpose; instances that stay are a choice",
    ("CKV_AZURE_213", SITE): "Flex Consumption has no health check",
    ("CKV_AZURE_222", SITE): "Graph calls the app",
    ("CKV_AZURE_222", CONFIG): "Graph calls the app",
    ("CKV_AZURE_225", "Microsoft.Web/serverfarms"): "zones are not offered in every region",
}
IN_PUBLIC = {
    (
        "CKV_AZURE_35",
        "Microsoft.Storage/storageAccounts",
    ): "a network is a choice; roles alone let in",
    ("CKV_AZURE_59", "Microsoft.Storage/storageAccounts"): "the same; there are no anonymous blobs",
    ("CKV_AZURE_109", "Microsoft.KeyVault/vaults"): "the same of the vault",
    ("CKV_AZURE_189", "Microsoft.KeyVault/vaults"): "the same of the vault",
}
IN_PRIVATE = {
    (
        "CKV_AZURE_36",
        "Microsoft.Storage/storageAccounts",
    ): "no service of Microsoft has business there",
}
# What the doctor warns of and we have looked at.
WARNINGS = {
    "check_programming_model_v2": "looks for @app in modules without a name before the decorator",
    "check_native_dependency_risk": "wheels are those of the plan's Linux: the package is built for it",
}
OF_FLEX = (
    "check_flex_runtime_config",
    "check_flex_deployment_storage",
    "check_flex_deprecated_settings",
    "check_binding_connection_resolution",
)

pytestmark = pytest.mark.skipif(
    not SCANNERS.name,
    reason="no scanners in SCANNERS: `make scan` installs checkov and azure-functions-doctor",
)


def templates(folder: Path) -> int:
    """Write the evaluated resources of each scenario as a template, and return how many there are."""
    folder.mkdir()
    for name in scenarios():
        resources = [
            {key: value for key, value in one.items() if key != "id"}
            for one in deployment(name).resources
        ]
        template = {
            "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
            "contentVersion": "1.0.0.0",
            "resources": resources,
        }
        (folder / f"{name}.json").write_text(json.dumps(template, indent=2))
    return sum(len(deployment(name).resources) for name in scenarios())


def scanned(*command: str) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [str(SCANNERS / command[0]), *command[1:]], capture_output=True, text=True, check=False
    )
    assert done.stdout.lstrip().startswith("{"), done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report, done.stderr


def test_checkov_finds_what_was_accepted_and_nothing_else(tmp_path: Path) -> None:
    count = templates(tmp_path / "arm")

    report, errors = scanned(
        "checkov", "-d", str(tmp_path / "arm"), "--framework", "arm",
        "--skip-download", "--compact", "-o", "json",
    )  # fmt: skip

    # It exits alike where it could not read a file, and where a check of its own broke.
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["resource_count"] == count
    assert "Failed to run check" not in errors
    looked_at = report["results"]["passed_checks"] + report["results"]["failed_checks"]
    assert {one["file_path"] for one in looked_at} == {f"/{name}.json" for name in scenarios()}
    failed = {
        (*_what(one), Path(one["file_path"]).stem) for one in report["results"]["failed_checks"]
    }
    assert failed == {
        *_everywhere(ACCEPTED, {*scenarios()}),
        *_everywhere(IN_PUBLIC, PUBLIC),
        *_everywhere(IN_PRIVATE, PRIVATE),
    }


def _what(found: dict[str, Any]) -> tuple[str, str]:
    """Return the check and the kind of resource, which stands before the name: a name has no dot."""
    return found["check_id"], found["resource"].rpartition(".")[0]


def _everywhere(accepted: dict[tuple[str, str], str], where: set[str]) -> set[tuple[str, str, str]]:
    return {(*one, name) for one in accepted for name in where}


def app_folder(tmp_path: Path, scenario: str) -> Path:
    """Make a folder of what ships, with the settings and the resources of a deployment beside it."""
    app = tmp_path / "app"
    templates(tmp_path / "arm")
    (app / "infra").mkdir(parents=True)
    shutil.copy(tmp_path / "arm" / f"{scenario}.json", app / "infra" / "main.json")
    for path in [*shipped(), ROOT / "host.json", ROOT / "requirements.txt", ROOT / ".funcignore"]:
        target = app / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    settings = {"IsEncrypted": False, "Values": deployment(scenario).config("appsettings")}
    (app / "local.settings.json").write_text(json.dumps(settings))
    (app / ".gitignore").write_text("local.settings.json\n")
    return app


@pytest.mark.parametrize("scenario", ["plain", "national"])
def test_the_doctor_finds_no_fault(tmp_path: Path, scenario: str) -> None:
    config = deployment(scenario).one("Web/sites")["properties"]["functionAppConfig"]

    report, _ = scanned(
        "azure-functions-doctor", "doctor", "--path", str(app_folder(tmp_path, scenario)),
        "--profile", "deploy", "--hosting-plan", "flex-consumption",
        "--deployment-mode", "local-prebuilt",
        "--target-python", config["runtime"]["version"], "--format", "json",
    )  # fmt: skip

    found = {
        item["rule_id"]: item["status"] for part in report["results"] for item in part["items"]
    }
    assert [rule for rule, status in found.items() if status == "fail"] == []
    assert {rule for rule, status in found.items() if status == "warn"} == {*WARNINGS}
    # The checks of Flex are skipped, and not failed, where it reads no template.
    assert {found[rule] for rule in OF_FLEX} == {"pass"}

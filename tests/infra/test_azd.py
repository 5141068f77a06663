"""`azd up` asks for three things and finds everything else: azure.yaml and the templates' parameters."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.infra.infrastructure import INFRA, deployment
from tests.infra.sources import ROOT
from tests.infra.test_app_settings import YOU, set_by, table

AZURE_YAML = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
PARAMETERS: dict[str, Any] = {
    name: one["value"]
    for name, one in json.loads((INFRA / "main.parameters.json").read_text("utf-8"))[
        "parameters"
    ].items()
}
MAIN = (INFRA / "main.bicep").read_text("utf-8")
# What the last deployment told, and the next one must know.
REMEMBERED = {"AZURE_DATA_STORAGE_ACCOUNT"}
ASKED = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
DECLARED = re.compile(r"^param (\w+) (?:[^=\n{]|\{[^}]*\})+(= )?", re.MULTILINE)
VARIABLE = re.compile(r"\$\{(\w+)(=[^}]*)?\}")
# github.com/Azure/azure-dev, schemas/v1.0/azure.yaml.json of November 2026: the keys that are used here, and
# what it says of each. Objects there let other keys pass, so a misspelt one would be found by nobody.
KNOWN: dict[str, set[str]] = {
    "": {
        "name",
        "metadata",
        "requiredVersions",
        "infra",
        "services",
        "hooks",
        "pipeline",
        "workflows",
    },
    "metadata": {"template"},
    "requiredVersions": {"azd", "extensions"},
    "infra": {"provider", "path", "module", "layers"},
    "services.app": {"project", "dist", "language", "host", "remoteBuild", "hooks", "resourceName"},
    "pipeline": {"provider", "variables", "secrets"},
}
HOOK = {
    "shell",
    "kind",
    "dir",
    "run",
    "continueOnError",
    "interactive",
    "windows",
    "posix",
    "secrets",
}
EVENTS = {
    "hooks": {
        f"{when}{what}"
        for when in ("pre", "post")
        for what in ("provision", "package", "deploy", "up", "down")
    },
    "services.app.hooks": {
        f"{when}{what}"
        for when in ("pre", "post")
        for what in ("package", "deploy", "build", "restore")
    },
}


def at(path: str) -> dict[str, Any]:
    found: Any = AZURE_YAML
    for key in filter(None, path.split(".")):
        found = found.get(key, {})
    assert isinstance(found, dict)
    return found


def variables() -> dict[str, str | None]:
    """Return each variable of azd that the parameters take, with its default."""
    return {
        name: default[1:] if default else None
        for name, default in VARIABLE.findall(json.dumps(PARAMETERS))
    }


@pytest.mark.parametrize("path", KNOWN)
def test_azure_yaml_says_nothing_that_azd_does_not_know(path: str) -> None:
    assert set(at(path)) <= KNOWN[path]


@pytest.mark.parametrize("path", EVENTS)
def test_hooks_are_programs_in_python_at_events_that_exist(path: str) -> None:
    hooks = at(path)

    assert hooks
    assert set(hooks) <= EVENTS[path]
    assert {key for hook in hooks.values() for key in hook} <= HOOK
    assert all(hook["run"].endswith(".py") for hook in hooks.values())


def test_what_azd_zips_is_the_package_as_it_was_built() -> None:
    assert list(at("services")) == ["app"]
    assert at("services.app") | {"hooks": None} == {
        "project": ".",
        "dist": "build/app",
        "language": "python",
        "host": "function",
        "remoteBuild": False,
        "hooks": None,
    }
    assert at("requiredVersions")["azd"] == ">= 1.30.0"
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", AZURE_YAML["name"])


def test_the_service_of_azure_yaml_is_the_tag_of_the_app() -> None:
    assert deployment("plain").one("Web/sites")["tags"]["azd-service-name"] in at("services")


def test_azd_asks_for_the_environment_and_the_region_only() -> None:
    """And for the subscription. It asks for every parameter without a value and a default."""
    asked = {name for name, default in variables().items() if default is None}
    required = {name for name, default in DECLARED.findall(MAIN) if not default}

    assert asked == ASKED
    assert required == {"environmentName", "location"}
    assert {name for name, default in DECLARED.findall(MAIN)} - {"cloud"} == {*PARAMETERS}


@pytest.mark.parametrize("name", sorted({*variables()} - ASKED - REMEMBERED))
def test_what_can_be_chosen_is_told_with_its_default(name: str) -> None:
    """With a prefix, as azd looks into the machine's environment, too, where PYTHON_VERSION often is."""
    told = table("What you can choose")

    assert name.startswith("USERSYNC_")
    assert told[name][0].strip("` ") == (variables()[name] or "none")
    assert {*told} == {*variables()} - ASKED - REMEMBERED


@pytest.mark.parametrize(("name", "value"), sorted(PARAMETERS.items(), key=str))
def test_a_default_of_the_parameters_is_that_of_the_template(name: str, value: Any) -> None:
    found = re.search(rf"^param {name} (?:[^=\n{{]|\{{[^}}]*\}})+= (.+)$", MAIN, re.MULTILINE)
    if found and isinstance(value, str):
        (default,) = [default for _, default in VARIABLE.findall(value)]
        assert default[1:] == found[1].strip("'")


def test_what_you_set_is_what_the_list_says() -> None:
    optional = PARAMETERS["optionalSettings"]

    assert {*optional} == set_by(YOU)
    assert optional == {name: f"${{USERSYNC_{name}=}}" for name in optional}


def test_no_output_becomes_an_answer() -> None:
    """Outputs are written into azd's environment, where the next deployment would read them as choices."""
    assert {*deployment("plain").outputs} & {*variables()} == REMEMBERED

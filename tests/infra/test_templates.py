"""The templates compile without a warning, and make what the kept snapshots say.

Without a compiler their text is looked at, and whether the snapshots are of these very files. A snapshot that
differs is written anew by `python -m tests.infra`; its diff shows what a change does in Azure.
"""

import re

import pytest

from tests.infra import __main__ as written
from tests.infra.infrastructure import (
    DIGEST,
    FROM_CODE,
    INFRA,
    compiled,
    compiler,
    deployment,
    digest,
    scenarios,
    snapshot,
)

needs_compiler = pytest.mark.skipif(
    compiler() is None,
    reason="no Bicep compiler in BICEP or the PATH: the snapshots as they were kept are looked at",
)
TEMPLATES = sorted(INFRA.rglob("*.bicep"))
VERSIONED = re.compile(r"'(Microsoft\.[\w./]+)@([^']+)'")
VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
PREVIEWS = {"Microsoft.Insights/diagnosticSettings"}  # nothing newer without one is published
REGISTRY = re.compile(r"\b(br|ts)[:/]|^\s*(extension|provider|import) ", re.MULTILINE)


@needs_compiler
def test_the_templates_compile_without_a_warning() -> None:
    """As errors count the rules of bicepconfig.json, which `build` looks at as well."""
    done = compiled("build", str(INFRA / "main.bicep"), "--stdout")

    assert (done.returncode, done.stderr) == (0, "")
    assert '"Microsoft.Web/sites"' in done.stdout


@needs_compiler
@pytest.mark.parametrize("scenario", scenarios())
def test_a_scenario_makes_what_was_kept(scenario: str) -> None:
    done = snapshot(scenario, "validate")

    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nIs it meant? python -m tests.infra"
    assert deployment(scenario).diagnostics == ()


def test_what_was_kept_is_of_these_templates() -> None:
    """Also where no compiler is: nobody changes a template and leaves the snapshots as they were."""
    assert DIGEST.read_text("utf-8").strip() == digest(), "python -m tests.infra writes them anew"


def test_the_five_scenarios_are_there() -> None:
    assert scenarios() == ["national", "plain", "private", "sign-in", "two-accounts"]


def test_what_the_templates_take_from_the_code_is_of_today() -> None:
    assert FROM_CODE.read_text("utf-8") == written.from_code(), (
        "python -m tests.infra writes it anew"
    )


def test_every_template_is_used() -> None:
    main = (INFRA / "main.bicep").read_text("utf-8")
    used = {INFRA / path for path in re.findall(r"^module \w+ '([^']+)'", main, re.MULTILINE)}

    assert used == {*TEMPLATES} - {INFRA / "main.bicep"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_needs_nothing_but_the_compiler(path: str) -> None:
    """No module of a registry and no extension: they would be fetched, and could not be looked at here."""
    text = (INFRA / path).read_text("utf-8")

    assert REGISTRY.findall(text) == []
    for kind, version in VERSIONED.findall(text):
        found = VERSION.fullmatch(version)
        assert found, f"{kind}@{version}"
        assert not found[1] or kind in PREVIEWS, f"{kind}@{version}"


def test_one_kind_of_resource_has_one_version() -> None:
    found = {pair for path in TEMPLATES for pair in VERSIONED.findall(path.read_text("utf-8"))}

    assert len(found) == len({kind for kind, _ in found})

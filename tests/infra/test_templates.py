"""The templates compile without a warning, and make what the kept snapshots say.

Without a compiler their text is looked at, and whether the snapshots are of these very files. A snapshot that
differs is written anew by `python -m tests.infra`; its diff shows what a change does in Azure.
"""

import difflib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra import __main__ as written
from tests.infra.infrastructure import (
    DIGEST,
    FROM_CODE,
    INFRA,
    SCENARIOS,
    Compiler,
    CompilerError,
    compiler,
    deployment,
    digest,
    kept,
    scenarios,
    text_of,
)

TEMPLATES = sorted(INFRA.rglob("*.bicep"))
VERSIONED = re.compile(r"'(Microsoft\.[\w./]+)@([^']+)'")
VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
PREVIEWS = {"Microsoft.Insights/diagnosticSettings"}  # nothing newer without one is published
REGISTRY = re.compile(r"\b(br|ts)[:/]|^\s*(extension|provider|import) ", re.MULTILINE)


@pytest.fixture(scope="module")
def bicep() -> Iterator[Compiler]:
    program = compiler()
    if program is None:
        pytest.skip(
            "no Bicep compiler in BICEP or the PATH: the snapshots are looked at as they were kept"
        )
    with Compiler(program) as running:
        yield running


def test_the_templates_compile_without_a_warning_and_in_order(bicep: Compiler) -> None:
    """As errors count the rules of bicepconfig.json."""
    built = bicep.build(INFRA / "main.bicep")

    assert (built["success"], built["diagnostics"]) == (True, [])
    modules = json.loads(built["contents"])["resources"]
    waits = {name: {*one.get("dependsOn", [])} for name, one in modules.items()}
    # The host starts when the app is made: with its roles, its storage and the way there.
    assert {"identity", "hostAccount", "dataAccount", "vault", "network"} <= waits["app"]
    assert {"hostAccount", "dataAccount", "vault"} <= waits["network"]
    assert all("identity" in waits[name] for name in ("hostAccount", "dataAccount", "vault"))


def test_a_fault_in_a_template_is_found(bicep: Compiler, tmp_path: Path) -> None:
    """By the compiler and by the linter with our rules: else the test above would see nothing."""
    shutil.copytree(INFRA, tmp_path / "infra")
    faulty = tmp_path / "infra" / "app" / "identity.bicep"
    text = faulty.read_text("utf-8").replace("tags: tags", "label: tags")
    faulty.write_text(f"{text}\nvar unused = 1\n", encoding="utf-8")

    built = bicep.build(tmp_path / "infra" / "main.bicep")

    found = {(one["code"], one["level"]) for one in built["diagnostics"]}
    assert {("BCP037", "Error"), ("no-unused-vars", "Error")} <= found


@pytest.mark.parametrize("scenario", scenarios())
def test_a_scenario_makes_what_was_kept(bicep: Compiler, scenario: str) -> None:
    made = text_of(bicep.snapshot(SCENARIOS / f"{scenario}.bicepparam"))

    changes = difflib.unified_diff(
        kept(scenario).read_text("utf-8").splitlines(), made.splitlines(), lineterm="", n=8
    )
    assert [*changes] == [], "is it meant? python -m tests.infra"
    assert deployment(scenario).diagnostics == ()


def test_a_deployment_that_would_leave_the_tables_behind_is_refused(
    bicep: Compiler, tmp_path: Path
) -> None:
    """Another region, or the other choice of accounts: the app would find its tables empty."""
    plain = (SCENARIOS / "plain.bicepparam").read_text("utf-8")
    main = os.path.relpath(INFRA / "main.bicep", tmp_path)
    changed = plain.replace("../../../infra/main.bicep", main)
    moved = tmp_path / "moved.bicepparam"
    moved.write_text(
        f"{changed}param formerDataAccount = 'stdatafromelsewhere'\n", encoding="utf-8"
    )

    with pytest.raises(CompilerError, match="The tables are in stdatafromelsewhere"):
        bicep.snapshot(moved)


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
def test_a_template_needs_nothing_but_the_compiler(path: Path) -> None:
    """No module of a registry and no extension: they would be fetched, and could not be looked at here."""
    text = path.read_text("utf-8")

    assert REGISTRY.findall(text) == []
    for kind, version in VERSIONED.findall(text):
        found = VERSION.fullmatch(version)
        assert found, f"{kind}@{version}"
        assert not found[1] or kind in PREVIEWS, f"{kind}@{version}"


def test_one_kind_of_resource_has_one_version() -> None:
    found = {pair for path in TEMPLATES for pair in VERSIONED.findall(path.read_text("utf-8"))}

    assert len(found) == len({kind for kind, _ in found})

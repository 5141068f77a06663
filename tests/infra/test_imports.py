"""Which module may know what; the import rules of pyproject.toml cover whole packages, these the rest."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.infra.sources import ROOT, shipped

PURE = sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "sync_core/domain").rglob("*.py")
)


@cache
def imported(path: Path) -> set[str]:
    """Give every module that a file names in an import, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize(
    ("package", "homes"),
    [
        ("azure.data.tables", ["sync_core/store/"]),
        ("azure.storage", ["sync_core/store/queue.py"]),
        ("azure.keyvault", ["sync_core/store/vault.py", "sync_core/services.py"]),
        ("azure.identity", ["sync_core/services.py", "sync_core/directory/credentials.py"]),
        ("azure.functions", ["function_app.py"]),
        ("msgraph", ["sync_core/directory/"]),
        ("httpx", ["sync_core/directory/"]),
        ("fastapi", ["sync_core/api/", "sync_core/triggers.py"]),
        ("os", ["sync_core/services.py"]),
        # Rows of people are written through the fence only.
        (
            "sync_core.store.wire.submit",
            [
                f"sync_core/store/{name}.py"
                for name in ("checkpoints", "consents", "fences", "matches", "retention")
            ],
        ),
        ("deploy", []),
        ("local", []),
        ("tests", []),
    ],
)
def test_who_may_import(package: str, homes: list[str]) -> None:
    """`os` stands for the environment: settings are read in one place."""
    strangers = {
        path.relative_to(ROOT).as_posix()
        for path in shipped()
        for name in imported(path)
        if (name == package or name.startswith(f"{package}."))
    }

    assert {one for one in strangers if not one.startswith(tuple(homes) or ("-",))} == set()


@pytest.mark.parametrize("name", PURE)
def test_the_pure_part_has_no_clock_and_no_files(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    forbidden = {"open", "datetime.now", "datetime.utcnow", "time.time", "date.today", "print"}

    assert calls & forbidden == set()
    assert not {"random", "secrets", "socket", "subprocess", "pathlib"} & imported(ROOT / name)

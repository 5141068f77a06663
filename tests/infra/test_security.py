"""Every threat of docs/security.md has a test, and that test exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.infra.sources import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows() -> list[str]:
    """Return the rows of the tables that name tests: what comes below a head with that column."""
    found, names_tests = [], False
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            names_tests = False
        elif line.endswith("| tests |"):
            names_tests = True
        elif names_tests and not line.startswith("| ---"):
            found.append(line)
    return found


@cache
def names_in(path: Path) -> frozenset[str]:
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(one.name for one in functions if one.name.startswith("test_"))


def test_the_rows_are_found() -> None:
    assert len(rows()) > 25


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip()[:60])
def test_a_threat_is_guarded_by_tests_that_exist(row: str) -> None:
    named = NAMED.findall(row)

    assert named, "no test guards it"
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert not name or name in names_in(ROOT / path), f"{path}::{name}"

"""docs/expressions.md says what the program does: every function, every example, every code."""

import json
import re
from pathlib import Path

import pytest

from sync_core.domain.expressions import FUNCTIONS, REFUSED, Function, Topic
from sync_core.domain.expressions.attributes import ALIASES
from tests.unit.domain.expressions.evaluation import evaluate

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "expressions.md").read_text(encoding="utf-8")
SOURCES = [
    path.read_text(encoding="utf-8")
    for path in (ROOT / "sync_core" / "domain" / "expressions").rglob("*.py")
]
# A code in an example of its own: | `expression` | attributes | `value` |
ROW = re.compile(
    r"^\| `(?P<expression>[^`]+)` \| (?:`(?P<attributes>[^`]+)`)? ?\| `(?P<value>[^`]+)` \|$",
    re.MULTILINE,
)


def written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def block(function: Function) -> str:
    """Give the lines that the page has to hold for a function."""
    example = function.example
    person = f" for `{written(example.attributes)}`" if example.attributes else ""
    return "\n".join(
        (
            f"#### {function.name}",
            "",
            f"`{function.signature}`",
            "",
            function.summary,
            "",
            f"Example: `{example.expression}`{person} gives `{written(example.value)}`.",
        )
    )


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_function_is_told_as_it_is(function: Function) -> None:
    assert block(function) in PAGE


def test_no_function_is_told_that_does_not_exist() -> None:
    assert re.findall(r"^#### (.+)$", PAGE, re.MULTILINE) == [
        function.name
        for topic in Topic
        for function in FUNCTIONS.values()
        if function.topic is topic
    ]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_function_is_told(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_every_error_code_is_told() -> None:
    used = set()
    for source in SOURCES:
        used |= set(re.findall(r'"((?:expression|evaluation)\.[a-zA-Z]+)"', source))
        used |= {f"expression.{code}" for code in re.findall(r'Problem\(\s*"([a-zA-Z]+)"', source)}
        used |= {f"evaluation.{code}" for code in re.findall(r'unfit\(\s*"([a-zA-Z]+)"', source)}

    assert used == set(
        re.findall(r"^\| `((?:expression|evaluation)\.[a-zA-Z]+)` \|", PAGE, re.MULTILINE)
    )


@pytest.mark.parametrize("row", list(ROW.finditer(PAGE)), ids=lambda row: row["expression"][:60])
def test_example_in_a_table(row: "re.Match[str]") -> None:
    attributes = json.loads(row["attributes"] or "{}")

    assert written(evaluate(row["expression"], attributes)) == row["value"]


@pytest.mark.parametrize("name", sorted(name for name in ALIASES if name[-1].isalpha()))
def test_every_name_that_is_entras_own_is_told(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_what_entra_makes_of_a_guests_name_is_told_as_different() -> None:
    different = PAGE.partition("## Different from Entra")[2].partition("\n## ")[0]

    assert "`[userPrincipalName]` of a guest is the whole sign-in name" in different
    assert "Entra takes the `#EXT#` out" in different

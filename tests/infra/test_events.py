"""What the code logs and the table of events are the same, on both sides; the page is made from the table.

Here by the sources; `events_are_in_the_table` of tests/conftest.py looks at what every test really logs.
"""

import ast
import importlib
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sync_core.domain.connections.verification import VerificationStatus
from sync_core.domain.documents.request import LifecycleEvent
from sync_core.domain.documents.run import Counts
from sync_core.events import BY_NAME, COUNTS, EVENTS, FIELDS
from tests.infra.events_page import PAGE, page
from tests.infra.sources import ROOT, shipped

# Logged under the code of an error that somebody else has raised.
BY_CODE = {
    "sync_core/runs/record.py": {"run.gaveUp"},
    "sync_core/runs/worker.py": {"run.served"},
    "sync_core/store/connections.py": {"connection.notUnderstood"},
    "sync_core/triggers.py": {"connection.notUnderstood", "connection.pendingNotUnderstood"},
}
# Logged under a name that is put together.
KINDS = {
    found
    for path in (ROOT / "sync_core/store").glob("*.py")
    for found in re.findall(r'kind="(\w+)"', path.read_text("utf-8"))
}
BY_PARTS = {
    "sync_core/connections/lifecycle.py": {f"lifecycle.{one}" for one in LifecycleEvent},
    "sync_core/connections/verify.py": {f"connection.{one}" for one in VerificationStatus},
    "sync_core/store/states.py": {f"{one}.unreadable" for one in KINDS},
}
# Logs what the domain decides (`health.Event`), which is looked at where it is decided.
PASSES_ON = "sync_core/health/journal.py"


@dataclass(frozen=True)
class Call:
    """One place that logs: the events that it may write, with these fields, at these levels."""

    place: str
    names: frozenset[str]
    fields: frozenset[str]
    levels: frozenset[int]
    rest: bool
    """Whether it also gives fields that are not spelt out."""


@cache
def calls() -> tuple[Call, ...]:
    return tuple(call for path in shipped() for call in _calls(path))


def _calls(path: Path) -> Iterator[Call]:
    name = path.relative_to(ROOT).as_posix()
    tree = ast.parse(path.read_text("utf-8"))
    module = importlib.import_module(
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    )
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id == "log_event":
            given = {word.arg: word.value for word in node.keywords}
            dynamic = name == PASSES_ON and isinstance(node.args[0], ast.Attribute)
            if not dynamic:
                yield Call(
                    f"{name}:{node.lineno}",
                    _names(node.args[0], name, module),
                    frozenset(one for one in given if one not in {None, "level", "exc_info"}),
                    _levels(given.get("level"), module),
                    None in given,
                )
        elif node.func.id == "Event" and name.startswith("sync_core/domain/"):
            yield Call(
                f"{name}:{node.lineno}",
                _names(node.args[0], name, module),
                frozenset({"connection"}),
                _levels(node.args[1] if len(node.args) > 1 else None, module),
                rest=True,
            )


def _names(node: ast.expr, path: str, module: ModuleType) -> frozenset[str]:
    if isinstance(node, ast.JoinedStr):
        return frozenset(BY_PARTS[path])
    if isinstance(node, ast.Attribute):
        return frozenset(BY_CODE[path])
    return frozenset({_value(node, module)})


def _levels(node: ast.expr | None, module: ModuleType) -> frozenset[int]:
    if node is None:
        return frozenset({logging.INFO})
    if ast.unparse(node) == "warning.level":  # of a credential that expires: the nearer, the louder
        return frozenset({logging.WARNING, logging.ERROR})
    return frozenset({_value(node, module)})


def _value(node: ast.expr, module: ModuleType) -> Any:
    return eval(ast.unparse(node), vars(module))  # noqa: S307 -- a constant of our own sources


def test_every_place_that_logs_is_understood() -> None:
    assert len(calls()) > 90
    assert [one.place for one in calls() if not one.names] == []


@pytest.mark.parametrize("call", calls(), ids=lambda one: one.place)
def test_what_is_logged_stands_in_the_table(call: Call) -> None:
    assert call.names <= BY_NAME.keys()
    for event in (BY_NAME[name] for name in call.names):
        assert call.fields <= {*event.fields}
        assert call.levels <= event.levels


def fields_written() -> dict[str, set[str]]:
    """Return by event every field that some place gives it."""
    found: dict[str, set[str]] = {one.name: set() for one in EVENTS}
    for call in calls():
        given = set(call.fields)
        if call.rest:
            given |= _keys(ROOT / call.place.partition(":")[0])
        for name in call.names & found.keys():
            found[name] |= given
    found["run.finished"] |= set(Counts.model_fields)
    return found


@cache
def _keys(path: Path) -> frozenset[str]:
    """Return the keys of the dictionaries that a module writes out, and the words that it passes on."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Dict | ast.Call)]
    keys = {
        key.value
        for node in nodes
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    words = {
        word.arg
        for node in nodes
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg
    }
    return frozenset(map(str, keys | words))


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_what_stands_in_the_table_is_logged(name: str) -> None:
    event = BY_NAME[name]

    assert any(name in call.names for call in calls()), "nothing writes it: take it out"
    assert {*event.fields} <= fields_written()[name]
    assert event.levels <= set().union(*(call.levels for call in calls() if name in call.names))


def test_each_name_and_each_field_stands_there_once_and_is_used() -> None:
    assert len(BY_NAME) == len(EVENTS)
    assert {field for event in EVENTS for field in event.fields} == FIELDS.keys()
    assert COUNTS.keys() == Counts.model_fields.keys()


def test_nobody_logs_beside_the_table() -> None:
    """The logger itself is used in one place, which writes events."""
    using = [
        path.relative_to(ROOT).as_posix()
        for path in shipped()
        if re.search(
            r"\blogger\.|\blogging\.(info|warning|error|exception)\(", path.read_text("utf-8")
        )
    ]

    assert using == ["sync_core/logs.py"]


def test_the_page_is_made_from_the_table() -> None:
    """`python -m tests.infra.events_page` writes it."""
    assert PAGE.read_text("utf-8") == page()

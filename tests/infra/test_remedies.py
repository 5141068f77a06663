"""Every error that the program raises says what to do next."""

import ast
from collections.abc import Iterator
from pathlib import Path

import sync_core

ROOT = Path(sync_core.__file__).parent


def modules() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}


def plain_errors(trees: dict[Path, ast.Module]) -> set[str]:
    """Name the errors that take code, message and remedy as they are given."""
    known = {"SyncError"}
    classes = [
        node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    while (
        fresh := {
            node.name
            for node in classes
            if known & {base.id for base in node.bases if isinstance(base, ast.Name)}
        }
        - known
    ):
        known |= fresh
    own = {
        node.name
        for node in classes
        if any(isinstance(one, ast.FunctionDef) and one.name == "__init__" for one in node.body)
    }
    return known - (own - {"SyncError"})


def calls(trees: dict[Path, ast.Module]) -> Iterator[tuple[str, ast.Call]]:
    names = plain_errors(trees)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            # `super().__init__` of an error that brings its own words, and `Error(...)`.
            is_own = (
                isinstance(called, ast.Attribute)
                and called.attr == "__init__"
                and len(node.args) == 3
            )
            if is_own or (isinstance(called, ast.Name) and called.id in names):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def remedy_of(call: ast.Call) -> ast.expr | None:
    named = {one.arg: one.value for one in call.keywords}
    if None in named:  # read back from a store, where it was written with all three
        return named[None]
    return call.args[2] if len(call.args) > 2 else named.get("remedy")


def test_no_error_of_the_catalogue_has_an_empty_remedy() -> None:
    found = dict(calls(modules()))
    empty = [
        place
        for place, call in found.items()
        if (remedy := remedy_of(call)) is None
        or (isinstance(remedy, ast.Constant) and not str(remedy.value).strip())
    ]

    assert len(found) > 100
    assert empty == []

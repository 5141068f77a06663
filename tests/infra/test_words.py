"""The English of docstrings: what a function returns is said with the word that programmers read."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [ROOT / "function_app.py", *sorted((ROOT / "sync_core").rglob("*.py"))]
DOCUMENTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
NOT_OURS = ("Give ", "Gives ", "Tell whether ", "Tells whether ")


def docstrings(text: str) -> list[str]:
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, DOCUMENTED))
    return [ast.get_docstring(node) or "" for node in nodes]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_docstring_says_return_and_whether(path: Path) -> None:
    said = docstrings(path.read_text(encoding="utf-8"))
    assert [text for text in said if text.startswith(NOT_OURS)] == []


def test_the_words_are_found_in_methods_and_classes() -> None:
    text = 'class A:\n    """Gives."""\n    def b(self):\n        """Give a name."""\n'
    assert docstrings(text) == ["Gives.", "Give a name."]

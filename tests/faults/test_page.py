"""The page tells what is declared."""

from pathlib import Path

from tests.faults.matrix import cases
from tests.faults.page import outcomes_of, render, sentences_of

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


def test_the_page_is_that_of_the_declared_matrix() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == render(outcomes_of(cases()), sentences_of(page)), (
        "run: .venv/bin/python -m tests.faults docs/faults.md"
    )


def test_the_page_has_a_sentence_for_each_code() -> None:
    told = {one.code for one in sentences_of(PAGE.read_text(encoding="utf-8"))}

    assert told == {case.outcome.code for case in cases() if case.outcome.code}

"""Texts that look the same: what they have in common, and what in them cannot be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.letters import as_seen, comparable_text, hidden_letters, with_hidden_letters

SALES = [
    pytest.param("Sales\u00a0", "Sales[U+00A0 NO-BREAK SPACE]", id="no-break space"),
    pytest.param("\u200bSales", "[U+200B ZERO WIDTH SPACE]Sales", id="zero width space"),
    pytest.param("Sa\u00adles", "Sa[U+00AD SOFT HYPHEN]les", id="soft hyphen"),
    pytest.param("Sales\ufe0f", "Sales[U+FE0F VARIATION SELECTOR-16]", id="variation selector"),
    pytest.param("\ufeffSales", "[U+FEFF ZERO WIDTH NO-BREAK SPACE]Sales", id="byte order mark"),
    pytest.param("Sales \t", "Sales[U+0020 SPACE][U+0009]", id="blanks at the end"),
    pytest.param("  Sales", "[U+0020 SPACE][U+0020 SPACE]Sales", id="blanks at the beginning"),
    pytest.param("Sales\x00", "Sales[U+0000]", id="a control character"),
    pytest.param("\u202eSales", "[U+202E RIGHT-TO-LEFT OVERRIDE]Sales", id="turned around"),
]


@pytest.mark.parametrize(("text", "shown"), SALES)
def test_what_cannot_be_seen_is_named_and_does_not_count(text: str, shown: str) -> None:
    assert with_hidden_letters(text) == shown
    assert hidden_letters([text])
    assert as_seen(text) == "Sales"
    assert comparable_text(text) == "sales"


@pytest.mark.parametrize(
    ("text", "same", "shown"),
    [
        pytest.param(
            "Mu\u0308ller", "M\u00fcller", "Mu[U+0308 COMBINING DIAERESIS]ller", id="two for one"
        ),
        pytest.param("New\u00a0York", "New York", "New[U+00A0 NO-BREAK SPACE]York", id="inside"),
        pytest.param("New\u2009York", "New York", "New[U+2009 THIN SPACE]York", id="thin"),
    ],
)
def test_letters_that_look_the_same(text: str, same: str, shown: str) -> None:
    assert as_seen(text) == as_seen(same) == same
    assert comparable_text(text) == comparable_text(same)
    assert with_hidden_letters(text) == shown
    assert with_hidden_letters(same) == same


@pytest.mark.parametrize(
    "text",
    [
        "Sales",
        "New York",
        "M\u00fcller",
        "Nguy\u1ec5n",
        "\u5c71\u7530",
        "\U0001f600",
        "x\u0302",
        "",
    ],
)
def test_what_can_be_seen_is_left_alone(text: str) -> None:
    """An accent for which there is no letter stays where it is."""
    assert hidden_letters([text, 5, None]) == []
    assert with_hidden_letters(text) == text
    assert as_seen(text) == text


@given(st.text())
def test_what_is_seen_is_not_changed_a_second_time(text: str) -> None:
    assert as_seen(as_seen(text)) == as_seen(text)
    assert comparable_text(as_seen(text)) == comparable_text(text)

"""What the small commands print: columns in line, changes before -> after, no tricks with a terminal."""

from typing import Any

import pytest

from local.screen import LOOK_AHEAD, print_changes, print_table

COLUMNS = ("name", "place")


def change(action: str, **given: Any) -> dict[str, Any]:
    made = {"action": action, "userPrincipalName": "ann@contoso.com", "reason": None, "cause": None}
    return made | {"held": False, "fields": {}} | given


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param("Ann", "Ann        x", id="latin"),
        pytest.param("山田 太郎", "山田 太郎  x", id="East Asian wide"),
        pytest.param("김민준", "김민준     x", id="Hangul"),
        pytest.param("Zoe\u0308", "Zoe\u0308        x", id="combining"),
        pytest.param(
            "\N{WOMAN}\u200d\N{WOMAN}\u200d\N{GIRL}", "👩‍👩‍👧         x", id="joined emoji"
        ),
        pytest.param("\N{REGIONAL INDICATOR SYMBOL LETTER D}" * 2, "🇩🇩         x", id="flag"),
        pytest.param("a\u200bb", "a\u200bb         x", id="zero width"),
        pytest.param("a\x1b[1m", "a\\x1b[1m   x", id="would steer the terminal"),
        pytest.param("a\nb", "a\\nb       x", id="line break"),
        pytest.param(None, "           x", id="nothing"),
        pytest.param(False, "False      x", id="false"),
    ],
)
def test_columns_stay_in_line(capsys: pytest.CaptureFixture[str], name: object, line: str) -> None:
    print_table([{"name": "123456789", "place": "y"}, {"name": name, "place": "x"}], COLUMNS)

    assert capsys.readouterr().out.splitlines() == ["name       place", "123456789  y", line]


def test_a_long_name_late_in_a_long_list_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "ann", "place": "x"}] * LOOK_AHEAD + [{"name": "a long name", "place": "x"}]
    print_table(iter(rows), COLUMNS)

    assert capsys.readouterr().out.splitlines()[-2:] == ["ann   x", "a long name  x"]


def test_changes_show_each_field_before_and_after(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"department": ["Sales", "Legal"], "mobilePhone": ["+1 555", None], "note": [None, ""]}
    print_changes(
        [
            change("update", fields=fields),
            change("disable", reason="leftScope", cause="becameGuest", held=True),
            change("create", fields={"email": [None, "ann@contoso.com"]}),
        ]
    )

    assert capsys.readouterr().out.splitlines() == [
        "action   userPrincipalName  reason",
        "update   ann@contoso.com",
        '          department: "Sales" -> "Legal"',
        '          mobilePhone: "+1 555" -> nothing',
        '          note: nothing -> ""',
        "disable  ann@contoso.com    becameGuest, held",
        "create   ann@contoso.com",
    ]


def test_no_changes_are_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_changes([])

    assert capsys.readouterr().out == ""

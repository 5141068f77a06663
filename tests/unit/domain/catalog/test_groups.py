"""Groups to choose from: what kind one is, and how a search is spelled for Graph."""

from typing import Any

import pytest

from sync_core.domain.catalog.groups import filter_for, is_searchable, search_for, to_choice

ID = "9D0C5A9E-3C1B-4F0E-8B63-5A1F7E2D4C90"
SECURITY = {"id": ID, "displayName": "Sales", "groupTypes": [], "securityEnabled": True}


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        pytest.param({}, "security", id="security"),
        pytest.param({"groupTypes": None}, "security", id="no types"),
        pytest.param({"mailEnabled": True}, "mailEnabledSecurity", id="security with mail"),
        pytest.param({"mailEnabled": True, "securityEnabled": False}, "distribution", id="mail"),
        pytest.param({"groupTypes": ["Unified"], "mailEnabled": True}, "microsoft365", id="365"),
        pytest.param({"groupTypes": ["DynamicMembership"]}, "security", id="dynamic"),
    ],
)
def test_a_group_is_called_what_administrators_call_it(group: dict[str, Any], kind: str) -> None:
    choice = to_choice(SECURITY | group).to_json()

    assert choice["type"] == kind
    assert choice["dynamic"] is ("DynamicMembership" in (group.get("groupTypes") or []))


def test_a_choice_is_what_a_picker_shows() -> None:
    group = SECURITY | {"description": "", "visibility": "HiddenMembership", "theme": "Teal"}

    assert to_choice(group, 7).to_json() == {
        "id": ID.lower(),
        "displayName": "Sales",
        "description": None,
        "type": "security",
        "dynamic": False,
        "hiddenMembership": True,
        "members": 7,
    }


def test_a_group_without_a_name_is_shown_without_one() -> None:
    assert to_choice({"id": ID, "displayName": None}).display_name == ""


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("Sales DE", "Sales DE"),
        ('say "hi"', 'say \\"hi\\"'),
        ("a\\b", "a\\\\b"),
        ('\\"', '\\\\\\"'),
        ('x" OR "mail:y', 'x\\" OR \\"mail:y'),
    ],
)
def test_a_search_cannot_leave_its_quotes(text: str, clause: str) -> None:
    assert search_for(text) == f'"displayName:{clause}" OR "description:{clause}"'


def test_a_filter_cannot_leave_its_quotes() -> None:
    assert filter_for("O'Brien's") == "startsWith(displayName,'O''Brien''s')"


def test_an_ampersand_is_not_searched_for() -> None:
    assert is_searchable("Finance and Controlling")
    assert not is_searchable("Finance & Controlling")

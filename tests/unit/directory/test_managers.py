"""Asking for managers, and what an answer about them is worth."""

from typing import Any

import pytest

from sync_core.directory.lookup import are_bare
from sync_core.directory.managers import told_managers
from sync_core.directory.requests import properties, relationships

USER = "#microsoft.graph.user"
CONTACT = "#microsoft.graph.orgContact"


def test_the_manager_is_expanded_and_never_selected() -> None:
    """A list that is asked for $select=manager answers without it, and without a word."""
    asked = frozenset({"mail", "manager", "id"})

    assert properties(asked) == ["id", "mail"]
    assert relationships(asked) == ["manager"]
    assert relationships(asked - {"manager"}) is None


@pytest.mark.parametrize(
    "manager",
    [
        pytest.param({"@odata.type": USER, "id": "m", "userPrincipalName": None}, id="null"),
        pytest.param({"@odata.type": USER, "id": "m"}, id="absent"),
        pytest.param({"id": "m"}, id="without a type"),
    ],
)
def test_managers_without_their_attributes_are_refused(manager: dict[str, Any]) -> None:
    assert are_bare(told_managers([{"id": "p"}, {"id": "q", "manager": manager}]))


@pytest.mark.parametrize(
    "person",
    [
        pytest.param({"id": "p"}, id="nobody"),
        pytest.param({"id": "p", "manager": None}, id="null"),
        pytest.param({"id": "p", "manager": {"@odata.type": CONTACT, "id": "c"}}, id="contact"),
        pytest.param(
            {"id": "p", "manager": {"@odata.type": USER, "id": "m", "userPrincipalName": "m@x"}},
            id="told",
        ),
    ],
)
def test_other_managers_are_taken(person: dict[str, Any]) -> None:
    assert not are_bare(told_managers([person]))

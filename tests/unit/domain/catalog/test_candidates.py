"""People to pick from: what Graph is asked for a search, and what is shown of somebody."""

from datetime import date
from typing import Any

import pytest

from sync_core.domain.catalog.candidates import (
    ImportedBy,
    Standing,
    as_typed,
    filter_for,
    is_searchable,
    narrowed,
    search_for,
    to_person,
)
from sync_core.domain.model import Origin, Status


def standing(**changes: Any) -> Standing:
    return Standing.model_validate({"status": "active", "origin": "auto"} | changes)


@pytest.mark.parametrize(
    ("stored", "imported"),
    [
        (standing(), ImportedBy.SCOPE),
        (standing(linked=True), ImportedBy.MATCH),
        (standing(origin="manual"), ImportedBy.MANUAL),
        (standing(origin="manual", linked=True), ImportedBy.MANUAL),
        (standing(status="disabled", origin="manual"), None),
    ],
)
def test_by_what_somebody_is_in(stored: Standing, imported: ImportedBy | None) -> None:
    assert stored.imported is imported


def test_somebody_who_is_not_in_is_shown_with_what_the_directory_has() -> None:
    user = {"id": "ABC", "displayName": "Zoë", "userPrincipalName": "zoe@contoso.com", "mail": ""}
    person = to_person(user | {"userType": "Guest", "accountEnabled": False}, None)

    assert (person.object_id, person.display_name, person.mail) == ("abc", "Zoë", None)
    assert (person.user_type, person.blocked, person.agent) == ("Guest", True, False)
    assert (person.imported, person.status, person.until) == (None, None, None)


def test_somebody_who_is_in_is_shown_with_the_day() -> None:
    person = to_person({"id": "a"}, standing(origin="manual", until="2027-01-31"))

    assert (person.imported, person.status) == (ImportedBy.MANUAL, Status.ACTIVE)
    assert person.until == date(2027, 1, 31)
    assert standing(origin="manual").origin is Origin.MANUAL


def test_an_accent_that_is_a_letter_of_its_own_is_put_together() -> None:
    assert as_typed("  Zoe\N{COMBINING DIAERESIS} ") == "Zoë"


def test_a_search_is_escaped_for_where_it_goes() -> None:
    assert '"displayName:say \\"a\\\\b\\""' in search_for('say "a\\b"')
    assert "startswith(surname,'o''hara')" in filter_for("o'hara")
    assert is_searchable("o'hara")
    assert not is_searchable("R&D")


@pytest.mark.parametrize(
    ("department", "kind", "search", "condition"),
    [
        (None, None, None, None),
        ("R'D", None, None, "department eq 'R''D'"),
        (None, "Guest", None, "userType eq 'Guest'"),
        ("Sales", "Guest", None, "department eq 'Sales' and userType eq 'Guest'"),
        (None, None, "a or b", "a or b"),
        ("Sales", None, "a or b", "(a or b) and department eq 'Sales'"),
    ],
)
def test_people_are_narrowed_down(
    department: str | None, kind: str | None, search: str | None, condition: str | None
) -> None:
    assert narrowed(department, kind, search) == condition

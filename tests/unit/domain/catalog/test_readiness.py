"""Attributes to choose from, and how they are filled: counts of a sample, and no values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.catalog.attributes import (
    Candidate,
    Extension,
    Source,
    candidates,
    measurable,
    selections,
    to_extensions,
)
from sync_core.domain.catalog.readiness import AttributeReport, Sample, in_order, unmeasured
from sync_core.domain.catalog.schema import Kind, Property
from sync_core.domain.documents.scope import Guests
from tests.unit.builders import JSON

MAIL = Candidate("mail", Kind.TEXT, False, Source.SCHEMA)


def reported(
    people: list[dict[str, Any]], candidate: Candidate = MAIL, guests: Guests = Guests.EXCLUDE
) -> AttributeReport:
    sample = Sample(guests, [candidate])
    for person in people:
        sample.add(person)
    [report] = sample.reports({"mail"})
    return report


def with_mail(*mails: Any) -> list[dict[str, Any]]:
    return [{"mail": mail} for mail in mails]


# --- what there is --------------------------------------------------------------------------------


def test_objects_are_offered_by_their_parts_and_lists_of_objects_whole() -> None:
    text = Property("division", Kind.TEXT)
    inner = Property("more", Kind.OBJECT)
    extension = Property("extensionAttribute7", Kind.TEXT)
    found = candidates(
        [
            Property("employeeOrgData", Kind.OBJECT, parts=(text, inner)),
            Property("onPremisesExtensionAttributes", Kind.OBJECT, parts=(extension,)),
            Property("identities", Kind.OBJECT, is_list=True, parts=(text,)),
        ],
        [],
        [],
    )

    assert [(one.name, one.selected) for one in found] == [
        ("employeeOrgData.division", "employeeOrgData"),
        ("extensionAttribute7", "onPremisesExtensionAttributes"),
        ("identities", "identities"),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("skills", "one person at a time"),
        ("mailboxSettings", "one person at a time"),
        ("signInActivity", "AuditLog.Read.All"),
        ("employeeLeaveDateTime", "User-LifeCycleInfo.Read.All"),
        ("passwordProfile", "nothing about the person"),
    ],
)
def test_what_a_list_cannot_give_is_shown_with_the_reason(name: str, words: str) -> None:
    [found] = candidates([Property(name, Kind.OBJECT, parts=(Property("x", Kind.TEXT),))], [], [])

    report = unmeasured(found, [name], found.refused)
    assert measurable([found]) == []
    assert words in (report.refused or "")
    assert (report.usable, report.used, report.filled) == (False, True, None)


def test_what_the_connection_reads_is_offered_even_if_nobody_knows_it() -> None:
    extension = Extension("extension_1_a", Kind.NUMBER, False, "Payroll")
    found = candidates(
        [Property("mail", Kind.TEXT)], [extension], ["mail", "extension_2_b", "manager"]
    )

    assert [(one.name, one.source) for one in found] == [
        ("mail", Source.SCHEMA),
        ("extension_1_a", Source.EXTENSION),
        ("extension_2_b", Source.CONNECTION),
    ]
    assert selections(measurable(found)) == ["extension_1_a", "extension_2_b", "mail"]


def test_lists_of_objects_are_offered_and_not_counted() -> None:
    """Licences and plans of a thousand people are some MB, to say nothing that anybody asks for."""
    [plans] = candidates([Property("assignedPlans", Kind.OBJECT, is_list=True)], [], [])

    report = unmeasured(plans, [])
    assert measurable([plans]) == []
    assert (report.usable, report.filter, report.filled) == (True, "advanced", None)


@pytest.mark.parametrize(
    ("data_type", "kind"),
    [
        ("String", Kind.TEXT),
        ("Integer", Kind.NUMBER),
        ("LargeInteger", Kind.NUMBER),
        ("Boolean", Kind.BOOLEAN),
        ("DateTime", Kind.DATE),
        ("Binary", Kind.BINARY),
        (None, Kind.TEXT),
    ],
)
def test_extensions_of_users_are_read(data_type: str | None, kind: Kind) -> None:
    given = {"name": "extension_1_a", "dataType": data_type, "isMultiValued": True}
    of_user = given | {"targetObjects": ["User", "Group"], "appDisplayName": "Payroll"}
    of_group = given | {"targetObjects": ["Group"]}

    found = to_extensions([of_user, of_group, given])

    assert found == [Extension("extension_1_a", kind, True, "Payroll")]


# --- how it is filled -----------------------------------------------------------------------------


def test_an_attribute_that_is_filled_and_different_for_all_is_a_key() -> None:
    report = reported(with_mail("a", "b", "c"))

    assert (report.filled, report.empty_percent, report.distinct, report.doubled) == (3, 0.0, 3, 0)
    assert report.matching_key
    assert report.remarks == []


@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_what_is_empty_is_counted(empty: Any) -> None:
    report = reported(with_mail("a", "b", "c", empty))

    assert (report.filled, report.empty_percent) == (3, 25.0)
    assert not report.matching_key
    assert report.remarks == ["mail is empty for 25 %"]


@pytest.mark.parametrize("value", [False, 0, " "])
def test_what_looks_empty_and_is_a_value_counts_as_filled(value: Any) -> None:
    assert reported(with_mail(value)).filled == 1


@pytest.mark.parametrize(
    ("mails", "remarks"),
    [
        pytest.param([None, None], ["mail is empty for everybody in the sample"], id="all empty"),
        pytest.param(
            ["x", *map(str, range(400)), None], ["mail is empty for less than 1 %"], id="few"
        ),
        pytest.param([*map(str, range(20)), "0"], ["mail is doubled once"], id="once"),
        pytest.param([*map(str, range(40)), "0", "1"], ["mail is doubled 2 times"], id="twice"),
        pytest.param(["x", "X", *map(str, range(20))], ["mail is doubled once"], id="another case"),
        pytest.param(
            ["x", "x", "x", *map(str, range(30))], ["mail is doubled once"], id="one value"
        ),
        pytest.param(["Sales"] * 9 + ["Legal"] * 9, [], id="a department is no number given twice"),
        pytest.param([], [], id="nobody"),
    ],
)
def test_remarks_are_sentences(mails: list[Any], remarks: list[str]) -> None:
    assert reported(with_mail(*mails)).remarks == remarks


def test_a_doubled_value_is_no_key() -> None:
    report = reported(with_mail("a", "b", "A"))

    assert (report.distinct, report.doubled, report.matching_key) == (2, 1, False)


@pytest.mark.parametrize(
    ("kind", "is_list"), [(Kind.BOOLEAN, False), (Kind.DATE, False), (Kind.TEXT, True)]
)
def test_not_every_kind_can_be_a_key(kind: Kind, is_list: bool) -> None:
    candidate = Candidate("mail", kind, is_list, Source.SCHEMA)

    assert not reported(with_mail("a"), candidate).matching_key


@pytest.mark.parametrize(
    ("name", "is_key"),
    [
        ("displayName", False),
        ("givenName", False),
        ("surname", False),
        ("mailNickname", False),
        ("postalCode", False),
        ("streetAddress", False),
        ("officeLocation", False),
        ("city", False),
        ("jobTitle", False),
        ("employeeOrgData.costCenter", False),
        ("onPremisesDistinguishedName", False),
        ("extension_0123456789abcdef0123456789abcdef_lastName", False),
        ("extension_0123456789abcdef0123456789abcdef_ZIPCode", False),
        ("extension_0123456789abcdef0123456789abcdef_badgeNumber", True),
        ("extensionAttribute7", True),
        ("employeeId", True),
        ("id", True),
        ("mobilePhone", True),
        ("userPrincipalName", True),
        ("onPremisesSamAccountName", True),
        ("onPremisesImmutableId", True),
    ],
)
def test_names_and_places_are_no_keys(name: str, is_key: bool) -> None:
    """Five people in a sample rarely share a name or a postal code; the next two hundred do."""
    candidate = Candidate(name, Kind.TEXT, False, Source.SCHEMA)
    people: list[dict[str, Any]] = [{candidate.selected: one} for one in ("a", "b")]
    if candidate.selected != name:
        inner = name.rpartition(".")[2]
        people = [{candidate.selected: {inner: one}} for one in ("a", "b")]

    assert reported(people, candidate).matching_key is is_key


def test_nobody_makes_no_key_and_no_percentage() -> None:
    report = reported([])

    assert (report.matching_key, report.empty_percent, report.filled) == (False, None, 0)


def test_values_of_lists_are_doubled_between_people_and_not_within_one() -> None:
    candidate = Candidate("mail", Kind.TEXT, True, Source.SCHEMA)

    within = reported(with_mail(["a", "a"], ["b"]), candidate)
    between = reported(with_mail(["a", "b"], ["b"]), candidate)

    assert (within.distinct, within.doubled) == (2, 0)
    assert (between.distinct, between.doubled) == (2, 1)


def test_inner_attributes_are_read_where_they_stand() -> None:
    candidate = Candidate("extensionAttribute1", Kind.TEXT, False, Source.SCHEMA)
    people = [
        {"onPremisesExtensionAttributes": {"extensionAttribute1": one}} for one in ("a", None)
    ]

    assert reported(people, candidate).filled == 1


@pytest.mark.parametrize(
    ("guests", "counted"), [("exclude", 1), ("include", 2), ("only", 1)], ids=str
)
def test_guests_count_as_the_scope_says_and_blocked_accounts_never(
    guests: str, counted: int
) -> None:
    sample = Sample(Guests(guests), [MAIL])
    for person in (
        {"mail": "a", "userType": "Member", "accountEnabled": True},
        {"mail": "b", "userType": "Guest", "accountEnabled": True},
        {"mail": "c", "userType": "Member", "accountEnabled": False},
        {"mail": "d", "userType": "Guest", "accountEnabled": False},
    ):
        sample.add(person)

    assert (sample.read, sample.people, sample.guests, sample.blocked) == (4, counted, 2, 2)
    assert sample.reports([])[0].filled == counted


def test_filters_and_use_are_told() -> None:
    extension = Candidate("extension_1_a", Kind.TEXT, False, Source.EXTENSION, "Payroll")
    inner = Candidate("employeeOrgData.division", Kind.TEXT, False, Source.SCHEMA)
    other = Candidate("faxNumber", Kind.TEXT, False, Source.SCHEMA)

    assert reported([], extension).filter == "default"
    assert reported([], extension).app == "Payroll"
    assert reported([], inner).filter == "advanced"
    assert reported([], other).filter is None
    assert (reported([]).used, reported([], other).used) == (True, False)


def test_reports_are_in_the_order_in_which_people_look() -> None:
    given = ["b10", "b9", "b", "c", "A", "1"]
    found = [Candidate(name, Kind.TEXT, False, Source.SCHEMA) for name in given]
    names = [one.name for one in in_order(reported([], each) for each in found)]

    assert names == ["1", "A", "b", "b9", "b10", "c"]


@given(st.lists(st.dictionaries(st.just("mail"), JSON), max_size=5))
def test_any_json_can_be_counted(people: list[dict[str, Any]]) -> None:
    report = reported(people)

    assert report.filled is not None
    assert 0 <= report.filled <= len(people)

"""The sample tenant: the same for the same seed, of any size, and as odd as real ones."""

import unicodedata
from typing import Any

import pytest

from local.graph.directory.clock import Clock
from local.graph.directory.directory import Directory
from local.graph.directory.names import NAMES, name_of, number_of
from local.graph.directory.tenants import sample_registry
from local.sample import (
    COST_CENTER,
    FABRIKAM_PEOPLE,
    FABRIKAM_TENANT_ID,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
    sample_group_id,
)


def contoso(people: int = 300, groups: int = 12, seed: int = 1) -> Directory:
    registry = sample_registry(Clock(), people=people, groups=groups, seed=seed)
    return registry.tenants[SAMPLE_TENANT_ID].directory


@pytest.fixture(scope="module")
def directory() -> Directory:
    return contoso()


def values(directory: Directory, name: str) -> list[Any]:
    return [directory.value(number, name) for number in directory.live()]


def snapshot(directory: Directory) -> list[object]:
    names = ("id", "displayName", "userPrincipalName", "mail", "department", COST_CENTER)
    return [
        [[directory.value(n, name) for name in names] for n in range(directory.end)],
        [(g.id, g.properties["displayName"], list(g.people)) for g in directory.groups.values()],
    ]


def test_the_same_seed_makes_the_same_tenant() -> None:
    assert snapshot(contoso(60)) == snapshot(contoso(60))


def test_another_seed_makes_another_one() -> None:
    assert snapshot(contoso(60, seed=1)) != snapshot(contoso(60, seed=2))


@pytest.mark.parametrize("people", [10, 11, 300, 5000])
def test_the_size_is_the_number_of_live_people(people: int) -> None:
    assert contoso(people).live_count() == people


@pytest.mark.parametrize("groups", [1, 6, 12, 40])
def test_the_sample_group_is_always_there(groups: int) -> None:
    directory = contoso(50, groups)

    assert len(directory.groups) == groups
    assert directory.group(SAMPLE_GROUP_ID).properties["displayName"] == "App users"


def test_principal_names_are_unique_and_lead_back_to_their_person() -> None:
    directory = contoso(5000)
    names = values(directory, "userPrincipalName")

    assert len({name.lower() for name in names}) == 5000
    assert all(
        directory.find(str(directory.value(number, "userPrincipalName"))) == number
        for number in directory.live()
    )


def test_object_ids_are_version_4_and_evenly_spread() -> None:
    ids = values(contoso(5000), "id")

    first = [sum(i[0] == digit for i in ids) for digit in "0123456789abcdef"]
    assert len(set(ids)) == 5000
    assert all(i[14] == "4" and i[19] in "89ab" for i in ids)
    assert min(first) > 200


@pytest.mark.parametrize(
    "script",
    ["GREEK", "CYRILLIC", "ARABIC", "HEBREW", "CJK", "HIRAGANA", "HANGUL", "DEVANAGARI", "THAI"],
)
def test_names_come_in_many_scripts(script: str) -> None:
    letters = {c for name in NAMES for c in name.given + name.surname if c.isalpha()}

    assert any(unicodedata.name(letter).startswith(script) for letter in letters)


@pytest.mark.parametrize("number", [0, 1, 1799, 5000, 999_999])
def test_a_name_can_be_computed_both_ways(number: int) -> None:
    assert number_of(name_of(number, seed=7).address, seed=7) == number


@pytest.mark.parametrize(
    ("name", "test"),
    [
        pytest.param("displayName", lambda v: "'" in v, id="apostrophe"),
        pytest.param("mail", lambda v: v is None, id="no mail"),
        pytest.param("department", lambda v: v is None, id="no department"),
        pytest.param("userType", lambda v: v is None, id="no user type"),
        pytest.param("userType", lambda v: v == "Guest", id="guest"),
        pytest.param("userPrincipalName", lambda v: "#EXT#@" in v, id="external name"),
        pytest.param("accountEnabled", lambda v: v is False, id="blocked"),
        pytest.param("employeeId", lambda v: v is None, id="no employee id"),
        pytest.param("proxyAddresses", lambda v: len(v) == 2, id="two addresses"),
        pytest.param("businessPhones", lambda v: v == [], id="no phone"),
        pytest.param("employeeHireDate", lambda v: v is None, id="no hire date"),
        pytest.param(COST_CENTER, bool, id="directory extension"),
        pytest.param(
            "onPremisesExtensionAttributes",
            lambda v: v["extensionAttribute1"] == "Internal",
            id="extension attribute",
        ),
    ],
)
def test_the_tenant_has_its_oddities(directory: Directory, name: str, test: Any) -> None:
    found = sum(bool(test(value)) for value in values(directory, name))

    assert 0 < found < 300


def test_some_employee_ids_are_given_twice(directory: Directory) -> None:
    given = [value for value in values(directory, "employeeId") if value]

    assert len(given) > len(set(given))


def test_rooms_and_shared_mailboxes_are_blocked_and_belong_to_no_department(
    directory: Directory,
) -> None:
    mailboxes = [
        n
        for n in directory.live()
        if str(directory.value(n, "userPrincipalName")).startswith(("room.", "shared."))
    ]

    assert mailboxes
    assert {directory.value(n, "accountEnabled") for n in mailboxes} == {False}
    assert {directory.value(n, "department") for n in mailboxes} == {None}


def test_managers_form_a_tree(directory: Directory) -> None:
    for number in directory.live():
        seen = set()
        above: int | None = number
        while above is not None:
            assert above not in seen
            seen.add(above)
            above = directory.manager_of(above)


def test_groups_hold_a_chain_a_cycle_a_diamond_and_an_empty_one(directory: Directory) -> None:
    nested = {n: set(directory.group(sample_group_id(n)).nested) for n in range(12)}
    group = sample_group_id

    assert group(1) in nested[0]
    assert group(2) in nested[1]
    assert group(3) in nested[2]
    assert group(5) in nested[4]
    assert group(4) in nested[5]
    assert group(7) in nested[4] & nested[6]
    assert len(directory.group(group(11)).people) == 0
    assert directory.group(group(10)).hides_members
    assert directory.group(group(3)).others


def test_some_members_of_the_sample_group_are_soft_deleted_or_blocked() -> None:
    """Leavers who were never taken out of their groups."""
    directory = contoso(1000)
    groups = [directory.group(SAMPLE_GROUP_ID), *directory.groups_below(SAMPLE_GROUP_ID)]
    members = {number for group in groups for number in group.people}

    assert members & directory.soft_deleted.keys()
    assert any(directory.value(n, "accountEnabled") is False for n in members)


def test_there_is_a_second_tenant() -> None:
    registry = sample_registry(Clock(), people=20, groups=3, seed=1)
    fabrikam = registry.tenants[FABRIKAM_TENANT_ID].directory

    assert fabrikam.live_count() == FABRIKAM_PEOPLE
    assert str(fabrikam.value(0, "userPrincipalName")).endswith("@fabrikam.com")
    assert not {fabrikam.object_id(n) for n in fabrikam.live()} & set(values(contoso(20), "id"))

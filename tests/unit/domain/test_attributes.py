"""How attributes are read and selected, and what can be read of a manager."""

from typing import Any

import pytest

from local.graph.odata.properties import SINGLE_USER_ONLY
from sync_core.domain.attributes import (
    MANAGER_PROPERTIES,
    ONE_AT_A_TIME,
    manager_name_problem,
    manager_of,
    reader,
    selected,
    with_reference,
)


@pytest.mark.parametrize(
    ("attribute", "person", "value"),
    [
        pytest.param("mail", {"mail": "a@x"}, "a@x", id="property"),
        pytest.param("mail", {}, None, id="not there"),
        pytest.param("a.b", {"a": {"b": 1}}, 1, id="dot"),
        pytest.param("a/b", {"a": {"b": 1}}, 1, id="slash"),
        pytest.param("a.b", {"a": None}, None, id="null outside"),
        pytest.param("a.b", {"a": "text"}, None, id="text outside"),
        pytest.param("a.b", {"a": {}}, None, id="not there inside"),
        pytest.param(
            "extensionAttribute3",
            {"onPremisesExtensionAttributes": {"extensionAttribute3": "x"}},
            "x",
            id="Entra's name for a property in another",
        ),
        pytest.param("telephoneNumber", {"businessPhones": ["1", "2"]}, "1", id="first of a list"),
        pytest.param("telephoneNumber", {"businessPhones": []}, None, id="first of none"),
    ],
)
def test_an_attribute_is_read(attribute: str, person: dict[str, Any], value: Any) -> None:
    assert reader(attribute)(person) == value


@pytest.mark.parametrize(
    ("attribute", "property_name"),
    [
        ("mail", "mail"),
        ("a.b", "a"),
        ("a/b", "a"),
        ("extensionAttribute3", "onPremisesExtensionAttributes"),
        ("objectId", "id"),
    ],
)
def test_the_property_of_an_attribute_is_selected(attribute: str, property_name: str) -> None:
    assert selected(attribute) == property_name


def test_the_refused_attributes_are_those_that_graph_refuses() -> None:
    """The emulator has the list of learn.microsoft.com/graph/api/user-list."""
    assert {name.lower() for name in SINGLE_USER_ONLY} == ONE_AT_A_TIME


# --- the manager -----------------------------------------------------------------------------------


def test_the_reference_stands_for_the_manager_and_the_rest_is_the_directorys() -> None:
    person = {"id": "p", "manager": {"id": "m", "mail": "boss@contoso.com"}}

    seen = with_reference(person, None)

    assert seen["manager"] is None
    assert seen["manager.id"] == "m"
    assert seen["manager.mail"] == "boss@contoso.com"
    assert with_reference(person, "m")["manager"] == "m"
    assert person["manager"] == {"id": "m", "mail": "boss@contoso.com"}


@pytest.mark.parametrize("person", [{"id": "p"}, {"id": "p", "manager": None}])
def test_who_has_no_manager_has_none(person: dict[str, Any]) -> None:
    assert manager_of(person) is None
    assert with_reference(person, None) == {"id": "p", "manager": None}


@pytest.mark.parametrize(
    "name", ["manager", "department", "managerial.x", "employeeOrgData.division"]
)
def test_other_names_are_none_of_our_business(name: str) -> None:
    assert manager_name_problem(name) is None


@pytest.mark.parametrize("name", sorted(MANAGER_PROPERTIES))
def test_what_graph_tells_of_a_manager_can_be_read(name: str) -> None:
    assert manager_name_problem(f"manager.{name}") is None


@pytest.mark.parametrize("name", ["manager.department", "manager.manager.id", "manager.Mail"])
def test_what_graph_does_not_tell_of_a_manager_is_named(name: str) -> None:
    problem = manager_name_problem(name)

    assert problem is not None
    assert repr(name.removeprefix("manager.")) in problem
    assert "userPrincipalName" in problem

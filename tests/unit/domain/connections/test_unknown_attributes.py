"""Attributes that are named and that Graph does not have: where, and what may be meant."""

from typing import Any

import pytest

from sync_core.domain.catalog.schema import Kind, Property
from sync_core.domain.connections.unknown_attributes import (
    attributes_named,
    needs_schema,
    unknown_attributes,
)
from tests.system import connection

PARTS = tuple(Property(name, Kind.TEXT) for name in ("division", "costCenter"))
SCHEMA = [
    *(Property(name, Kind.TEXT) for name in ("department", "displayName", "mail", "faxNumber")),
    Property("employeeOrgData", Kind.OBJECT, parts=PARTS),
    Property("customSecurityAttributes", Kind.OBJECT),
    Property("businessPhones", Kind.TEXT, is_list=True),
]


def clause(attribute: str) -> dict[str, Any]:
    return {"clauses": [{"attribute": attribute, "operator": "IS NOT NULL"}]}


def test_every_place_that_names_an_attribute_is_told() -> None:
    made = connection(
        "contoso",
        scope={"filters": [clause("department"), clause("mail")]},
        mapping=[
            {"target": "a", "source": "faxNumber"},
            {"target": "b", "constant": "x"},
            {"target": "c", "expression": "Coalesce([mail], [employeeOrgData.division])"},
        ],
    )

    assert list(attributes_named(made)) == [
        ("scope.filters[0].clauses[0].attribute", "department"),
        ("scope.filters[1].clauses[0].attribute", "mail"),
        ("mapping[0].source", "faxNumber"),
        ("mapping[2].expression", "employeeOrgData.division"),
        ("mapping[2].expression", "mail"),
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("departement", "department", id="a letter too many"),
        pytest.param("Department", "department", id="upper case"),
        pytest.param("display_name", None, id="an extension perhaps"),
        pytest.param(
            "employeeOrgData/devision", "employeeOrgData.division", id="inside of another"
        ),
        pytest.param("manager.mail", None, id="of the manager"),
    ],
)
def test_a_misspelt_name_is_told_with_the_nearest(name: str, meant: str | None) -> None:
    problems = unknown_attributes([("here", name)], SCHEMA)

    assert [f"Did you mean {meant}?" in one.message for one in problems] == [True] * bool(meant)
    assert all(one.path == "here" for one in problems)


def test_a_name_that_is_near_nothing_is_told_without_a_guess() -> None:
    [problem] = unknown_attributes([("here", "shoeSize")], SCHEMA)

    assert "has no attribute shoeSize" in problem.message
    assert "mean" not in problem.message


@pytest.mark.parametrize(
    "name",
    ["department", "employeeOrgData", "telephoneNumber", "groups", "manager",
     "extension_0123456789abcdef0123456789abcdef_costCenter", "customSecurityAttributes.Team"],
)  # fmt: skip
def test_what_there_is_or_may_be_is_no_problem(name: str) -> None:
    assert unknown_attributes([("here", name)], SCHEMA) == []


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("department", False),
        ("groups", False),
        ("manager.mail", False),
        ("mobile", False),
        ("telephoneNumber", False),
        ("faxNumber", True),
        ("employeeOrgData.division", True),
    ],
)
def test_the_schema_is_not_read_for_well_known_names(name: str, needed: bool) -> None:
    assert needs_schema([("here", name)]) is needed

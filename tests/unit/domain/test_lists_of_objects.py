"""Attributes inside of lists of objects, chosen by a field: addresses of local accounts, licences."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sync_core.domain.attributes import reader, selected
from sync_core.domain.catalog.schema import Kind, Property
from sync_core.domain.connections.unknown_attributes import unknown_attributes
from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.documents.scope import AttributeName, Scope
from sync_core.domain.expressions import Context, parse
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.scope.compile import compile_scope
from sync_core.domain.scope.query import reading_plan

ADDRESS = "identities[signInType eq 'emailAddress'].issuerAssignedId"
PLAN, OTHER = "bea4c11e-220a-4e6d-8eb8-8ea15d019f90", "41781fb2-bc02-4b7c-bd55-b576c07bb09d"
STATUS = f"assignedPlans[servicePlanId eq '{PLAN.upper()}'].capabilityStatus"
NOW = datetime(2026, 11, 29, tzinfo=UTC)


def identity(kind: str, value: str | None) -> dict[str, Any]:
    return {"signInType": kind, "issuer": "contoso.com", "issuerAssignedId": value}


def plan(status: str, plan_id: str = PLAN) -> dict[str, Any]:
    return {"servicePlanId": plan_id, "capabilityStatus": status}


@pytest.mark.parametrize(
    ("identities", "found"),
    [
        pytest.param([identity("emailAddress", "a@x")], "a@x", id="the only one"),
        pytest.param(
            [identity("userPrincipalName", "u@x"), identity("EMAILADDRESS", "a@x")], "a@x", id="one"
        ),
        pytest.param(
            [identity("emailAddress", "a@x"), identity("emailAddress", "b@x")],
            ["a@x", "b@x"],
            id="several",
        ),
        pytest.param([identity("userPrincipalName", "u@x")], None, id="none of this kind"),
        pytest.param([identity("emailAddress", None)], None, id="without a value"),
        pytest.param([], None, id="an empty list"),
        pytest.param(None, None, id="null"),
        pytest.param(["odd", {}], None, id="no objects"),
        pytest.param("odd", None, id="no list"),
    ],
)
def test_a_value_is_read_of_the_objects_that_are_chosen(identities: Any, found: Any) -> None:
    person = {"id": "1", "identities": identities}
    mapping = compile_mapping([MappingRule(target="email", source=ADDRESS)])
    mapped = mapping.to_mapped(person, frozenset(), NOW)

    assert reader(ADDRESS)(person) == found
    assert parse(f"[{ADDRESS}]").compile()(person, Context(now=NOW)) == found
    assert mapping.attributes == {"identities"}
    assert mapped is not None
    assert (mapped.values["email"] is None) == (found is None)


@pytest.mark.parametrize(
    ("plans", "is_in"),
    [
        pytest.param([plan("Enabled")], True, id="enabled"),
        pytest.param([plan("Deleted"), plan("Enabled")], True, id="enabled by another licence"),
        pytest.param([plan("Suspended")], False, id="suspended"),
        pytest.param([plan("Deleted")], False, id="disabled in the licence"),
        pytest.param([plan("Enabled", OTHER)], False, id="another plan"),
        pytest.param([], False, id="an empty list"),
        pytest.param(None, False, id="null"),
    ],
)
def test_only_who_has_the_plan_enabled_is_in(plans: Any, is_in: bool) -> None:
    clause = {"attribute": STATUS, "operator": "EQUALS", "value": "Enabled"}
    judged = compile_scope(Scope.model_validate({"filters": [{"clauses": [clause]}]}))

    assert judged.matches({"assignedPlans": plans}, frozenset()) is is_in
    assert "assignedPlans" in judged.attributes
    assert reading_plan(judged).filter is None


def test_the_whole_object_can_be_asked_for() -> None:
    name = f"assignedLicenses[skuId eq '{PLAN}']"
    clause = {"attribute": name, "operator": "IS NOT NULL"}
    judged = compile_scope(Scope.model_validate({"filters": [{"clauses": [clause]}]}))
    licence = {"skuId": PLAN, "disabledPlans": []}

    assert reader(name)({"assignedLicenses": [licence]}) == licence
    assert judged.matches({"assignedLicenses": [licence]}, frozenset())
    assert not judged.matches({"assignedLicenses": [{"skuId": OTHER}]}, frozenset())


def test_what_chooses_may_hold_whatever_no_bracket_is() -> None:
    name = "identities[issuer eq 'o''hara.com/x'].issuerAssignedId"
    person = {"identities": [{"issuer": "O'Hara.com/x", "issuerAssignedId": "a"}]}

    assert reader(name)(person) == "a"
    assert selected(name) == "identities"


@pytest.mark.parametrize(
    "name",
    [
        "identities[signInType eq emailAddress].issuerAssignedId",
        "identities[signInType ne 'x']",
        "identities[0]",
        "identities['x']",
        "identities[signInType eq 'x'].a.b",
        "identities[signInType eq 'x']issuer",
        "identities[a eq 'x'][b eq 'y']",
        "[a eq 'x']",
    ],
)
def test_other_ways_to_write_it_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AttributeName).validate_python(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (ADDRESS, None),
        ("identities[signInTyp eq 'x']", "identities.signInType"),
        ("identities[signInType eq 'x'].issuerAssignedID", "identities.issuerAssignedId"),
    ],
)
def test_its_fields_are_known_to_the_schema(name: str, meant: str | None) -> None:
    parts = tuple(Property(one, Kind.TEXT) for one in ("signInType", "issuer", "issuerAssignedId"))
    schema = [Property("identities", Kind.OBJECT, is_list=True, parts=parts)]
    problems = unknown_attributes([("here", name)], schema)

    assert [f"Did you mean {meant}?" in one.message for one in problems] == [True] * bool(meant)

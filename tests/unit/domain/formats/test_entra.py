"""Entra's provisioning schema to ours: what is taken, what is noted, and that nothing vanishes."""

from typing import Any

import pytest

from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import Invalid
from sync_core.domain.formats.entra import import_schema
from sync_core.domain.formats.parts import Imported
from sync_core.domain.mapping.compile import compile_mapping, mapping_problems
from sync_core.domain.scope.compile import scope_problems
from tests.unit.builders import NO_GROUPS, NOW, connection
from tests.unit.domain.formats.entra_schema import (
    ENTERPRISE,
    GROUPS,
    WHOLE,
    Json,
    attribute,
    clause,
    constant,
    function,
    mapped,
    schema,
    scope,
    users,
)

HERE = "synchronizationRules[0].objectMappings[0]"


def ready(imported: Imported) -> Connection:
    """Put the result into a connection, as an administrator would."""
    parts = {"scope": imported.scope, "mapping": imported.mapping, "matching": imported.matching}
    made = connection(**parts)
    assert scope_problems(made.scope) == []
    assert mapping_problems(made.mapping) == []
    return made


def notes(imported: Imported) -> dict[str, str]:
    """Give the notes by path, without those that every schema gets."""
    told = {}
    for one in imported.notes:
        told[one.path.removeprefix(HERE).removeprefix(".")] = one.message
    return told


def taken(*mappings: Json) -> Imported:
    return import_schema(schema(users(*mappings)))


def filters_of(*groups: list[Json], **changes: Any) -> tuple[list[Any], dict[str, str]]:
    name = mapped("userName", attribute("userPrincipalName"))
    imported = import_schema(schema(users(name, scope=scope(*groups, **changes))))
    ready(imported)
    return [one["clauses"] for one in imported.scope["filters"]], notes(imported)


# --- the whole of it ------------------------------------------------------------------------------


def test_a_whole_schema_becomes_a_connection() -> None:
    imported = import_schema(WHOLE)

    ready(imported)
    assert imported.matching == ["userName", "email"]
    assert imported.mapping == [
        {"target": "userName", "source": "userPrincipalName", "whenNull": "keep"},
        {"target": "displayName", "source": "displayName", "whenNull": "keep"},
        {"target": "title", "source": "jobTitle", "whenNull": "default", "default": "Employee"},
        {
            "target": "email",
            "expression": "Coalesce([mail], [originalUserPrincipalName])",
            "whenNull": "keep",
        },
        {"target": "givenName", "source": "givenName", "whenNull": "keep"},
        {"target": "familyName", "source": "surname", "whenNull": "keep"},
        {
            "target": "formattedName",
            "expression": 'Join(" ", [givenName], [surname])',
            "whenNull": "keep",
        },
        {"target": "workPhone", "source": "telephoneNumber", "whenNull": "keep"},
        {"target": "mobilePhone", "source": "mobile", "whenNull": "keep"},
        {"target": "country", "source": "country", "whenNull": "keep"},
        {"target": "externalId", "source": "objectId", "whenNull": "keep", "apply": "create"},
        {"target": "employeeNumber", "source": "employeeId", "whenNull": "keep"},
        {"target": "manager", "source": "manager", "whenNull": "keep"},
        {"target": "timezone", "constant": "Europe/Zurich", "apply": "create"},
        {"target": "source", "constant": "Entra"},
    ]


def test_the_scope_of_a_whole_schema() -> None:
    imported = import_schema(WHOLE)

    assert (imported.scope["guests"], imported.scope["everyone"]) == ("exclude", False)
    assert [one["clauses"] for one in imported.scope["filters"]] == [
        [
            {"attribute": "department", "operator": "EQUALS", "value": "Sales"},
            {"attribute": "accountEnabled", "operator": "IS TRUE"},
        ],
        [
            {
                "attribute": "userPrincipalName",
                "operator": "NOT REGEX MATCH",
                "value": ".*@contoso\\.com",
                "nullMatches": False,
            },
            {
                "attribute": "country",
                "operator": "NOT EQUALS",
                "value": "Peru",
                "nullMatches": False,
            },
            {"attribute": "employeeId", "operator": "GREATER_THAN_OR_EQUALS", "value": "1000"},
        ],
        [
            {"attribute": "mail", "operator": "ENDS WITH", "value": "@contoso.com"},
            {"attribute": "jobTitle", "operator": "IS NOT NULL"},
        ],
    ]


def test_every_mapping_of_a_whole_schema_is_taken_or_noted() -> None:
    """Nothing vanishes: what has no rule has a note at its very path."""
    imported = import_schema(WHOLE)

    given = WHOLE["synchronizationRules"][0]["objectMappings"][1]["attributeMappings"]
    here = "synchronizationRules[0].objectMappings[1].attributeMappings"
    noted = {one.path for one in imported.notes}
    lost = [n for n in range(len(given)) if f"{here}[{n}]" in noted]
    assert len(imported.mapping) + len(lost) == len(given)
    assert [given[n]["targetAttributeName"] for n in lost] == [
        "active",
        'roles[primary eq "True"].value',
    ]
    assert "synchronizationRules[0].objectMappings[0]" in noted
    assert "synchronizationRules[0].objectMappings[1].scope.groups[3]" in noted


def test_the_imported_mapping_maps_people() -> None:
    rules = ready(import_schema(WHOLE)).mapping
    person = {
        "id": "a1",
        "userPrincipalName": "ann@contoso.com",
        "givenName": "Ann",
        "surname": "Lee",
        "businessPhones": ["+41 44"],
        "mobilePhone": "+41 79",
    }

    mapped_person = compile_mapping(rules).to_mapped(person, NO_GROUPS, NOW)

    assert mapped_person is not None
    assert mapped_person.values == {
        "userName": "ann@contoso.com",
        "title": "Employee",
        "email": "ann@contoso.com",
        "givenName": "Ann",
        "familyName": "Lee",
        "formattedName": "Ann Lee",
        "workPhone": "+41 44",
        "mobilePhone": "+41 79",
        "externalId": "a1",
        "timezone": "Europe/Zurich",
        "source": "Entra",
    }
    assert {"displayName", "country", "employeeNumber"} <= mapped_person.kept


# --- scope ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("EQUALS", "EQUALS"),
        ("equals", "EQUALS"),
        ("NOT EQUALS", "NOT EQUALS"),
        ("NOT_EQUALS", "NOT EQUALS"),
        ("REGEX MATCH", "REGEX MATCH"),
        ("NOT REGEX MATCH", "NOT REGEX MATCH"),
        ("Greater_Than", "GREATER_THAN"),
        ("Greater_Than_OR_EQUALS", "GREATER_THAN_OR_EQUALS"),
        ("Includes", "INCLUDES"),
        ("ENDS_WITH", "ENDS WITH"),
    ],
)
def test_operators_with_a_value(given: str, expected: str) -> None:
    [[taken_over]], _ = filters_of([clause("employeeId", given, "7")])

    assert (taken_over["operator"], taken_over["value"]) == (expected, "7")
    assert ("nullMatches" in taken_over) is expected.startswith("NOT")


@pytest.mark.parametrize("given", ["IS TRUE", "IS FALSE", "IS NULL", "IS NOT NULL", "is_not_null"])
def test_operators_without_a_value(given: str) -> None:
    [[taken_over]], _ = filters_of([clause("mail", given, "")])

    assert taken_over == {"attribute": "mail", "operator": given.replace("_", " ").upper()}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(clause("a", "&", "6"), "the operator '&'", id="bits"),
        pytest.param(clause("a", "!&", "6"), "the operator '!&'", id="no bits"),
        pytest.param(clause("a", "IsMemberOf", "x"), "'IsMemberOf'", id="membership"),
        pytest.param({"sourceOperandName": "a"}, "the operator ''", id="no operator"),
        pytest.param(clause("appRoleAssignments", "IS NULL"), "cannot be filtered", id="roles"),
        pytest.param(clause("manager", "EQUALS", "x"), "cannot be filtered", id="manager"),
        pytest.param(clause("", "EQUALS", "x"), "cannot be filtered", id="no attribute"),
        pytest.param(clause("a", "EQUALS"), "no value, or several", id="no value"),
        pytest.param(clause("a", "EQUALS", "x", "y"), "no value, or several", id="several"),
        pytest.param(clause("a", "EQUALS", ""), "needs a value", id="empty value"),
        pytest.param(clause("a", "REGEX MATCH", "(?=x)"), "regular expression", id="pattern"),
        pytest.param(clause("a", "GREATER_THAN", "x"), "must be a number", id="no number"),
        pytest.param(
            {"operatorName": "EQUALS", "sourceOperandName": "a", "targetOperand": None},
            "no value",
            id="no operand",
        ),
    ],
)
def test_a_filter_that_cannot_be_taken_whole_is_left_out_whole(wrong: Json, words: str) -> None:
    """Without one of its tests it would choose more people than Entra did."""
    kept = clause("country", "EQUALS", "Peru")

    found, told = filters_of([kept, wrong], [kept])

    assert len(found) == 1
    assert words in told["scope.groups[0]"]
    assert "more people would come in" in told["scope.groups[0]"]


def test_a_filter_by_the_names_of_guests_is_told() -> None:
    _, told = filters_of([clause("userPrincipalName", "ENDS_WITH", "@contoso.com")])

    assert "#EXT#" in told["scope.groups[0].clauses[0]"]


def test_the_name_as_it_is_needs_no_note() -> None:
    imported = import_schema(schema(users(mapped("x", attribute("originalUserPrincipalName")))))

    assert not [note for note in imported.notes if "#EXT#" in note.message]


def test_an_empty_filter_is_left_out() -> None:
    """All of no tests are true: it would choose everybody."""
    found, told = filters_of([])

    assert found == []
    assert "at least 1 item" in told["scope.groups[0]"]


@pytest.mark.parametrize("name", ["inputFilterGroups", "categoryFilterGroups"])
def test_filters_on_top_of_the_filters_leave_nobody(name: str) -> None:
    kept = clause("country", "EQUALS", "Peru")

    found, told = filters_of([kept], **{name: [{"clauses": [kept]}]})

    assert found == []
    assert "no filter was taken" in told[f"scope.{name}"]


def test_more_filters_than_a_scope_holds_are_noted() -> None:
    found, told = filters_of(*([clause("country", "EQUALS", str(n))] for n in range(52)))

    assert len(found) == 50
    assert "at most 50 filters" in told["scope.groups[50]"]
    assert "scope.groups[51]" in told


def test_without_filters_nobody_is_chosen_and_why_is_said() -> None:
    """Who is assigned is not in a schema; choosing everybody would be a surprise."""
    imported = taken(mapped("userName", attribute("userPrincipalName")))

    told = [one.message for one in imported.notes if one.path == f"{HERE}.scope"]
    assert imported.scope == {"filters": [], "guests": "exclude", "everyone": False}
    assert any("assigned" in one for one in told)
    assert any("guests" in one for one in told)
    assert any("nobody is chosen" in one for one in told)


# --- mapping --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        pytest.param(
            mapped("active", function("Not([IsSoftDeleted])")), "", "column Status", id="active"
        ),
        pytest.param(mapped("active", attribute("IsSoftDeleted")), "", "Status", id="deleted"),
        pytest.param(
            mapped("r", function("SingleAppRoleAssignment([appRoleAssignments])")),
            "",
            "Map groups to roles",
            id="role function",
        ),
        pytest.param(
            mapped("r", attribute("appRoleAssignments")), "", "InGroup", id="role attribute"
        ),
        pytest.param(
            mapped("alias", function("SelectUniqueValue([mailNickname], [mail])")),
            "",
            "needs to know the values of everybody else",
            id="unique value",
        ),
        pytest.param(
            mapped("x", function("Nothing([mail])")), "", "line 1, column 1", id="unknown function"
        ),
        pytest.param(mapped("x", {"type": "Function"}), "", "is empty", id="no expression"),
        pytest.param(mapped("x", None), "", "nothing to write", id="nothing at all"),
        pytest.param(
            mapped("x", {"type": "Constant", "name": None}), "", "exactly one", id="no constant"
        ),
        pytest.param(mapped("x", attribute("a b c")), "", "expression cannot", id="odd attribute"),
        pytest.param(
            mapped("manager", attribute("manager")), ".source", "reference", id="manager"
        ),
        pytest.param(
            mapped("m", function("ToLower([manager])")), ".source", "reference", id="in an expression"
        ),
        pytest.param(
            mapped("x", attribute("userPrincipalName")), ".source", "#EXT#", id="names of guests"
        ),
        pytest.param(
            mapped("x", function("ToLower([userPrincipalName])")), ".source", "#EXT#", id="and inside"
        ),
        pytest.param(
            mapped("x", attribute("thumbnailPhoto")), "", "is a picture", id="a picture"
        ),
        pytest.param(
            mapped("x", attribute("mail"), defaultValue="-"),
            ".defaultValue",
            "at creation only",
            id="default",
        ),
        pytest.param(
            mapped("x", attribute("mail"), flowType="AttributeAddOnly"),
            ".flowType",
            "left alone",
            id="while empty",
        ),
        pytest.param(
            mapped("x", attribute("mail"), flowType="ValueAddOnly"),
            ".flowType",
            "never takes a value away",
            id="never removed",
        ),
        pytest.param(
            mapped("x", attribute("otherMails"), flowType="MultiValueAddOnly"),
            ".flowType",
            "never takes one away",
            id="list that grows",
        ),
        pytest.param(
            mapped("x", attribute("mail"), flowType="Sometimes"), ".flowType", "not known", id="flow"
        ),
        pytest.param(
            mapped("x", attribute("mail"), flowBehavior="FlowAlways"),
            ".flowBehavior",
            "only what differs",
            id="every cycle",
        ),
        pytest.param(
            mapped('emails[type eq "work"].value', attribute("mail")),
            ".targetAttributeName",
            "became email",
            id="another name",
        ),
    ],
)  # fmt: skip
def test_what_differs_is_noted_at_its_place(given: Json, path: str, words: str) -> None:
    imported = taken(mapped("userName", attribute("userPrincipalName")), given)

    assert words in notes(imported)[f"attributeMappings[1]{path}"]
    ready(imported)


def test_a_default_that_is_written_once_is_the_same_there_and_here() -> None:
    given = mapped("x", attribute("mail"), defaultValue="-", flowType="ObjectAddOnly")

    imported = taken(given)

    (rule,) = imported.mapping
    assert (rule["apply"], rule["whenNull"], rule["default"]) == ("create", "default", "-")
    assert not [path for path in notes(imported) if path.startswith("attributeMappings")]
    ready(imported)


def test_a_matching_attribute_that_is_lost_is_said_to_be_one() -> None:
    lost = mapped("r", function("SingleAppRoleAssignment([a])"), matchingPriority=1)

    imported = taken(lost, mapped("email", attribute("mail"), matchingPriority=2))

    assert imported.matching == ["email"]
    assert notes(imported)["attributeMappings[0]"].endswith("it was a matching attribute, too")


def test_matching_follows_the_priorities_and_not_the_list() -> None:
    imported = taken(
        mapped("b", attribute("mail"), matchingPriority=3),
        mapped("a", attribute("employeeId"), matchingPriority=1),
        mapped("c", attribute("id"), matchingPriority=None),
    )

    assert imported.matching == ["a", "b"]


def test_more_than_a_connection_holds_is_noted() -> None:
    many = [mapped(f"t{n}", attribute("mail"), matchingPriority=n + 1) for n in range(201)]

    imported = taken(*many)

    ready(imported)
    assert (len(imported.mapping), len(imported.matching)) == (200, 10)
    assert "at most 200 columns" in notes(imported)["attributeMappings[200]"]
    assert any("at most 10 keys" in one.message for one in imported.notes)


def test_what_is_the_same_for_everybody_matches_nobody() -> None:
    imported = taken(mapped("company", constant("Contoso"), matchingPriority=1))

    ready(imported)
    assert (len(imported.mapping), imported.matching) == (1, [])
    assert "same for everybody" in notes(imported)["attributeMappings[0]"]


def test_a_mapping_of_which_nothing_is_left_says_so() -> None:
    imported = taken(mapped("", None))

    assert imported.mapping == []
    assert notes(imported)[""].startswith("nothing of the mapping")
    assert notes(imported)["attributeMappings[0]"].startswith("unnamed: ")


def test_two_targets_of_one_name_become_two_columns() -> None:
    imported = taken(
        mapped("email", attribute("mail")),
        mapped('emails[type eq "work"].value', attribute("userPrincipalName")),
    )

    assert [rule["target"] for rule in imported.mapping] == ["email", "email2"]


# --- which mapping --------------------------------------------------------------------------------

NAME = mapped("userName", attribute("userPrincipalName"))


def test_only_users_of_entra_are_taken_and_the_rest_is_noted() -> None:
    second = users(mapped("other", attribute("mail")))
    document = schema(GROUPS, users(NAME, enabled=False), users(NAME), second)
    inbound = schema(users(mapped("x", attribute("WorkerID"))), sourceDirectoryName="Workday")
    document["synchronizationRules"] += inbound["synchronizationRules"]
    nameless = GROUPS | {"sourceObjectName": ""}
    off = GROUPS | {"enabled": False}
    document["synchronizationRules"][0]["objectMappings"] += [nameless, off]

    imported = import_schema(document)

    told = {one.path: one.message for one in imported.notes}
    rule = "synchronizationRules[0].objectMappings"
    assert [one["target"] for one in imported.mapping] == ["userName"]
    assert told[f"{rule}[0]"].startswith("maps Group objects")
    assert told[f"{rule}[1]"].startswith("is switched off")
    assert told[f"{rule}[3]"].startswith("maps users a second time")
    assert told[f"{rule}[4]"].startswith("maps unnamed objects")
    assert f"{rule}[5]" not in told
    assert "Workday" in told["synchronizationRules[1]"]


@pytest.mark.parametrize(
    ("flows", "words"),
    [
        pytest.param("Add, Update", ["set the four actions of policy to keep"], id="no delete"),
        pytest.param("Delete", ["does not add", "does not update"], id="delete only"),
        pytest.param("Add,Update,Delete", [], id="all"),
        pytest.param(None, [], id="the default"),
    ],
)
def test_what_entra_does_not_do_is_noted(flows: str | None, words: list[str]) -> None:
    imported = import_schema(schema(users(NAME, flowTypes=flows)))

    told = [one.message for one in imported.notes if one.path.endswith("flowTypes")]
    assert len(told) == len(words)
    assert all(word in message for word, message in zip(words, told, strict=True))


@pytest.mark.parametrize(
    ("document", "path"),
    [
        pytest.param([], "", id="a list"),
        pytest.param({}, "synchronizationRules", id="empty"),
        pytest.param({"synchronizationRules": {}}, "synchronizationRules", id="rules no list"),
        pytest.param({"synchronizationRules": [1]}, "synchronizationRules[0]", id="rule no object"),
        pytest.param(schema(GROUPS), "synchronizationRules", id="no users"),
        pytest.param(schema(users(NAME, enabled=False)), "synchronizationRules", id="switched off"),
        pytest.param(schema(users(NAME, scope=[])), f"{HERE}.scope", id="scope no object"),
        pytest.param(
            schema(users(mapped("a", None) | {"source": "[mail]"})),
            f"{HERE}.attributeMappings[0].source",
            id="source no object",
        ),
        pytest.param(
            schema(users(NAME, scope={"groups": [{"clauses": [1]}]})),
            f"{HERE}.scope.groups[0].clauses[0]",
            id="clause no object",
        ),
    ],
)
def test_what_is_no_schema_is_refused_with_its_path(document: Any, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        import_schema(document)

    assert [one.path for one in caught.value.problems] == [path]
    assert "Download" in caught.value.remedy


def test_an_enterprise_attribute_loses_its_schema() -> None:
    imported = taken(mapped(f"{ENTERPRISE}:costCenter", attribute("department")))

    assert imported.mapping[0]["target"] == "costCenter"

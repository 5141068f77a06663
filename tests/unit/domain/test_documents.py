"""The documents of the outside, field by field: names, defaults, limits, and words for what is wrong."""

from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from sync_core.domain.documents.base import Document, is_connection_id, is_run_id
from sync_core.domain.documents.connection import Connection, ConnectionInput
from sync_core.domain.documents.mapping import DEFAULT_MAPPING, MappingRule
from sync_core.domain.documents.policy import Assertion, Guard, Policy, Schedule
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Actor, Run, RunError, RunStatus, Trigger
from sync_core.domain.documents.scope import Clause, Operator, Scope
from sync_core.domain.errors import FixConnection
from tests.unit.builders import GUID, SALES, clause, connection, in_groups

FULL: dict[str, Any] = {
    "id": "contoso",
    "displayName": "Contoso",
    "enabled": True,
    "cloud": "public",
    "tenantId": "11111111-2222-3333-4444-555555555555",
    "clientId": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "credential": {
        "kind": "clientSecret",
        "secretName": "contoso-client-secret",
        "expiresOn": "2027-01-31",
    },
    "scope": {
        "filters": [
            {
                "clauses": [
                    {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [GUID, SALES]},
                    {"attribute": "department", "operator": "EQUALS", "value": "Sales"},
                ]
            }
        ],
        "nestedGroups": True,
        "guests": "exclude",
        "agents": "exclude",
        "everyone": False,
        "exclude": [],
    },
    "mapping": [
        {"target": "email", "expression": "Coalesce([mail], [userPrincipalName])"},
        {
            "target": "displayName",
            "source": "displayName",
            "whenNull": "clear",
            "apply": "always",
        },
    ],
    "matching": ["email"],
    "policy": {
        "leftScope": "disable",
        "accountDisabled": "disable",
        "softDeleted": "disable",
        "hardDeleted": "disable",
        "graceDays": 0,
        "purgeAfterDays": None,
        "protected": [],
        "guard": {
            "maxRemovals": 500,
            "maxRemovalPercent": 20,
            "maxGroupLossPercent": 50,
            "maxDeletes": 20,
            "maxCreates": 500,
            "maxCreatePercent": 50,
            "maxBlankedPercent": 10,
            "maxRewrittenPercent": 30,
            "windowHours": 24,
        },
    },
    "assertions": [],
    "schedule": {"automatic": True, "everyMinutes": 60, "fullEveryHours": 24},
    "realtime": True,
}
DEFAULTS: dict[str, Any] = {
    "enabled": True,
    "cloud": "public",
    "credential": {
        "kind": "clientSecret",
        "secretName": None,
        "secretVersion": None,
        "expiresOn": None,
    },
    "scope": {
        "filters": [],
        "nestedGroups": True,
        "guests": "exclude",
        "agents": "exclude",
        "everyone": False,
        "exclude": [],
    },
    "matching": [],
    "policy": FULL["policy"],
    "schedule": FULL["schedule"],
    "realtime": False,
}


def refused(document: dict[str, Any], kind: type[Document] = Connection) -> list[str]:
    """Give what is said about a document that is not taken."""
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(document)
    return [
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
        for one in caught.value.errors(include_url=False)
    ]


def test_the_published_example_is_taken_and_given_back() -> None:
    """Every field comes back under its own name with its own value."""
    back = Connection.model_validate_json(orjson.dumps(FULL)).to_json()
    empty_rule = {"source": None, "constant": None, "expression": None, "default": None}
    applied = {"whenNull": "clear", "apply": "always"}

    assert back == FULL | {
        "credential": FULL["credential"] | {"secretVersion": None},
        "mapping": [empty_rule | applied | rule for rule in FULL["mapping"]],
    }


def test_a_document_reads_what_it_writes() -> None:
    document = Connection.model_validate(FULL)

    assert Connection.model_validate(document.to_json()) == document
    assert Connection.model_validate_json(orjson.dumps(document.to_json())) == document


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_not_said_has_its_default(name: str) -> None:
    assert connection().to_json()[name] == DEFAULTS[name]


def test_without_a_mapping_the_usual_targets_are_filled() -> None:
    targets = [rule.target for rule in connection().mapping]

    assert connection().mapping == DEFAULT_MAPPING
    assert targets == [
        "userName",
        "email",
        "givenName",
        "familyName",
        "displayName",
        "department",
        "jobTitle",
        "employeeId",
        "mobilePhone",
        "preferredLanguage",
    ]


def test_documents_do_not_share_their_defaults() -> None:
    connection().policy.protected.append("ann@contoso.com")
    connection().mapping.clear()

    assert connection().policy.protected == []
    assert connection().mapping == DEFAULT_MAPPING


@pytest.mark.parametrize("name", ["id", "displayName", "clientId"])
def test_three_fields_are_required(name: str) -> None:
    document = {key: value for key, value in FULL.items() if key != name}

    assert refused(document) == [f"{name}: Field required"]


@pytest.mark.parametrize(
    ("part", "path"),
    [
        pytest.param({"nonsense": 1}, "nonsense", id="connection"),
        pytest.param({"credential": {"nonsense": 1}}, "credential.nonsense", id="credential"),
        pytest.param({"scope": {"nonsense": 1}}, "scope.nonsense", id="scope"),
        pytest.param(
            {"scope": {"filters": [{"clauses": [in_groups(SALES)], "nonsense": 1}]}},
            "scope.filters.0.nonsense",
            id="filter",
        ),
        pytest.param(
            {"scope": {"filters": [{"clauses": [in_groups(SALES) | {"nonsense": 1}]}]}},
            "scope.filters.0.clauses.0.nonsense",
            id="clause",
        ),
        pytest.param(
            {"mapping": [{"target": "a", "source": "b", "nonsense": 1}]},
            "mapping.0.nonsense",
            id="mapping",
        ),
        pytest.param({"policy": {"nonsense": 1}}, "policy.nonsense", id="policy"),
        pytest.param({"policy": {"guard": {"nonsense": 1}}}, "policy.guard.nonsense", id="guard"),
        pytest.param({"schedule": {"nonsense": 1}}, "schedule.nonsense", id="schedule"),
    ],
)
def test_unknown_fields_are_refused_everywhere(part: dict[str, Any], path: str) -> None:
    assert refused(FULL | part) == [f"{path}: Extra inputs are not permitted"]


def test_a_tenant_may_be_learnt_later() -> None:
    """From the administrator's consent; nothing can be read before."""
    unknown = connection(tenantId=None)

    assert connection().known_tenant() == GUID
    with pytest.raises(FixConnection, match="not connected to a tenant yet") as caught:
        unknown.known_tenant()
    assert "/api/consent/start?connection=contoso" in caught.value.remedy


GUIDS = [
    pytest.param(GUID, True, id="guid"),
    pytest.param(GUID.upper(), True, id="upper case"),
    pytest.param(f"{{{GUID}}}", False, id="braces"),
    pytest.param(GUID.replace("-", ""), False, id="without hyphens"),
    pytest.param(GUID[:-1], False, id="one digit short"),
    pytest.param(GUID + "0", False, id="one digit more"),
    pytest.param("g" + GUID[1:], False, id="no hex digit"),
    pytest.param("１" + GUID[1:], False, id="digit of another script"),
    pytest.param(GUID + "\n", False, id="line break at the end"),
    pytest.param(" " + GUID, False, id="blank before"),
    pytest.param("", False, id="empty"),
]


@pytest.mark.parametrize(("value", "good"), GUIDS)
def test_client_ids(value: str, good: bool) -> None:
    if good:
        assert connection(clientId=value).client_id == value.lower()
    else:
        assert "must be a GUID" in refused(FULL | {"clientId": value})[0]


@pytest.mark.parametrize(
    ("value", "good"),
    [
        *GUIDS[:2],
        pytest.param("Contoso.onmicrosoft.com", True, id="domain"),
        pytest.param("a.co", True, id="shortest domain"),
        pytest.param("xn--mller-kva.example", True, id="domain in punycode"),
        pytest.param("a" * 63 + ".com", True, id="longest label"),
        pytest.param("a" * 64 + ".com", False, id="label too long"),
        pytest.param(".".join(["a" * 60] * 5) + ".com", False, id="domain too long"),
        pytest.param("contoso", False, id="no dot"),
        pytest.param("-contoso.com", False, id="hyphen at the begin"),
        pytest.param("contoso-.com", False, id="hyphen at the end of a label"),
        pytest.param("contoso..com", False, id="two dots"),
        pytest.param("contoso.c", False, id="short end"),
        pytest.param("contoso.com\n", False, id="line break at the end"),
        pytest.param("contoſo.com", False, id="letter that folds to ASCII"),
        pytest.param("https://contoso.com", False, id="address"),
        pytest.param("common", False, id="no tenant of one's own"),
        *GUIDS[2:],
    ],
)
def test_tenant_ids(value: str, good: bool) -> None:
    if good:
        assert connection(tenantId=value).tenant_id == value.lower()
    else:
        assert "verified domains" in refused(FULL | {"tenantId": value})[0]


@pytest.mark.parametrize(
    ("value", "good"),
    [
        pytest.param("a", True, id="one letter"),
        pytest.param("contoso-2", True, id="usual"),
        pytest.param("a" * 48, True, id="longest"),
        pytest.param("a" * 49, False, id="too long"),
        pytest.param("", False, id="empty"),
        pytest.param("Contoso", False, id="upper case"),
        pytest.param("-a", False, id="hyphen at the begin"),
        pytest.param("a-", False, id="hyphen at the end"),
        pytest.param("a/b", False, id="not allowed in a key"),
        pytest.param("a\n", False, id="line break"),
        pytest.param("ä", False, id="not ASCII"),
    ],
)
def test_connection_ids(value: str, good: bool) -> None:
    if good:
        assert connection(id=value).id == value
        assert SyncRequest(connection_id=value, trigger=Trigger.TIMER).connection_id == value
    else:
        assert refused(FULL | {"id": value})[0].startswith("id:")
        assert refused({"connectionId": value, "trigger": "timer"}, SyncRequest)


def inside(*path: str, value: Any) -> dict[str, Any]:
    """Give the full document with one value changed."""
    head, *rest = path
    changed = inside_of(FULL[head], rest, value) if rest else value
    return FULL | {head: changed}


def inside_of(document: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    head, *rest = path
    return document | {head: inside_of(document[head], rest, value) if rest else value}


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        pytest.param("displayName", ["a", "a" * 200], ["", "a" * 201, None, 5], id="displayName"),
        pytest.param("enabled", [True, False], [None, "perhaps", 7], id="enabled"),
        pytest.param(
            "cloud",
            ["public", "usGov", "usGovDoD", "china"],
            ["germany", "Public", None],
            id="cloud",
        ),
        pytest.param(
            "credential.kind",
            ["clientSecret", "certificate", "federated", "managedIdentity"],
            ["secret", None],
            id="kind",
        ),
        pytest.param(
            "credential.secretName",
            [None, "a", "A-1", "a" * 127],
            ["", "a_b", "a/b", "a" * 128],
            id="secretName",
        ),
        pytest.param(
            "credential.expiresOn", [None, "2027-01-31"], ["2027-02-30", "soon"], id="expiresOn"
        ),
        pytest.param("scope.nestedGroups", [True, False], [None], id="nestedGroups"),
        pytest.param("scope.guests", ["exclude", "include", "only"], ["none", None], id="guests"),
        pytest.param("scope.agents", ["exclude", "include", "only"], ["none", None], id="agents"),
        pytest.param("scope.everyone", [True, False], [None], id="everyone"),
        pytest.param("scope.filters", [[]], [None, {}, [{}], [{"clauses": []}]], id="filters"),
        pytest.param("mapping", [], [[], None, [{}]], id="mapping"),
        pytest.param("matching", [[], ["email"]], [None, ["Email"], ["mail"]], id="matching"),
        *(
            pytest.param(f"policy.{name}", ["disable", "delete", "keep"], ["block", None], id=name)
            for name in ("leftScope", "accountDisabled", "softDeleted", "hardDeleted")
        ),
        pytest.param("policy.graceDays", [0, 365], [-1, 366, 1.5, None], id="graceDays"),
        pytest.param("policy.purgeAfterDays", [None, 1, 3650], [0, 3651], id="purgeAfterDays"),
        pytest.param(
            "policy.protected",
            [[], ["a"] * 1000],
            [None, "a", [""], [" "], ["a"] * 1001],
            id="protected",
        ),
        pytest.param(
            "policy.guard.maxRemovals",
            [None, 0, 10**9],
            [-1, 0.5, 10**9 + 1, 1e21],
            id="maxRemovals",
        ),
        pytest.param(
            "policy.guard.maxRemovalPercent",
            [None, 0, 0.5, 100],
            [-0.1, 100.1, float("nan")],
            id="maxRemovalPercent",
        ),
        pytest.param("policy.guard.maxCreates", [None, 0, 10**9], [-1, 10**9 + 1], id="maxCreates"),
        pytest.param("policy.guard.maxDeletes", [None, 0, 10**9], [-1, 1.5], id="maxDeletes"),
        pytest.param(
            "policy.guard.maxCreatePercent", [None, 0, 100], [-1, 101], id="maxCreatePercent"
        ),
        pytest.param("policy.guard.windowHours", [1, 168], [0, 169, None], id="windowHours"),
        pytest.param("schedule.automatic", [True, False], [None], id="automatic"),
        pytest.param("schedule.everyMinutes", [5, 10_080], [4, 10_081, None], id="everyMinutes"),
        pytest.param("schedule.fullEveryHours", [1, 720], [0, 721, None], id="fullEveryHours"),
        pytest.param("realtime", [True, False], [None], id="realtime"),
    ],
)
def test_values_and_limits(path: str, good: list[Any], bad: list[Any]) -> None:
    steps = path.split(".")

    for value in good:
        back: Any = Connection.model_validate(inside(*steps, value=value)).to_json()
        for step in steps:
            back = back[step]
        assert back == value
    for value in bad:
        assert all(
            problem.startswith(path) for problem in without_check(inside(*steps, value=value))
        )


def without_check(document: dict[str, Any]) -> list[str]:
    """Give the problems; one of several fields together is said of the connection as a whole."""
    return [problem.removeprefix(": Value error, ") for problem in refused(document)]


def test_protected_names_lose_the_blanks_around_them() -> None:
    """A pasted blank must not take the protection away without a word."""
    assert Policy(protected=[" ann@contoso.com\n"]).protected == ["ann@contoso.com"]


def test_secrets_are_not_shown() -> None:
    given = ConnectionInput.model_validate(
        FULL | {"credential": {"clientSecret": "hush", "certificate": "hush"}}
    )

    assert "hush" not in repr(given)
    assert "hush" not in str(given.to_json())
    assert given.credential.client_secret is not None
    assert given.credential.client_secret.get_secret_value() == "hush"


def test_a_secret_is_no_part_of_what_is_stored() -> None:
    assert refused(FULL | {"credential": {"clientSecret": "hush"}}) == [
        "credential.clientSecret: Extra inputs are not permitted"
    ]


def test_what_was_sent_is_not_repeated_in_errors() -> None:
    with pytest.raises(ValidationError) as caught:
        ConnectionInput.model_validate(FULL | {"credential": {"kind": "x", "clientSecret": 5}})

    assert "input_value" not in str(caught.value)


def test_documents_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        connection().enabled = False  # type: ignore[misc]


# --- clauses --------------------------------------------------------------------------------------


def test_the_operators_are_these() -> None:
    assert {one.value for one in Operator} == {
        "EQUALS",
        "NOT EQUALS",
        "IS TRUE",
        "IS FALSE",
        "IS NULL",
        "IS NOT NULL",
        "REGEX MATCH",
        "NOT REGEX MATCH",
        "GREATER_THAN",
        "GREATER_THAN_OR_EQUALS",
        "INCLUDES",
        "ARRAYCONTAINS",
        "NOT ARRAYCONTAINS",
        "STARTS WITH",
        "ENDS WITH",
        "IN",
    }


NO_VALUE = ["IS TRUE", "IS FALSE", "IS NULL", "IS NOT NULL"]
LISTS = ["IN", "ARRAYCONTAINS", "NOT ARRAYCONTAINS"]
ONE_VALUE = [one.value for one in Operator if one.value not in {*NO_VALUE, *LISTS}]


@pytest.mark.parametrize("operator", NO_VALUE)
def test_some_operators_take_no_value(operator: str) -> None:
    assert Clause.model_validate(clause("a", operator)).values == []
    assert "takes no value" in refused(clause("a", operator, "x"), Clause)[0]


@pytest.mark.parametrize("operator", [*LISTS, *ONE_VALUE])
@pytest.mark.parametrize("value", [None, [], "", [""], ["a", ""]])
def test_the_others_need_one(operator: str, value: Any) -> None:
    """An empty text would be part of every text and choose everybody."""
    (problem,) = refused(clause("a", operator, value), Clause)

    assert "needs a value" in problem or "takes one value" in problem


@pytest.mark.parametrize("operator", ONE_VALUE)
def test_most_take_one_value_only(operator: str) -> None:
    assert Clause.model_validate(clause("a", operator, 0)).values == [0]
    assert "takes one value, not a list" in refused(clause("a", operator, ["x"]), Clause)[0]


@pytest.mark.parametrize("operator", LISTS)
def test_some_take_a_list_or_one_value(operator: str) -> None:
    assert Clause.model_validate(clause("a", operator, ["x", 1, False])).values == ["x", 1, False]
    assert Clause.model_validate(clause("a", operator, "x")).values == ["x"]


@pytest.mark.parametrize("value", [True, False, 1, 1.5, "1", -(2**63), 2**63 - 1, "true"], ids=repr)
def test_a_value_keeps_its_type(value: Any) -> None:
    given = Clause.model_validate(clause("a", "EQUALS", value))

    assert given.to_json()["value"] == value
    assert type(given.value) is type(value)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {"a": 1}, [[1]]], ids=repr)
def test_values_that_no_document_can_hold(value: Any) -> None:
    assert refused(clause("a", "IN", value), Clause)


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**63])
def test_whole_numbers_of_more_than_64_bits_are_rounded(value: int) -> None:
    """JSON and Table Storage cannot carry them as they are."""
    given = Clause.model_validate(clause("a", "EQUALS", value))

    assert orjson.loads(orjson.dumps(given.to_json()))["value"] == float(value)


@pytest.mark.parametrize(
    ("attribute", "good"),
    [
        pytest.param("department", True, id="property"),
        pytest.param("a.b", True, id="dot"),
        pytest.param("onPremisesExtensionAttributes/extensionAttribute1", True, id="slash"),
        pytest.param("extension_0123456789abcdef0123456789abcdef_costCenter", True, id="extension"),
        pytest.param("a.b.c", False, id="two dots"),
        pytest.param("", False, id="empty"),
        pytest.param("a b", False, id="blank"),
        pytest.param("1a", False, id="digit at the begin"),
        pytest.param("a,b", False, id="would end up in $select"),
        pytest.param("a&$filter=b", False, id="would end up in the query"),
        pytest.param("a\n", False, id="line break"),
        pytest.param("a" * 129, False, id="too long"),
    ],
)
def test_attribute_names(attribute: str, good: bool) -> None:
    if good:
        assert Clause.model_validate(clause(attribute, "IS NULL")).attribute == attribute
        assert MappingRule.model_validate({"target": "a", "source": attribute}).source == attribute
    else:
        assert refused(clause(attribute, "IS NULL"), Clause)
        assert refused({"target": "a", "source": attribute}, MappingRule)


@pytest.mark.parametrize(
    ("operator", "value", "words"),
    [
        pytest.param("ARRAYCONTAINS", ["Sales"], "named by their object id", id="by name"),
        pytest.param("ARRAYCONTAINS", [SALES, 5], "named by their object id", id="by number"),
        pytest.param("NOT ARRAYCONTAINS", [SALES + "\n"], "named by their object id", id="break"),
        pytest.param("EQUALS", SALES, "ARRAYCONTAINS and NOT ARRAYCONTAINS only", id="equals"),
        pytest.param("IN", [SALES], "ARRAYCONTAINS and NOT ARRAYCONTAINS only", id="in"),
        pytest.param("IS NULL", None, "ARRAYCONTAINS and NOT ARRAYCONTAINS only", id="is null"),
    ],
)
def test_groups_are_asked_for_by_id(operator: str, value: Any, words: str) -> None:
    assert words in refused(clause("groups", operator, value), Clause)[0]


@pytest.mark.parametrize("operator", ["ARRAYCONTAINS", "NOT ARRAYCONTAINS"])
@pytest.mark.parametrize("value", [SALES, [SALES, GUID], [SALES.upper()]])
def test_group_ids_are_taken(operator: str, value: Any) -> None:
    assert Clause.model_validate(clause("groups", operator, value)).value == value


@pytest.mark.parametrize("operator", Operator)
@pytest.mark.parametrize("null_matches", [True, False])
def test_only_a_negation_is_asked_about_people_without_the_attribute(
    operator: Operator, null_matches: bool
) -> None:
    value = None if operator in NO_VALUE else "x"
    document = clause("department", operator.value, value) | {"nullMatches": null_matches}

    if operator.startswith("NOT "):
        assert Clause.model_validate(document).to_json() == document
    else:
        assert "NOT ARRAYCONTAINS, NOT EQUALS, NOT REGEX MATCH" in refused(document, Clause)[0]


@pytest.mark.parametrize("operator", ["ARRAYCONTAINS", "NOT ARRAYCONTAINS"])
def test_nobody_is_without_groups(operator: str) -> None:
    document = clause("groups", operator, [SALES]) | {"nullMatches": True}

    assert "says nothing about groups" in refused(document, Clause)[0]


def test_null_matches_is_kept_only_where_it_was_given() -> None:
    """A document of an earlier version reads, and is written, as before."""
    plain = clause("department", "NOT EQUALS", "Sales")

    assert Clause.model_validate(plain).to_json() == plain
    assert Clause.model_validate(plain | {"nullMatches": None}).to_json() == plain
    assert refused(plain | {"nullMatches": "maybe"}, Clause)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        pytest.param(GUID.upper(), GUID.upper(), id="object id"),
        pytest.param(" ann@contoso.com\n", "ann@contoso.com", id="blanks around"),
        pytest.param("O'Brien+x@contoso.com", "O'Brien+x@contoso.com", id="sign-in name"),
        pytest.param("", None, id="nothing"),
        pytest.param("  ", None, id="blank"),
        pytest.param("Ann Lee", None, id="display name"),
        pytest.param("@contoso.com", None, id="domain"),
        pytest.param("ann@", None, id="no domain"),
        pytest.param(GUID[:-1], None, id="id cut short"),
        pytest.param(5, None, id="number"),
    ],
)
def test_excluded_people_are_named_by_id_or_sign_in_name(name: Any, kept: str | None) -> None:
    """A name that can be nobody's is refused: somebody was meant to stay out."""
    if kept is None:
        assert refused({"exclude": [name]}, Scope)
    else:
        assert Scope.model_validate({"exclude": [name]}).exclude == [kept]


@pytest.mark.parametrize(("count", "good"), [(1000, True), (1001, False)])
def test_up_to_a_thousand_people_are_excluded(count: int, good: bool) -> None:
    document = {"exclude": [GUID] * count}

    if good:
        assert len(Scope.model_validate(document).exclude) == count
    else:
        assert refused(document, Scope)


@pytest.mark.parametrize(("count", "good"), [(50, True), (51, False)])
def test_a_scope_has_at_most_fifty_filters_of_fifty_clauses(count: int, good: bool) -> None:
    one = clause("a", "IS NULL")
    for filters in ([{"clauses": [one] * count}], [{"clauses": [one]}] * count):
        if good:
            assert len(Scope.model_validate({"filters": filters}).filters) == len(filters)
        else:
            assert refused({"filters": filters}, Scope)


# --- mapping --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "good"),
    [
        pytest.param("email", True, id="usual"),
        pytest.param("a", True, id="shortest"),
        pytest.param("a" * 64, True, id="longest"),
        pytest.param("a" * 65, False, id="too long"),
        pytest.param("Email", False, id="like a system column"),
        pytest.param("e_mail", False, id="underscore"),
        pytest.param("a\n", False, id="line break"),
        pytest.param("é", False, id="not ASCII"),
        pytest.param("", False, id="empty"),
    ],
)
def test_target_names(target: str, good: bool) -> None:
    document = {"target": target, "source": "mail"}
    if good:
        assert MappingRule.model_validate(document).target == target
    else:
        assert refused(document, MappingRule)[0].startswith("target:")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({}, "exactly one of", id="no source at all"),
        pytest.param({"source": "a", "constant": 1}, "exactly one of", id="source and constant"),
        pytest.param({"source": "a", "expression": "[a]"}, "exactly one of", id="and expression"),
        pytest.param({"source": "groups"}, "InGroup", id="groups"),
        pytest.param({"source": "assignedTo"}, "for scopes only", id="assignments"),
        pytest.param({"source": "a", "whenNull": "default"}, "default is given", id="no default"),
        pytest.param({"source": "a", "default": "x"}, "default is given", id="unused default"),
        pytest.param({"source": "a", "whenNull": "skip"}, "whenNull", id="unknown policy"),
        pytest.param({"source": "a", "apply": "never"}, "apply", id="unknown time"),
        pytest.param({"expression": ""}, "expression", id="empty expression"),
        pytest.param({"expression": "x" * 10_001}, "expression", id="long expression"),
    ],
)
def test_mapping_rules_that_say_nothing_or_too_much(fields: dict[str, Any], words: str) -> None:
    assert words in refused({"target": "a", **fields}, MappingRule)[0]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"source": "mail"}, id="source"),
        pytest.param({"constant": "x"}, id="constant"),
        pytest.param({"constant": False}, id="false is a constant"),
        pytest.param({"constant": 0}, id="zero is a constant"),
        pytest.param({"expression": "x" * 10_000}, id="longest expression"),
        pytest.param({"source": "a", "whenNull": "keep"}, id="keep"),
        pytest.param({"source": "a", "whenNull": "default", "default": False}, id="default"),
        pytest.param({"source": "a", "apply": "create"}, id="once"),
    ],
)
def test_mapping_rules_that_are_taken(fields: dict[str, Any]) -> None:
    back = MappingRule.model_validate({"target": "a", **fields}).to_json()

    assert {name: back[name] for name in fields} == fields


def test_a_target_is_filled_once() -> None:
    rules = [{"target": name, "source": "mail"} for name in ("b", "a", "b", "c", "a")]

    assert refused(FULL | {"mapping": rules, "matching": []}) == [
        ": Value error, a target is mapped once; doubled: a, b"
    ]


def test_matching_names_mapped_targets() -> None:
    assert refused(FULL | {"matching": ["mail", "email", "upn"]}) == [
        ": Value error, matching names targets that no mapping fills: mail, upn"
    ]


def test_matching_names_no_constants() -> None:
    """A value that everybody has would let everybody wait."""
    rules = [{"target": "kind", "constant": "human"}, {"target": "email", "source": "mail"}]

    assert refused(FULL | {"mapping": rules, "matching": ["email", "kind"]}) == [
        ": Value error, matching names targets that are the same for everybody: kind"
    ]


# --- run ------------------------------------------------------------------------------------------


def test_a_run_as_the_api_gives_it() -> None:
    started = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    run = Run(id="r", connection_id="c", trigger=Trigger.WEBHOOK, requested_at=started)

    assert run.to_json() == {
        "id": "r",
        "connectionId": "c",
        "trigger": "webhook",
        "by": None,
        "mode": "full",
        "modeReason": None,
        "status": "queued",
        "requestedAt": "2026-05-04T03:02:01Z",
        "note": None,
        "results": None,
        "startedAt": None,
        "finishedAt": None,
        "counts": dict.fromkeys(
            [
                "read",
                "inScope",
                "created",
                "updated",
                "reenabled",
                "disabled",
                "deleted",
                "unchanged",
                "active",
                "blocked",
                "failed",
                "held",
                "linked",
                "unconfirmed",
                "candidates",
                "looks",
                "contradictions",
                "drift",
            ],
            0,
        ),
        "countsAtLeast": False,
        "columns": {},
        "graph": {
            "requests": 0,
            "throttled": 0,
            "retried": 0,
            "bytes": 0,
            "deltaPages": 0,
            "emptyDeltaPages": 0,
            "units": 0,
            "waitedSeconds": 0.0,
        },
        "planHash": None,
        "errors": [],
        "warnings": [],
        "error": None,
    }


def test_errors_of_a_run_are_sentences_with_codes() -> None:
    document = {
        "id": "r",
        "connectionId": "c",
        "trigger": "manual",
        "requestedAt": "2026-05-04T03:02:01Z",
        "errors": [{"objectId": "o", "code": "record.refused", "message": "No."}],
        "error": {"code": "guard.held", "message": "Too many.", "remedy": "Look."},
    }
    back = Run.model_validate(document).to_json()

    assert {name: back[name] for name in document} == document


@pytest.mark.parametrize(
    ("status", "final"),
    [
        ("queued", False),
        ("running", False),
        ("succeeded", True),
        ("partial", True),
        ("held", True),
        ("failed", True),
        ("rejected", True),
    ],
)
def test_a_run_ends_once(status: str, final: bool) -> None:
    assert RunStatus(status).is_final is final
    assert len(RunStatus) == 7


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Trigger, "timer manual webhook lifecycle import approval undo person byHand"),
        (RunStatus, "queued running succeeded partial held failed rejected"),
    ],
)
def test_words_of_a_run(kind: type[Trigger] | type[RunStatus], names: str) -> None:
    assert [one.value for one in kind] == names.split()


def test_a_run_is_copied_with_changes() -> None:
    run = Run(id="r", connection_id="c", trigger=Trigger.TIMER, requested_at=datetime.now(UTC))
    changed = run.replaced(status=RunStatus.RUNNING)

    assert (run.status, changed.status) == (RunStatus.QUEUED, RunStatus.RUNNING)
    assert changed.id == "r"


def test_an_error_of_a_run_has_its_code_and_remedy() -> None:
    error = FixConnection("graph.forbidden", "Graph refused it.", "Grant it.")

    assert RunError.of(error).to_json() == {
        "code": "graph.forbidden",
        "message": "Graph refused it.",
        "remedy": "Grant it.",
    }


@pytest.mark.parametrize("mode", ["auto", "full", "incremental"])
def test_a_request_crosses_the_queue(mode: str) -> None:
    by = {"objectId": None, "name": "Ann"}
    document: dict[str, Any] = {"connectionId": "c", "trigger": "manual", "mode": mode}
    document |= {"runId": "r", "by": by, "askedAt": "2026-11-30T07:00:00Z"}

    request = SyncRequest.model_validate_json(orjson.dumps(document))

    assert request.to_json() == document | {"purpose": "sync", "events": []}
    assert SyncRequest.model_validate_json(request.model_dump_json(by_alias=True)) == request


def test_a_request_needs_a_connection_and_a_reason() -> None:
    assert refused({}, SyncRequest) == [
        "connectionId: Field required",
        "trigger: Field required",
    ]
    assert refused({"connectionId": "c", "trigger": "timer", "mode": "users"}, SyncRequest)


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        pytest.param({}, "give exactly one", id="nothing"),
        pytest.param({"atLeast": 1, "atMost": 2}, "give exactly one", id="two at once"),
        pytest.param({"in": "Ann"}, "by object id or user principal name", id="a name"),
        pytest.param({"in": "*@contoso.com"}, "only never takes a pattern", id="a pattern"),
        pytest.param({"where": {"role": "a"}}, "give exactly one", id="whom, and not how many"),
        pytest.param(
            {"in": GUID, "where": {"role": "a"}}, "whom atLeast or atMost", id="one of whom"
        ),
        pytest.param({"atLeast": 1, "where": {}}, "at least 1 item", id="of nothing"),
        pytest.param({"atLeast": 1, "where": {"Status": "a"}}, "match pattern", id="no target"),
    ],
)
def test_an_assertion_says_one_thing(assertion: dict[str, Any], words: str) -> None:
    [problem] = refused(assertion, Assertion)

    assert words in problem


@pytest.mark.parametrize("value", ["", 2**31, 0.5, None, ["admin"]])
def test_an_assertion_compares_what_a_table_tells_apart(value: Any) -> None:
    assert refused({"atLeast": 1, "where": {"role": value}}, Assertion)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param({"atLeast": 1}, {}, id="not given, not shown"),
        pytest.param(
            {"atMost": 2, "where": {"role": "admin", "level": 3, "vip": True}}, None, id="where"
        ),
    ],
)
def test_an_assertion_is_given_back_as_it_was_sent(
    sent: dict[str, Any], kept: dict[str, Any] | None
) -> None:
    shown = Assertion.model_validate(sent).to_json()

    assert {name: value for name, value in shown.items() if value is not None} == sent
    assert ("where" in shown) is (kept is None)


def test_defaults_of_the_parts() -> None:
    assert Guard().to_json() == FULL["policy"]["guard"]
    assert (Schedule().every_minutes, Schedule().full_every_hours) == (60, 24)
    assert Connection.model_validate(FULL).credential.expires_on == date(2027, 1, 31)


@pytest.mark.parametrize(
    ("text", "connection", "run"),
    [
        pytest.param("contoso-2", True, True, id="both"),
        pytest.param("8233998400000-1f2e3d4c", True, True, id="a run"),
        pytest.param("Contoso", False, True, id="capital"),
        pytest.param("a" * 49, False, True, id="longer than a connection's"),
        pytest.param("a" * 65, False, False, id="longer than a run's"),
        pytest.param("", False, False, id="empty"),
        pytest.param("a/b", False, False, id="slash"),
        pytest.param("a\n", False, False, id="line break"),
        pytest.param("ä", False, False, id="letter of another script"),
    ],
)
def test_what_can_be_an_id(text: str, connection: bool, run: bool) -> None:
    """Table Storage has its own errors for keys that it cannot have."""
    assert (is_connection_id(text), is_run_id(text)) == (connection, run)


@pytest.mark.parametrize(
    ("operator", "value", "words"),
    [
        pytest.param("EQUALS", SALES, "ARRAYCONTAINS", id="another operator"),
        pytest.param(
            "ARRAYCONTAINS", ["Portal"], "object id of their service principal", id="a name"
        ),
    ],
)
def test_applications_are_named_by_the_id_of_their_service_principal(
    operator: str, value: Any, words: str
) -> None:
    assert words in refused(clause("assignedTo", operator, value), Clause)[0]


@pytest.mark.parametrize(("object_id", "key"), [("a-1", "a-1"), (None, "function key")])
def test_the_log_names_who_asked_without_what_belongs_to_a_person(
    object_id: str | None, key: str
) -> None:
    assert Actor(object_id=object_id, name="function key").key == key

"""Connections as a file, and what a file would change."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.policy import Guard
from sync_core.domain.documents.scope import NEGATIONS, WITH_LIST, WITHOUT_VALUE, Operator
from sync_core.domain.formats.config_file import (
    API_VERSION,
    MAX_CONNECTIONS,
    Action,
    FieldChange,
    differences,
    plan_changes,
    read_entries,
    to_document,
)
from sync_core.domain.formats.text import from_json, from_yaml, to_json, to_yaml
from tests.unit.builders import examples

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

JsonObject = dict[str, Any]


def connection(connection_id: str = "contoso", **changes: Any) -> Connection:
    document = {"displayName": "Contoso", "tenantId": TENANT, "clientId": CLIENT}
    return Connection.model_validate(document | {"id": connection_id} | changes)


def stored(*connections: Connection) -> dict[str, Connection]:
    return {one.id: one for one in connections}


def file_of(*documents: Any, **changes: Any) -> JsonObject:
    return {"apiVersion": API_VERSION, "connections": list(documents)} | changes


# --- generated connections ------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
traps = st.sampled_from(
    ["NO", "007", "2027-01-31", "12:30", "null", "1e3", "~", "a: b", "# x", "\n"]
)
values = words | traps | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9)
attributes = st.sampled_from(["department", "employeeId", "onPremisesSyncEnabled"])


# A name that an assertion's `in` takes as well: it holds no `*`.
letters = st.text(st.characters(codec="utf-8", exclude_characters="*"), max_size=12)
EXCLUDED_NAMES = st.uuids().map(str) | letters.map("a{}@contoso.com".format)
ASSERTIONS = (
    st.fixed_dictionaries({"in": EXCLUDED_NAMES})
    | st.fixed_dictionaries({"never": words.map("svc-{}*".format)})
    | st.fixed_dictionaries({"atLeast": st.integers(0, 9)})
    | st.fixed_dictionaries({"atMost": st.integers(0, 9)})
    | st.fixed_dictionaries(
        {
            "atLeast": st.integers(0, 9),
            "where": st.dictionaries(
                st.sampled_from(["role", "level"]),
                words | traps.filter(bool) | st.booleans() | st.integers(-9, 9),
                min_size=1,
            ),
        }
    )
)


@st.composite
def clauses(draw: st.DrawFn) -> JsonObject:
    operator = draw(st.sampled_from(Operator))
    clause: JsonObject = {"attribute": draw(attributes), "operator": operator.value}
    if operator in WITH_LIST:
        clause["value"] = draw(st.lists(values, min_size=1, max_size=3) | values)
    elif operator not in WITHOUT_VALUE:
        clause["value"] = draw(values)
    if operator in NEGATIONS and draw(st.booleans()):
        clause["nullMatches"] = draw(st.booleans())
    return clause


@st.composite
def rules(draw: st.DrawFn) -> JsonObject:
    rule: JsonObject = {"apply": draw(st.sampled_from(["always", "create"]))}
    kind = draw(st.sampled_from(["source", "constant", "expression"]))
    rule[kind] = draw({"source": attributes, "constant": values, "expression": words}[kind])
    if draw(st.booleans()):
        rule |= {"whenNull": "default", "default": draw(values)}
    return rule


limits = st.none() | st.integers(0, 1000)


@st.composite
def connections(draw: st.DrawFn) -> Connection:
    """Any connection, as far as its documents allow; whether it makes sense does not matter here."""
    mapping = [
        {"target": f"target{number}"} | rule
        for number, rule in enumerate(draw(st.lists(rules(), min_size=1, max_size=4)))
    ]
    filters = st.fixed_dictionaries({"clauses": st.lists(clauses(), min_size=1, max_size=3)})
    secret_name = st.none() | st.from_regex(r"[A-Za-z0-9-]{1,20}", fullmatch=True)
    return connection(
        draw(st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True)),
        displayName=draw(words | traps),
        enabled=draw(st.booleans()),
        cloud=draw(st.sampled_from(["public", "china"])),
        credential={
            "secretName": draw(secret_name),
            "expiresOn": draw(st.none() | st.dates().map(str)),
        },
        scope={
            "filters": draw(st.lists(filters, max_size=3)),
            "guests": draw(st.sampled_from(["exclude", "include", "only"])),
            "agents": draw(st.sampled_from(["exclude", "include", "only"])),
            "everyone": draw(st.booleans()),
            "exclude": draw(st.lists(EXCLUDED_NAMES, max_size=2)),
        },
        mapping=mapping,
        policy={
            "protected": draw(st.lists(words.filter(str.strip), max_size=2)),
            "guard": {"maxRemovals": draw(limits), "maxCreates": draw(limits)},
        },
        assertions=draw(st.lists(ASSERTIONS, max_size=3)),
    )


several = st.lists(connections(), max_size=3, unique_by=lambda one: one.id)


def from_file(document: Any) -> list[Connection]:
    entries, problems = read_entries(document)
    assert problems == []
    return [Connection.model_validate(entry.document, by_name=False) for entry in entries]


@examples(0.4)  # a connection is much to generate and to write
@given(several)
def test_what_was_exported_plans_no_change(found: list[Connection]) -> None:
    document = to_document(found)
    for read in (from_yaml(to_yaml(document).encode()), from_json(to_json(document).encode())):
        plan = plan_changes(stored(*found), from_file(read), prune=True)

        assert plan.changes == ()
        assert plan.unchanged == tuple(sorted(one.id for one in found))


@examples(0.4)  # a connection is much to generate and to write
@given(several, several, st.randoms(), st.booleans())
def test_a_plan_depends_on_what_there_is_and_not_on_its_order_or_notation(
    before: list[Connection],
    after: list[Connection],
    random: Any,
    prune: bool,
) -> None:
    document = to_document(after)
    plan = plan_changes(stored(*before), after, prune=prune)
    random.shuffle(before)
    random.shuffle(document["connections"])
    for read in (from_yaml(to_yaml(document).encode()), from_json(to_json(document).encode())):
        again = plan_changes(stored(*before), from_file(read), prune=prune)

        assert again == plan
        assert again.hash == plan.hash


@examples(0.4)  # a connection is much to generate and to write
@given(several, several)
def test_what_a_plan_leads_to_plans_no_change(
    before: list[Connection], after: list[Connection]
) -> None:
    plan = plan_changes(stored(*before), after, prune=False)
    reached = stored(*before) | stored(*after)
    again = plan_changes(reached, after, prune=False)

    assert again.changes == ()
    assert {one.connection_id for one in plan.changes} | set(plan.unchanged) == set(stored(*after))


def test_the_default_mapping_survives_a_file() -> None:
    found = [connection()]

    assert from_file(from_yaml(to_yaml(to_document(found)).encode())) == found


# --- the document ---------------------------------------------------------------------------------


def test_a_file_names_connections_by_id_and_every_setting_but_the_empty_ones() -> None:
    document = to_document(
        [
            connection("contoso", mapping=[{"target": "email", "source": "mail"}]),
            connection("adatum"),
        ]
    )

    assert document["apiVersion"] == "entra-user-sync/v1"
    assert [one["id"] for one in document["connections"]] == ["adatum", "contoso"]
    assert document["connections"][1] == {
        "id": "contoso",
        "displayName": "Contoso",
        "enabled": True,
        "cloud": "public",
        "tenantId": TENANT,
        "clientId": CLIENT,
        "credential": {"kind": "clientSecret"},
        "scope": {
            "filters": [],
            "nestedGroups": True,
            "guests": "exclude",
            "agents": "exclude",
            "everyone": False,
            "exclude": [],
        },
        "mapping": [{"target": "email", "source": "mail", "whenNull": "clear", "apply": "always"}],
        "matching": [],
        "policy": {
            "leftScope": "disable",
            "accountDisabled": "disable",
            "softDeleted": "disable",
            "hardDeleted": "disable",
            "graceDays": 0,
            "protected": [],
            "guard": LIMITS,
        },
        "assertions": [],
        "schedule": {"automatic": True, "everyMinutes": 60, "fullEveryHours": 24},
        "realtime": False,
    }


LIMITS = Guard().to_json()


def test_no_limit_is_written_out_where_the_default_is_a_limit() -> None:
    """Left out, `maxRemovals` would be 500 again."""
    policy = {"guard": {"maxRemovals": None, "maxCreates": None}}
    (document,) = to_document([connection(policy=policy)])["connections"]

    assert document["policy"]["guard"] == LIMITS | {"maxRemovals": None, "maxCreates": None}


def test_of_a_secret_the_name_and_the_end_are_exported_and_not_the_version() -> None:
    credential = {"secretName": "s", "secretVersion": "abc", "expiresOn": "2031-01-31"}
    (document,) = to_document([connection(credential=credential)])["connections"]

    assert document["credential"] == {
        "kind": "clientSecret",
        "secretName": "s",
        "expiresOn": "2031-01-31",
    }


def test_the_file_in_the_documentation_is_one() -> None:
    """It leaves out mapping, matching, policy and assertions, and says so."""
    guide = Path(__file__).parents[4] / "docs" / "config-as-code.md"
    text = guide.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    (found,) = from_file(from_yaml(text.encode()))
    written = to_document([found])

    for left_out in ("mapping", "matching", "policy", "assertions"):
        del written["connections"][0][left_out]
    assert text.partition("  # ")[0] == to_yaml(written)


# --- entries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(None, [""], id="nothing"),
        pytest.param([], [""], id="a list"),
        pytest.param({}, ["apiVersion", "connections"], id="empty"),
        pytest.param(file_of(apiVersion="v2"), ["apiVersion"], id="version to come"),
        pytest.param(file_of(apiVersion=1), ["apiVersion"], id="version as a number"),
        pytest.param(file_of(connections={}), ["connections"], id="object for a list"),
        pytest.param(file_of(conections=[]), ["conections"], id="unknown field"),
        pytest.param(file_of("x", {}, None), ["connections[0]", "connections[2]"], id="no objects"),
        pytest.param(
            file_of({"id": "a"}, {"id": "b"}, {"id": "a"}, {"id": "a"}),
            ["connections[2].id", "connections[3].id"],
            id="the same id",
        ),
        pytest.param(file_of({"id": []}, {"id": []}, {}), [], id="ids that are none"),
        pytest.param(file_of(*[{}] * MAX_CONNECTIONS), [], id="as many as allowed"),
        pytest.param(file_of(*[{}] * (MAX_CONNECTIONS + 1)), ["connections"], id="one more"),
        pytest.param(file_of({"credential": {"clientSecret": None}}), [], id="no secret"),
        pytest.param(file_of({"credential": "x"}), [], id="a credential that is none"),
        pytest.param(
            file_of({}, {"credential": {"clientSecret": "s3cret", "certificate": "s3cret"}}),
            ["connections[1].credential.clientSecret", "connections[1].credential.certificate"],
            id="secrets",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(document: Any, expected: list[str]) -> None:
    entries, problems = read_entries(document)

    assert [one.path for one in problems] == expected
    assert all(one.message for one in problems)
    assert "s3cret" not in str(problems) + str(entries)


def test_a_secret_in_a_file_is_refused_with_what_to_do() -> None:
    _, (problem,) = read_entries(file_of({"credential": {"certificate": "-----BEGIN"}}))

    assert "PATCH /api/connections/{id} with credential.certificate" in problem.message


# --- the plan -------------------------------------------------------------------------------------


def test_a_plan_creates_updates_and_leaves_the_others_alone() -> None:
    before = stored(connection("a"), connection("b"), connection("old"))
    after = [connection("new"), connection("b"), connection("a", schedule={"everyMinutes": 5})]
    plan = plan_changes(before, after, prune=False)

    assert [(one.connection_id, one.action) for one in plan.changes] == [
        ("a", Action.UPDATE),
        ("new", Action.CREATE),
    ]
    assert plan.changes[0].fields == (FieldChange("schedule.everyMinutes", 60, 5),)
    assert plan.unchanged == ("b",)
    assert plan.not_in_file == ("old",)
    assert [plan.count(action) for action in Action] == [1, 1, 0]


def test_a_creation_shows_what_will_be_stored() -> None:
    (change,) = plan_changes({}, [connection(enabled=False)], prune=False).changes
    shown = {one.path: (one.old, one.new) for one in change.fields}

    assert shown["enabled"] == (None, False)
    assert shown["scope"][1]["guests"] == "exclude"


def test_prune_disables_what_is_not_named_and_not_disabled_already() -> None:
    before = stored(connection("a"), connection("b", enabled=False), connection("c"))
    plan = plan_changes(before, [connection("c")], prune=True)

    (change,) = plan.changes
    assert (change.connection_id, change.action) == ("a", Action.DISABLE)
    assert change.fields == (FieldChange("enabled", old=True, new=False),)
    assert plan.not_in_file == ("b",)


def test_the_hash_changes_with_what_would_be_written() -> None:
    after = [connection(realtime=True)]
    plans = [
        plan_changes({}, after, prune=False),
        plan_changes(stored(connection()), after, prune=False),
        plan_changes(stored(connection(displayName="Old")), after, prune=False),
        plan_changes(stored(connection(displayName="Older")), after, prune=False),
        plan_changes(stored(*after), after, prune=False),
    ]

    assert len({plan.hash for plan in plans}) == len(plans)


def test_a_default_that_was_never_stored_is_no_change() -> None:
    """The default percentage is the whole number 20; loaded from JSON it is 20.0."""
    loaded = Connection.model_validate_json(connection().model_dump_json(by_alias=True))
    written = connection(policy={"guard": {"maxRemovalPercent": 20}})

    assert plan_changes(stored(loaded), [connection()], prune=False).changes == ()
    assert plan_changes(stored(connection()), [written], prune=False).changes == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="same"),
        pytest.param({"a": 1}, {"b": 1}, [("b", None, 1), ("a", 1, None)], id="other name"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)], id="deep inside"),
        pytest.param({"a": True}, {"a": 1}, [("a", True, 1)], id="true is not one"),
        pytest.param({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)], id="one is not 1.0"),
        pytest.param({"a": []}, {"a": {}}, [("a", [], {})], id="another kind"),
        pytest.param([1, 2], [1, 2, 3], [("[2]", None, 3)], id="added at the end"),
        pytest.param([1, 2, 3], [1, 3], [("[1]", 2, None)], id="taken out of the middle"),
        pytest.param([2, 3], [1, 2, 3], [("[0]", None, 1)], id="added at the beginning"),
        pytest.param([1, 2, 3], [1, 9, 3], [("[1]", 2, 9)], id="one of several"),
        pytest.param([1, 1], [1], [("[1]", 1, None)], id="one of two alike"),
        pytest.param([{"a": 1, "b": 2}], [{"a": 1, "b": 3}], [("[0].b", 2, 3)], id="in a list"),
        pytest.param([], [], [], id="empty lists"),
    ],
)
def test_differences(old: Any, new: Any, expected: list[tuple[str, Any, Any]]) -> None:
    found = [(one.path, one.old, one.new) for one in differences(old, new)]

    assert found == expected
    assert [type(one[2]) for one in found] == [type(one[2]) for one in expected]

"""What is copied: from attributes to values and a digest, or a record that is refused with reasons."""

import math
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.attributes import with_reference
from sync_core.domain.documents.mapping import DEFAULT_MAPPING, MappingRule
from sync_core.domain.errors import FixConnection, RecordRejected
from sync_core.domain.expressions import EvaluationError
from sync_core.domain.expressions.context import InTime, unlimited
from sync_core.domain.mapping.compile import MAX_CHARACTERS, compile_mapping, mapping_problems
from sync_core.domain.model import Mapped
from tests.unit.builders import JSON, NO_GROUPS, NOW, SALES, mapped, rule

NAME = rule(source="displayName")


@pytest.mark.parametrize(
    ("found", "stored"),
    [
        pytest.param("Ann", "Ann", id="text"),
        pytest.param(" ", " ", id="a blank is a value"),
        pytest.param("", None, id="empty text is null"),
        pytest.param(None, None, id="null"),
        pytest.param([], None, id="empty list is null"),
        pytest.param(["a", 1], '["a",1]', id="list"),
        pytest.param({"b": 1, "a": None}, '{"a":null,"b":1}', id="object"),
        pytest.param({}, "{}", id="empty object"),
        pytest.param(True, True, id="true"),
        pytest.param(False, False, id="false"),
        pytest.param(0, 0, id="zero"),
        pytest.param(1.5, 1.5, id="decimals"),
        pytest.param(2**63 - 1, 2**63 - 1, id="largest number"),
        pytest.param(-(2**63), -(2**63), id="smallest number"),
        pytest.param("x" * MAX_CHARACTERS, "x" * MAX_CHARACTERS, id="longest text"),
        pytest.param("李😀", "李😀", id="other scripts"),
    ],
)
def test_values_as_a_column_holds_them(found: Any, stored: Any) -> None:
    value = mapped({"displayName": found}, NAME).values["name"]

    assert value == stored
    assert type(value) is type(stored)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        pytest.param("x" * (MAX_CHARACTERS + 1), "has 32001 characters", id="long text"),
        pytest.param("😀" * (MAX_CHARACTERS // 2 + 1), "has 32002 characters", id="counted twice"),
        pytest.param(["x" * MAX_CHARACTERS], "has 32004 characters", id="long list"),
        pytest.param(2**63, "too large", id="large number"),
        pytest.param(-(2**63) - 1, "too large", id="small number"),
        pytest.param(math.inf, "not a finite number", id="infinite"),
        pytest.param(-math.inf, "not a finite number", id="infinite below zero"),
        pytest.param(math.nan, "not a finite number", id="not a number"),
        pytest.param("a\ud800", "not valid text", id="half a letter"),
    ],
)
def test_a_value_that_cannot_be_stored_is_refused(found: Any, words: str) -> None:
    """By this one record: the run goes on with the others."""
    with pytest.raises(RecordRejected, match=words) as caught:
        mapped({"displayName": found}, NAME)

    assert caught.value.code == "record.valueTooLarge"
    assert caught.value.message.startswith("The value for name ")


@pytest.mark.parametrize("found", [["a\ud800"], [2**64], {"a": {1, 2}}])
def test_a_list_that_is_no_json_is_refused(found: Any) -> None:
    with pytest.raises(RecordRejected) as caught:
        mapped({"displayName": found}, NAME)

    assert caught.value.code == "record.valueInvalid"


def test_half_of_the_longest_text_may_be_of_letters_that_count_twice() -> None:
    text = "😀" * (MAX_CHARACTERS // 2)

    assert mapped({"displayName": text}, NAME).values["name"] == text


@pytest.mark.parametrize(
    ("policy", "values", "kept"),
    [
        pytest.param({}, {"name": None}, set(), id="cleared unless said otherwise"),
        pytest.param({"whenNull": "clear"}, {"name": None}, set(), id="clear"),
        pytest.param({"whenNull": "keep"}, {}, {"name"}, id="keep"),
        pytest.param({"whenNull": "default", "default": "x"}, {"name": "x"}, set(), id="default"),
        pytest.param({"whenNull": "default", "default": False}, {"name": False}, set(), id="false"),
        pytest.param({"whenNull": "default", "default": ""}, {"name": None}, set(), id="empty"),
    ],
)
@pytest.mark.parametrize("person", [{}, {"displayName": None}, {"displayName": ""}], ids=repr)
def test_what_happens_without_a_value(
    policy: dict[str, Any], values: dict[str, Any], kept: set[str], person: dict[str, Any]
) -> None:
    result = mapped(person, rule(source="displayName", **policy))

    assert (dict(result.values), set(result.kept)) == (values, kept)


@pytest.mark.parametrize(
    "policy", [{}, {"whenNull": "keep"}, {"whenNull": "default", "default": "x"}], ids=repr
)
def test_a_value_wins_over_every_null_policy(policy: dict[str, Any]) -> None:
    result = mapped({"displayName": False}, rule(source="displayName", **policy))

    assert (dict(result.values), result.kept) == ({"name": False}, frozenset())


def test_a_default_that_cannot_be_stored_refuses_the_record() -> None:
    long = rule(source="displayName", whenNull="default", default="x" * (MAX_CHARACTERS + 1))

    with pytest.raises(RecordRejected, match="characters"):
        mapped({}, long)


@pytest.mark.parametrize(
    ("how", "value"),
    [
        pytest.param({"source": "mail"}, "ann@contoso.com", id="source"),
        pytest.param({"source": "employeeOrgData.division"}, "West", id="source inside another"),
        pytest.param({"source": "extensionAttribute1"}, "ext", id="source by Entra's name"),
        pytest.param({"constant": "x"}, "x", id="constant"),
        pytest.param({"constant": False}, False, id="false as constant"),
        pytest.param({"expression": 'Append([mail], "!")'}, "ann@contoso.com!", id="expression"),
        pytest.param({"expression": f'InGroup("{SALES}")'}, True, id="group"),
        pytest.param({"expression": "Now()"}, "5/4/2026 3:02:01 AM", id="time of the run"),
    ],
)
def test_where_values_come_from(how: dict[str, Any], value: Any) -> None:
    person = {
        "mail": "ann@contoso.com",
        "employeeOrgData": {"division": "West"},
        "onPremisesExtensionAttributes": {"extensionAttribute1": "ext"},
    }

    assert mapped(person, rule(**how), groups=frozenset({SALES})).values == {"name": value}


def test_an_expression_may_leave_the_target_as_it_is() -> None:
    result = mapped({}, rule(expression="IgnoreFlowIfNullOrEmpty([department])"))

    assert (dict(result.values), result.kept) == ({}, frozenset({"name"}))


def test_an_expression_may_skip_the_person() -> None:
    rules = [rule("a", source="mail"), rule("b", expression="IgnoreObjectFlow")]

    assert compile_mapping(rules).to_mapped({"mail": "x"}, NO_GROUPS, NOW) is None


def test_an_expression_that_fails_refuses_the_record_without_its_values() -> None:
    """The message is kept with the run, where no attribute of a person belongs."""
    with pytest.raises(RecordRejected) as caught:
        mapped({"hired": "private matter"}, rule(expression='DateAdd("d", 1, CDate([hired]))'))

    assert caught.value.code == "record.expressionFailed"
    assert caught.value.message == "The expression for name failed: A date is expected."
    assert "private" not in caught.value.remedy


def test_what_a_mapping_needs_is_known_before_reading() -> None:
    compiled = compile_mapping(
        [
            rule("a", source="mail"),
            rule("b", source="extensionAttribute1"),
            rule("c", expression=f'IIF(InGroup("{SALES.upper()}"), [surname], [a.b])'),
            rule("d", constant=1),
        ]
    )

    assert compiled.attributes == {"mail", "onPremisesExtensionAttributes", "surname", "a"}
    assert compiled.groups == {SALES}


def test_the_default_mapping() -> None:
    person = {
        "userPrincipalName": "ann@contoso.com",
        "mail": None,
        "givenName": "Ann",
        "surname": "Lee",
        "displayName": "Ann Lee",
        "mobilePhone": "",
    }

    assert dict(mapped(person, *DEFAULT_MAPPING).values) == {
        "userName": "ann@contoso.com",
        "email": "ann@contoso.com",
        "givenName": "Ann",
        "familyName": "Lee",
        "displayName": "Ann Lee",
        "department": None,
        "jobTitle": None,
        "employeeId": None,
        "mobilePhone": None,
        "preferredLanguage": None,
    }


GUEST = {"userPrincipalName": "ann_fabrikam.com#EXT#@contoso.com", "userType": "Guest"}


@pytest.mark.parametrize(
    ("person", "email"),
    [
        pytest.param(GUEST, None, id="a guest without any address"),
        pytest.param(GUEST | {"otherMails": []}, None, id="Graph's way to say none"),
        pytest.param(
            GUEST | {"otherMails": ["ann@fabrikam.com"]}, "ann@fabrikam.com", id="only there"
        ),
        pytest.param(
            GUEST | {"otherMails": ["b@x.com", "a@x.com"]}, "a@x.com", id="always the same one"
        ),
        pytest.param(
            GUEST | {"mail": "a@x.com", "otherMails": ["b@x.com"]}, "a@x.com", id="mail first"
        ),
        pytest.param(
            GUEST | {"userPrincipalName": "ann_x.com#ext#@contoso.com", "userType": "Member"},
            None,
            id="a guest who was made a member",
        ),
        pytest.param({"userPrincipalName": "ann@contoso.com"}, "ann@contoso.com", id="a member"),
    ],
)
def test_the_default_mapping_gives_an_address_or_none(
    person: dict[str, Any], email: str | None
) -> None:
    assert mapped(person, *DEFAULT_MAPPING).values["email"] == email


@pytest.mark.parametrize(
    ("changes", "refers", "attributes"),
    [
        pytest.param({"source": "manager"}, True, {"manager"}, id="source"),
        pytest.param({"source": "manager.mail"}, False, {"manager"}, id="a value of the manager"),
        pytest.param({"source": "manager/mail"}, False, {"manager"}, id="written with a slash"),
        pytest.param({"expression": "[manager]"}, True, {"manager"}, id="expression"),
        pytest.param(
            {"expression": "Coalesce([manager.mail], [mail])"}, False, {"manager", "mail"},
            id="a value of the manager in an expression",
        ),
        pytest.param({"constant": "manager"}, False, set(), id="a constant"),
    ],
)  # fmt: skip
def test_a_mapping_knows_whether_it_refers_to_managers(
    changes: dict[str, Any], refers: bool, attributes: set[str]
) -> None:
    compiled = compile_mapping([NAME, rule("b", **changes)])

    assert compiled.refers is refers
    assert compiled.attributes == {"displayName"} | attributes


def test_a_reference_and_values_of_the_manager_are_mapped() -> None:
    person = {"id": "p", "manager": {"id": "m", "mail": "boss@contoso.com"}}
    rules = [
        rule("a", source="manager"),
        rule("b", source="manager.mail"),
        rule("c", expression="[manager] & [manager.id] & [manager.mail]"),
    ]

    inside = mapped(with_reference(person, "m"), *rules)
    outside = mapped(with_reference(person, None), *rules)

    assert inside.values == {"a": "m", "b": "boss@contoso.com", "c": "mmboss@contoso.com"}
    assert outside.values == {"a": None, "b": "boss@contoso.com", "c": "mboss@contoso.com"}
    assert inside.digest != outside.digest


@pytest.mark.parametrize(
    ("when_null", "value", "kept"),
    [
        ({"whenNull": "clear"}, {"a": None}, set()),
        ({"whenNull": "keep"}, {}, {"a"}),
        ({"whenNull": "default", "default": "nobody"}, {"a": "nobody"}, set()),
    ],
)
def test_no_reference_is_null(
    when_null: dict[str, Any], value: dict[str, Any], kept: set[str]
) -> None:
    result = mapped(with_reference({"id": "p"}, None), rule("a", source="manager", **when_null))

    assert dict(result.values) == value
    assert set(result.kept) == kept


def test_a_value_that_graph_does_not_tell_of_a_manager_is_a_problem() -> None:
    problems = mapping_problems(
        [
            rule("a", source="manager.department"),
            rule("b", source="manager"),
            rule("c", expression="Join([manager.city], [manager.employeeId], [manager.mail])"),
        ]
    )

    assert [one.path for one in problems] == [
        "mapping[0].source",
        "mapping[2].expression",
        "mapping[2].expression",
    ]
    assert "'department'" in problems[0].message


def test_problems_are_named_with_their_path_and_place() -> None:
    problems = mapping_problems(
        [
            NAME,
            rule("b", expression="Coalesce([a]"),
            rule("c", expression="[a]"),
            rule("d", expression="X()"),
        ]
    )

    assert [one.path for one in problems] == ["mapping[1].expression", "mapping[3].expression"]
    assert all("line 1, column" in one.message for one in problems)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        pytest.param({"source": "aboutMe"}, "mapping[1].source", id="source"),
        pytest.param({"source": "mailboxSettings/timeZone"}, "mapping[1].source", id="inside"),
        pytest.param(
            {"expression": 'IIF([a] = "x", [b], [Skills])'},
            "mapping[1].expression",
            id="expression",
        ),
    ],
)
def test_what_graph_gives_one_person_at_a_time_is_refused(
    changes: dict[str, Any], path: str
) -> None:
    (problem,) = mapping_problems([NAME, rule("b", **changes)])

    assert problem.path == path
    assert "one person at a time" in problem.message


def test_a_stored_expression_that_cannot_be_used_any_more_is_named() -> None:
    with pytest.raises(FixConnection, match=r"mapping\[1\].expression: .*too large") as caught:
        compile_mapping([NAME, rule("b", expression='Replace([a], , "\\\\w{1,99}", , "")')])

    assert caught.value.code == "mapping.unusable"


def test_a_person_who_takes_too_long_is_refused_and_the_next_one_has_time_again() -> None:
    asked: list[int] = []

    def patience() -> InTime:
        asked.append(len(asked))
        return over if len(asked) == 1 else unlimited

    def over() -> None:
        raise EvaluationError("evaluation.outOfTime", "It takes longer than 5 seconds")

    compiled = compile_mapping([NAME, rule("b", expression="[mail]")], patience=patience)

    with pytest.raises(RecordRejected, match="for b failed: It takes longer than 5 seconds"):
        compiled.to_mapped({"mail": "a"}, NO_GROUPS, NOW)
    assert compiled.to_mapped({"mail": "a"}, NO_GROUPS, NOW) is not None


def test_all_that_is_wrong_with_an_expression_is_said() -> None:
    expression = "SelectUniqueValue([skills], [mySite])"

    problems = mapping_problems([rule("b", expression=expression)])

    assert [one.path for one in problems] == ["mapping[0].expression"] * 3
    assert [one.message.split()[0] for one in problems] == ["mySite", "skills", "SelectUniqueValue"]


# --- digest ---------------------------------------------------------------------------------------

ANN = {"userPrincipalName": "ann@contoso.com", "displayName": "Ann", "mail": "ann@contoso.com"}
MAIL = rule("email", source="mail")
ONCE = rule("once", source="mail", apply="create")


def digest(person: dict[str, Any], *rules: MappingRule) -> str:
    return mapped(person, *rules).digest


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        pytest.param({"displayName": "Anne"}, [NAME], id="a value"),
        pytest.param({"displayName": None}, [NAME], id="a value that went"),
        pytest.param(
            {"userPrincipalName": "anne@contoso.com"}, [NAME], id="the sign-in name alone"
        ),
        pytest.param({"displayName": 1}, [NAME, rule("b", constant=1)], id="a type"),
    ],
)
def test_a_change_changes_the_digest(changes: dict[str, Any], rules: list[MappingRule]) -> None:
    assert digest(ANN, *rules) != digest(ANN | changes, *rules)


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, "1"), (1, 1.0), (None, "null"), (["a"], "a"), ("", " ")],
    ids=repr,
)
def test_values_that_look_alike_have_different_digests(one: Any, other: Any) -> None:
    assert digest({"displayName": one}, NAME) != digest({"displayName": other}, NAME)


def test_the_same_value_under_another_target_is_a_change() -> None:
    assert digest(ANN, rule("a", source="mail")) != digest(ANN, rule("b", source="mail"))


def test_what_is_not_mapped_does_not_count() -> None:
    assert digest(ANN, NAME) == digest(ANN | {"mail": "x", "id": "y"}, NAME)


def test_the_order_of_attributes_and_rules_does_not_count() -> None:
    """Reordered rules must not write every row again."""
    rules = [
        NAME,
        MAIL,
        rule("c", source="a", whenNull="keep"),
        rule("d", source="b", whenNull="keep"),
    ]
    backwards = dict(reversed(ANN.items()))

    digests = {
        digest(person, *order) for order in permutations(rules) for person in (ANN, backwards)
    }

    assert len(digests) == 1


def test_the_order_of_keys_inside_an_object_does_not_count() -> None:
    one, other = {"a": {"b": 1, "c": [{"d": 1, "e": 2}]}}, {"a": {"c": [{"e": 2, "d": 1}], "b": 1}}

    assert mapped(one, rule(source="a")) == mapped(other, rule(source="a"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["b", "a"], ["a", "b"], id="texts"),
        pytest.param([{"b": 1}, {"a": 1}], [{"a": 1}, {"b": 1}], id="objects"),
        pytest.param(
            [{"plans": ["y", "x"], "sku": 1}],
            [{"sku": 1, "plans": ["x", "y"]}],
            id="lists in objects",
        ),
        pytest.param({"plans": ["y", "x"]}, {"plans": ["x", "y"]}, id="an object with a list"),
        pytest.param(["a", 1, None, True], [True, None, 1, "a"], id="of several kinds"),
    ],
)
@pytest.mark.parametrize("how", [{"source": "found"}, {"expression": "IIF(True, [found], 0)"}])
def test_the_order_of_a_list_does_not_count(how: dict[str, Any], one: Any, other: Any) -> None:
    """Graph promises none: another order was an update and a history row each time."""
    assert digest({"found": one}, rule(**how)) == digest({"found": other}, rule(**how))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(["a", "b"], ["a", "c"], id="another value"),
        pytest.param(["a", "b"], ["a"], id="one less"),
        pytest.param(["1"], [1], id="another kind"),
    ],
)
def test_another_list_is_a_change(one: Any, other: Any) -> None:
    assert digest({"displayName": one}, NAME) != digest({"displayName": other}, NAME)


def test_people_stored_by_an_earlier_release_are_not_written_again_for_their_lists() -> None:
    found = mapped({"displayName": ["b", "a"]}, NAME)
    other = mapped({"displayName": ["a", "b"]}, NAME)

    assert found.is_stored_as("14dc79e56a0812e66bf3020e"), "in the order that Graph gave"
    assert found.is_stored_as(other.digest)
    assert not found.is_stored_as(mapped({"displayName": ["b", "c"]}, NAME).digest)


def test_what_is_written_once_does_not_count() -> None:
    """Otherwise everybody is rewritten, to no effect, when such a source changes."""
    assert digest(ANN, NAME, ONCE) == digest(ANN | {"mail": "x"}, NAME, ONCE)
    assert digest(ANN, NAME, ONCE) == digest(ANN, NAME)
    assert mapped(ANN, NAME, ONCE).on_create == {"once"}


def test_a_kept_target_that_is_written_once_does_not_count() -> None:
    kept = rule("once", source="mail", apply="create", whenNull="keep")

    assert digest(ANN, NAME, kept) == digest(ANN | {"mail": None}, NAME, kept)


def test_a_digest_is_the_same_after_a_restart() -> None:
    """Written down: another way to compute it would write every row of every customer again."""
    assert digest(ANN, NAME, MAIL) == "9bc58a46245df89182524f40"


# --- properties -----------------------------------------------------------------------------------

ANYTHING = JSON | st.floats() | st.integers() | st.text(max_size=5)
RULES = [
    rule("a", source="a"),
    rule("b", source="a.b", whenNull="keep"),
    rule("c", source="a", whenNull="default", default=1, apply="create"),
    rule("d", expression="Coalesce([a], [b])"),
    rule("e", expression='Append([b], "x")'),
    rule("f", expression='Switch([a], [b], "x", "y")'),
    rule("g", constant=7),
]


@given(st.dictionaries(st.sampled_from(["a", "b", "userPrincipalName"]), ANYTHING))
def test_mapping_is_deterministic_and_refuses_only_records(person: dict[str, Any]) -> None:
    assert attempt(person) == attempt(dict(reversed(person.items())))


def attempt(person: dict[str, Any]) -> Mapped | str | None:
    try:
        return compile_mapping(RULES).to_mapped(person, NO_GROUPS, NOW)
    except RecordRejected as error:
        return error.message


def test_an_expression_that_needs_the_values_of_others_is_refused() -> None:
    rule = MappingRule(target="alias", expression="SelectUniqueValue([mailNickname], [mail])")

    [problem] = mapping_problems([rule])

    assert problem.path == "mapping[0].expression"
    assert "SelectUniqueValue" in problem.message

"""The tests that a mapping carries: green ones say nothing, red ones say what was expected and what came."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.expressions import EvaluationError
from sync_core.domain.mapping.rule_tests import mapping_test_problems
from tests.unit.builders import GUID, rule

KEEP = {"$ignore": "attribute"}
SKIP = {"$ignore": "object"}


def run(rule_of: dict[str, Any], *tests: dict[str, Any]) -> list[tuple[str, str]]:
    """Give path and message of every red test."""
    rules = [rule(**rule_of, tests=[{"attributes": {}} | test for test in tests])]
    return [(one.path, one.message) for one in mapping_test_problems(rules)]


GREEN: list[Any] = [
    pytest.param({"source": "mail"}, {"attributes": {"mail": "a@b.c"}, "expected": "a@b.c"}, id="source"),
    pytest.param({"source": "mail"}, {"expected": None}, id="cleared"),
    pytest.param({"source": "mail"}, {"attributes": {"mail": ""}, "expected": None}, id="empty"),
    pytest.param({"source": "mail", "whenNull": "keep"}, {"expected": KEEP}, id="kept"),
    pytest.param(
        {"source": "mail", "whenNull": "default", "default": "none"}, {"expected": "none"}, id="default"
    ),
    pytest.param({"constant": 7}, {"expected": 7}, id="constant"),
    pytest.param({"constant": 7}, {"expected": 7.0}, id="the same number"),
    pytest.param({"constant": True}, {"expected": True}, id="true"),
    pytest.param({"source": "a"}, {"attributes": {"a": False}, "expected": False}, id="false"),
    pytest.param(
        {"source": "businessPhones"},
        {"attributes": {"businessPhones": ["1", "2"]}, "expected": ["1", "2"]},
        id="list",
    ),
    pytest.param(
        {"source": "businessPhones"},
        {"attributes": {"businessPhones": ["1", "2"]}, "expected": '["1","2"]'},
        id="list as it is stored",
    ),
    pytest.param(
        {"source": "employeeOrgData"},
        {"attributes": {"employeeOrgData": {"b": 1, "a": 2}}, "expected": {"a": 2, "b": 1}},
        id="object",
    ),
    pytest.param(
        {"source": "extensionAttribute1"},
        {"attributes": {"onPremisesExtensionAttributes": {"extensionAttribute1": "x"}}, "expected": "x"},
        id="inner attribute",
    ),
    pytest.param(
        {"source": "manager"},
        {"attributes": {"manager": {"id": GUID, "mail": "a@b.c"}}, "expected": GUID},
        id="the manager as Graph sends one",
    ),
    pytest.param(
        {"expression": "[manager.mail]"},
        {"attributes": {"manager": {"id": GUID, "mail": "a@b.c"}}, "expected": "a@b.c"},
        id="a value of the manager",
    ),
    pytest.param(
        {"source": "manager"},
        {"attributes": {"manager": GUID}, "expected": GUID},
        id="the manager as a reference",
    ),
    pytest.param(
        {"expression": f'IIF(InGroup("{GUID}"), "admin", "user")'},
        {"groups": [GUID.upper()], "expected": "admin"},
        id="in a group",
    ),
    pytest.param(
        {"expression": f'IIF(InGroup("{GUID}"), "admin", "user")'}, {"expected": "user"}, id="in none"
    ),
    pytest.param({"expression": "IgnoreFlowIfNullOrEmpty([mail])"}, {"expected": KEEP}, id="ignored"),
    pytest.param({"expression": "IgnoreObjectFlow"}, {"expected": SKIP}, id="skipped person"),
    pytest.param(
        {"expression": "Now()"},
        {"now": "2021-07-02T17:33:38+02:00", "expected": "7/2/2021 3:33:38 PM"},
        id="time",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("how", "test"), GREEN)
def test_a_green_test_says_nothing(how: dict[str, Any], test: dict[str, Any]) -> None:
    assert run(how, test) == []


@pytest.mark.parametrize(
    ("how", "test", "message"),
    [
        pytest.param(
            {"source": "mail"},
            {"attributes": {"mail": "a@b.c"}, "expected": "A@B.C"},
            'expected "A@B.C", got "a@b.c"',
            id="case counts",
        ),
        pytest.param(
            {"constant": True}, {"expected": 1}, "expected 1, got true", id="true is not 1"
        ),
        pytest.param(
            {"constant": 1}, {"expected": "1"}, 'expected "1", got 1', id="text is no number"
        ),
        pytest.param(
            {"source": "mail"},
            {"expected": KEEP},
            'expected {"$ignore":"attribute"}, got null',
            id="cleared and not kept",
        ),
        pytest.param(
            {"expression": "IgnoreObjectFlow"},
            {"expected": None},
            'expected null, got {"$ignore":"object"}',
            id="skipped person",
        ),
        pytest.param(
            {"expression": "ToUpper([otherMails])"},
            {"attributes": {"otherMails": ["a", "b"]}, "expected": "A"},
            'expected "A", and it fails: The expression for name failed: Text is expected.',
            id="failure",
        ),
        pytest.param(
            {"source": "description"},
            {"attributes": {"description": "y" * 300}, "expected": None},
            f'expected null, got "{"y" * 199}...',
            id="a long value is shortened",
        ),
    ],
)
def test_a_red_test_says_what_was_expected_and_what_came(
    how: dict[str, Any], test: dict[str, Any], message: str
) -> None:
    assert run(how, test) == [("mapping[0].tests[0]", message)]


def test_a_value_that_depends_on_the_time_needs_one() -> None:
    """Otherwise a test would be green today and red tomorrow."""
    [(path, message)] = run({"expression": "Now()"}, {"expected": None})

    assert path == "mapping[0].tests[0].now"
    assert "depends on the time" in message


def test_an_expectation_that_no_column_can_hold_is_refused() -> None:
    [(path, message)] = run({"source": "mail"}, {"expected": "x" * 40_000})

    assert path == "mapping[0].tests[0].expected"
    assert "40000 characters" in message


def test_every_red_test_is_named_by_rule_and_place() -> None:
    red = {"attributes": {}, "expected": "x"}
    green = {"attributes": {"mail": "x"}, "expected": "x"}
    rules = [
        rule("a", constant=1),
        rule("b", source="mail", tests=[green, red]),
        rule("c", source="mail", tests=[red]),
    ]

    paths = [one.path for one in mapping_test_problems(rules)]

    assert paths == ["mapping[1].tests[1]", "mapping[2].tests[0]"]


def test_tests_that_take_too_long_are_stopped_and_said() -> None:
    asked: list[int] = []

    def twice() -> None:
        asked.append(1)
        if len(asked) > 3:
            raise EvaluationError("evaluation.outOfTime", "It takes longer than 10 seconds")

    tests = [{"attributes": {"mail": "x"}, "expected": "y"}] * 5

    problems = mapping_test_problems([rule(expression="[mail]", tests=tests)], twice)

    assert [problem.path for problem in problems] == [f"mapping[0].tests[{n}]" for n in range(3)]
    assert "expected" in problems[0].message
    assert "fails: The expression for name failed: It takes longer" in problems[1].message
    assert "was not run" in problems[2].message


def test_what_was_not_run_is_said() -> None:
    def over() -> None:
        raise EvaluationError("evaluation.outOfTime", "It takes longer than 10 seconds")

    tests = [{"attributes": {"mail": "x"}, "expected": "x"}] * 2

    [problem] = mapping_test_problems([rule(source="mail", tests=tests)], over)

    assert (problem.path, "was not run" in problem.message) == ("mapping[0].tests[0]", True)


@pytest.mark.parametrize("given", [{}, {"tests": None}, {"tests": []}])
def test_a_rule_without_tests_does_not_speak_of_them(given: dict[str, Any]) -> None:
    assert "tests" not in rule(source="mail", **given).to_json()


def test_the_tests_of_a_rule_are_a_part_of_its_document() -> None:
    given: dict[str, Any] = {
        "attributes": {"mail": "x"},
        "expected": None,
        "groups": [GUID.upper()],
        "now": "2026-01-01T00:00:00Z",
    }
    told = MappingRule.model_validate({"target": "a", "source": "mail", "tests": [given]}).to_json()

    assert told["tests"] == [given | {"groups": [GUID]}]
    assert MappingRule.model_validate(told).tests[0].now == datetime(2026, 1, 1, tzinfo=UTC)  # type: ignore[index]


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        pytest.param([{"attributes": {}, "expected": 1}] * 51, "at most 50", id="too many"),
        pytest.param([{"attributes": {}}], "Field required", id="nothing expected"),
        pytest.param([{"expected": 1}], "Field required", id="no person"),
        pytest.param([{"attributes": {}, "expected": 1, "groups": ["Sales"]}], "GUID", id="group"),
        pytest.param(
            [{"attributes": {}, "expected": 1, "now": "2026-01-01T00:00:00"}], "timezone", id="zone"
        ),
        pytest.param([{"attributes": {}, "expect": 1}], "not permitted", id="misspelt"),
    ],
)  # fmt: skip
def test_a_test_that_cannot_be_run_is_refused(tests: list[Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        rule(source="mail", tests=tests)

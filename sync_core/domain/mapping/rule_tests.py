"""A mapping's own tests: what each rule has to give for made-up people; red ones are named. Pure.

They run whenever a connection is saved, with the code that maps real people, so a change that breaks
what somebody once wrote down is noticed before it reaches anybody.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from sync_core.domain.attributes import MANAGER, with_reference
from sync_core.domain.documents.mapping import MappingRule, MappingTest
from sync_core.domain.errors import FieldProblem, RecordRejected
from sync_core.domain.expressions import EvaluationError, parse
from sync_core.domain.expressions.context import InTime, unlimited
from sync_core.domain.expressions.values import Signal
from sync_core.domain.mapping.compile import compile_mapping, stored_form
from sync_core.domain.model import Attributes, Value

# Given to tests that do not depend on it.
ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST_SHOWN = 200

Outcome = Value | Signal


def mapping_test_problems(
    rules: Sequence[MappingRule], in_time: InTime = unlimited
) -> list[FieldProblem]:
    """Run all tests and name the red ones; the rules themselves have to be valid.

    Once `in_time` raises, the tests that are left are not run, and that is a problem, too.
    """
    problems: list[FieldProblem] = []
    for number, rule in enumerate(rules):
        for place, test in enumerate(rule.tests or ()):
            path = f"mapping[{number}].tests[{place}]"
            try:
                in_time()
            except EvaluationError as error:
                message = f"was not run: the tests before it take too long ({error.message})"
                return [*problems, FieldProblem(path, message)]
            problems += _problems(rule, test, path, in_time)
    return problems


def _problems(
    rule: MappingRule, test: MappingTest, path: str, in_time: InTime
) -> list[FieldProblem]:
    if test.now is None and rule.expression is not None and parse(rule.expression).uses_time:
        message = "is needed here: what the expression gives depends on the time"
        return [FieldProblem(f"{path}.now", message)]
    try:
        wanted = _expected(test)
    except RecordRejected as error:
        message = f"cannot be the value of a column: {error.message}"
        return [FieldProblem(f"{path}.expected", message)]
    try:
        got = _outcome(rule, test, in_time)
    except RecordRejected as error:
        return [FieldProblem(path, f"expected {_shown(wanted)}, and it fails: {error.message}")]
    if _same(wanted, got):
        return []
    return [FieldProblem(path, f"expected {_shown(wanted)}, got {_shown(got)}")]


def _outcome(rule: MappingRule, test: MappingTest, in_time: InTime) -> Outcome:
    """Map one person by one rule, as a run would; raises `RecordRejected`."""
    groups = frozenset(test.groups)
    person: Attributes = test.attributes
    manager = person.get(MANAGER)
    if isinstance(manager, dict):  # as Graph sends it; a rule reads the reference, as in a run
        person = with_reference(person, manager.get("id"))
    compiled = compile_mapping([rule], patience=lambda: in_time)
    mapped = compiled.to_mapped(person, groups, test.now or ANY_TIME)
    if mapped is None:
        return Signal.OBJECT
    if rule.target in mapped.kept:
        return Signal.ATTRIBUTE
    return mapped.values[rule.target]


def _expected(test: MappingTest) -> Outcome:
    """Read what is expected: a value as it is stored, or the word for none."""
    for signal in Signal:
        if test.expected == {"$ignore": signal.value}:
            return signal
    return stored_form(test.expected)


def _same(one: Outcome, other: Outcome) -> bool:
    """Compare as a column does: True is not 1, and 1 is 1.0."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _shown(outcome: Outcome) -> str:
    value = {"$ignore": outcome.value} if isinstance(outcome, Signal) else outcome
    text = orjson.dumps(value).decode()
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."

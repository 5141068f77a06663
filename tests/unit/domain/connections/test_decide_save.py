"""What a save does with settings, by what is in use and by what their checks find.

A case is a dialogue: what is asked, in which order, and what is decided in the end.
"""

import pytest

from sync_core.domain.connections.checks import MOVES, PEOPLE, TOKEN, Check, CheckResult, conclude
from sync_core.domain.connections.decide_save import (
    Approve,
    Decision,
    Dialogue,
    Try,
    decide_change,
    decide_new,
    disabled,
)
from sync_core.domain.documents.connection import Connection
from tests.unit.builders import SALES, connection, in_groups, scope

OFF = connection(enabled=False)
ON = connection(enabled=True)
# Settings that ask for the same things as `ON`, and such that ask for more.
RENAMED = connection(displayName="Contoso Ltd")
OTHER_APP = connection(clientId=SALES)
OTHER_PEOPLE = connection(clientId=SALES, scope=scope([in_groups(SALES)]))


def found(*failing: str, ok: tuple[str, ...] = ()) -> CheckResult:
    """Return the result of a check in which these steps fail, and those pass."""
    wrong = [Check(name=name, ok=False, code=name, message="no", remedy="") for name in failing]
    right = [Check(name=name, ok=True, code="ok", message="yes", remedy="") for name in ok]
    return conclude([*right, *wrong], tenant_id=None, expiries=[])


PASSED = found(ok=(TOKEN,))
REFUSED = found(TOKEN)
HELD = found(MOVES, ok=(TOKEN,))


def answered(dialogue: Dialogue, *answers: CheckResult) -> tuple[list[Try | Approve], Decision]:
    """Answer the questions one after the other; return them and the decision."""
    questions = [next(dialogue)]
    for number, answer in enumerate(answers, start=1):
        try:
            questions.append(dialogue.send(answer))
        except StopIteration as ended:
            assert number == len(answers), "not every answer was asked for"
            decision: Decision = ended.value
            return questions, decision
    raise AssertionError(f"one more question: {questions[-1]}")


@pytest.mark.parametrize(
    ("wanted", "answers", "stored"),
    [
        pytest.param(ON, [PASSED, PASSED], ON, id="passes"),
        pytest.param(ON, [REFUSED], disabled(ON), id="fails"),
        pytest.param(ON, [PASSED, HELD], disabled(ON), id="would move people"),
        pytest.param(OFF, [PASSED, PASSED], OFF, id="off"),
        pytest.param(OFF, [REFUSED, REFUSED], OFF, id="off and fails"),
    ],
)
def test_a_new_connection(
    wanted: Connection, answers: list[CheckResult], stored: Connection
) -> None:
    questions, decision = answered(decide_new(wanted), *answers)

    assert questions == [Try(wanted), Approve(wanted, answers[0])][: len(answers)]
    assert decision == Decision(stored, answers[-1])


@pytest.mark.parametrize(
    ("before", "wanted", "answers", "stored"),
    [
        pytest.param(ON, OTHER_APP, [PASSED, PASSED], OTHER_APP, id="in use: passes"),
        pytest.param(ON, OTHER_APP, [PASSED, HELD], None, id="in use: would move people"),
        pytest.param(OFF, ON, [PASSED, PASSED], ON, id="enabled: passes"),
        pytest.param(OFF, ON, [REFUSED], disabled(ON), id="enabled: fails"),
        pytest.param(OFF, ON, [PASSED, HELD], disabled(ON), id="enabled: would move people"),
        pytest.param(ON, OFF, [REFUSED, REFUSED], OFF, id="switched off: fails"),
        pytest.param(ON, OFF, [PASSED, HELD], OFF, id="switched off: nobody moves"),
        pytest.param(ON, RENAMED, [REFUSED, REFUSED], RENAMED, id="in use: fails as it did"),
    ],
)
def test_a_change(
    before: Connection, wanted: Connection, answers: list[CheckResult], stored: Connection | None
) -> None:
    questions, decision = answered(decide_change(before, wanted, None), *answers)

    assert questions == [Try(wanted), Approve(wanted, answers[0])][: len(answers)]
    assert decision == Decision(stored, answers[-1])


@pytest.mark.parametrize(
    ("in_use", "stored"),
    [
        pytest.param(REFUSED, OTHER_APP, id="they fail as well"),
        pytest.param(PASSED, None, id="they pass"),
    ],
)
def test_settings_that_fail_are_compared_with_those_in_use(
    in_use: CheckResult, stored: Connection | None
) -> None:
    answers = [REFUSED, in_use, *([REFUSED] if stored else [])]
    questions, decision = answered(decide_change(ON, OTHER_APP, None), *answers)

    assert questions[:2] == [Try(OTHER_APP), Try(ON)]
    assert questions[2:] == ([Approve(OTHER_APP, REFUSED)] if stored else [])
    assert decision == Decision(stored, REFUSED)


def test_other_people_have_to_be_there_whatever_else_fails() -> None:
    """A scope that can bring in nobody must not empty the table of a connection that fails anyway."""
    empty = found(PEOPLE, TOKEN)
    questions, decision = answered(decide_change(ON, OTHER_PEOPLE, None), empty)

    assert questions == [Try(OTHER_PEOPLE)]
    assert decision == Decision(None, empty)


class TestBesideSettingsThatWait:
    """Others waited before; `RENAMED` is what is in use with nothing but the caller's change."""

    def test_both_come_into_use(self) -> None:
        questions, decision = answered(decide_change(ON, OTHER_APP, RENAMED), PASSED, PASSED)

        assert questions == [Try(OTHER_APP), Approve(OTHER_APP, PASSED, may_wait=True)]
        assert decision == Decision(OTHER_APP, PASSED)

    def test_the_change_alone_comes_into_use(self) -> None:
        questions, decision = answered(
            decide_change(ON, OTHER_APP, RENAMED), REFUSED, PASSED, PASSED, PASSED
        )

        assert questions == [Try(OTHER_APP), Try(ON), Try(RENAMED), Approve(RENAMED, PASSED)]
        assert decision == Decision(RENAMED, REFUSED, alone=True)

    @pytest.mark.parametrize(
        ("alone", "answers", "failing"),
        [
            pytest.param(OTHER_PEOPLE, [found(PEOPLE)], [PEOPLE, TOKEN], id="fails"),
            pytest.param(OTHER_PEOPLE, [found(TOKEN, PEOPLE)], [PEOPLE, TOKEN], id="fails as well"),
            pytest.param(RENAMED, [PASSED, HELD], [MOVES, TOKEN], id="would move people"),
            pytest.param(OFF, [], [TOKEN], id="is off"),
        ],
    )
    def test_neither_comes_into_use(
        self, alone: Connection, answers: list[CheckResult], failing: list[str]
    ) -> None:
        """What is wrong with the change itself is told first, each thing once."""
        _, decision = answered(decide_change(ON, OTHER_APP, alone), REFUSED, PASSED, *answers)

        assert decision == Decision(None, found(*failing))

    def test_what_is_off_waits_to_be_enabled(self) -> None:
        questions, decision = answered(decide_change(OFF, ON, ON), PASSED, HELD)

        assert questions[1] == Approve(ON, PASSED)
        assert decision == Decision(disabled(ON), HELD)

"""What becomes of one person, as tables: reason, policy, origin and manager; no storage, no Graph."""

from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest

from sync_core.domain.errors import RecordRejected
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import (
    Action,
    Attributes,
    Change,
    Evidence,
    Mapped,
    Origin,
    Reason,
    Status,
    StoredIndex,
    StoredPerson,
)
from sync_core.domain.plan.judge import Judge, Observer, unanswered
from sync_core.domain.plan.roster import EitherWay, Outcome, Roster
from tests.unit.builders import ANN, NO_GROUPS, NOW, SALES, change, policy, rule, stored
from tests.unit.builders import compiled as compiled_scope

BOSS = "b0000000-0000-4000-8000-00000000000b"
NOTHING_STORED = StoredIndex({}, frozenset())
IN_SALES = frozenset({SALES})
POLICY_NAMES = {
    Reason.LEFT_SCOPE: "leftScope",
    Reason.ACCOUNT_DISABLED: "accountDisabled",
    Reason.SOFT_DELETED: "softDeleted",
    Reason.HARD_DELETED: "hardDeleted",
}
REMOVALS = {"disable": Action.DISABLE, "delete": Action.DELETE, "keep": None}


def ann(**changes: Any) -> dict[str, Any]:
    return {"id": ANN, "userPrincipalName": "ann@contoso.com"} | changes


def reports_to(manager: str | None) -> dict[str, Any]:
    return ann(manager={"id": manager, "displayName": "Boss"} if manager else None)


def roster(*with_row: str, **changes: Any) -> Roster:
    settings: dict[str, Any] = {"may_delete": False, "may_hold": False}
    return Roster(set(with_row), **(settings | changes))


def closed(*with_row: str) -> Roster:
    known = roster(*with_row)
    known.close()
    return known


def judge(
    known: Roster | None = None,
    *,
    rules: list[dict[str, Any]] | None = None,
    observer: Observer | None = None,
    **policy_changes: Any,
) -> Judge:
    """Return a judge of everyone in sales; the mapping stores the manager's id, unless `rules` say."""
    mapping = [{"target": "boss", "source": "manager"}] if rules is None else rules
    return Judge(
        compiled_scope([{"attribute": "groups", "operator": "ARRAYCONTAINS", "value": SALES}]),
        compile_mapping([rule(**one) for one in mapping]),
        policy(**policy_changes),
        NOW,
        known,
        observer,
    )


def boss_of(outcome: Outcome | EitherWay) -> Any:
    """Return what a change stores as the manager; the code of a rejection; or the two of a doubt."""
    if isinstance(outcome, EitherWay):
        return boss_of(outcome.inside), boss_of(outcome.outside)
    if isinstance(outcome, RecordRejected):
        return outcome.code
    assert outcome is not None
    return outcome.values["boss"]


# --- not found in scope: reason x policy x origin x manager -------------------------------------------

# A person whom Graph's answer shows to be in scope after all; and one by hand, whom no scope removes.
STAYING = {(None, Origin.AUTO), (None, Origin.MANUAL), (Reason.LEFT_SCOPE, Origin.MANUAL)}
# Deleted people come without their properties.
GONE = {Reason.SOFT_DELETED, Reason.HARD_DELETED}
MANAGERS = {
    "has none": (reports_to(None), None),
    "has a row": (reports_to(BOSS), BOSS),
    "has no row": (reports_to("c" + ANN[1:]), None),
    "not answered": (ann(), "record.managerUnknown"),
}


def absent(judging: Judge, evidence: Evidence, known: StoredPerson) -> Outcome:
    """Decide as a run does about a person who was asked for by id."""
    person = judging.staying(evidence, known)
    if person is None:
        return judging.removal(evidence)
    return judging.settled(person, evidence.groups, known, NOTHING_STORED)


@pytest.mark.parametrize(
    ("reason", "wanted", "origin", "manager"),
    [*product([None, *POLICY_NAMES], REMOVALS, Origin, MANAGERS)],
)
def test_a_person_who_was_not_found_in_scope(
    reason: Reason | None, wanted: str, origin: Origin, manager: str
) -> None:
    """The other causes say the opposite here, so a mix-up shows."""
    opposite = "keep" if wanted != "keep" else "delete"
    rules: dict[str, Any] = dict.fromkeys(POLICY_NAMES.values(), opposite)
    if reason:
        rules[POLICY_NAMES[reason]] = wanted
    person, reference = MANAGERS[manager]
    facts = {"found": reason not in GONE}
    evidence = Evidence(ANN, reason, facts, None if reason in GONE else person)

    outcome = absent(judge(closed(ANN, BOSS), **rules), evidence, stored(origin=origin))

    if (reason, origin) in STAYING:
        assert boss_of(outcome) == reference
        assert not isinstance(outcome, Change) or outcome.action is Action.UPDATE
    elif (action := REMOVALS[wanted]) is None:
        assert outcome is None
    else:
        assert outcome == Change(action, ANN, reason=reason, evidence=facts)


# --- present: what is stored x what is known of the manager --------------------------------------------

COMING = roster()
COMING.note(BOSS, change())
PLACES = {
    "none": (roster(), reports_to(None), None),
    "stored": (roster(BOSS), reports_to(BOSS), BOSS),
    "stored, found again, rows are deleted": (
        roster(BOSS, may_delete=True),
        reports_to(BOSS),
        BOSS,
    ),
    "comes in": (COMING, reports_to(BOSS), BOSS),
    "not read yet": (roster(), reports_to(BOSS), (BOSS, None)),
    "all decided, has a row": (closed(BOSS), reports_to(BOSS), BOSS),
    "all decided, has none": (closed(), reports_to(BOSS), None),
    "not answered": (roster(BOSS), ann(), "record.managerUnknown"),
}
STORED = {
    "new": (None, Action.CREATE),
    "active": (stored(), Action.UPDATE),
    "disabled": (stored(Status.DISABLED), Action.REENABLE),
    "by hand": (stored(origin=Origin.MANUAL), Action.UPDATE),
}


@pytest.mark.parametrize(("place", "standing"), [*product(PLACES, STORED)])
def test_a_person_in_scope(place: str, standing: str) -> None:
    known_roster, person, boss = PLACES[place]
    known, action = STORED[standing]

    outcome = judge(known_roster).present(person, NO_GROUPS, known, NOTHING_STORED)

    assert boss_of(outcome) == boss
    changes = outcome[2:] if isinstance(outcome, EitherWay) else (outcome,)
    assert {found.action for found in changes if isinstance(found, Change)} <= {action}


def test_a_manager_who_may_be_deleted_is_not_certain_until_found() -> None:
    judging = judge(roster(BOSS, may_delete=True))
    unseen = StoredIndex({BOSS: stored()}, frozenset())

    outcome = judging.present(reports_to(BOSS), NO_GROUPS, None, unseen)

    assert boss_of(outcome) == (BOSS, None)


def test_the_roster_learns_who_comes_in() -> None:
    known = roster()
    judging = judge(known)

    judging.present(reports_to(None), NO_GROUPS, None, NOTHING_STORED)
    judging.present(reports_to(BOSS) | {"id": "d"}, NO_GROUPS, None, NOTHING_STORED)
    known.close()

    assert [known.has_row(one) for one in (ANN, "d", BOSS)] == [True, True, False]
    assert known.newcomers == {"d"}


def test_nothing_is_written_of_a_person_who_is_the_same() -> None:
    judging = judge(closed(BOSS))
    first = judging.settled(reports_to(BOSS), NO_GROUPS, None, NOTHING_STORED)
    assert isinstance(first, Change)

    same = stored(digest=first.digest)

    assert judging.settled(reports_to(BOSS), NO_GROUPS, same, NOTHING_STORED) is None
    assert judging.settled(reports_to(None), NO_GROUPS, same, NOTHING_STORED) is not None


def test_a_row_of_another_is_left_alone() -> None:
    foreign = StoredIndex({}, frozenset({ANN}))

    outcome = judge(closed()).present(reports_to(None), NO_GROUPS, None, foreign)

    assert boss_of(outcome) == "record.notOwned"


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        pytest.param("IgnoreObjectFlow", None, id="says to leave the person out"),
        pytest.param('CDate("no date")', "record.expressionFailed", id="fails"),
    ],
)
def test_a_mapping_without_managers(expression: str, code: str | None) -> None:
    judging = judge(rules=[{"target": "hired", "expression": expression}])

    outcome = judging.present(ann(), NO_GROUPS, stored(), NOTHING_STORED)

    assert (outcome.code if isinstance(outcome, RecordRejected) else outcome) == code


# --- in scope ----------------------------------------------------------------------------------------


@dataclass
class Seen:
    """An observer that remembers."""

    judged: list[bool] = field(default_factory=list)
    mapped: list[Any] = field(default_factory=list)

    def on_judged(self, _person: Attributes, *, inside: bool) -> None:
        self.judged.append(inside)

    def on_mapped(self, mapped: Mapped) -> None:
        self.mapped.append(mapped.values["boss"])


@pytest.mark.parametrize(("groups", "inside"), [(IN_SALES, True), (NO_GROUPS, False)])
@pytest.mark.parametrize("observer", [None, Seen()], ids=["alone", "observed"])
def test_the_scope_decides_who_is_in(
    groups: frozenset[str], inside: bool, observer: Seen | None
) -> None:
    assert judge(observer=observer).is_in_scope(ann(), groups) is inside
    if observer:
        assert observer.judged.pop() is inside


def test_a_person_who_is_decided_twice_is_observed_once() -> None:
    seen = Seen()

    outcome = judge(roster(), observer=seen).present(
        reports_to(BOSS), NO_GROUPS, None, NOTHING_STORED
    )

    assert isinstance(outcome, EitherWay)
    assert seen.mapped == [BOSS]


@pytest.mark.parametrize(("action", "turned_away"), [("disable", True), ("keep", False)])
def test_the_policy_says_whether_a_blocked_account_comes_in(action: str, turned_away: bool) -> None:
    blocked = ann(accountEnabled=False)

    assert judge(accountDisabled=action).is_turned_away(blocked) is turned_away


@pytest.mark.parametrize("name", [None, ""])
def test_an_account_without_a_sign_in_name_is_not_touched(name: str | None) -> None:
    found = judge(rules=[]).settled(ann(userPrincipalName=name), IN_SALES, None, NOTHING_STORED)

    assert isinstance(found, RecordRejected)
    assert found.code == "record.noSignInName"


@pytest.mark.parametrize(
    ("person", "reason", "unclear"),
    [
        pytest.param(ann(userPrincipalName=None), Reason.LEFT_SCOPE, True, id="no name"),
        pytest.param(ann(), Reason.LEFT_SCOPE, False, id="left"),
        pytest.param(ann(userPrincipalName=None), Reason.ACCOUNT_DISABLED, False, id="blocked"),
        pytest.param(None, Reason.HARD_DELETED, False, id="gone"),
    ],
)
def test_who_seems_to_have_left_without_a_sign_in_name(
    person: Attributes | None, reason: Reason, unclear: bool
) -> None:
    assert judge().is_unclear(Evidence(ANN, reason, {}, person)) is unclear


@pytest.mark.parametrize(
    ("attribute", "person", "lacks"),
    [
        pytest.param("manager", ann(), True, id="asked for, and not answered"),
        pytest.param("manager", reports_to(None), False, id="asked for, has none"),
        pytest.param("department", ann(), False, id="not asked for"),
    ],
)
def test_a_scope_that_asks_for_the_manager(attribute: str, person: Attributes, lacks: bool) -> None:
    scope = compiled_scope([{"attribute": attribute, "operator": "IS NOT NULL", "value": None}])
    judging = Judge(scope, compile_mapping([]), policy(), NOW)

    assert judging.lacks_manager(person) is lacks


@pytest.mark.parametrize(
    ("known", "person", "manager"),
    [
        pytest.param(
            None, reports_to(BOSS), {"id": BOSS, "displayName": "Boss"}, id="no reference"
        ),
        pytest.param(closed(BOSS), reports_to(BOSS), BOSS, id="has a row"),
        pytest.param(closed(), reports_to(BOSS), None, id="has no row"),
    ],
)
def test_a_person_as_the_mapping_reads_it(
    known: Roster | None, person: Attributes, manager: Any
) -> None:
    assert judge(known).as_mapped(person)["manager"] == manager


def test_an_answer_that_lacks_the_groups_is_a_record_error() -> None:
    assert unanswered().code == "record.unanswered"

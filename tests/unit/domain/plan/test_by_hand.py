"""People brought in by hand: who stays, who leaves, and what the row says, as tables."""

from datetime import timedelta
from typing import Any

import pytest

from sync_core.domain.documents.run import ImportOutcome, PersonResult
from sync_core.domain.mapping.compile import compile_mapping
from sync_core.domain.model import (
    Action,
    Change,
    Evidence,
    Origin,
    Reason,
    Status,
    StoredIndex,
    StoredPerson,
)
from sync_core.domain.plan.by_hand import (
    Pick,
    as_by_hand,
    day_begins,
    is_over,
    is_picked,
    outcome_of,
    refusal,
    to_be_asked_for,
)
from sync_core.domain.plan.judge import Judge
from tests.unit.builders import ANN, NO_GROUPS, NOW, change, compiled, policy, rule, stored

TODAY = NOW.date()
YESTERDAY, TOMORROW = ((TODAY + timedelta(days=days)).isoformat() for days in (-1, 1))
MANUAL, AUTO = Origin.MANUAL, Origin.AUTO
AGENT = {"@odata.type": "#microsoft.graph.agentUser"}
NOBODY = {"attribute": "department", "operator": "EQUALS", "value": "Nobody"}


def by_hand(status: Status = Status.ACTIVE, until: str = "", digest: str = "d") -> StoredPerson:
    return stored(status, digest, MANUAL, until)


def ann(**changes: Any) -> dict[str, Any]:
    return {"id": ANN, "userPrincipalName": "ann@contoso.com", "displayName": "Ann"} | changes


LEFT = Reason.LEFT_SCOPE


def seen(reason: Reason | None = LEFT, /, **changes: Any) -> Evidence:
    """Give what a look has shown of Ann; `facts` and attributes may be named."""
    facts, unclear = changes.pop("facts", {}), changes.pop("is_unclear", False)
    gone = reason in {Reason.SOFT_DELETED, Reason.HARD_DELETED}
    return Evidence(ANN, reason, facts, None if gone else ann(**changes), is_unclear=unclear)


@pytest.mark.parametrize(
    ("until", "over"),
    [("", False), (TOMORROW, False), (TODAY.isoformat(), True), (YESTERDAY, True)],
)
def test_a_day_is_over_as_soon_as_it_begins(until: str, over: bool) -> None:
    assert is_over(until, NOW) is over
    assert not until or (day_begins(until) <= NOW) is over


def test_those_by_hand_are_asked_for_first_and_also_when_disabled() -> None:
    remaining = {
        "c": stored(),
        "d": by_hand(),
        "a": stored(),
        "b": stored(Status.DISABLED),
        "e": by_hand(Status.DISABLED),
        "f": by_hand(Status.DISABLED, YESTERDAY),
        "0": by_hand(until=YESTERDAY),
    }

    assert to_be_asked_for(remaining, NOW) == ["d", "e", "0", "a", "c"]


def test_an_agent_is_never_picked() -> None:
    picks = {ANN: Pick()}

    assert is_picked(ann(), picks)
    assert not is_picked(ann(**AGENT), picks)
    assert not is_picked(ann(), {})


@pytest.mark.parametrize(
    ("known", "evidence", "reason", "facts"),
    [
        pytest.param(stored(), seen(accountEnabled=False), "leftScope", {}, id="by the rules"),
        pytest.param(by_hand(), seen(), "leftScope", {}, id="out of scope"),
        pytest.param(by_hand(), seen(accountEnabled=False), "accountDisabled", {}, id="blocked"),
        pytest.param(by_hand(), seen(Reason.SOFT_DELETED), "softDeleted", {}, id="deleted"),
        pytest.param(
            by_hand(),
            seen(accountEnabled=False, facts={"excluded": True}),
            "leftScope",
            {"excluded": True},
            id="excluded",
        ),
        pytest.param(
            by_hand(until=YESTERDAY),
            seen(accountEnabled=False),
            "leftScope",
            {"importEnded": YESTERDAY},
            id="over",
        ),
    ],
)
def test_why_somebody_by_hand_leaves(
    known: StoredPerson, evidence: Evidence, reason: str, facts: dict[str, Any]
) -> None:
    found = as_by_hand(evidence, known, policy(), NOW)

    assert (found.reason, found.facts) == (reason, facts)


def test_a_blocked_account_stays_where_the_policy_keeps_it() -> None:
    kept = policy(accountDisabled="keep")

    assert as_by_hand(seen(accountEnabled=False), by_hand(), kept, NOW).reason == "leftScope"


@pytest.mark.parametrize(
    ("evidence", "known", "pick", "found"),
    [
        pytest.param(seen(), None, Pick(), None, id="new"),
        pytest.param(seen(None), None, Pick(), None, id="new, in scope"),
        pytest.param(seen(), stored(Status.DISABLED), Pick(), None, id="was in"),
        pytest.param(seen(Reason.HARD_DELETED), None, Pick(), ("notFound", None), id="nobody"),
        pytest.param(
            seen(Reason.SOFT_DELETED), None, Pick(), ("notFound", "softDeleted"), id="deleted"
        ),
        pytest.param(
            Evidence(ANN, None, {}, is_unclear=True),
            None,
            Pick(),
            ("failed", "record.unanswered"),
            id="told in part only",
        ),
        pytest.param(
            seen(None, is_unclear=True),
            None,
            Pick(),
            ("failed", "record.unanswered"),
            id="without groups",
        ),
        pytest.param(seen(LEFT, **AGENT), None, Pick(), ("agent", None), id="agent"),
        pytest.param(
            seen(facts={"excluded": True}),
            None,
            Pick(),
            ("excluded", "scope.exclude"),
            id="excluded",
        ),
        pytest.param(seen(accountEnabled=False), None, Pick(), ("blocked", None), id="blocked"),
        pytest.param(seen(None), stored(), Pick(), ("alreadyIn", "scope"), id="in by the rules"),
        pytest.param(seen(), stored(), Pick(), None, id="in by the rules, and about to leave"),
        pytest.param(seen(), by_hand(), Pick(), ("alreadyIn", "manual"), id="in by hand"),
        pytest.param(
            seen(), by_hand(until=TOMORROW), Pick(TOMORROW), ("alreadyIn", "manual"), id="same day"
        ),
        pytest.param(seen(), by_hand(), Pick(TOMORROW), None, id="a day that is new"),
        pytest.param(seen(), by_hand(until=YESTERDAY), Pick(), None, id="over, and picked again"),
    ],
)
def test_who_is_brought_in(
    evidence: Evidence, known: StoredPerson | None, pick: Pick, found: tuple[str, str | None] | None
) -> None:
    assert refusal(evidence, known, pick, NOW) == found


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("match.waiting", ImportOutcome.WAITS_FOR_MATCH),
        ("record.expressionFailed", ImportOutcome.MAPPING_FAILED),
        ("record.notOwned", ImportOutcome.FAILED),
    ],
)
def test_what_a_failure_is_called(code: str, outcome: ImportOutcome) -> None:
    assert outcome_of(code) is outcome


@pytest.mark.parametrize(
    ("result", "object_id", "told"),
    [
        pytest.param("imported", ANN, ("ann@contoso.com", "why"), id="in"),
        pytest.param("blocked", ANN, (None, None), id="out"),
        pytest.param("notFound", None, ("ann@contoso.com", None), id="nobody"),
    ],
)
def test_values_are_left_out_of_who_is_not_in(
    result: str, object_id: str | None, told: tuple[str | None, str | None]
) -> None:
    """Of a name that nobody has, the name is all that there is to say."""
    one = PersonResult(object_id=object_id, result=result, message="why", who="ann@contoso.com")
    found = one.without_values()

    assert (found.who, found.message) == told


# --- what is written ------------------------------------------------------------------------------

CURRENT = compile_mapping([rule(source="displayName")]).to_mapped(ann(), NO_GROUPS, NOW)
assert CURRENT is not None
DIGEST = CURRENT.digest


def judged(known: StoredPerson | None, pick: Pick | None = None) -> Change | None:
    """Say what is written of Ann, of whom the values did not change."""
    picks = {ANN: pick} if pick else {}
    judge = Judge(
        compiled([NOBODY]),
        compile_mapping([rule(source="displayName")]),
        policy(),
        NOW,
        picks=picks,
    )
    people = {ANN: known} if known else {}
    found = judge.present(ann(), NO_GROUPS, known, StoredIndex(people, frozenset()))
    assert found is None or isinstance(found, Change)
    return found


@pytest.mark.parametrize(
    ("known", "pick", "written"),
    [
        pytest.param(None, None, ("create", None, ""), id="by the rules"),
        pytest.param(None, Pick(), ("create", MANUAL, ""), id="picked"),
        pytest.param(None, Pick(TOMORROW), ("create", MANUAL, TOMORROW), id="until"),
        pytest.param(
            stored(Status.DISABLED), Pick(), ("reenable", MANUAL, ""), id="was in by the rules"
        ),
        pytest.param(by_hand(Status.DISABLED), None, ("reenable", None, ""), id="comes back"),
        pytest.param(
            stored(digest=DIGEST),
            Pick(TOMORROW),
            ("update", MANUAL, TOMORROW),
            id="in by the rules",
        ),
        pytest.param(by_hand(digest=DIGEST), None, None, id="nothing new"),
        pytest.param(by_hand(), None, ("update", None, ""), id="new values"),
        pytest.param(by_hand(digest=DIGEST), Pick(), None, id="picked twice"),
        pytest.param(
            by_hand(digest=DIGEST), Pick(TOMORROW), ("update", MANUAL, TOMORROW), id="a new day"
        ),
        pytest.param(
            by_hand(until=TOMORROW, digest=DIGEST), Pick(TOMORROW), None, id="the same day"
        ),
        pytest.param(
            by_hand(until=YESTERDAY, digest=DIGEST), Pick(), ("update", MANUAL, ""), id="for good"
        ),
        pytest.param(
            by_hand(until=YESTERDAY, digest=DIGEST), None, ("update", AUTO, ""), id="given back"
        ),
        pytest.param(by_hand(until=YESTERDAY), None, ("update", AUTO, ""), id="back, and changed"),
    ],
)
def test_what_the_row_says_of_how_somebody_came_in(
    known: StoredPerson | None, pick: Pick | None, written: tuple[str, Origin | None, str] | None
) -> None:
    found = judged(known, pick)

    assert (found and (found.action.value, found.origin, found.until)) == written
    assert found is None or found.values == {"name": "Ann"}


def test_the_scope_has_no_say_about_who_is_picked_but_its_exclusions_have() -> None:
    mapping = compile_mapping([rule(source="displayName")])
    scope, closed = compiled([NOBODY]), compiled([NOBODY], exclude=[ANN])
    picks = {ANN: Pick()}

    assert Judge(scope, mapping, policy(), NOW, picks=picks).is_in_scope(ann(), NO_GROUPS)
    assert not Judge(scope, mapping, policy(), NOW).is_in_scope(ann(), NO_GROUPS)
    assert not Judge(closed, mapping, policy(), NOW, picks=picks).is_in_scope(ann(), NO_GROUPS)


@pytest.mark.parametrize(
    ("known", "evidence", "stays"),
    [
        pytest.param(stored(), seen(), False, id="by the rules"),
        pytest.param(by_hand(), seen(), True, id="by hand"),
        pytest.param(by_hand(), seen(facts={"excluded": True}), False, id="excluded"),
        pytest.param(by_hand(until=YESTERDAY), seen(), False, id="over"),
        pytest.param(by_hand(), seen(Reason.ACCOUNT_DISABLED), False, id="blocked"),
    ],
)
def test_who_stays_outside_of_the_scope(
    known: StoredPerson, evidence: Evidence, stays: bool
) -> None:
    judge = Judge(compiled([NOBODY]), compile_mapping([rule(source="displayName")]), policy(), NOW)

    assert (judge.staying(evidence, known) is not None) is stays
    assert judge.as_by_hand(evidence, known).reason is evidence.reason


def test_the_cause_of_leaving_on_its_day_is_told() -> None:
    leaving = change(Action.DISABLE, reason=Reason.LEFT_SCOPE, evidence={"importEnded": YESTERDAY})

    assert leaving.cause == "importEnded"


@pytest.mark.parametrize(
    ("made", "given_back"),
    [
        (change(Action.UPDATE, origin=AUTO), True),
        (change(Action.UPDATE, origin=AUTO, digest="d"), False),
        (change(Action.UPDATE, origin=MANUAL), False),
        (change(Action.DISABLE, origin=AUTO), False),
    ],
)
def test_a_change_of_nothing_but_who_decides(made: Change, given_back: bool) -> None:
    assert made.is_given_back is given_back

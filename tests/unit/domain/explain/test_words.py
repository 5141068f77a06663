"""Why a person is in or out, in words that name the reason; and what the next run does."""

from typing import Any

import pytest

from sync_core.domain.documents.run import RecordError
from sync_core.domain.documents.scope import Scope
from sync_core.domain.explain.facts import GroupSeen, ScopeSeen, explain_scope
from sync_core.domain.explain.words import (
    Standing,
    by_hand_in_words,
    display_name_of,
    evidence_in_words,
    next_run,
    principal_name_of,
    standing_of,
    unknown_person,
    verdict,
)
from sync_core.domain.matching.decide import Ignored
from sync_core.domain.model import Action, Change, Evidence, Origin, Reason
from tests.unit.builders import (
    ADMINS,
    ANN,
    NO_GROUPS,
    NOW,
    SALES,
    change,
    clause,
    connection,
    in_groups,
    not_in_groups,
    scope,
)

NOTHING_HIDDEN: frozenset[str] = frozenset()


def seen(person: dict[str, Any], *filters: list[dict[str, Any]], **changes: Any) -> ScopeSeen:
    return explain_scope(scope(*filters, **changes), person, frozenset({SALES}), NOTHING_HIDDEN)


def said(found: ScopeSeen | None, **changes: Any) -> tuple[str, str]:
    known: dict[str, Any] = {
        "name": "Ann",
        "reason": None,
        "scope": found,
        "turned_away": False,
        "owned": True,
        "error": None,
        "skipped": False,
    }
    return verdict(Standing(**(known | {"groups": {ADMINS: "Admins"}} | changes)))


IN_SALES = [in_groups(SALES)]
UNKNOWN = "bbbbbbbb-0000-0000-0000-000000000009"
ASSIGNED = {"attribute": "assignedTo", "operator": "ARRAYCONTAINS", "value": [UNKNOWN]}
IN_LEGAL = [clause("department", "EQUALS", "Legal")]
IN = seen({}, IN_SALES)
LONG = "x" * 100


@pytest.mark.parametrize(
    ("found", "code", "sentence"),
    [
        pytest.param(IN, "inScope", "Ann is in: the filter matches.", id="the only filter"),
        pytest.param(
            seen({}, IN_LEGAL, IN_SALES), "inScope", "Ann is in: filter 2 matches.", id="one of two"
        ),
        pytest.param(
            seen({}, IN_SALES, IN_SALES), "inScope", "Ann is in: filter 1 and 2 match.", id="both"
        ),
        pytest.param(
            seen({}, everyone=True), "inScope", "Ann is in: the scope is everyone.", id="everyone"
        ),
        pytest.param(
            seen({"department": "Sales"}, IN_LEGAL),
            "notInScope",
            "Ann is out: the filter does not match, because of department EQUALS Legal (it is Sales).",
            id="another value",
        ),
        pytest.param(
            seen({}, [clause("mail", "IS NOT NULL")]),
            "notInScope",
            "Ann is out: the filter does not match, because of mail IS NOT NULL (it is empty).",
            id="no value",
        ),
        pytest.param(
            seen({"mail": LONG}, [clause("mail", "IN", ["a", "b"])]),
            "notInScope",
            f"Ann is out: the filter does not match, because of mail IN a, b (it is {LONG[:80]}...).",
            id="long values",
        ),
        pytest.param(
            seen({}, [in_groups(ADMINS)]),
            "notInScope",
            "Ann is out: the filter does not match, because of groups ARRAYCONTAINS Admins (in none of "
            "them).",
            id="not in the group",
        ),
        pytest.param(
            seen({}, [ASSIGNED]),
            "notInScope",
            "Ann is out: the filter does not match, because of assignedTo ARRAYCONTAINS "
            f"{UNKNOWN} (assigned to none of them).",
            id="not assigned",
        ),
        pytest.param(
            seen({}, [ASSIGNED | {"operator": "NOT ARRAYCONTAINS", "value": SALES}]),
            "notInScope",
            "Ann is out: the filter does not match, because of assignedTo NOT ARRAYCONTAINS "
            f"{SALES} (assigned to {SALES}).",
            id="assigned",
        ),
        pytest.param(
            seen({}, [not_in_groups(ADMINS, SALES)]),
            "notInScope",
            "Ann is out: the filter does not match, because of groups NOT ARRAYCONTAINS Admins, "
            f"{SALES} (in {SALES}).",
            id="in a group that keeps out, whose name is not known",
        ),
        pytest.param(
            seen({}, [*IN_LEGAL, in_groups(ADMINS)], [*IN_LEGAL, in_groups(SALES)]),
            "notInScope",
            "Ann is out: no filter matches; closest is filter 2, because of department EQUALS Legal (it "
            "is empty).",
            id="the closest of two",
        ),
        pytest.param(
            seen({}),
            "nobody",
            "Ann is out: the scope has no filters, so nobody is in.",
            id="nobody",
        ),
        pytest.param(
            seen({"userType": "Guest"}, IN_SALES),
            "guests",
            "Ann is out: guests stay out (scope.guests is exclude), and userType is Guest.",
            id="a guest",
        ),
        pytest.param(
            seen({"@odata.type": "#microsoft.graph.agentUser"}, IN_SALES),
            "agents",
            "Ann is out: it is the account of an agent, and agents stay out (scope.agents is exclude).",
            id="an agent",
        ),
        pytest.param(
            seen({}, IN_SALES, agents="only"),
            "agents",
            "Ann is out: only agents come in (scope.agents is only), and this account is not one.",
            id="not an agent",
        ),
        pytest.param(
            seen({}, IN_SALES, guests="only"),
            "guests",
            "Ann is out: only guests come in (scope.guests is only), and userType is not set.",
            id="not a guest",
        ),
        pytest.param(
            seen({"userPrincipalName": "ANN@contoso.com"}, IN_SALES, exclude=["ann@contoso.com"]),
            "excluded",
            "Ann is out: scope.exclude names them.",
            id="excluded",
        ),
    ],
)
def test_the_verdict_names_the_reason(found: ScopeSeen, code: str, sentence: str) -> None:
    assert said(found) == (code, sentence)


def test_what_cannot_be_seen_is_named() -> None:
    """Before: "because of department EQUALS Sales (it is Sales)"."""
    document = scope([clause("department", "EQUALS", "Sales")])

    found = explain_scope(document, {"department": "Sales\u200b\u00a0"}, NO_GROUPS, NOTHING_HIDDEN)
    hidden = explain_scope(document, {"department": "Sales\u200b"}, NO_GROUPS, {"department"})
    _, sentence = said(found)

    assert found.filters[0].clauses[0].hidden_letters == [
        "U+200B ZERO WIDTH SPACE", "U+00A0 NO-BREAK SPACE",
    ]  # fmt: skip
    assert "(it is Sales[U+200B ZERO WIDTH SPACE][U+00A0 NO-BREAK SPACE])" in sentence
    assert hidden.filters[0].clauses[0].hidden_letters == []


@pytest.mark.parametrize(
    ("found", "changes", "code", "words"),
    [
        pytest.param(IN, {"turned_away": True}, "blocked", "blocked in Entra", id="blocked"),
        pytest.param(IN, {"owned": False}, "notOwned", "did not write", id="somebody else's row"),
        pytest.param(IN, {"error": "It failed."}, "mappingFailed", "It failed.", id="mapping"),
        pytest.param(
            IN,
            {"waits": "Two rows fit.", "error": "x"},
            "matchWaiting",
            "Two rows fit.",
            id="match",
        ),
        pytest.param(IN, {"ignored": True}, "matchIgnored", "a decision", id="ignored"),
        pytest.param(IN, {"skipped": True}, "skipped", "leave them out", id="skipped"),
        pytest.param(
            None,
            {"reason": Reason.SOFT_DELETED, "deleted_at": "2026-03-01T10:00:00Z"},
            "softDeleted",
            "deleted in Entra on 2026-03-01;",
            id="deleted",
        ),
        pytest.param(
            None, {"reason": Reason.SOFT_DELETED}, "softDeleted", "deleted in Entra;", id="no date"
        ),
        pytest.param(
            None, {"reason": Reason.HARD_DELETED}, "hardDeleted", "no such person", id="gone"
        ),
    ],
)
def test_other_verdicts(
    found: ScopeSeen | None, changes: dict[str, Any], code: str, words: str
) -> None:
    given_code, sentence = said(found, **changes)

    assert given_code == code
    assert sentence.startswith("Ann is ")
    assert words in sentence


def leaves(action: Action = Action.DISABLE, reason: Reason | None = Reason.LEFT_SCOPE) -> Change:
    return change(action, reason=reason, before={"email": "a@x"})


UPDATED = change(Action.UPDATE, values={"email": "b@x"}, before={"email": "a@x"})


@pytest.mark.parametrize(
    ("planned", "options", "action", "message"),
    [
        pytest.param(None, {}, None, "Nothing is written.", id="nothing"),
        pytest.param(change(Action.CREATE), {}, "create", "The person is created.", id="create"),
        pytest.param(UPDATED, {}, "update", "The person is updated: email.", id="update"),
        pytest.param(
            change(Action.UPDATE),
            {},
            "update",
            "The person is updated: the sign-in name.",
            id="upn",
        ),
        pytest.param(
            change(Action.REENABLE), {}, "reenable", "The person is enabled again.", id="back"
        ),
        pytest.param(leaves(), {}, "disable", "The person is disabled (leftScope).", id="disable"),
        pytest.param(
            leaves(Action.DELETE, None),
            {},
            "delete",
            "The person is deleted from the table.",
            id="delete",
        ),
        pytest.param(
            leaves(),
            {"protected": True},
            None,
            "Nothing: the person would be removed (leftScope), but policy.protected names them.",
            id="protected",
        ),
        pytest.param(
            leaves(reason=None),
            {"protected": True},
            None,
            "Nothing: the person would be removed (leaving), but policy.protected names them.",
            id="protected, not asked for",
        ),
        pytest.param(
            UPDATED,
            {"protected": True},
            "update",
            "The person is updated: email.",
            id="protected from removal only",
        ),
        pytest.param(
            UPDATED,
            {"left_out": "A match waits."},
            None,
            "A match waits.",
            id="left out by a match",
        ),
        pytest.param(
            leaves(),
            {"held_by": "run-1"},
            "disable",
            "The person is disabled (leftScope). It waits for approval: the guard holds it in the run "
            "run-1.",
            id="held",
        ),
        pytest.param(
            None,
            {"enabled": False},
            None,
            "The connection is disabled, so nothing happens. Once enabled: Nothing is written.",
            id="disabled connection",
        ),
    ],
)
def test_what_the_next_run_does(
    planned: Change | None, options: dict[str, Any], action: str | None, message: str
) -> None:
    found = next_run(planned, **({"protected": False, "enabled": True} | options))

    assert (found.action, found.message) == (action, message)
    assert found.fields == (planned.fields() if planned and action else {})
    assert found.held_by == options.get("held_by")


def test_somebody_protected_is_not_held() -> None:
    found = next_run(leaves(), protected=True, enabled=True, held_by="run-1")

    assert found.held_by is None
    assert ANN not in found.message


# --- a person who was brought in by hand ----------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "until", "words"),
    [
        pytest.param(Origin.AUTO, "", None, id="by the rules"),
        pytest.param(Origin.MANUAL, "", "brought in by hand", id="for good"),
        pytest.param(
            Origin.MANUAL, "2999-01-31", "brought in by hand until 2999-01-31", id="until a day"
        ),
        pytest.param(Origin.MANUAL, "2001-01-31", None, id="whose day has come"),
    ],
)
def test_how_somebody_was_brought_in(origin: Origin, until: str, words: str | None) -> None:
    assert by_hand_in_words(origin, until, NOW) == words


@pytest.mark.parametrize(
    ("found", "known", "code", "sentence"),
    [
        pytest.param(
            seen({"department": "Sales"}, IN_LEGAL),
            {},
            "byHand",
            "Ann is in: brought in by hand. By the rules alone they would be out: the filter does not "
            "match, because of department EQUALS Legal (it is Sales).",
            id="out of scope",
        ),
        pytest.param(IN, {}, "inScope", "Ann is in: the filter matches.", id="in scope as well"),
        pytest.param(
            seen({"id": ANN}, IN_SALES, exclude=[ANN]),
            {},
            "excluded",
            "Ann is out: scope.exclude names them.",
            id="excluded",
        ),
        pytest.param(
            seen({}, IN_LEGAL),
            {"turned_away": True},
            "blocked",
            "Ann is out: brought in by hand, but the account is blocked in Entra (accountEnabled is "
            "false).",
            id="blocked",
        ),
        pytest.param(
            seen({}, IN_LEGAL),
            {"error": "No date."},
            "mappingFailed",
            "Ann is brought in by hand, but cannot be written: No date.",
            id="cannot be written",
        ),
        pytest.param(
            None,
            {"reason": Reason.HARD_DELETED},
            "hardDeleted",
            "Ann is out: Entra has no such person, also not among those deleted in the last 30 days.",
            id="deleted",
        ),
    ],
)
def test_who_was_brought_in_by_hand_is_in_whatever_the_rules_say(
    found: ScopeSeen | None, known: dict[str, Any], code: str, sentence: str
) -> None:
    assert said(found, by_hand="brought in by hand", **known) == (code, sentence)


# --- a person who was asked for by id -------------------------------------------------------------


PERSON = {"id": ANN, "userPrincipalName": "ann@contoso.com", "accountEnabled": True}
BLOCKED = PERSON | {"accountEnabled": False}
WAITS = RecordError(object_id=ANN, code="match.waiting", message="Two rows fit.")
FOREIGN = RecordError(object_id=ANN, code="record.notOwned", message="Not ours.")
FAILED = RecordError(object_id=ANN, code="record.expressionFailed", message="No date.")
NOTHING_KNOWN: dict[str, Any] = {"name": "Ann", "error": None, "now": NOW, "matched": None}
SKIPS = [{"target": "email", "expression": "IgnoreObjectFlow"}]


def evidence(person: dict[str, Any] | None, reason: Reason | None = None, **facts: Any) -> Evidence:
    return Evidence(ANN, reason, facts, person, frozenset({SALES}))


@pytest.mark.parametrize(
    ("found", "known", "code"),
    [
        pytest.param(evidence(PERSON), {}, "inScope", id="in"),
        pytest.param(evidence(BLOCKED), {}, "blocked", id="blocked"),
        pytest.param(evidence(PERSON), {"error": WAITS}, "matchWaiting", id="waits for a match"),
        pytest.param(evidence(PERSON), {"matched": Ignored()}, "matchIgnored", id="left out"),
        pytest.param(evidence(PERSON), {"error": FOREIGN}, "notOwned", id="another's row"),
        pytest.param(evidence(PERSON), {"error": FAILED}, "mappingFailed", id="cannot be mapped"),
        pytest.param(evidence(None, Reason.SOFT_DELETED), {}, "softDeleted", id="deleted"),
        pytest.param(evidence(None, Reason.HARD_DELETED), {}, "hardDeleted", id="gone"),
    ],
)
def test_what_is_known_of_a_person(found: Evidence, known: dict[str, Any], code: str) -> None:
    settings = connection(scope=scope(IN_SALES))

    standing = standing_of(settings, found, found.person, **(NOTHING_KNOWN | known))

    assert verdict(standing)[0] == code


def test_an_expression_that_skips_a_person_is_the_reason() -> None:
    settings = connection(scope=scope(IN_SALES), mapping=SKIPS)

    standing = standing_of(settings, evidence(PERSON), PERSON, **NOTHING_KNOWN)

    assert verdict(standing)[0] == "skipped"


def test_the_sentence_names_groups_and_the_day_of_deletion() -> None:
    settings = connection(scope=scope([in_groups(ADMINS)]))
    deleted = evidence(None, Reason.SOFT_DELETED, deletedDateTime="2026-01-31T10:00:00Z")
    seen = [
        GroupSeen(id=ADMINS, name="Admins", exists=True, is_member=False, directly=False, path=None)
    ]

    outside = standing_of(settings, evidence(PERSON), PERSON, groups=seen, **NOTHING_KNOWN)
    gone = standing_of(settings, deleted, None, **NOTHING_KNOWN)

    assert "Admins" in verdict(outside)[1]
    assert "2026-01-31" in verdict(gone)[1]


@pytest.mark.parametrize(
    ("settings", "person", "names", "told"),
    [
        pytest.param(scope(IN_SALES), PERSON, ["Team North"], True, id="is in"),
        pytest.param(scope([in_groups(ADMINS)]), PERSON, ["Team North"], True, id="is not in"),
        pytest.param(scope(IN_SALES), PERSON, [], False, id="no rule is paused"),
        pytest.param(scope(IN_SALES), BLOCKED, ["Team North"], False, id="out for another reason"),
        pytest.param(scope(IN_SALES), None, ["Team North"], False, id="deleted"),
    ],
)
def test_a_paused_rule_is_told_to_whom_it_may_matter(
    settings: Scope, person: dict[str, Any] | None, names: list[str], told: bool
) -> None:
    seen = GroupSeen(
        id=SALES, name="S", exists=True, is_member=True, directly=True, path="S", paused_rules=names
    )
    reason = None if person else Reason.SOFT_DELETED
    standing = standing_of(
        connection(scope=settings), evidence(person, reason), person, groups=[seen], **NOTHING_KNOWN
    )

    assert ("has paused the rule of Team North" in verdict(standing)[1]) is told


@pytest.mark.parametrize(
    ("person", "known", "name"),
    [
        (PERSON, ["old@contoso.com"], "ann@contoso.com"),
        (None, ["old@contoso.com", "older@contoso.com"], "old@contoso.com"),
        (None, [None, "older@contoso.com"], "older@contoso.com"),
        (None, [], None),
    ],
)
def test_the_sign_in_name(
    person: dict[str, Any] | None, known: list[str | None], name: str | None
) -> None:
    assert principal_name_of(person, *known) == name


@pytest.mark.parametrize(
    ("person", "stored", "name"),
    [
        ({"displayName": "Ann"}, {"displayName": "Old"}, "Ann"),
        ({"displayName": None}, {"displayName": "Old"}, "Old"),
        (None, {"displayName": "Old"}, "Old"),
        (None, {"displayName": ""}, None),
        (None, None, None),
    ],
)
def test_the_display_name(
    person: dict[str, Any] | None, stored: dict[str, Any] | None, name: str | None
) -> None:
    assert display_name_of(person, stored) == name


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (evidence(PERSON), "Read from Entra by id."),
        (
            evidence(PERSON, groups=[SALES]),
            "Read from Entra by id, and found in 1 of the named groups.",
        ),
        (evidence(None, Reason.SOFT_DELETED), "Entra lists the person among the deleted."),
        (evidence(None, Reason.HARD_DELETED), "Entra has no such person."),
    ],
)
def test_what_graph_answered(found: Evidence, sentence: str) -> None:
    assert evidence_in_words(found) == sentence


def test_a_person_whom_neither_side_knows() -> None:
    error = unknown_person("ann@contoso.com")

    assert (error.code, error.status) == ("user.unknown", 404)
    assert "'ann@contoso.com'" in error.message

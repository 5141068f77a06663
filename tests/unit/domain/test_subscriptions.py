"""Which subscriptions a connection wants, and what is done about those that it has."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import RetryLater
from sync_core.domain.incremental.checkpoint import TrackedGroups
from sync_core.domain.subscriptions import (
    ALL_GROUPS,
    LIFE,
    MAKING,
    PAUSE,
    QUOTA,
    SPARE,
    USERS,
    Failure,
    Listed,
    Place,
    State,
    Subscription,
    Todo,
    Wanted,
    Wishes,
    is_changed,
    is_of_groups,
    is_wide,
    needed_still,
    place_of,
    removes_first,
    replaced,
    strangers,
    todo,
    wishes_of,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TENANT = "11111111-2222-4333-8444-555555555555"
APP = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
PLACE = Place("public", TENANT, APP)
HERE = "https://app.example/api/graph/notifications"
OUTER, INNER, INMOST, OTHER = (f"{digit}" * 8 + "-0000-4000-8000-000000000000" for digit in "1234")
KEEP = dict.fromkeys(["accountDisabled", "softDeleted", "hardDeleted"], "keep")


def connection(**changes: Any) -> Connection:
    clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [OUTER]}
    return Connection.model_validate(
        {
            "id": "contoso",
            "displayName": "Contoso",
            "tenantId": TENANT,
            "clientId": APP,
            "realtime": True,
            "scope": {"filters": [{"clauses": [clause]}]},
        }
        | changes
    )


def scope(attribute: str, value: Any = "Sales", **more: Any) -> dict[str, Any]:
    operator = "ARRAYCONTAINS" if attribute in {"groups", "assignedTo"} else "EQUALS"
    clause = {"attribute": attribute, "operator": operator, "value": value}
    return {"filters": [{"clauses": [clause]}], **more}


def subscription(slot: str = USERS, **changes: Any) -> Subscription:
    made = Subscription(
        connection_id="contoso",
        slot=slot,
        place=PLACE,
        address=HERE,
        nonce="nonce",
        state=State.ACTIVE,
        subscription_id=f"id-of-{slot}",
        expires_at=NOW + LIFE,
        created_at=NOW,
        tried_at=NOW - timedelta(hours=1),
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        pytest.param({}, True, id="accounts are disabled by the policy"),
        pytest.param({"policy": KEEP}, False, id="memberships alone"),
        pytest.param({"policy": KEEP | {"hardDeleted": "disable"}}, True, id="a policy"),
        pytest.param({"policy": KEEP, "scope": scope("department")}, True, id="an attribute"),
        pytest.param({"policy": KEEP, "scope": {"everyone": True}}, True, id="everyone"),
    ],
)
def test_users_are_wanted_where_attributes_or_accounts_decide(
    changes: dict[str, Any], wanted: bool
) -> None:
    assert wishes_of(connection(**changes)).users is wanted


TREE = TrackedGroups(
    names=dict.fromkeys([OUTER, INNER, INMOST, OTHER], "a group"),
    # A cycle, too: Entra allows it.
    parents={INNER: [OUTER], INMOST: [INNER], OUTER: [INMOST]},
)


@pytest.mark.parametrize(
    ("changes", "tree", "groups"),
    [
        pytest.param({}, None, {OUTER}, id="before the first run"),
        pytest.param({}, TREE, {OUTER, INNER, INMOST}, id="nested"),
        pytest.param(
            {},
            TrackedGroups(names={OUTER: "Outer"}, awaited={OUTER: [INNER], INNER: [INMOST]}),
            {OUTER, INNER, INMOST},
            id="nested and in no list",
        ),
        pytest.param(
            {"scope": scope("groups", [OUTER], nestedGroups=False)}, TREE, {OUTER}, id="direct only"
        ),
        pytest.param(
            {"scope": scope("groups", [OTHER])}, TREE, {OTHER}, id="the tree of another scope"
        ),
        pytest.param(
            {"scope": scope("assignedTo", [APP])},
            TREE,
            {OUTER, INNER, INMOST, OTHER},
            id="assigned to an application",
        ),
        pytest.param(
            {},
            TREE.model_copy(update={"missing": [INNER], "gone": {INMOST: NOW}}),
            {OUTER},
            id="gone",
        ),
    ],
)
def test_groups_are_those_that_are_named_and_those_in_them(
    changes: dict[str, Any], tree: TrackedGroups | None, groups: set[str]
) -> None:
    assert wishes_of(connection(**changes), tree).groups == groups


def test_resources_are_named_as_graph_names_them() -> None:
    slots = [USERS, ALL_GROUPS, OUTER]

    assert [subscription(slot).resource for slot in slots] == [
        "users",
        "groups",
        f"groups/{OUTER}/members",
    ]


def groups(count: int) -> Wishes:
    return Wishes(users=True, groups=frozenset(map(str, range(count))))


@pytest.mark.parametrize(
    ("wishes", "was_wide", "wide"),
    [
        pytest.param([groups(QUOTA - 1)], False, False, id="the quota"),
        pytest.param([groups(QUOTA)], False, True, id="one more"),
        pytest.param([groups(QUOTA - 1), groups(QUOTA - 1)], False, False, id="the same twice"),
        pytest.param(
            [groups(QUOTA - 1), Wishes(users=False, groups=frozenset("x"))],
            False,
            True,
            id="two connections of one application",
        ),
        pytest.param([groups(QUOTA - SPARE)], True, True, id="no way back yet"),
        pytest.param([groups(QUOTA - SPARE - 1)], True, False, id="the way back"),
        pytest.param([], False, False, id="nobody"),
    ],
)
def test_more_than_the_quota_are_one(wishes: list[Wishes], was_wide: bool, wide: bool) -> None:
    assert is_wide(wishes, was_wide=was_wide) is wide


def test_whoever_wants_no_groups_has_no_subscription_to_all_of_them() -> None:
    assert Wishes(users=True, groups=frozenset()).slots(is_wide=True) == {USERS}
    assert groups(3).slots(is_wide=True) == {USERS, ALL_GROUPS}
    assert Wishes(users=False, groups=frozenset("a")).slots(is_wide=False) == {"a"}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        pytest.param(None, {}, True, id="new"),
        pytest.param(None, {"realtime": False}, False, id="new without"),
        pytest.param({}, {"realtime": False}, True, id="off"),
        pytest.param({"enabled": False}, {}, True, id="enabled"),
        pytest.param({"tenantId": None}, {}, True, id="connected"),
        pytest.param({}, {"displayName": "Another"}, False, id="a name"),
        pytest.param({}, {"scope": scope("groups", [OTHER])}, True, id="scope"),
        pytest.param({}, {"clientId": TENANT}, True, id="application"),
        pytest.param(
            {"realtime": False},
            {"realtime": False, "scope": scope("groups", [OTHER])},
            False,
            id="without",
        ),
    ],
)
def test_a_save_has_subscriptions_looked_after_where_it_matters(
    before: dict[str, Any] | None, after: dict[str, Any], changed: bool
) -> None:
    old = None if before is None else connection(**before)

    assert is_changed(old, connection(**after)) is changed


# --- what is to be done ---------------------------------------------------------------------------


def wanted(*slots: str, **changes: Any) -> Wanted:
    return replace(Wanted("contoso", frozenset(slots), PLACE, HERE), **changes)


def names(found: Todo) -> dict[str, list[str]]:
    every = {
        "create": found.create,
        "share": [row.slot for row in found.share],
        "renew": [row.slot for row in found.renew],
        "check": [row.slot for row in found.check],
        "remove": [row.slot for row in found.remove],
    }
    return {name: slots for name, slots in every.items() if slots}


def at(share: float) -> datetime:
    """Return when this share of the life of a subscription is over."""
    return NOW + LIFE * share


@pytest.mark.parametrize(
    ("row", "now", "does"),
    [
        pytest.param(None, NOW, "create", id="none"),
        pytest.param(subscription(), NOW, "check", id="alive"),
        pytest.param(subscription(), at(0.66), "check", id="more than a third is left"),
        pytest.param(subscription(), at(0.67), "renew", id="a third is left"),
        pytest.param(subscription(), at(1.1), "renew", id="over"),
        pytest.param(
            subscription(renewed_at=at(0.5), expires_at=at(1.5)), at(1), "check", id="renewed"
        ),
        pytest.param(subscription(created_at=None), NOW, "renew", id="age not known"),
        pytest.param(subscription(state=State.FAILING), NOW, "renew", id="failing"),
        pytest.param(
            subscription(state=State.FAILING, tried_at=NOW), NOW + PAUSE / 2, "", id="just tried"
        ),
        pytest.param(subscription(tried_at=None), NOW, "check", id="never tried"),
        pytest.param(
            subscription(state=State.CREATING, subscription_id=None, tried_at=NOW),
            NOW + MAKING / 2,
            "",
            id="another worker makes it",
        ),
        pytest.param(
            subscription(state=State.CREATING, subscription_id=None, tried_at=NOW),
            NOW + MAKING,
            "create",
            id="left by a worker",
        ),
        pytest.param(
            subscription(owner="gone", subscription_id="x"), NOW, "create", id="whose owner is gone"
        ),
        pytest.param(subscription(state=State.REMOVING), NOW, "create remove", id="being removed"),
        pytest.param(subscription(address="elsewhere"), NOW, "create remove", id="another address"),
        pytest.param(
            subscription(place=Place("public", TENANT, TENANT)),
            NOW,
            "create remove",
            id="another application",
        ),
    ],
)
def test_a_subscription_is_made_kept_renewed_or_replaced(
    row: Subscription | None, now: datetime, does: str
) -> None:
    found = todo([row] if row is not None else [], wanted(USERS), now)

    assert " ".join(names(found)) == does


def test_what_is_not_wanted_is_removed_and_users_come_first() -> None:
    rows = [subscription(OTHER), subscription("removed", state=State.REMOVING)]

    found = todo(rows, wanted(OUTER, INNER, USERS), NOW)

    assert names(found) == {"create": [USERS, OUTER, INNER], "remove": [OTHER, "removed"]}
    assert found.needs_validation
    assert not todo([subscription()], wanted(USERS), NOW).needs_validation


def test_who_wants_nothing_keeps_nothing() -> None:
    assert names(todo([subscription()], wanted(place=None), NOW)) == {"remove": [USERS]}


def test_what_another_connection_has_serves_both() -> None:
    other = subscription(
        connection_id="fabrikam", state=State.FAILING, failure=Failure("a", "b", "c")
    )
    [shared] = todo([], wanted(USERS, others={USERS: other}), NOW).share
    again = todo([shared], wanted(USERS, others={USERS: other}), NOW)
    own = todo([subscription()], wanted(USERS, others={USERS: other}), NOW)

    assert (shared.connection_id, shared.owner) == ("contoso", "fabrikam")
    assert (shared.subscription_id, shared.expires_at) == (other.subscription_id, other.expires_at)
    assert (shared.state, shared.failure, shared.nonce) == (State.FAILING, other.failure, "")
    assert again.share == [shared]
    assert names(own) == {"check": [USERS]}


def test_the_old_goes_first_only_where_there_is_no_room() -> None:
    """Else nothing is unseen while one takes the place of the other."""
    work = Todo(create=[ALL_GROUPS])

    assert not removes_first(work, QUOTA - 1)
    assert removes_first(work, QUOTA)


@pytest.mark.parametrize(
    ("row", "slots", "unmade", "stays"),
    [
        pytest.param(subscription(address="old"), {USERS}, {USERS}, True, id="at the old address"),
        pytest.param(subscription(address="old"), {USERS}, set(), False, id="which is replaced"),
        pytest.param(subscription(OUTER), {ALL_GROUPS}, {ALL_GROUPS}, True, id="a single one"),
        pytest.param(subscription(OUTER), {ALL_GROUPS}, {USERS}, False, id="users are missing"),
        pytest.param(subscription(OUTER), {ALL_GROUPS}, set(), False, id="all are told of"),
        pytest.param(subscription(ALL_GROUPS), {OUTER}, {OUTER}, True, id="the way back"),
        pytest.param(subscription(OUTER), {INNER}, {INNER}, False, id="another scope"),
        pytest.param(
            subscription(state=State.REMOVING), {USERS}, {USERS}, False, id="being removed already"
        ),
    ],
)
def test_what_goes_stays_until_its_successor_is_made(
    row: Subscription, slots: set[str], unmade: set[str], stays: bool
) -> None:
    assert bool(needed_still(Todo(remove=[row]), slots, unmade)) is stays


def test_what_has_a_successor_at_the_same_slot_goes_before_it() -> None:
    work = Todo(create=[USERS], remove=[subscription(), subscription(OUTER)])

    assert [row.slot for row in replaced(work)] == [USERS]


def test_it_lives_until_its_end() -> None:
    assert subscription().is_live(NOW)
    assert not subscription(expires_at=NOW).is_live(NOW)
    assert not subscription(subscription_id=None).is_live(NOW)
    assert not subscription(expires_at=None).is_live(NOW)


def test_a_failure_has_the_words_of_its_error() -> None:
    error = RetryLater("graph.unreachable", "It is not there.", "Wait.")

    assert Failure.of(error) == Failure("graph.unreachable", "It is not there.", "Wait.")


# --- what Graph has -------------------------------------------------------------------------------


def listed(**changes: Any) -> Listed:
    return replace(Listed("id-of-users", "users", HERE, NOW + LIFE), **changes)


@pytest.mark.parametrize(
    ("found", "row", "same"),
    [
        pytest.param(listed(), subscription(), True, id="the same end"),
        pytest.param(
            listed(expires_at=(NOW + LIFE).replace(microsecond=0)),
            subscription(expires_at=(NOW + LIFE).replace(microsecond=900_000)),
            True,
            id="kept in seconds",
        ),
        pytest.param(
            listed(expires_at=NOW + LIFE + timedelta(seconds=2)),
            subscription(),
            False,
            id="another end",
        ),
        pytest.param(listed(address="elsewhere"), subscription(), False, id="another address"),
        pytest.param(listed(), subscription(expires_at=None), False, id="none was asked for"),
        pytest.param(listed(), None, False, id="no row"),
    ],
)
def test_one_whose_answer_was_lost_is_known_by_its_end(
    found: Listed, row: Subscription | None, same: bool
) -> None:
    assert found.was_asked_by(row) is same


def test_strangers_have_our_address_and_no_row() -> None:
    rows = [subscription(), subscription(OUTER, subscription_id=None)]
    ours = listed()
    being_made = listed(subscription_id="new", resource=f"/groups/{OUTER}/members")
    elsewhere = listed(subscription_id="a", address="https://elsewhere.example/")
    stranger = listed(subscription_id="b", resource="groups", address=HERE.upper())

    assert strangers([ours, being_made, elsewhere, stranger], rows, HERE) == [stranger]


def test_whose_they_are_and_which_permission_they_take() -> None:
    assert place_of(connection()) == PLACE
    assert [is_of_groups(slot) for slot in (USERS, ALL_GROUPS, OUTER)] == [False, True, True]

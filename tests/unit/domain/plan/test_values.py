"""What a plan takes from people who are there, by column, and when this waits."""

from collections import Counter
from typing import Any

import pytest

from sync_core.domain.documents.mapping import MappingRule
from sync_core.domain.documents.policy import Guard
from sync_core.domain.documents.run import ColumnCount
from sync_core.domain.model import Action, Link, Value
from sync_core.domain.plan.guard import check_rises, check_values
from sync_core.domain.plan.plan import ALLOWED
from sync_core.domain.plan.values import (
    Kind,
    Loss,
    by_column,
    losses,
    name_of,
    rises,
    sensitive_values,
    still_sensitive,
)
from tests.unit.builders import change

IN_PLACE = Link("app", "42", "objectId", in_place=True)
ELSEWHERE = Link("app", "42", "email")
EMPTIED, REWRITTEN = Loss("email", Kind.BLANKED), Loss("email", Kind.REWRITTEN)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"before": {"email": "a"}, "values": {"email": "b"}}, [REWRITTEN], id="other"),
        pytest.param({"before": {"email": "a"}, "values": {}}, [EMPTIED], id="rule is gone"),
        pytest.param({"before": {"email": "a"}, "values": {"email": None}}, [EMPTIED], id="null"),
        pytest.param({"before": {}, "values": {"email": "b"}}, [], id="filled in"),
        pytest.param({"before": {"email": "a"}, "values": {"email": "a"}}, [], id="the same"),
        pytest.param({"before": {"email": "a"}, "values": {}, "kept": ("email",)}, [], id="kept"),
        pytest.param(
            {"action": Action.REENABLE, "before": {"email": "a"}, "values": {}},
            [EMPTIED],
            id="comes back",
        ),
        pytest.param(
            {"action": Action.CREATE, "before": {"email": "a"}, "link": IN_PLACE},
            [EMPTIED],
            id="takes a row over where it stands",
        ),
        pytest.param(
            {"action": Action.CREATE, "before": {"email": "a"}, "link": ELSEWHERE},
            [],
            id="takes over a row that stays elsewhere",
        ),
        pytest.param({"action": Action.DELETE, "before": {"email": "a"}}, [], id="leaves"),
    ],
)
def test_what_a_change_takes(changed: dict[str, Any], expected: list[Loss]) -> None:
    assert list(losses(change(**({"action": Action.UPDATE} | changed)))) == expected


@pytest.mark.parametrize(
    ("lost", "active", "guard", "held"),
    [
        pytest.param({EMPTIED: 10}, 100, Guard(), [], id="emptied, at the limit"),
        pytest.param({EMPTIED: 11}, 100, Guard(), [EMPTIED], id="emptied, one over"),
        pytest.param({REWRITTEN: 30}, 100, Guard(), [], id="rewritten, at the limit"),
        pytest.param({REWRITTEN: 31}, 100, Guard(), [REWRITTEN], id="rewritten, one over"),
        pytest.param({EMPTIED: 4, REWRITTEN: 4}, 4, Guard(), [], id="all of four"),
        pytest.param({EMPTIED: 5}, 5, Guard(), [EMPTIED], id="all of five"),
        pytest.param({EMPTIED: 9}, 9, Guard(max_blanked_percent=None), [], id="no limit"),
    ],
)
def test_limits_on_values(
    lost: dict[Loss, int], active: int, guard: Guard, held: list[Loss]
) -> None:
    verdict = check_values(ALLOWED, lost, guard, active)

    assert verdict.hold_values == frozenset(held)
    assert verdict.holds is bool(held)
    assert len(verdict.reasons) == len(held)


def test_only_who_loses_a_held_value_waits() -> None:
    verdict = check_values(ALLOWED, {EMPTIED: 5}, Guard(), 5)
    emptied = change(Action.UPDATE, before={"email": "a"}, values={})
    other = change(Action.UPDATE, before={"email": "a"}, values={"email": "b"})

    assert (verdict.holds_change(emptied), verdict.holds_change(other)) == (True, False)
    assert not verdict.holds_change(change(Action.CREATE))
    assert verdict.blocked(("no",)).holds_change(emptied)


def test_counts_by_column() -> None:
    assert by_column({REWRITTEN: 2, EMPTIED: 1}) == {"email": ColumnCount(blanked=1, rewritten=2)}


@pytest.mark.parametrize(
    ("number", "rule", "same"), [(12, "a", True), (95, "a", False), (12, "b", False)]
)
def test_a_confirmation_of_values_is_for_a_rule_and_an_extent(
    number: int, rule: str, *, same: bool
) -> None:
    assert (name_of(EMPTIED, number, 100, rule) == name_of(EMPTIED, 11, 100, "a")) is same


SENSITIVE = sensitive_values(
    [
        MappingRule(target="role", source="jobTitle", sensitive=["admin"]),
        MappingRule(target="email", source="mail"),
    ]
)


@pytest.mark.parametrize(
    ("changed", "rising"),
    [
        pytest.param({"before": {"role": "user"}, "values": {"role": "admin"}}, True, id="rises"),
        pytest.param(
            {"before": {"role": "admin"}, "values": {"role": "admin"}}, False, id="is one"
        ),
        pytest.param({"before": {"role": "admin"}, "values": {"role": "user"}}, False, id="falls"),
        pytest.param(
            {"action": Action.CREATE, "values": {"role": "admin"}}, True, id="comes as one"
        ),
        pytest.param({"action": Action.DISABLE, "values": {"role": "admin"}}, False, id="leaves"),
        pytest.param({"values": {"role": "admin"}, "kept": ("role",)}, False, id="kept as stored"),
        pytest.param({"values": {"role": None}}, False, id="is emptied"),
    ],
)
def test_a_rise_to_a_sensitive_value_waits(changed: dict[str, Any], *, rising: bool) -> None:
    rise = change(**({"action": Action.UPDATE} | changed))
    counts = Counter(rises(rise, SENSITIVE))

    verdict = check_rises(ALLOWED, counts, SENSITIVE)

    said = ("the column role would become admin for 1 person, which is sensitive",)
    assert (verdict.holds_change(rise), verdict.holds) == (rising, rising)
    assert verdict.reasons == (said if rising else ())


@pytest.mark.parametrize(
    ("sensitive", "before", "after", "rising"),
    [
        pytest.param(["admin"], "user", " ADMIN", [" ADMIN"], id="in other letters"),
        pytest.param(["admin"], "Admin", "admin", [], id="was one in other letters"),
        pytest.param(["admin"], '["user"]', '["admin","user"]', ["admin"], id="in a list"),
        pytest.param(["admin"], '["admin"]', '["admin","user"]', [], id="was in the list"),
        pytest.param(["admin"], "admin", '["admin","user"]', [], id="was the only one"),
        pytest.param(["admin"], None, '["admin","Admin"]', ["admin"], id="twice in a list"),
        pytest.param(["a", "b"], None, '["a","b","c"]', ["a", "b"], id="two of a list"),
        pytest.param([True], False, True, ["True"], id="a boolean"),
        pytest.param([True], None, "true", ["true"], id="a boolean as text"),
        pytest.param([7], 1, 7, ["7"], id="a number"),
        pytest.param(["[draft]"], None, "[draft]", ["[draft]"], id="no list"),
    ],
)
def test_what_looks_like_a_sensitive_value_is_one(
    sensitive: list[Value], before: Value, after: Value, rising: list[str]
) -> None:
    rule = MappingRule.model_validate(
        {"target": "role", "source": "jobTitle", "sensitive": sensitive}
    )
    stored = {} if before is None else {"role": before}
    risen = change(Action.UPDATE, before=stored, values={"role": after})

    assert [one.value for one in rises(risen, sensitive_values([rule]))] == rising


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(["admin"], None, ["admin"], id="left out"),
        pytest.param(["admin", "owner"], ["owner"], ["owner", "admin"], id="one of two left out"),
        pytest.param(["admin"], ["admin", "owner"], ["admin", "owner"], id="one more"),
        pytest.param(None, ["owner"], ["owner"], id="new"),
        pytest.param(None, None, None, id="none"),
    ],
)
def test_what_was_sensitive_is_so_while_a_change_is_judged(
    before: list[str] | None, after: list[str] | None, expected: list[str] | None
) -> None:
    known = [MappingRule(target="role", source="jobTitle", sensitive=before)]
    wanted = MappingRule(target="role", source="department", sensitive=after)
    other = MappingRule(target="email", source="mail")

    found = still_sensitive(known, [wanted, other])

    assert found == [wanted.model_copy(update={"sensitive": expected}), other]

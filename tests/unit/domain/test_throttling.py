"""Units are counted as Graph's page says, and four fifths of the allowance are used before anybody waits."""

import pytest

from sync_core.domain.throttling import Allowance, limit_of, still_held, units_of

GRAPH = "https://graph.microsoft.com/v1.0"


@pytest.mark.parametrize(
    ("path", "units"),
    [
        ("/users", 2),
        ("/users?$select=id", 1),
        ("/users?%24select=id&%24top=999", 1),
        ("/users?$top=19", 1),
        ("/users?$top=20", 2),
        ("/users?$top=many", 2),
        ("/users?$expand=manager", 3),
        ("/users?$select=id&$expand=manager", 2),
        ("/users/$count", 1),
        ("/users/delta?$deltatoken=x", 1),
        ("/users/microsoft.graph.delta()", 1),
        ("/users/5f1e", 1),
        ("/users/5f1e?$select=id", 1),
        ("/users/5f1e?$expand=manager", 2),
        ("/users/5f1e/manager", 1),
        ("/users/5f1e/memberOf", 2),
        ("/users/5f1e/transitiveMemberOf?$select=id", 1),
        ("/users/5f1e/checkMemberGroups", 4),
        ("/users/5f1e/microsoft.graph.checkMemberGroups", 4),
        ("/groups/5f1e", 1),
        ("/groups/5f1e/members", 3),
        ("/groups/5f1e/members/graph.user?$select=id", 2),
        ("/groups/5f1e/members/microsoft.graph.group?$select=id&$top=1", 1),
        ("/groups/5f1e/transitiveMembers", 5),
        ("/directoryObjects/getByIds", 5),
        ("", 1),
        ("/microsoft.graph.user", 1),
    ],
)
def test_a_request_costs(path: str, units: int) -> None:
    assert units_of(f"{GRAPH}{path}") == units


def test_an_address_without_a_path_costs_one() -> None:
    assert units_of("https://graph.microsoft.com") == units_of("graph.user") == 1


@pytest.mark.parametrize(
    ("people", "limit"), [(0, 3500), (49, 3500), (50, 5000), (500, 5000), (501, 8000)]
)
def test_the_allowance_grows_with_the_tenant(people: int, limit: int) -> None:
    assert limit_of(people) == limit


def test_nothing_waits_below_four_fifths() -> None:
    allowance = Allowance()
    allowance.spend(2800, 0)

    assert (allowance.spent, allowance.pause_s(0)) == (2800, 0)


def test_above_them_it_waits_until_they_are_reached_again() -> None:
    allowance = Allowance()
    allowance.spend(3500, 0)

    pause_s = allowance.pause_s(0)

    assert pause_s == pytest.approx(2.0)
    assert allowance.level(pause_s) == pytest.approx(2800)
    assert allowance.pause_s(pause_s) == pytest.approx(0)


def test_a_large_tenant_allows_more() -> None:
    allowance = Allowance()
    allowance.counted(501)
    allowance.counted(3)
    allowance.counted(None)
    allowance.spend(6400, 0)

    assert (allowance.limit, allowance.pause_s(0)) == (8000, 0)


def test_what_graph_tells_counts_for_one_pause_and_the_highest_of_them() -> None:
    allowance = Allowance()
    allowance.spend(1, 0, 0.9)
    allowance.spend(1, 0, 0.85)
    allowance.spend(1, 0)

    assert [round(allowance.pause_s(0), 3) for _ in range(2)] == [1.0, 0]


@pytest.mark.parametrize("told", [95.0, float("inf")])
def test_a_share_that_graph_never_tells_holds_a_run_up_for_ten_seconds_at_most(told: float) -> None:
    allowance = Allowance()
    allowance.spend(1, 0, told)

    assert allowance.pause_s(0) == pytest.approx(10.0)


def test_what_others_hold_is_shared_and_leaks_while_one_waits() -> None:
    allowance = Allowance()
    allowance.spend(1400, 0)
    allowance.others = 2100

    pause_s = allowance.pause_s(0)

    assert pause_s == pytest.approx(2.0)
    assert allowance.others == pytest.approx(1400)


def test_a_clock_that_goes_back_leaks_nothing() -> None:
    allowance = Allowance()
    allowance.spend(100, 50)

    assert allowance.level(40) == 100


def test_what_was_noted_some_time_ago_has_leaked() -> None:
    assert still_held([(1000, 1), (200, 10), (500, -5)], 3500) == 650 + 0 + 500

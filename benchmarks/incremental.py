"""Runs by the delta over tenants of several sizes, and beside a tenant that changes outside the scope.

What they cost should be the same at any size, so rows are of one run, not of one person.
"""

from collections.abc import Iterator
from typing import Any

from benchmarks.figures import Row
from benchmarks.sides import EVERYONE, GROUP, change, members_of, ours
from benchmarks.surroundings import Surroundings

BRANCH_PEOPLE = 2_500
# 100,000 changes a day of a selected attribute (microsoft-graph-docs says nothing about how many are usual).
CHANGED_AN_HOUR = 4_200


def incremental(people: int) -> Iterator[Row]:
    """Measure runs in which nothing, one, ten and a thousand people changed, for both kinds of scope."""
    for name, scope in (("everyone", EVERYONE), ("group", GROUP)):
        with Surroundings(people=people) as around:
            _imported(around, people, scope)
            yield ours(around, people, f"{name}, nothing changed", mode="incremental")
            for number in (1, 10, 1_000):
                change(around, number, value=f"Changed with {number}")
                yield ours(around, people, f"{name}, {number:,} changed", mode="incremental")


def churn(people: int) -> Iterator[Row]:
    """Measure an hour in which many people changed and none of those in the scope."""
    with Surroundings(people=people) as around:
        branch = around.control("GET", f"/people?top={BRANCH_PEOPLE}")
        group = around.control(
            "POST",
            "/groups",
            {"displayName": "Branch", "members": [one["id"] for one in branch]},
        )
        _imported(around, people, members_of(group["id"]))
        for mode in ("auto", "incremental"):
            change(around, CHANGED_AN_HOUR, skip=BRANCH_PEOPLE, value=f"Changed before {mode}")
            what = f"{CHANGED_AN_HOUR:,} changed outside a scope of {BRANCH_PEOPLE:,}, mode {mode}"
            yield ours(around, people, what, mode=mode)


def _imported(around: Surroundings, people: int, scope: dict[str, Any]) -> None:
    """Bring everybody in, and read them once more after the lag, as the second run of a connection does."""
    ours(around, people, "first import", scope=scope, hours_ago=1)
    ours(around, people, "second reading")

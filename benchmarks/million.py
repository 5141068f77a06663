"""Runs over a tenant of a million people: more rows than Azurite keeps, so the tables are our own.

In full and by the delta, since the limit of memory holds for both.
"""

from collections.abc import Iterator

from benchmarks.figures import Row
from benchmarks.sides import EVERYONE, change, ours
from benchmarks.surroundings import Surroundings
from benchmarks.targets import UNCHANGED

# A run ends after 25 minutes and the next goes on; on a busy machine a first import may need several.
MOST_RUNS = 6


def million(people: int) -> Iterator[Row]:
    """Measure a first import, a full reading, and runs by the delta in which nobody and one changed."""
    with Surroundings(people=people, own_tables=True) as around:
        yield ours(
            around,
            people,
            "ours, first import",
            scope=EVERYONE,
            hours_ago=1,
            most_runs=MOST_RUNS,
        )
        yield ours(around, people, UNCHANGED, most_runs=MOST_RUNS)
        yield ours(around, people, "ours, nothing changed, by the delta", mode="incremental")
        change(around, 1)
        yield ours(around, people, "ours, 1 changed, by the delta", mode="incremental")

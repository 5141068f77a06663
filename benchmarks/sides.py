"""One side measured: a process of its own beside a tenant, its figures as a row out."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.figures import Row
from benchmarks.surroundings import REPOSITORY, Surroundings
from local.sample import SAMPLE_GROUP_ID
from sync_core.runs.hold import OUT_OF_TIME

EVERYONE = {"everyone": True}


def members_of(group: str) -> dict[str, Any]:
    """Return the scope of a group's members, nested ones too."""
    clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [group]}
    return {"filters": [{"clauses": [clause]}]}


GROUP = members_of(SAMPLE_GROUP_ID)


def ours(
    around: Surroundings,
    people: int,
    what: str,
    *,
    scope: dict[str, Any] | None = None,
    mode: str = "full",
    hours_ago: int = 0,
    most_runs: int = 1,
) -> Row:
    """Make a run of the product; a `scope` makes its connection first, `hours_ago` sets its clock back.

    One that is out of its time is followed by another, up to `most_runs`; memory and hold are then the
    largest of them, and all else their sum.
    """
    around.forget_requests()
    task = {"connection": "bench", "scope": scope, "mode": mode, "hoursAgo": hours_ago}
    results = [in_a_process(around.environment, "benchmarks.ours", task)]
    while _goes_on(results[-1]["run"]) and len(results) < most_runs:
        results.append(in_a_process(around.environment, "benchmarks.ours", task | {"scope": None}))
    around.check_tables()
    run = results[-1]["run"]
    if run["status"] != "succeeded":
        raise RuntimeError(f"{what}: the run ended as {run['status']}: {run['error']}")
    costs = [result["cost"] for result in results]
    return Row(
        people,
        what if len(results) == 1 else f"{what}, {len(results)} runs",
        **{name: _LARGEST.get(name, sum)(cost[name] for cost in costs) for name in costs[0]},
        graph_requests=around.graph_requests(),
        written=sum(result["run"]["counts"][name] for result in results for name in _WRITTEN),
        mode=run["mode"],
    )


_WRITTEN = ("created", "updated", "reenabled", "disabled")
_LARGEST: dict[str, Callable[[Iterable[float]], float]] = {"peak_mib": max, "held_s": max}


def _goes_on(run: dict[str, Any]) -> bool:
    return bool(run["status"] == "partial" and run["error"]["code"] == OUT_OF_TIME)


def change(around: Surroundings, people: int, *, skip: int = 0, value: str = "Changed") -> None:
    """Give so many people another title; `skip` so many before them."""
    found = around.control("GET", f"/people?top={people}&skip={skip}")
    body = {"action": "patch", "keys": [one["id"] for one in found], "values": {"jobTitle": value}}
    around.control("POST", "/people/bulk", body)


def in_a_process(
    environment: dict[str, str] | None, module: str, task: dict[str, Any] | None = None
) -> Any:
    """Run one side, in the environment of its tenant or in ours; its last line is its result."""
    arguments = [] if task is None else [json.dumps(task)]
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])

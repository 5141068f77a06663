"""One side measured: a process of its own beside a tenant, its figures as a row out."""

import json
import subprocess
import sys
from typing import Any

from benchmarks.figures import Row
from benchmarks.surroundings import REPOSITORY, Surroundings
from local.sample import SAMPLE_GROUP_ID

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
) -> Row:
    """Make one run of the product; a `scope` makes its connection first, `hours_ago` sets its clock back."""
    around.forget_requests()
    task = {"connection": "bench", "scope": scope, "mode": mode, "hoursAgo": hours_ago}
    result = in_a_process(around, "benchmarks.ours", task)
    run, counts = result["run"], result["run"]["counts"]
    if run["status"] != "succeeded":
        raise RuntimeError(f"{what}: the run ended as {run['status']}: {run['error']}")
    written = sum(counts[name] for name in ("created", "updated", "reenabled", "disabled"))
    return Row(
        people,
        what,
        **result["cost"],
        graph_requests=around.graph_requests(),
        written=written,
        mode=run["mode"],
    )


def change(around: Surroundings, people: int, *, skip: int = 0, value: str = "Changed") -> None:
    """Give so many people another title; `skip` so many before them."""
    found = around.control("GET", f"/people?top={people}&skip={skip}")
    body = {"action": "patch", "keys": [one["id"] for one in found], "values": {"jobTitle": value}}
    around.control("POST", "/people/bulk", body)


def in_a_process(
    around: Surroundings | None, module: str, task: dict[str, Any] | None = None
) -> Any:
    """Run one side, with or without a tenant; its last line is its result."""
    arguments = [] if task is None else [json.dumps(task)]
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=around.environment if around else None,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])

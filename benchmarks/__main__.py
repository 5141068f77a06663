"""``python -m benchmarks``: the product beside a script in the manner of the SDKs' samples.

Each measured side runs in a process of its own; the tenant, the storage and the vault are others, and
their work is not counted. Prints one table of runs, and the targets beside what was reached.

``--million`` measures 1,000,000 people alone, or so many as are named, with the tables in
``benchmarks/tables.py``: Azurite gives up at that size. That takes an hour, and 6 GiB of memory in all.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.figures import Idle, Import, Judging, Picking, Row, Webhook
from benchmarks.incremental import churn, incremental
from benchmarks.million import million
from benchmarks.notified import http_host, judged, notified
from benchmarks.report import (
    NAIVE,
    idle_lines,
    incremental_lines,
    judging_line,
    realtime_lines,
    run_lines,
    target_lines,
    webhook_line,
)
from benchmarks.sides import EVERYONE, GROUP, change, in_a_process, ours
from benchmarks.surroundings import REPOSITORY, Surroundings
from benchmarks.targets import (
    MILLION,
    UNCHANGED,
    incremental_targets,
    million_targets,
    picking_targets,
    realtime_targets,
    targets,
)

SIZES = [2_000, 20_000, 100_000]
INCREMENTAL_SIZES = [1_000, 10_000, 100_000]
CHURN_PEOPLE = 100_000
# Typed models take minutes from here on.
NAIVE_MOST = 20_000
GROUP_PEOPLE = 20_000
WEBHOOK_PEOPLE = 2_000
IDLE_PEOPLE, IDLE_MEMBERS = 100, 3
# In memory, so the size that the target names is quick, too.
JUDGED_PEOPLE = 100_000
IMPORTS = 5
PARTS = ["full", "incremental", "realtime", "by-hand"]
PICKED_FROM = 100_000
# Azurite keeps everything in memory here: node's own limit is a few GiB.
NODE_OPTIONS = "--max-old-space-size=12288"


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    os.environ.setdefault("NODE_OPTIONS", NODE_OPTIONS)
    if options.idle:
        _print_lines(idle_lines([_idle(connections) for connections in options.idle]))
        return 0
    if options.million:
        rows = list(_told(million(options.million)))
        _print_lines(run_lines(rows), target_lines(list(million_targets(rows))))
        return 0
    if "full" in options.parts:
        _measure_all_else(options)
    if "incremental" in options.parts:
        _measure_incremental(quick=options.quick)
    if "realtime" in options.parts:
        found = notified(quick=options.quick)
        _print_lines(realtime_lines(found), target_lines(list(realtime_targets(found))))
    if "by-hand" in options.parts:
        picking = _picking(INCREMENTAL_SIZES[0] * 2 if options.quick else PICKED_FROM)
        _print_lines(target_lines(list(picking_targets(picking))))
    return 0


def _picking(people: int) -> Picking:
    with Surroundings(people=people) as around:
        result = in_a_process(around.environment, "benchmarks.by_hand", {"connection": "bench"})
    return Picking(people=people, **result)


def _measure_incremental(*, quick: bool) -> None:
    rows: list[Row] = []
    for people in INCREMENTAL_SIZES[:1] if quick else INCREMENTAL_SIZES:
        rows += _told(incremental(people))
    judged = list(incremental_targets(rows))
    rows += [] if quick else _told(churn(CHURN_PEOPLE))
    _print_lines(incremental_lines(rows), target_lines(judged))


def _measure_all_else(options: argparse.Namespace) -> None:
    judging = Judging(**in_a_process(None, "benchmarks.judgement", {"people": JUDGED_PEOPLE}))
    print(judging_line(judging), file=sys.stderr, flush=True)
    rows: list[Row] = []
    for people in options.people:
        rows += _told(_naive(people)) if people <= NAIVE_MOST else []
        rows += _told(_everyone(people))
    rows += _told(_group(min(GROUP_PEOPLE, max(options.people))))
    imported = _import_time()
    seconds = 3 if options.quick else 10
    webhooks = [_webhook_alone(seconds), _webhook_with_runs(seconds)]
    _print_lines(
        run_lines(rows),
        [judging_line(judging), *map(webhook_line, webhooks)],
        target_lines(list(targets(rows, judging, imported, webhooks))),
    )


def _print_lines(*paragraphs: Iterable[str]) -> None:
    for lines in paragraphs:
        print()
        print("\n".join(lines), flush=True)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--people",
        type=lambda text: sorted(int(part) for part in text.split(",")),
        metavar="N,N,...",
        help="sizes of the tenant, 10 to 1,000,000 (default: 2000,20000,100000)",
    )
    parser.add_argument(
        "--idle",
        type=lambda text: [int(part) for part in text.split(",")],
        metavar="N,N,...",
        help="only count what an hour costs in which nothing changes, with so many connections",
    )
    parser.add_argument(
        "--million",
        type=int,
        nargs="?",
        const=MILLION,
        metavar="N",
        help="only measure the largest tenant there is a target for, with tables of our own; N for trying",
    )
    parser.add_argument("--quick", action="store_true", help="2,000 people, a short load")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        help="what to measure: runs in full and all else, by the delta, notifications, people by hand (all)",
    )
    options = parser.parse_args(arguments)
    options.people = options.people or (SIZES[:1] if options.quick else SIZES)
    return options


def _told(rows: Iterator[Row]) -> Iterator[Row]:
    """Say what is done while it goes on: the large sizes take minutes."""
    for row in rows:
        print(f"{row.people:,}: {row.what}: {row.wall_s:.1f} s", file=sys.stderr, flush=True)
        yield row


def _naive(people: int) -> Iterator[Row]:
    with Surroundings(people=people) as around:
        around.forget_requests()
        result = in_a_process(around.environment, "benchmarks.naive")
        reading, writing = result["reading"], result["writing"]
        requests = around.graph_requests()
    yield Row(
        people,
        NAIVE,
        cpu_s=reading["cpu_s"] + writing["cpu_s"],
        wall_s=reading["wall_s"] + writing["wall_s"],
        peak_mib=writing["peak_mib"],
        graph_requests=requests,
        table_calls=writing["table_calls"],
        written=result["written"],
    )
    yield Row(people, "  of which reading", **reading, graph_requests=requests, written=0)


def _everyone(people: int) -> Iterator[Row]:
    with Surroundings(people=people) as around:
        yield ours(around, people, "ours, first import", scope=EVERYONE)
        yield ours(around, people, UNCHANGED)
        change(around, people // 100)
        yield ours(around, people, "ours, 1 % changed")


def _group(people: int) -> Iterator[Row]:
    with Surroundings(people=people) as around:
        yield ours(around, people, "group scope, first import", scope=GROUP)
        yield ours(around, people, "group scope, nothing changed, full reading")


def _idle(connections: int) -> Idle:
    with Surroundings(people=IDLE_PEOPLE) as around:
        people = [around.control("POST", "/people", {})["id"] for _ in range(IDLE_MEMBERS)]
        group = around.control("POST", "/groups", {"displayName": "Idle", "members": people})["id"]
        task = {"connections": connections, "group": group}
        result = in_a_process(around.environment, "benchmarks.idle", task)
    return Idle(connections, **result)


def _webhook_alone(seconds: int) -> Webhook:
    """Measure the HTTP functions on an instance of their own, as in Azure."""
    with Surroundings(people=WEBHOOK_PEOPLE) as around, http_host(around) as host:
        task = {"host": host, "perSecond": 100, "seconds": seconds, "changes": 0}
        return judged(
            "HTTP functions alone", in_a_process(around.environment, "benchmarks.webhook", task)
        )


def _webhook_with_runs(seconds: int) -> Webhook:
    """Measure one process that does everything, as in the local rig."""
    with Surroundings(people=WEBHOOK_PEOPLE) as around:
        task = {"host": around.host(REPOSITORY), "perSecond": 100, "seconds": seconds}
        result = in_a_process(around.environment, "benchmarks.webhook", task | {"changes": 5})
    return judged("all in one process", result)


def _import_time() -> Import:
    code = (
        "import time; began = time.perf_counter(); import function_app; "
        "print(time.perf_counter() - began)"
    )
    command = [sys.executable, "-c", code]
    seconds = [
        float(subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout)
        for _ in range(IMPORTS)
    ]
    return Import(statistics.median(seconds), max(seconds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

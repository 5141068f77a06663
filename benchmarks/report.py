"""Figures in, lines of text out: one table of runs, one of targets. Pure."""

from collections.abc import Iterator, Sequence

from benchmarks.figures import Idle, Judging, Realtime, Row, Target, Webhook

NAIVE = "SDK sample, every run"
_HEAD = (
    "people",
    "what",
    "CPU/user µs",
    "Graph",
    "tables",
    "written",
    "wall s",
    "peak MiB",
    "held ms",
)
_INCREMENTAL_HEAD = ("people", "what", "run", "Graph", "tables", "written", "CPU ms", "wall s")
_TARGET_HEAD = ("target", "limit", "measured", "")
_MET = {True: "met", False: "NOT MET", None: "-"}

_SERVICES = ("tables", "queues", "vault", "tokens", "graph")

Cells = Sequence[str]


def run_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Give the table of runs; after each size the ratios to the SDK sample, where it was measured."""
    cells: list[Cells] = [_HEAD]
    for people in dict.fromkeys(row.people for row in rows):
        same = [row for row in rows if row.people == people]
        cells += map(_cells, same)
        naive = next((row for row in same if row.what == NAIVE), None)
        if naive is not None:
            cells += [_ratio(naive, row) for row in same if row.what.startswith("ours, ")]
    return _table(cells, right=range(2, len(_HEAD)))


def incremental_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Return the table of runs by the delta; CPU is that of the whole run."""
    cells: list[Cells] = [_INCREMENTAL_HEAD]
    cells += [
        (
            f"{row.people:,}",
            row.what,
            row.mode,
            f"{row.graph_requests:,}",
            f"{row.table_calls:,}",
            f"{row.written:,}",
            f"{row.cpu_s * 1000:,.0f}",
            f"{row.wall_s:,.1f}",
        )
        for row in rows
    ]
    return _table(cells, right=range(3, len(_INCREMENTAL_HEAD)))


def idle_lines(hours: Sequence[Idle]) -> Iterator[str]:
    """Give one line for the timers and one for the runs of each number of connections."""
    cells: list[Cells] = [("connections", "what", *_SERVICES)]
    for hour in hours:
        for what, calls in (
            ("timers, an hour", hour.timers),
            (f"{hour.ran} runs, an hour", hour.runs),
            ("maintenance, once a day", hour.daily),
        ):
            counted = (f"{calls.get(service, 0):,}" for service in _SERVICES)
            cells.append((f"{hour.connections:,}", what, *counted))
    return _table(cells, right=range(2, 2 + len(_SERVICES)))


def realtime_lines(found: Realtime) -> Iterator[str]:
    """Return how long changes took, what the webhook answered, and what noise cost."""
    noise = found.noise
    yield (
        f"{len(found.changes)} changes (joiners, leavers, blocked, soft-deleted), change to row: "
        f"p50 {found.percentile(50):.2f} s, p99 {found.percentile(99):.2f} s."
    )
    yield from map(webhook_line, found.busy)
    yield (
        f"{noise.notifications:,} changes outside of the scope in a tenant of {noise.people:,} people: "
        f"{noise.graph:,} Graph requests, {noise.tables:,} table calls, {noise.queues:,} queue operations "
        f"({noise.messages:,} messages), {noise.runs:,} runs."
    )


def target_lines(targets: Sequence[Target]) -> Iterator[str]:
    cells = [(one.what, one.limit, one.measured, _MET[one.met]) for one in targets]
    return _table([_TARGET_HEAD, *cells], right=())


def judging_line(judging: Judging) -> str:
    return (
        f"Scope and mapping (15 rules, 5 of them expressions) of {judging.people:,} people in memory: "
        f"{judging.ours_us:.1f} µs of CPU a person; with the rules read anew for each person "
        f"{judging.naive_us:,.0f} µs ({_times(judging.naive_us, judging.ours_us)})."
    )


def webhook_line(webhook: Webhook) -> str:
    line = (
        f"Webhook, {webhook.where}: first answer of a new process {webhook.first_s:.2f} s; at 100 a "
        f"second p50 {webhook.percentile(50):.0f} ms, p99 {webhook.percentile(99):.0f} ms, slowest "
        f"{webhook.milliseconds[-1]:.0f} ms."
    )
    changes = ", ".join(f"{seconds:.2f}" for seconds in webhook.change_s)
    return f"{line} Change to row: {changes} s." if changes else line


def _cells(row: Row) -> Cells:
    return (
        f"{row.people:,}",
        row.what,
        f"{row.cpu_us:,.0f}",
        f"{row.graph_requests:,}",
        f"{row.table_calls:,}",
        f"{row.written:,}",
        f"{row.wall_s:,.1f}",
        f"{row.peak_mib:,.0f}",
        f"{row.held_s * 1000:,.0f}" if row.held_s else "",
    )


def _ratio(naive: Row, ours: Row) -> Cells:
    return (
        "",
        f"  SDK sample : {ours.what}",
        _times(naive.cpu_us, ours.cpu_us),
        _times(naive.graph_requests, ours.graph_requests),
        _times(naive.table_calls, ours.table_calls),
        "",
        _times(naive.wall_s, ours.wall_s),
        _times(naive.peak_mib, ours.peak_mib),
        "",
    )


def _times(naive: float, ours: float) -> str:
    if not ours:
        return "-"
    ratio = naive / ours
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


def _table(cells: Sequence[Cells], *, right: Sequence[int]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, line in enumerate(cells):
        padded = (
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join(padded).rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)

"""The numbers to reach: figures in, each target beside what was measured out. Pure."""

from collections.abc import Iterator, Sequence

from benchmarks.figures import Import, Judging, Picking, Realtime, Row, Target, Webhook

UNCHANGED = "ours, nothing changed, full reading"
PAGE = 999
# The targets are meant for directories of this size; what is the same at any size weighs on small ones.
JUDGED_FROM = 100_000
MILLION = 1_000_000
MILLION_MIB = 1024


def targets(
    rows: Sequence[Row], judging: Judging, imported: Import, webhooks: Sequence[Webhook]
) -> Iterator[Target]:
    """Judge the runs over the largest tenant, scope and mapping, the import, and the webhook."""
    people = max(row.people for row in rows)
    largest = [row for row in rows if row.people == people and row.what.startswith("ours, ")]
    for row in largest:
        if row.what == UNCHANGED:
            yield from _full_reading(row)
    yield _memory(people, max(row.peak_mib for row in largest))
    yield _loop(people, max(row.held_s for row in largest))
    yield Target(
        f"CPU per user, scope and mapping of {judging.people:,} people",
        "at most 30 µs",
        f"{judging.ours_us:.1f} µs",
        judging.ours_us <= 30,
    )
    for webhook in webhooks:
        yield from _webhook(webhook)
    yield Target(
        "import of function_app",
        "under 1 s",
        f"{imported.median_s:.2f} s (slowest {imported.slowest_s:.2f} s)",
        imported.slowest_s < 1,
    )


def million_targets(rows: Sequence[Row]) -> Iterator[Target]:
    """Judge runs over a tenant too large for Azurite: memory and hold of all of them, the full reading."""
    people = max(row.people for row in rows)
    for row in rows:
        if row.what.startswith(UNCHANGED):  # one of several runs says so behind it
            yield from _full_reading(row)
    # A smaller number is for trying; the limit is the one of a million.
    yield _memory(people, max(row.peak_mib for row in rows), limit_mib=MILLION_MIB)
    yield _loop(people, max(row.held_s for row in rows))


def _full_reading(row: Row) -> Iterator[Target]:
    of_whom = f"{row.people:,} unchanged people"
    yield Target(
        f"CPU per user, full reading of {of_whom}",
        "at most 100 µs",
        f"{row.cpu_us:.0f} µs",
        row.cpu_us <= 100 if row.people >= JUDGED_FROM else None,
    )
    most = row.people // PAGE + 5
    yield Target(
        f"Graph requests, full reading of {of_whom}",
        f"at most {most} (users/999 + 5)",
        str(row.graph_requests),
        row.graph_requests <= most,
    )


def incremental_targets(rows: Sequence[Row]) -> Iterator[Target]:
    """Judge runs by the delta at every size; a group scope here has one stream."""
    for what, graph, tables in (("nothing changed", 1, 15), ("1 changed", 4, 20)):
        for scope, streams in (("everyone", 0), ("group", 1)):
            found = [row for row in rows if row.what == f"{scope}, {what}"]
            if not found:
                continue
            most = graph + streams
            graphs = [row.graph_requests for row in found]
            calls = [row.table_calls for row in found]
            yield Target(
                f"{scope}, {what}, incremental, {_sizes(found)} people",
                f"at most {most} Graph, {tables} table",
                f"{_each(graphs)} Graph, {_each(calls)} table",
                max(graphs) <= most and max(calls) <= tables,
            )


def _sizes(rows: Sequence[Row]) -> str:
    return " / ".join(f"{row.people:,}" for row in rows)


def _each(numbers: Sequence[int]) -> str:
    return " / ".join(map(str, numbers))


def _memory(people: int, peak_mib: float, *, limit_mib: int | None = None) -> Target:
    limit = limit_mib or (MILLION_MIB if people >= MILLION else 300)
    return Target(
        f"peak memory, {people:,} people",
        f"under {limit:,} MiB",
        f"{peak_mib:.0f} MiB",
        peak_mib < limit,
    )


def _loop(people: int, held_s: float) -> Target:
    return Target(
        f"longest that a run holds the event loop, {people:,} people",
        "under 100 ms",
        f"{held_s * 1000:.0f} ms",
        held_s < 0.1,
    )


def realtime_targets(found: Realtime) -> Iterator[Target]:
    """Judge how long changes take, the webhook while workers are busy, and what noise asks of Graph."""
    slowest = found.percentile(99)
    yield Target(
        f"change to row, p99 of {len(found.changes)} (joiners, leavers, blocked, soft-deleted)",
        "under 5 s",
        f"{slowest:.2f} s (p50 {found.percentile(50):.2f} s)",
        slowest < 5,
    )
    apart, _ = found.busy
    yield from _webhook(apart)
    # The filter of who can matter has 0.8 % false hits (domain/incremental/interest.py).
    most = found.noise.notifications // 20
    yield Target(
        f"Graph requests for {found.noise.notifications:,} changes outside of the scope",
        f"at most {most} (1 for 20)",
        str(found.noise.graph),
        found.noise.graph <= most,
    )


def _webhook(webhook: Webhook) -> Iterator[Target]:
    if webhook.change_s:
        slowest = max(webhook.change_s)
        yield Target(
            "one membership change, notification to row",
            "under 5 s",
            f"{slowest:.2f} s (slowest of {len(webhook.change_s)})",
            slowest < 5,
        )
    yield Target(
        f"webhook acknowledgement at 100 a second, p99, {webhook.where}",
        "under 100 ms",
        f"{webhook.percentile(99):.0f} ms (p50 {webhook.percentile(50):.0f} ms)",
        webhook.percentile(99) < 100,
    )
    yield Target(
        f"notifications lost or refused, {webhook.where}",
        "none",
        f"{webhook.lost} lost, {webhook.refused} refused of {len(webhook.milliseconds)}",
        webhook.lost == 0 and webhook.refused == 0,
    )


def picking_targets(picking: Picking) -> Iterator[Target]:
    """Judge what an administrator waits for, picking people of a directory and bringing them in."""
    where = f"of {picking.people:,} people"
    for what, seconds in (
        ("first page of candidates", picking.first_s),
        ("last page", picking.last_s),
        ("a search", picking.search_s),
    ):
        yield Target(f"{what}, {where}", "under 1 s", f"{seconds:.2f} s", seconds < 1)
    yield Target(
        f"a walk of the cursor, {where}",
        "everybody once",
        f"{picking.shown:,} lines, {picking.walked:,} people, {picking.walk_s:.0f} s",
        picking.shown == picking.walked == picking.people,
    )
    yield Target(
        f"an import of {picking.imported:,}, {where}",
        "under 10 s",
        f"{picking.import_s:.1f} s, {picking.requests} requests to Graph",
        picking.import_s < 10,
    )

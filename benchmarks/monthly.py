"""What an app costs a month, from measured operations and list prices: `python -m benchmarks.monthly`.

Prints the tables of docs/cost.md. Operations are those of docs/speed.md; what was never measured is named
as an assumption there. US dollars, one connection, list prices without any discount.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

HOURS = 730
DAYS = 30.4
SECONDS = HOURS * 3600

# --- measured: docs/speed.md ------------------------------------------------------------------------

# Calls of a full reading in which nothing changed: 25, 41 and 105 tables at 2,000, 20,000 and 100,000 people.
FULL_TABLES, FULL_TABLES_A_PERSON = 24, 0.00081
FULL_GRAPH, FULL_GRAPH_A_PERSON = 2, 0.001
# Of a run by the delta, at any size: nothing changed, and each change more.
DELTA_TABLES, DELTA_GRAPH = 13, 1
CHANGE_TABLES, CHANGE_GRAPH = 3, 0.1
# Of an hour of the timers with one connection.
TIMER_TABLES, TIMER_QUEUES = 82, 1
# A run that one notification asks for: by the delta, one change.
NOTIFIED_TABLES, NOTIFIED_GRAPH = 19, 2
# Keeping a notification and looking at it: 833 calls for 420 about people who are in no group that matters.
INTAKE_TABLES = 2

# --- assumed ----------------------------------------------------------------------------------------

CHANGED_A_DAY = 0.01
NOTIFICATIONS_A_CHANGE = 2
GRAPH_S, TABLE_S = 1.0, 0.02
# The platform bills at least so long each time that an instance becomes active.
LEAST_S = 1.0
MEMORY_GB = 2.0
ROW_KB, LOG_ROW_KB = 2.0, 1.0
LOG_ROWS_A_TICK, LOG_ROWS_A_RUN, LOG_ROWS_A_NOTIFICATION = 4, 10, 4
QUEUE_LOOKS_AN_HOUR = 1_800
ENDPOINTS = 4
LOG_ALERTS, METRIC_ALERTS = 13, 1


@dataclass(frozen=True)
class Prices:
    """List prices in US dollars, East US; where each is from stands in docs/cost.md."""

    on_demand_gb_s: float = 0.000026
    executions: float = 0.40 / 1_000_000
    free_gb_s: float = 100_000
    free_executions: float = 250_000
    always_ready_gb_s: float = 0.000016
    baseline_gb_s: float = 0.000004
    table_calls: float = 0.00036 / 10_000
    queue_calls: float = 0.004 / 10_000
    stored_gb: float = 0.045
    vault_calls: float = 0.03 / 10_000
    logs_gb: float = 2.30
    free_logs_gb: float = 5.0
    log_alert: float = 0.50
    metric_alert: float = 0.10
    free_metric_alerts: int = 10
    endpoint: float = 0.01 * HOURS
    zone: float = 0.50


@dataclass(frozen=True)
class Mode:
    """How the app is set up."""

    name: str
    realtime: bool = False
    always_ready: int = 0
    private: bool = False


MODES = (
    Mode("polling"),
    Mode("real time", realtime=True),
    Mode("real time, always ready", realtime=True, always_ready=2),
    Mode("real time, always ready, private", realtime=True, always_ready=2, private=True),
)
SIZES = (200, 10_000, 100_000)


@dataclass
class Use:
    """What a month uses."""

    people: int
    mode: Mode
    graph: float = field(init=False)
    tables: float = field(init=False)
    queues: float = field(init=False)
    active_s: float = field(init=False)
    executions: float = field(init=False)
    log_rows: float = field(init=False)

    def __post_init__(self) -> None:
        changes = self.people * CHANGED_A_DAY * DAYS
        ticks, fulls, deltas = HOURS * 12 + HOURS, DAYS, HOURS - DAYS
        told = changes * NOTIFICATIONS_A_CHANGE if self.mode.realtime else 0.0
        # One run serves what was told within a second; at the most it is one for each change.
        asked = changes if self.mode.realtime else 0.0
        self.graph = (
            fulls * (FULL_GRAPH + FULL_GRAPH_A_PERSON * self.people)
            + deltas * DELTA_GRAPH
            + asked * NOTIFIED_GRAPH
            + changes * CHANGE_GRAPH
        )
        run_tables = (
            fulls * (FULL_TABLES + FULL_TABLES_A_PERSON * self.people)
            + deltas * DELTA_TABLES
            + asked * NOTIFIED_TABLES
            + changes * CHANGE_TABLES
        )
        runs = fulls + deltas + asked
        self.tables = run_tables + HOURS * TIMER_TABLES + told * INTAKE_TABLES
        looks = HOURS * QUEUE_LOOKS_AN_HOUR if self.mode.always_ready else 0.0
        # Sent, taken and deleted.
        self.queues = 3 * (HOURS * TIMER_QUEUES + asked) + looks
        self.active_s = (
            max(runs * LEAST_S, self.graph * GRAPH_S + run_tables * TABLE_S)
            + ticks * LEAST_S
            + told * LEAST_S
        )
        self.executions = runs + ticks + told
        self.log_rows = (
            ticks * LOG_ROWS_A_TICK + runs * LOG_ROWS_A_RUN + told * LOG_ROWS_A_NOTIFICATION
        )


def cost(use: Use, prices: Prices) -> dict[str, float]:
    """Return what a month costs, by what it is paid for."""
    gb_s = use.active_s * MEMORY_GB
    ready = use.mode.always_ready
    if ready:  # without a grant, but at the lower price
        compute = gb_s * prices.always_ready_gb_s + use.executions * prices.executions
        compute += ready * MEMORY_GB * SECONDS * prices.baseline_gb_s
    else:
        compute = max(0.0, gb_s - prices.free_gb_s) * prices.on_demand_gb_s
        compute += max(0.0, use.executions - prices.free_executions) * prices.executions
    stored_gb = use.people * ROW_KB / 1_000_000
    logs_gb = use.log_rows * LOG_ROW_KB / 1_000_000
    return {
        "compute": compute,
        "storage": use.tables * prices.table_calls
        + use.queues * prices.queue_calls
        + stored_gb * prices.stored_gb,
        "vault": (HOURS * 2) * prices.vault_calls,
        "logs": max(0.0, logs_gb - prices.free_logs_gb) * prices.logs_gb,
        "alerts": LOG_ALERTS * prices.log_alert
        + max(0, METRIC_ALERTS - prices.free_metric_alerts) * prices.metric_alert,
        "network": ENDPOINTS * (prices.endpoint + prices.zone) if use.mode.private else 0.0,
    }


def lines() -> Iterator[str]:
    """Yield the two tables of docs/cost.md: what a month costs, and what it uses."""
    parts = [*cost(Use(200, MODES[0]), Prices())]
    yield f"| people | mode | {' | '.join(parts)} | **a month** |"
    yield "| --- | --- |" + " --- |" * (len(parts) + 1)
    uses = [Use(people, mode) for people in SIZES for mode in MODES]
    for use in uses:
        found = cost(use, Prices())
        figures = " | ".join(f"{value:,.2f}" for value in found.values())
        yield f"| {use.people:,} | {use.mode.name} | {figures} | **{sum(found.values()):,.2f}** |"
    yield ""
    what = ("Graph requests", "table calls", "queue calls", "GB-seconds", "executions", "log rows")
    yield f"| people | mode | {' | '.join(what)} |"
    yield "| --- | --- |" + " --- |" * len(what)
    for use in uses:
        asked = (use.graph, use.tables, use.queues)
        done = (use.active_s * MEMORY_GB, use.executions, use.log_rows)
        counted = " | ".join(f"{value:,.0f}" for value in (*asked, *done))
        yield f"| {use.people:,} | {use.mode.name} | {counted} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")

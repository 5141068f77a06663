"""What docs/cost.md says is what benchmarks/monthly.py computes, from what docs/speed.md has measured."""

import re

import pytest

from benchmarks import monthly
from benchmarks.monthly import MODES, Mode, Prices, Use, cost
from tests.infra.infrastructure import deployment
from tests.infra.sources import ROOT
from tests.infra.workspace import alerts

SPEED = (ROOT / "docs" / "speed.md").read_text("utf-8")


def test_the_page_holds_what_is_computed() -> None:
    """`python -m benchmarks.monthly` prints both tables."""
    assert "\n".join(monthly.lines()) in (ROOT / "docs" / "cost.md").read_text("utf-8")


@pytest.mark.parametrize("people", [2_000, 20_000, 100_000])
def test_a_full_reading_costs_what_was_measured(people: int) -> None:
    row = re.search(
        rf"^ +{people:,} +ours, nothing changed, full reading +\d+ +(\d+) +(\d+)",
        SPEED,
        re.MULTILINE,
    )
    assert row is not None
    graph = monthly.FULL_GRAPH + monthly.FULL_GRAPH_A_PERSON * people
    tables = monthly.FULL_TABLES + monthly.FULL_TABLES_A_PERSON * people

    assert graph == pytest.approx(int(row[1]), abs=1)
    assert tables == pytest.approx(int(row[2]), abs=1)


@pytest.mark.parametrize(
    ("what", "graph", "tables"),
    [
        ("everyone, nothing changed", monthly.DELTA_GRAPH, monthly.DELTA_TABLES),
        ("everyone, 1 changed", monthly.NOTIFIED_GRAPH, monthly.NOTIFIED_TABLES),
    ],
)
def test_a_run_by_the_delta_costs_what_was_measured(what: str, graph: int, tables: int) -> None:
    rows = re.findall(rf"{what} +incremental +(\d+) +(\d+)", SPEED)

    assert rows
    assert {(int(row[0]), int(row[1])) for row in rows} == {(graph, tables)}


def test_the_timers_cost_what_was_measured() -> None:
    rows = re.findall(r"^ +1 +timers, an hour +(\d+) +(\d+)", SPEED, re.MULTILINE)

    assert rows == [(str(monthly.TIMER_TABLES), str(monthly.TIMER_QUEUES))]


def test_the_alerts_and_endpoints_that_are_paid_for_are_those_that_are_made() -> None:
    made = deployment("private")
    accounts = len(made.of("Storage/storageAccounts"))

    assert len(alerts()) == monthly.LOG_ALERTS
    # What looks more often, costs more than `log_alert`.
    assert not {alert["every"] for alert in alerts()} & {"PT1M", "PT5M", "PT10M"}
    assert len(made.of("Insights/metricAlerts")) == monthly.METRIC_ALERTS
    # One more for the tables, where they have an account of their own.
    assert len(made.of("Network/privateEndpoints")) == monthly.ENDPOINTS + accounts - 1


def test_more_of_anything_costs_no_less() -> None:
    totals = [
        sum(cost(Use(people, MODES[1]), Prices()).values()) for people in (200, 10_000, 100_000)
    ]
    by_mode = [sum(cost(Use(10_000, mode), Prices()).values()) for mode in MODES]

    assert totals == sorted(totals)
    assert by_mode == sorted(by_mode)
    assert cost(Use(200, Mode("small")), Prices())["compute"] == 0.0, "within the grant"


@pytest.mark.parametrize(("free", "paid"), [(0, 0.10), (1, 0.0), (10, 0.0)])
def test_metrics_with_alerts_are_paid_for_beyond_the_free_ones(free: int, paid: float) -> None:
    prices = Prices(free_metric_alerts=free)

    rules = monthly.LOG_ALERTS * prices.log_alert
    assert cost(Use(200, MODES[0]), prices)["alerts"] == pytest.approx(rules + paid)

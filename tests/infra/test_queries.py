"""Every query of the alerts and of the workbook is one that the service takes, over what the code logs.

A field that is renamed in the code and not in a query makes an alert that never fires, and nobody notices.
"""

import ast
import json
import re
from collections import Counter
from functools import cache

import pytest

from sync_core.events import BY_NAME, FIELDS
from sync_core.runs.notifications import ANSWER_WITHIN_S, not_stored
from tests.infra.infrastructure import deployment, scenarios
from tests.infra.sources import ROOT, shipped
from tests.infra.workspace import TABLES, WORKBOOK, Query, alerts, queries
from tests.kusto import Bound, bound

OPERATE = ROOT / "docs" / "operate.md"
# What a page of an alert has to say.
PARTS = (
    "**What it means.**",
    "**How to see it.**",
    "**What to do.**",
    "**How to fire it on purpose.**",
)
# Counted by the platform, without a query.
BY_METRIC = {"http-5xx"}
COMPARED = re.compile(r"\b(code|clock|status|trigger|mode) (?:==|!=|in) (?:\(([^)]*)\)|('[^']*'))")


@cache
def answers() -> dict[str, Bound]:
    texts = [one.text for one in queries()]
    return dict(zip((one.name for one in queries()), bound(TABLES, texts), strict=True))


@pytest.mark.parametrize("query", queries(), ids=str)
def test_a_query_is_parsed_and_bound_by_the_service(query: Query) -> None:
    answer = answers()[query.name]

    assert answer.errors == ()
    assert answer.columns


WRONG = {
    "AppTraces | where Mesage == ''": "Mesage",
    "AppTrace | count": "AppTrace",
    "AppTraces | summarise count()": "Query operator expected",
    "AppTraces | parse-kv Message as (created:long) with (regex='(a)(b)') | project creatd": "creatd",
}


def test_what_is_wrong_with_a_query_is_found() -> None:
    found = bound(TABLES, [*WRONG])

    for answer, error in zip(found, WRONG.values(), strict=True):
        assert any(error in one for one in answer.errors)


@pytest.mark.parametrize("query", queries(), ids=str)
def test_a_query_reads_events_and_fields_that_the_code_logs(query: Query) -> None:
    assert query.events <= BY_NAME.keys()
    for names, fields in query.reads():
        known = {name for event in names for name in BY_NAME[event].fields}
        assert names
        assert fields.keys() <= known
        assert fields == {name: FIELDS[name].type for name in fields}


@pytest.mark.parametrize("query", queries(), ids=str)
def test_a_query_takes_nothing_that_it_does_not_use(query: Query) -> None:
    """Else somebody believes that it matters."""
    words = Counter(re.findall(r"\w+", query.text))
    taken = [name for _, fields in query.reads() for name in fields]

    assert [name for name in taken if words[name] < 2] == []


@cache
def texts_of_the_code() -> frozenset[str]:
    nodes = (node for path in shipped() for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return frozenset(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_what_a_query_compares_with_is_what_the_code_writes() -> None:
    compared = {
        text
        for query in queries()
        for found in COMPARED.finditer(query.text)
        for text in re.findall(r"'([^']*)'", found[2] or found[3])
    }

    assert {"timer", "succeeded", "connection.overdue", "guard.held"} <= compared
    assert compared <= texts_of_the_code()


def test_a_late_delivery_is_told_by_its_refusal_as_no_answer_takes_longer() -> None:
    """The webhook gives up before Graph does, so a query for slower answers would find none."""
    [late] = [one for one in queries() if one.name == "alert webhook-slow"]

    assert late.events == {"trigger.refused"}
    assert f"code == '{not_stored().code}'" in late.text
    slower = [int(ms) for query in queries() for ms in re.findall(r"\bms >=? (\d+)", query.text)]
    assert all(ms < ANSWER_WITHIN_S * 1000 for ms in slower)


def test_a_query_looks_at_this_app_only() -> None:
    """A workspace may hold the logs of several."""
    for query in queries():
        tables = len(re.findall(r"\bApp(?:Traces|Exceptions)\b", query.text))
        assert query.text.count("AppRoleName =~ 'func-app'") == tables, query.name


def test_alerts_count_rows_and_what_is_missing_is_counted_itself() -> None:
    """Where nothing is logged a sum has no value, and the rule says nothing when it should speak."""
    for alert in alerts():
        below = alert["operator"] == "LessThan"
        assert "summarize" not in "\n".join(alert["query"]) or not below, alert["name"]
        assert (alert["kind"] == "state") or (alert["window"], alert["every"]) == ("PT30M", "PT15M")


def test_what_draining_makes_is_left_out_of_errors() -> None:
    """github.com/Azure/azure-functions-host/issues/12007"""
    [errors] = [one for one in queries() if one.name == "alert unexpected-error"]

    assert "'WorkerProcessExitException', 'FunctionTimeoutAbortException'" in errors.text


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    text = OPERATE.read_text("utf-8")
    section = text[text.index("\n## Alerts") :]
    section = section[: section.index("\n## ", 1)]
    pages = dict(re.findall(r"\n### ([\w-]+)\n(.*?)(?=\n### |\Z)", section, re.DOTALL))

    assert pages.keys() == {one["name"] for one in alerts()} | BY_METRIC
    assert [name for name, page in pages.items() if not all(part in page for part in PARTS)] == []


@pytest.mark.parametrize("scenario", scenarios())
def test_every_alert_is_made_and_tells_somebody(scenario: str) -> None:
    made = deployment(scenario)
    rules = made.of("Insights/scheduledQueryRules")
    metrics = made.of("Insights/metricAlerts")
    app = made.outputs["AZURE_FUNCTION_APP_NAME"]

    names = [one["name"].removeprefix(f"{app}-") for one in rules + metrics]
    assert sorted(names) == sorted([*(one["name"] for one in alerts()), *BY_METRIC])
    group = made.one("Insights/actionGroups")["name"]
    assert all(group in json.dumps(one["properties"]["actions"]) for one in rules + metrics)
    asked = [one["properties"]["criteria"]["allOf"][0]["query"] for one in rules]
    assert [
        text for text in asked if "__" in text or (app not in text and "_LogOperation" not in text)
    ] == []
    for one in (rule["properties"] for rule in rules):
        # github.com/Azure/azure-cli/issues/26581, github.com/Azure/azure-powershell/issues/22583
        assert one["autoMitigate"] is ("muteActionsDuration" not in one)
        assert (
            one.get("muteActionsDuration", one["evaluationFrequency"]) == one["evaluationFrequency"]
        )


def test_the_workbook_is_made_for_this_app() -> None:
    made = deployment("plain")
    properties = made.one("Insights/workbooks")["properties"]
    shown = json.loads(properties["serializedData"])
    names = [one["name"] for one in shown["items"]]

    assert len(names) == len({*names})
    assert "__APP__" not in properties["serializedData"]
    assert shown["version"] == json.loads(WORKBOOK.read_text("utf-8"))["version"] == "Notebook/1.0"


def test_traces_are_not_sampled() -> None:
    """Else an event may be missing, and an alert that counts them fires, or does not."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    sampling = host["logging"]["applicationInsights"]["samplingSettings"]

    assert "Trace" in sampling["excludedTypes"].split(";")
    assert host["logging"]["logLevel"]["default"] == "Information"

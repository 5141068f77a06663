"""The tables of a Log Analytics workspace that our queries read, with their columns, and the queries.

Columns as of learn.microsoft.com/azure/azure-monitor/reference/tables (apptraces and appexceptions of
27 July 2026, usage of 11 February 2025); `_LogOperation` is a function, of which its page (logs/daily-cap)
names these columns.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.infra.sources import ROOT

ALERTS = ROOT / "infra" / "app" / "alerts.json"
WORKBOOK = ROOT / "infra" / "app" / "workbook.json"

_OF_EVERY_TABLE = {
    "_BilledSize": "real",
    "_IsBillable": "string",
    "SourceSystem": "string",
    "TenantId": "string",
    "TimeGenerated": "datetime",
    "Type": "string",
}
_OF_TELEMETRY = _OF_EVERY_TABLE | {
    **dict.fromkeys(
        (
            *("AppRoleInstance", "AppRoleName", "AppVersion", "ClientBrowser", "ClientCity"),
            *(
                "ClientCountryOrRegion",
                "ClientIP",
                "ClientModel",
                "ClientOS",
                "ClientStateOrProvince",
            ),
            *(
                "ClientType",
                "IKey",
                "Message",
                "OperationId",
                "OperationName",
                "ParentId",
                "ResourceGUID",
            ),
            *("SDKVersion", "SessionId", "SyntheticSource", "UserAccountId", "UserAuthenticatedId"),
            *("UserId", "_ResourceId", "_SubscriptionId"),
        ),
        "string",
    ),
    "ItemCount": "int",
    "SeverityLevel": "int",
    "Measurements": "dynamic",
    "Properties": "dynamic",
}
TABLES: dict[str, dict[str, str]] = {
    "AppTraces": _OF_TELEMETRY | {"ReferencedItemId": "string", "ReferencedType": "string"},
    "AppExceptions": _OF_TELEMETRY
    | dict.fromkeys(
        (
            *("Assembly", "ExceptionType", "HandledAt", "InnermostAssembly", "InnermostMessage"),
            *("InnermostMethod", "InnermostType", "Method", "OuterAssembly", "OuterMessage"),
            *("OuterMethod", "OuterType", "ProblemId"),
        ),
        "string",
    )
    | {"Details": "dynamic"},
    "Usage": _OF_EVERY_TABLE
    | {
        **dict.fromkeys(
            ("DataType", "MeterId", "QuantityUnit", "ResourceUri", "Solution"), "string"
        ),
        **dict.fromkeys(("StartTime", "EndTime"), "datetime"),
        "IsBillable": "bool",
        "Quantity": "real",
    },
    "_LogOperation": _OF_EVERY_TABLE
    | dict.fromkeys(("Category", "Detail", "Level", "Operation", "_ResourceId"), "string"),
}
PLACEHOLDERS = {"__APP__": "func-app", "__CAP_MB__": "1000"}

EVENT = re.compile(r"Message startswith '([\w.]+) '")
PARSED = re.compile(r"parse-kv Fields as \(([^)]*)\)")
NAMED = re.compile(rf"{EVENT.pattern}|{PARSED.pattern}")


@dataclass(frozen=True)
class Query:
    """A query of an alert or of the workbook, as the service gets it."""

    name: str
    text: str

    def __str__(self) -> str:
        return self.name

    def reads(self) -> Iterator[tuple[frozenset[str], dict[str, str]]]:
        """Return the fields that are read, with their types, and the events that they are read from.

        Those of the filters right before them.
        """
        names: set[str] = set()
        is_read = False
        for found in NAMED.finditer(self.text):
            event, fields = found.groups()
            if event:
                names = {event} if is_read else names | {event}
                is_read = False
            else:
                pairs = (one.strip().split(":") for one in fields.split(","))
                yield frozenset(names), {pair[0]: pair[1] for pair in pairs}
                is_read = True

    @property
    def events(self) -> set[str]:
        return {*EVENT.findall(self.text)}


@cache
def alerts() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(ALERTS.read_text("utf-8")))


@cache
def queries() -> tuple[Query, ...]:
    """Return every query of the alerts and of the workbook."""
    of_alerts = [
        Query(f"alert {one['name']}", _filled("\n".join(one["query"]))) for one in alerts()
    ]
    items = json.loads(WORKBOOK.read_text("utf-8"))["items"]
    asked = [one for one in items if "query" in one["content"]]
    of_workbook = [
        Query(f"workbook {one['name']}", _filled(one["content"]["query"])) for one in asked
    ]
    return (*of_alerts, *of_workbook)


def _filled(text: str) -> str:
    for name, value in PLACEHOLDERS.items():
        text = text.replace(name, value)
    return text

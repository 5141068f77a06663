"""Refused plans over HTTP: everybody whom a save or a deletion would move, in pages, or as one CSV."""

import csv
import io
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import orjson
from fastapi import Path, Query, Request, Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import ServicesHere
from sync_core.api.http.names import ConnectionIdHere
from sync_core.api.http.paging import Cursor, Top, from_cursor, number_of, page, to_cursor
from sync_core.domain.documents.run import PLAN_HASH

KIND = "plan"
CSV = "text/csv"
# The columns of the CSV, as the changes call them; `fields` holds JSON.
COLUMNS = ("action", "objectId", "userPrincipalName", "displayName", "reason", "held", "fields")
# A spreadsheet takes a text that begins so for a formula, and names come from the directory
# (owasp.org/www-community/attacks/CSV_Injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """How a plan is written."""

    JSON = "json"
    CSV = "csv"


async def list_plan_changes(
    *,
    request: Request,
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    plan_hash: Annotated[
        str,
        Path(
            alias="planHash",
            description="`planHash` of the refusal.",
            pattern=PLAN_HASH,
            examples=["1f0c….9a3b…"],
        ),
    ],
    top: Top = 100,
    cursor: Cursor = None,
    format_: Annotated[
        Format | None,
        Query(alias="format", description="Wins over `Accept`; `csv` is the whole plan."),
    ] = None,
) -> Response:
    """List what a refused change would do to people, all of it, by object id."""
    plans = services.store.refused_plans
    if format_ is Format.CSV or (format_ is None and CSV in request.headers.get("accept", "")):
        rows = [as_row(change) async for change in plans.load(connection_id, plan_hash)]
        return Response(to_csv(rows), media_type=f"{CSV}; charset=utf-8")
    kind = f"{KIND}/{connection_id}/{plan_hash}"
    skip = number_of(await from_cursor(services, kind, cursor))
    changes: list[Mapping[str, Any]] = []
    async for change in plans.load(connection_id, plan_hash, skip=skip):
        changes.append(change)
        if len(changes) > top:
            break
    last = str(skip + top) if len(changes) > top else None
    return json_answer(page(changes[:top], await to_cursor(services, kind, last)))


def to_csv(rows: list[list[str]]) -> str:
    """Return a table as RFC 4180 has it, with a line of names."""
    text = io.StringIO()
    csv.writer(text).writerows([list(COLUMNS), *rows])
    return text.getvalue()


def as_row(change: Mapping[str, Any]) -> list[str]:
    """Return a change as a line of the CSV; no cell of it is a formula."""
    return [_cell(change.get(name)) for name in COLUMNS]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"'{text}" if text.startswith(FORMULA) else text

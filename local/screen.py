"""Rows on a terminal: columns stay in line whatever letters a name has; changes are before -> after."""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from wcwidth import ljust, width

Json = dict[str, Any]
Cells = list[str]

LOOK_AHEAD = 200
"""The rows that decide how wide a column is; a hundred thousand are not waited for."""

GAP = "  "
INDENT = "          "
NOTHING = "nothing"
CHANGE_COLUMNS = ("action", "userPrincipalName", "displayName", "reason")
CONTROLS = {"Cc", "Zl", "Zp"}


def print_table(
    rows: Iterable[Json],
    columns: Sequence[str],
    below: Callable[[Json], Iterable[str]] = lambda _: (),
) -> None:
    """Print columns of each row, and the lines ``below`` it; cells are never cut, to be copied whole."""
    remaining = iter(rows)
    first = list(islice(remaining, LOOK_AHEAD))
    cells = [_cells(row, columns) for row in first]
    widths = [max(map(width, column)) for column in zip(columns, *cells, strict=True)]
    print(_line(columns, widths))
    for row in chain(first, remaining):
        print(_line(_cells(row, columns), widths))
        for line in below(row):
            print(f"{INDENT}{line}")


def print_changes(changes: Sequence[Json]) -> None:
    """Print the changes of a plan or a run, if there are any, with what becomes of each field."""
    rows = [_with_reason(change) for change in changes]
    # The changes of a run have no display names, and most no reason.
    columns = [name for name in CHANGE_COLUMNS if any(row.get(name) for row in rows)]
    if rows:
        print_table(rows, columns, _fields)


def _with_reason(change: Json) -> Json:
    reasons = (change["cause"] or change["reason"], "held" if change["held"] else None)
    return change | {"reason": ", ".join(filter(None, reasons))}


def _fields(change: Json) -> Iterator[str]:
    if change["action"] == "create":
        return  # every field would be one
    for name, (before, after) in change["fields"].items():
        yield f"{name}: {_value(before)} -> {_value(after)}"


def _value(value: object) -> str:
    return NOTHING if value is None else json.dumps(value, ensure_ascii=False)


def _cells(row: Json, columns: Sequence[str]) -> Cells:
    return [_text(row.get(name)) for name in columns]


def _text(value: object) -> str:
    """Return what a cell shows: nothing for None, and no letter that would steer the terminal."""
    return "".join(map(_visible, "" if value is None else str(value)))


def _visible(letter: str) -> str:
    return repr(letter)[1:-1] if unicodedata.category(letter) in CONTROLS else letter


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (ljust(cell, wide) for cell, wide in zip(cells, widths, strict=True))
    return GAP.join(padded).rstrip()

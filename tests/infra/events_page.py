"""Writes docs/events.md from the table of events: `python -m tests.infra.events_page`."""

import sys
from collections.abc import Iterator

from sync_core.events import COUNTS, EVENTS, FIELDS, Event
from tests.infra.sources import ROOT

PAGE = ROOT / "docs" / "events.md"
HEAD = """\
# Events in the log

Everything that the app logs by itself, made from `sync_core/events.py` by
`python -m tests.infra.events_page`. One line an event: its name, then its fields as `name=value`, with
quotes and backslashes where a value needs them. The host forwards only the text of a line, into the table
`AppTraces`; so that is what queries read:

    AppTraces
    | where Message startswith 'run.finished '
    | parse Message with Event ' ' Fields
    | parse-kv Fields as (connection:string, status:string, created:long)
        with (pair_delimiter=' ', kv_delimiter='=', quote='"', escape='\\\\')

A field that has nothing to say is left out. No field holds a secret, a token or an attribute of a person;
`by` holds the names of administrators. What the
alerts ask for stands in [operate.md](operate.md#alerts).

## Events

| event | level | fields | means |
| --- | --- | --- | --- |
"""
FIELDS_HEAD = """
## Fields

| field | type | holds |
| --- | --- | --- |
"""


def page() -> str:
    return HEAD + "".join(_rows()) + FIELDS_HEAD + "".join(_fields())


def _rows() -> Iterator[str]:
    for one in EVENTS:
        yield f"| `{one.name}` | {one.level_names} | {_named(one)} | {one.meaning} |\n"


def _named(event: Event) -> str:
    counts = COUNTS.keys() <= {*event.fields}
    names = [f"`{name}`" for name in event.fields if not (counts and name in COUNTS)]
    return ", ".join([*names, "the counts of a run"] if counts else names)


def _fields() -> Iterator[str]:
    for name, field in sorted(FIELDS.items()):
        counted = " (a count of a run)" if name in COUNTS else ""
        yield f"| `{name}` | {field.type} | {field.meaning}{counted} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")

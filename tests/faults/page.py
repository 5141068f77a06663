"""docs/faults.md: what was seen in, the page out; and the sentences of a page that stands."""

import re
from collections.abc import Iterable, Mapping

from tests.faults.matrix import Case, Never, Outcome, expected
from tests.faults.strikes import FAULTS, MODES, Fault, Kind
from tests.faults.trial import Sentence

Key = tuple[str, Kind, str, bool]
Outcomes = Mapping[Key, Outcome]

HEAD = """# Faults

What a run makes of each fault of each kind of request. This page is written by

    .venv/bin/python -m tests.faults docs/faults.md

from what is seen on the rig, over TLS: a tenant of a dozen people, in which one leaves, one comes back
and one is renamed before each run. Each fault strikes once, and for as long as the run lasts, in full
runs and in those by the delta. `tests/faults` holds the page against what is declared; a part of it runs
in `make test`, all of it in `make proof`.

**In every one of these runs nobody is removed and no column is blanked.** A run that fails writes
nothing about people, and the next one without the fault makes up for it. Neither the log nor the record
holds a secret, a token, or a person's attributes.

| in a field | means |
| --- | --- |
| `code` | the run asks again: later, with a new token, or from the first page. It fails so if that lasts |
| **`code`** | the run fails at once with this code: waiting does not help |
| goes on | the run succeeds, as if nothing had been |
| reads all | the run reads everybody instead (`modeReason` `linkRefused`), and succeeds |
| – | cannot occur; the number says why |

*Lists* of users and of *members* are read by full runs, *deltas* by the others; *batch* is a `$batch` as
a whole, *by id* a person's item in it. *Subscription*: the request that makes one. No run asks for it, and
none fails by it: where a field has a code, the subscription has that state, the connection a warning, and
the schedule finds the changes.
"""
SENTENCES = "## What the administrator reads"
OF_SENTENCES = """
The error of the run, in its record, in the connection's health and in the log, or that of a subscription, in
the connection's warnings: what happened, and what to do.
Where several messages have one code, all that were seen. `{id}` and `{name}` stand for one.
"""


def outcomes_of(cases: Iterable[Case]) -> Outcomes:
    """Return the declared outcomes by fault, kind of request, mode, and whether it passes."""
    return {key(case): case.outcome for case in cases}


def key(case: Case) -> Key:
    return case.fault.name, case.kind, case.mode, case.passing


def render(outcomes: Outcomes, sentences: Iterable[Sentence]) -> str:
    """Return the page."""
    notes: list[str] = []
    names = list(Kind)
    lines = [f"| fault | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    for fault in FAULTS:
        cells = [_cell(fault, kind, outcomes, notes) for kind in Kind]
        lines.append(f"| {fault.name} | {' | '.join(cells)} |")
    numbered = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    told = ["| code | message | what to do |", "| --- | --- | --- |"]
    told += [
        f"| `{one.code}` | {one.message} | {one.remedy} |"
        for one in sorted(set(sentences), key=lambda one: (one.code, one.message))
    ]
    parts = [HEAD, *lines, "", *numbered, "", SENTENCES, OF_SENTENCES, *told]
    return "\n".join(parts) + "\n"


def _cell(fault: Fault, kind: Kind, outcomes: Outcomes, notes: list[str]) -> str:
    cell = expected(fault, kind)
    if isinstance(cell, Never):
        if cell.why not in notes:
            notes.append(cell.why)
        return f"– {notes.index(cell.why) + 1}"
    modes = cell.modes or MODES[kind]
    words = [_words(fault, kind, mode, outcomes) for mode in modes]
    if len(set(words)) == 1:
        return words[0]
    return "; ".join(f"{mode}: {one}" for mode, one in zip(modes, words, strict=True))


def _words(fault: Fault, kind: Kind, mode: str, outcomes: Outcomes) -> str:
    lasting = outcomes[fault.name, kind, mode, False]
    passing = outcomes.get((fault.name, kind, mode, True))
    if lasting.code:
        waits = passing is not None and not passing.code
        return f"`{lasting.code}`" if waits else f"**`{lasting.code}`**"
    return "reads all" if lasting.way else "goes on"


ROW = re.compile(r"^\| `([\w.]+)` \| (.*) \| (.*) \|$", re.MULTILINE)


def sentences_of(page: str) -> list[Sentence]:
    """Return the sentences that a page tells."""
    return [Sentence(*found) for found in ROW.findall(page.partition(SENTENCES)[2])]

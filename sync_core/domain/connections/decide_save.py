"""Which settings come into use by a save, as a dialogue: questions out, check results in. Pure.

| the connection | its new settings pass | they do not pass |
| --- | --- | --- |
| is not to be enabled | stored, verified | stored, not verified |
| is to be enabled and is not yet | stored and enabled | stored, not enabled; enabling waits |
| is enabled | stored, verified | those in use stay; the new ones wait beside them |

A check may take a minute, so one is asked for only where its answer matters. Whoever drives the dialogue
answers each `Question` with a `CheckResult`; the last word is a `Decision`.
"""

from collections.abc import Generator
from dataclasses import dataclass

from sync_core.domain.connections.checks import MOVES, PEOPLE, CheckResult, with_failures
from sync_core.domain.connections.verification import is_no_worse, looks_the_same
from sync_core.domain.documents.connection import Connection
from sync_core.domain.scope.overlap import chosen_people


@dataclass(frozen=True, slots=True)
class Try:
    """Check these settings against Entra and Graph."""

    settings: Connection


@dataclass(frozen=True, slots=True)
class Approve:
    """Ask whether people may move because of these settings; what comes of it joins `result`.

    With `may_wait`, a missing confirmation is one more failed check and stops nothing else.
    """

    settings: Connection
    result: CheckResult
    may_wait: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is stored (None: what is in use stays), and what was found of the newest settings.

    `alone`: the caller's change comes into use without the settings that waited before.
    """

    stored: Connection | None
    result: CheckResult
    alone: bool = False


Question = Try | Approve
Dialogue = Generator[Question, CheckResult, Decision]


def decide_new(wanted: Connection) -> Dialogue:
    """Decide about a new connection; one that does not pass is disabled."""
    result = yield Try(wanted)
    if result.ok or not wanted.enabled:
        result = yield Approve(wanted, result)
    passes = result.ok or not wanted.enabled
    return Decision(wanted if passes else disabled(wanted), result)


def decide_change(before: Connection, wanted: Connection, alone: Connection | None) -> Dialogue:
    """Decide about new settings of a connection.

    `wanted` are the newest settings. Where others waited before, `alone` is what is in use with
    nothing but the caller's change: that comes into use even if those others still have to wait, and if it
    does not pass, what is wrong with it is told first.
    """
    result = yield Try(wanted)
    if not (yield from _stops(before, wanted, result)):
        others_wait = alone is not None and (before.enabled or not alone.enabled)
        result = yield Approve(wanted, result, may_wait=others_wait)
        if not wanted.enabled or not fails(result, MOVES):
            return Decision(wanted, result)
    if not before.enabled:
        return Decision(disabled(wanted), result)
    if alone is not None and alone.enabled:
        by_itself = yield Try(alone)
        if not (yield from _stops(before, alone, by_itself)):
            by_itself = yield Approve(alone, by_itself)
            if not fails(by_itself, MOVES):
                return Decision(alone, result, alone=True)
        # What waits may hide what is wrong with the change: without a token nothing else is looked at.
        result = with_failures(result, by_itself)
    return Decision(None, result)


def _stops(
    before: Connection, wanted: Connection, result: CheckResult
) -> Generator[Question, CheckResult, bool]:
    """Whether settings that were checked must not come into use."""
    if result.ok or not wanted.enabled:
        return False
    if not before.enabled:
        return True
    if looks_the_same(before, wanted):
        return False
    if fails(result, PEOPLE) and chosen_people(before) != chosen_people(wanted):
        return True
    in_use = yield Try(before)
    return not is_no_worse(result, in_use)


def fails(result: CheckResult, name: str) -> bool:
    return any(check.name == name and not check.ok for check in result.checks)


def disabled(connection: Connection) -> Connection:
    return connection.model_copy(update={"enabled": False})

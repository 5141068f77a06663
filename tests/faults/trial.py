"""One case tried out: what is seen is held against what is declared, and nobody is harmed by a fault."""

import re
from dataclasses import dataclass

from local.sample import SAMPLE_CLIENT_SECRET
from sync_core.domain.documents.run import Run, RunStatus
from tests.faults.matrix import Case, Outcome
from tests.faults.stage import Change, Rows, Seen, Stage
from tests.faults.strikes import FULL, Kind

TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}")
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Which of two that are read side by side is refused first, is chance.
GROUP = re.compile(r"the group '\w+'")
NUMBER_OF_ITEMS = re.compile(r"\d+ pages in a row")


@dataclass(frozen=True, slots=True)
class Sentence:
    """What an administrator reads of a run that failed."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one case."""

    case: Case
    outcome: Outcome
    sentence: Sentence | None


async def tried(stage: Stage, case: Case) -> Observation:
    """Run under the fault and once more without it; fail where a promise is broken."""
    await stage.settle()
    if case.kind is Kind.SUBSCRIPTION:
        return await _subscribed(stage, case)
    change = stage.change()
    seen = await stage.struck(case)
    after = await stage.afterwards(case.mode)

    assert seen.run.status.value in {"succeeded", "failed"}, seen.run
    if seen.run.status is RunStatus.FAILED:
        assert seen.after == seen.before, "a run that failed has written"
        assert_changed(change, after)
    else:
        assert_changed(change, seen)
        assert after.after == seen.after, "the next run changed what was right"
    assert after.run.status is RunStatus.SUCCEEDED, after.run.error
    assert_tells_nothing(seen)
    stage.is_settled = True
    return Observation(case, outcome_of(case, seen.run), sentence_of(seen.run))


async def _subscribed(stage: Stage, case: Case) -> Observation:
    """Subscribe under the fault and once more without it; no run is harmed by what became of it."""
    seen = await stage.subscribed(case)
    after = await stage.subscribed()
    change = stage.change()
    run = await stage.afterwards(FULL)

    assert after.failure is None, after.failure
    assert after.at_graph == ["users"], "the fault has left another subscription"
    assert run.run.status is RunStatus.SUCCEEDED, run.run.error
    assert_changed(change, run)
    assert SAMPLE_CLIENT_SECRET not in seen.logs
    assert TOKEN.search(seen.logs) is None
    stage.is_settled = True
    if seen.failure is None:
        return Observation(case, Outcome("succeeded"), None)
    assert seen.failure.remedy, seen.failure
    told = Sentence(seen.failure.code, GUID.sub("{id}", seen.failure.message), seen.failure.remedy)
    return Observation(case, Outcome("failed", told.code), told)


def assert_changed(change: Change, seen: Seen) -> None:
    """Exactly what happened in the tenant is in the table: nobody else's row, and no other column."""
    assert seen.after.keys() == seen.before.keys()
    assert seen.touched == {change.leaves, change.returns, change.renamed}
    differing = {
        one: {
            name for name, value in columns(seen.after, one).items()
            if columns(seen.before, one).get(name) != value
        }
        for one in seen.touched
    }  # fmt: skip
    assert differing == {change.leaves: set(), change.returns: set(), change.renamed: {"jobTitle"}}
    assert seen.after[change.renamed]["jobTitle"] == change.title
    states = [seen.after[one]["Status"] for one in (change.leaves, change.returns, change.renamed)]
    assert states == ["disabled", "active", "active"]


def columns(rows: Rows, object_id: str) -> dict[str, object]:
    """Return what is mapped of a person; the program's own columns begin with a capital."""
    return {name: value for name, value in rows[object_id].items() if name[0].islower()}


def assert_tells_nothing(seen: Seen) -> None:
    """Neither the log nor the record holds a secret, a token, or a person's attributes."""
    told = seen.logs + seen.run.model_dump_json()
    assert SAMPLE_CLIENT_SECRET not in told
    assert TOKEN.search(told) is None
    people = seen.before.values()
    assert not [row for row in people if row["displayName"] in told or row["userName"] in told]


def outcome_of(case: Case, run: Run) -> Outcome:
    """Return how a run ended, and how it read where that is not what was asked for."""
    if run.error is not None:
        assert run.error.remedy, run.error
        return Outcome(run.status.value, run.error.code)
    reason = run.mode_reason.value if run.mode_reason is not None else ""
    return Outcome(run.status.value, way="" if run.mode == case.mode else f"{FULL} ({reason})")


def sentence_of(run: Run) -> Sentence | None:
    """Return what is read of a run that failed, with what differs from one to the next taken out."""
    if run.error is None:
        return None
    words = GROUP.sub("the group '{name}'", GUID.sub("{id}", run.error.message))
    return Sentence(
        run.error.code, NUMBER_OF_ITEMS.sub("… pages in a row", words), run.error.remedy
    )

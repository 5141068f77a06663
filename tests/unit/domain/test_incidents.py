"""What a run leaves waiting for an administrator opens an incident; the run without it resolves it."""

from datetime import timedelta

import pytest

from sync_core.domain.documents.run import RecordError, Run, RunError, RunStatus, Trigger
from sync_core.domain.health import Health
from sync_core.domain.incidents import (
    SILENT,
    Ears,
    Finding,
    findings_of,
    noticed,
    open_incidents,
    silenced,
    turns,
)
from tests.unit.builders import NOW

HELD = RunError(code="guard.held", message="Too many.", remedy="Look.")
GONE = RecordError(object_id="g-1", code="scope.groupNotFound", message="A group is gone.")
NO_APPLICATION = RecordError(
    object_id="a-1", code="scope.applicationNotFound", message="An application is gone."
)
ODD = RecordError(object_id="p-1", code="record.refused", message="Too long.")
LATER = NOW + timedelta(hours=1)


def ran(status: RunStatus, error: RunError | None = None, *errors: RecordError) -> Run:
    return Run(
        id="run-1",
        connection_id="contoso",
        trigger=Trigger.TIMER,
        requested_at=NOW,
        status=status,
        error=error,
        errors=list(errors),
    )


@pytest.mark.parametrize(
    ("run", "codes"),
    [
        pytest.param(ran(RunStatus.SUCCEEDED), [], id="all is well"),
        pytest.param(ran(RunStatus.HELD, HELD), ["guard.held"], id="held"),
        pytest.param(
            ran(RunStatus.PARTIAL, HELD.model_copy(update={"code": "run.outOfTime"})),
            [],
            id="goes on",
        ),
        pytest.param(
            ran(RunStatus.PARTIAL, None, GONE, ODD, GONE),
            ["scope.groupNotFound"],
            id="a group, once",
        ),
        pytest.param(
            ran(RunStatus.PARTIAL, None, NO_APPLICATION),
            ["scope.applicationNotFound"],
            id="an application",
        ),
        pytest.param(
            ran(RunStatus.HELD, HELD, GONE), ["guard.held", "scope.groupNotFound"], id="both"
        ),
    ],
)
def test_what_waits_after_a_run(run: Run, codes: list[str]) -> None:
    assert [found.code for found in findings_of(run)] == codes


def test_an_error_without_an_object_names_none() -> None:
    [found] = findings_of(ran(RunStatus.PARTIAL, None, GONE.model_copy(update={"object_id": ""})))

    assert found.message == "A group is gone."


def test_an_incident_is_opened_once_and_resolved_by_the_run_without_it() -> None:
    held = (Finding("guard.held", "Too many.", "Look."),)
    first = noticed(Health(connection_id="contoso"), held, NOW)
    again = noticed(first.health, held, LATER)
    over = noticed(again.health, (), LATER)

    assert [event.name for event in first.events] == ["incident.opened"]
    assert again.events == ()
    assert again.health.waiting["guard.held"].since == NOW
    assert [event.name for event in over.events] == ["incident.resolved"]
    assert (list(open_incidents(first.health)), open_incidents(over.health)) == (["guard.held"], {})
    assert turns(first.health, again.health) == ((), ())
    assert [one.code for one in turns(again.health, over.health).ended] == ["guard.held"]


QUIET = Finding(SILENT, "Nobody tells.", "Look at the address.")


def test_silence_is_told_once_and_not_where_runs_fail() -> None:
    first = silenced(Health(connection_id="contoso"), QUIET, NOW)
    again = silenced(first.health, QUIET, LATER)
    failing = silenced(Health(connection_id="contoso", failures=1), QUIET, NOW)

    assert [event.name for event in first.events] == ["incident.opened"]
    assert first.health.waiting[SILENT].since == NOW
    assert (again.events, failing.events) == ((), ())
    assert failing.health.waiting == {}


@pytest.mark.parametrize(
    ("ears", "ended"),
    [
        pytest.param(None, False, id="a run that ended early"),
        pytest.param(Ears(listens=True), False, id="nothing was ever heard"),
        pytest.param(Ears(True, NOW), False, id="heard before"),
        pytest.param(Ears(True, LATER), True, id="heard"),
        pytest.param(Ears(listens=False), True, id="nobody listens any more"),
    ],
)
def test_a_run_that_knows_of_a_notification_resolves_silence(
    ears: Ears | None, ended: bool
) -> None:
    silent = silenced(Health(connection_id="contoso"), QUIET, NOW).health
    step = noticed(silent, (), LATER, ears)

    assert [event.name for event in step.events] == (["incident.resolved"] if ended else [])
    assert (SILENT in step.health.waiting) is not ended
    assert ended or step.health == silent

"""Shared by all tests: one rig a session, nothing of the machine's own settings."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from local.graph import GraphEmulator
from local.graph.http.recorder import Recorded, Recorder
from local.graph.service import CHOICES
from sync_core import logs
from sync_core.events import EVENTS
from sync_core.services import Services
from tests.graph_requests import Witness, problems
from tests.infra.infrastructure import compiler
from tests.system import Rig, running_rig

# The same examples every time, and as long as they take: what is red here is red everywhere.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
# Others every time, and many: `make proof`, by hand, after work on what decides.
settings.register_profile(
    "proof", settings.get_profile("steady"), derandomize=False, max_examples=5_000
)
settings.load_profile("steady")

_numbers = itertools.count(1)


def pytest_report_header() -> str:
    """Say which tools the tests of the infrastructure have: without one they do less."""
    found = {"Bicep compiler": compiler(), "scanners": os.environ.get("SCANNERS")}
    return ", ".join(f"{name}: {place or 'none'}" for name, place in found.items())


class AtOnce:
    """Tells of a failure when it happens, so that it is known even where the run is ended from outside."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.write_line(f"\nFAILED {report.nodeid}\n{report.longreprtext}")


@pytest.hookimpl(trylast=True)  # after the reporter is there
def pytest_configure(config: pytest.Config) -> None:
    if terminal := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(AtOnce(terminal))


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    with running_rig() as running:
        yield running


@pytest.fixture
async def services(rig: Rig, emulator: GraphEmulator) -> AsyncIterator[Services]:
    """Open the product's services over the tenant that the folder of the test has made."""
    async with rig.services(emulator) as opened:
        yield opened


@pytest.fixture
def connection_id() -> str:
    """An id of its own for every test: they share one storage account."""
    return f"contoso{next(_numbers)}"


@pytest.fixture(scope="session", autouse=True)
def other_switches() -> Iterator[None]:
    """Run the suite with the other choice wherever sources about Graph disagree."""
    others = CHOICES if os.environ.get("GRAPH_SWITCHES") == "other" else {}
    turned = {name: (*rest, first) for name, (first, *rest) in others.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, choices in turned.items():
            patch.setitem(CHOICES, name, choices)
        yield


@pytest.fixture(autouse=True)
def switched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Turn the switches of the test's emulator that `tests.switches` names, and turn them back."""
    choices: dict[str, str | int] = getattr(request, "param", {})
    if not choices:
        yield
        return
    emulator: GraphEmulator = request.getfixturevalue("emulator")
    emulator.control.settings(**choices)
    yield
    emulator.control.settings(**{name: CHOICES[name][0] for name in choices})


@pytest.fixture(scope="session")
def logged() -> Iterator[dict[str, set[str]]]:
    """Hear what this process logs: by event, its fields."""
    heard: dict[str, set[str]] = {}
    line = logs._line

    def hearing(name: str, fields: dict[str, object]) -> str:
        given = {key for key, value in fields.items() if value is not None}
        heard.setdefault(name, set()).update(given)
        return line(name, fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_line", hearing)
        yield heard


@pytest.fixture(autouse=True)
def events_are_in_the_table(logged: dict[str, set[str]]) -> Iterator[None]:
    """Fail the test that logs what the table of events does not have: queries would not know it."""
    logged.clear()
    yield
    known = {one.name: {*one.fields} for one in EVENTS}
    strange = {name: given - known.get(name, set()) for name, given in logged.items()}
    assert logged.keys() <= known.keys()
    assert {name: fields for name, fields in strange.items() if fields} == {}


@pytest.fixture(scope="session")
def witness() -> Iterator[Witness]:
    """Hear every request that any emulator of this session gets."""
    witness, add = Witness(), Recorder.add

    def heard(self: Recorder, recorded: Recorded) -> None:
        witness.hear(recorded)
        add(self, recorded)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "add", heard)
        yield witness


@pytest.fixture(autouse=True)
def requests_are_described(witness: Witness, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that sends what Microsoft's own description of Graph does not have.

    Every kind of request is looked at once a session, so that it costs nothing. A test of somebody's
    slip names it: ``@pytest.mark.misspelt("maill")``.
    """
    yield
    marker = request.node.get_closest_marker("misspelt")
    known = frozenset(marker.args) if marker else frozenset()
    wrong = {str(shape): found for shape in witness.fresh() if (found := problems(shape, known))}
    assert not wrong

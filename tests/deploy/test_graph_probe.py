"""What we assume of Graph, asked of the emulator: all of it holds, and a switch that is turned is seen."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from deploy.deployment import Deployment
from deploy.errors import DeployError
from deploy.probe import tenant
from deploy.probe.assumptions import ASSUMPTIONS, PROPERTIES, REFUSED_IN_DELTA, Seen, Verdict
from local.graph import GraphEmulator
from local.graph.service import CHOICES
from local.sample import SAMPLE_ROLES
from sync_core.domain.incremental.tracking import REFUSED_NAMES, UNTRACKED_NAMES
from sync_core.settings import Settings
from tests.deploy.conftest import deployed
from tests.deploy.programs import Programs
from tests.system import Rig, run_now, stored_connection

PEOPLE = 1_050
# Before `GRAPH_SWITCHES` turns them: what we assume is what each first choice does.
FIRST_CHOICES = {name: choices[0] for name, choices in CHOICES.items()}
READ_BY_POST = re.compile(r"/v1\.0/(\$batch|users/[^/]+/checkMemberGroups)")
SOMEBODY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|\w@\w|contoso|localhost", re.IGNORECASE)


@pytest.fixture(scope="module")
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    """More people than a page has, so that every page size can be seen."""
    with GraphEmulator(people=PEOPLE, groups=12, seed=1, tls=rig.tls) as running:
        yield running


@pytest.fixture(scope="module")
def connection(rig: Rig, emulator: GraphEmulator) -> str:
    """A connection that has run, so that links of its deltas are stored."""

    async def prepared() -> None:
        async with rig.services(emulator) as services:
            await stored_connection(services, "probed")
            await run_now(services, "probed")

    asyncio.run(prepared())
    return "probed"


@pytest.fixture
def seen(rig: Rig, emulator: GraphEmulator, connection: str) -> Callable[[str], Seen]:
    """Look at the one assumption whose sentence has these words."""

    def look(words: str) -> Seen:
        [assumption] = [one for one in ASSUMPTIONS if words in one.says]
        return assumption.look(asyncio.run(tenant._tenant(connection, rig.environment(emulator))))

    return look


@pytest.fixture
def here(rig: Rig, emulator: GraphEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the app, in this environment."""
    for name, value in rig.environment(emulator).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("here")
def test_everything_holds_in_the_emulator(
    connection: str, emulator: GraphEmulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.control.settings(**FIRST_CHOICES)
    emulator.control.reset_requests()
    report = tmp_path / "report.txt"

    code = tenant.run(connection, Deployment({}), report)

    told = report.read_text()
    lines = told.splitlines()
    assert [line for line in lines[:-1] if " holds " not in line] == []
    assert (code, len(lines) - 1) == (0, len(ASSUMPTIONS))
    assert told == capsys.readouterr().out
    # It can be sent to somebody: no id, no address, no name of the tenant.
    assert SOMEBODY.findall(told) == []
    # It reads, and nothing else.
    posted = [one.path for one in emulator.requests if one.method != "GET" and "/v1.0" in one.path]
    assert posted
    assert [path for path in posted if not READ_BY_POST.fullmatch(path)] == []


@contextmanager
def settings(emulator: GraphEmulator, **changes: str | int) -> Iterator[None]:
    before = {name: emulator.control.settings()[name] for name in changes}
    emulator.control.settings(**changes)
    yield
    emulator.control.settings(**before)


@contextmanager
def fault(emulator: GraphEmulator, kind: str, **options: object) -> Iterator[None]:
    emulator.control.add_fault(kind, **options)
    yield
    emulator.control.clear_faults()


@contextmanager
def refused_property(emulator: GraphEmulator) -> Iterator[None]:
    emulator.control.set_tenant(refused_in_delta=["department"])
    yield
    emulator.control.set_tenant(refused_in_delta=[])


@contextmanager
def simple_tenant(emulator: GraphEmulator) -> Iterator[None]:
    emulator.control.set_tenant(advanced_queries=False)
    yield
    emulator.control.set_tenant(advanced_queries=True)


@contextmanager
def opaque_tokens(emulator: GraphEmulator) -> Iterator[None]:
    emulator.control.issue_opaque_tokens(True)
    yield
    emulator.control.issue_opaque_tokens(False)


@contextmanager
def may_read_hidden(emulator: GraphEmulator) -> Iterator[None]:
    emulator.control.set_roles([*SAMPLE_ROLES, "Member.Read.Hidden"])
    yield
    emulator.control.set_roles(SAMPLE_ROLES)


Turned = Callable[[GraphEmulator], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("words", "turned", "evidence"),
    [
        ("A token of the application", opaque_tokens, "no roles"),
        ("A page of users/delta", lambda e: settings(e, delta_page_size=100), "100 on a page"),
        ("takes every property", refused_property, "400 for department"),
        ("with ConsistencyLevel counts", simple_tenant, "400"),
        ("Hidden members", lambda e: settings(e, hidden_members="empty"), "0 members"),
        (
            "cast to people are those",
            lambda e: fault(e, "flappingCast", share=1.0),
            "by the cast",
        ),
        ("memberOf of a person", lambda e: fault(e, "denied", path="**/memberOf"), "403"),
        ("A link of up to 7 days", lambda e: fault(e, "gone", path="**/delta**"), "410"),
        ("A deleted person", lambda e: fault(e, "notFound", path="**/deletedItems/*-*"), "404"),
        ("A $batch is answered", lambda e: fault(e, "badRequest", where="batch"), "400"),
        ("Who does not exist", lambda e: fault(e, "gone", path="/v1.0/users/*"), "410"),
    ],
)
def test_what_is_otherwise_is_seen(
    seen: Callable[[str], Seen], emulator: GraphEmulator, words: str, turned: Turned, evidence: str
) -> None:
    with turned(emulator):
        found = seen(words)

    assert (found.verdict, evidence in found.evidence) == (Verdict.DIFFERS, True), found


@pytest.mark.parametrize(
    ("words", "turned"),
    [
        ("An answer tells", lambda e: fault(e, "throttled", path="/v1.0/users")),
        ("Who does not exist", lambda e: fault(e, "outage", path="/v1.0/users/*")),
        ("Hidden members", may_read_hidden),
    ],
)
def test_what_shows_nothing_is_not_judged(
    seen: Callable[[str], Seen], emulator: GraphEmulator, words: str, turned: Turned
) -> None:
    """Throttling, an outage, and a permission that makes the question pointless."""
    with turned(emulator):
        assert seen(words).verdict is Verdict.UNKNOWN


@pytest.mark.usefixtures("here")
def test_a_connection_that_is_not_there_is_told(connection: str) -> None:
    with pytest.raises(DeployError, match="nobody-has-it"):
        tenant.run("nobody-has-it", Deployment({}), None)


def test_every_property_is_asked_for_that_the_program_puts_into_a_class() -> None:
    """Those that are left out need a permission of their own."""
    assert REFUSED_IN_DELTA in REFUSED_NAMES
    assert UNTRACKED_NAMES - set(PROPERTIES) == {
        "customSecurityAttributes",
        "employeeLeaveDateTime",
    }


def test_the_settings_of_a_deployment_are_those_of_its_app(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.install("az")
    programs.answer("az keyvault show kv-abc --subscription", '"https://kv-abc.vault.azure.net/"')
    monkeypatch.setenv("PATH", programs.env["PATH"])
    monkeypatch.delenv("KEY_VAULT_URL", raising=False)
    known = deployed(
        "https://func-abc.azurewebsites.net",
        AZURE_KEY_VAULT_NAME="kv-abc",
        AZURE_HOST_STORAGE_ACCOUNT="stabc",
        AZURE_TABLES_URL="https://stdataabc.table.core.windows.net",
    )

    settings_of = Settings.from_env(tenant.environment(Deployment(known)))

    assert settings_of.key_vault_url == "https://kv-abc.vault.azure.net"
    assert settings_of.tables.service_url == "https://stdataabc.table.core.windows.net"
    assert settings_of.queues.service_url == "https://stabc.queue.core.windows.net"

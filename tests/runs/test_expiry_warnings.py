"""A credential that expires, and a connection that stopped running, are told of in time and once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.graph import GraphEmulator
from sync_core import triggers
from sync_core.domain.documents.connection import Connection, Credential
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.errors import RetryLater
from sync_core.domain.health import Expiry, ExpirySource
from sync_core.health import journal
from sync_core.health.overdue import report_overdue
from sync_core.runs import worker
from sync_core.services import Services, process
from sync_core.store.leases import Next
from tests.runs.events import (
    Skipping,
    asked_for,
    events_of,
    forget_others,
    health_of,
    maintain,
    stop_clock,
)
from tests.system import Rig, run_now, stored_connection

INCIDENTS = ("incident.opened", "incident.resolved", "incident.closed")


@pytest.fixture(autouse=True)
async def alone(services: Services, caplog: pytest.LogCaptureFixture) -> None:
    """Maintenance looks at every connection there is: those of other tests only take time here."""
    caplog.set_level("INFO", logger="entra_user_sync")
    await forget_others(services)


@pytest.fixture
def clock(services: Services) -> Skipping:
    return stop_clock(services)


def credential(
    connection_id: str, clock: Skipping, days_left: int, **changes: Any
) -> dict[str, Any]:
    expires_on = clock.now.astimezone(UTC).date() + timedelta(days=days_left)
    return {
        "secretName": f"{connection_id}-client-secret",
        "expiresOn": expires_on.isoformat(),
    } | changes


async def replaced(services: Services, connection_id: str, given: dict[str, Any]) -> None:
    """Store another credential in the connection, as a PATCH would."""
    stored = await services.store.connections.get(connection_id)
    changed = stored.connection.model_copy(update={"credential": Credential.model_validate(given)})
    await services.store.connections.replace(changed, stored)


def expiring(caplog: pytest.LogCaptureFixture, connection_id: str) -> list[tuple[str, int]]:
    """Give level and days left of every warning about a connection; forget all."""
    found = []
    for entry in caplog.records:
        name, *fields = entry.getMessage().split(" ")
        given = dict(one.split("=", 1) for one in fields if "=" in one)
        if name == "credential.expiring" and given["connection"] == connection_id:
            found.append((entry.levelname, int(given["days_left"])))
    caplog.clear()
    return found


async def test_a_credential_from_two_months_before_its_end_to_a_month_after(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    await stored_connection(
        services, connection_id, credential=credential(connection_id, clock, 62)
    )

    expires_at = clock.now + timedelta(days=62)
    for days_left in (62, 61, 60, 59, 31, 30, 29, 15, 14, 8, 7, 6, 2, 1, 0, -1, -30):
        clock.now = expires_at - timedelta(days=days_left)
        await journal.warn_of_expiry(services)

    assert expiring(caplog, connection_id) == [
        ("WARNING", 60),
        ("WARNING", 30),
        ("WARNING", 14),
        ("ERROR", 7),
        ("ERROR", 1),
        ("ERROR", 0),
    ]


async def test_an_app_that_was_down_for_weeks_tells_what_is_most_urgent(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    await stored_connection(
        services, connection_id, credential=credential(connection_id, clock, 45)
    )
    await maintain(services)
    first = expiring(caplog, connection_id)

    clock.skip(days=42)
    await maintain(services)
    await maintain(services)

    assert first == [("WARNING", 45)]
    assert expiring(caplog, connection_id) == [("ERROR", 3)]


async def test_an_expired_credential_is_told_of_although_nobody_looked_before(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    await stored_connection(
        services, connection_id, credential=credential(connection_id, clock, -20)
    )

    await maintain(services)

    assert expiring(caplog, connection_id) == [("ERROR", -20)]


@pytest.mark.parametrize(
    ("version", "days_left", "told"),
    [
        pytest.param("v1", 30, [], id="nothing changed"),
        pytest.param("v2", 30, [("WARNING", 30)], id="another version"),
        pytest.param("v1", 13, [("WARNING", 13)], id="another date"),
        pytest.param("v2", 700, [], id="good for two years"),
    ],
)
async def test_a_replaced_credential_starts_anew(
    services: Services,
    connection_id: str,
    clock: Skipping,
    caplog: pytest.LogCaptureFixture,
    version: str,
    days_left: int,
    told: list[tuple[str, int]],
) -> None:
    first = credential(connection_id, clock, 30, secretVersion="v1")
    await stored_connection(services, connection_id, credential=first)
    await maintain(services)
    caplog.clear()

    second = credential(connection_id, clock, days_left, secretVersion=version)
    await replaced(services, connection_id, second)
    await maintain(services)

    assert expiring(caplog, connection_id) == told


async def test_a_disabled_connection_is_not_warned_of(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    given = credential(connection_id, clock, 3)
    await stored_connection(services, connection_id, credential=given, enabled=False)

    await maintain(services)

    assert expiring(caplog, connection_id) == []


async def test_the_date_may_come_from_elsewhere(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a source cannot answer, what is known of that connection stays, and the others go on."""
    silent, odd = f"{connection_id}-0", f"{connection_id}-1"
    for one in (silent, odd, connection_id):
        await stored_connection(services, one)

    async def ask(_: Services, connection: Connection) -> Expiry | None:
        if connection.id == silent:
            raise RetryLater("vault.unavailable", "Key Vault could not be reached.")
        if connection.id == odd:
            msg = "something that nobody thought of"
            raise ValueError(msg)
        day = clock.now.date() + timedelta(days=5)
        return Expiry(expires_on=day, source=ExpirySource.KEY_VAULT)

    await journal.warn_of_expiry(services, ask)

    health = await health_of(services, connection_id)
    unknown = [one.getMessage() for one in caplog.records if "expiryUnknown" in one.getMessage()]
    assert sorted(unknown) == [
        f"credential.expiryUnknown connection={silent} code=vault.unavailable",
        f"credential.expiryUnknown connection={odd}",
    ]
    assert expiring(caplog, connection_id) == [("ERROR", 5)]
    assert health.warned is not None
    assert health.warned.expiry.source is ExpirySource.KEY_VAULT


async def test_the_date_in_key_vault_is_known(
    services: Services,
    rig: Rig,
    connection_id: str,
    clock: Skipping,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While the vault is closed, what the administrator wrote counts; nothing is told twice after."""
    await stored_connection(
        services, connection_id, credential=credential(connection_id, clock, 50)
    )
    ends = int((clock.now + timedelta(days=14)).timestamp())
    name = f"{connection_id}-client-secret"
    rig.vault.secrets.update(name, "", {"attributes": {"exp": ends}})
    await maintain(services)
    first = expiring(caplog, connection_id)
    rig.vault.faults.forbidden = True
    clock.skip(days=1)
    try:
        await maintain(services)
    finally:
        rig.vault.faults.forbidden = False
    away = expiring(caplog, connection_id)
    clock.skip(days=1)

    await maintain(services)

    health = await health_of(services, connection_id)
    assert first == [("WARNING", 14)]
    assert away == [("WARNING", 49)]
    assert expiring(caplog, connection_id) == []
    assert health.warned is not None
    assert health.warned.expiry.source is ExpirySource.KEY_VAULT


async def test_an_identity_that_cannot_expire_is_not_warned_of(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    given = credential(connection_id, clock, 3, kind="managedIdentity")
    await stored_connection(services, connection_id, credential=given)

    await maintain(services)

    assert expiring(caplog, connection_id) == []


# --- the dead man ---------------------------------------------------------------------------------


async def test_a_connection_that_stops_running_is_one_incident_until_it_runs(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    await stored_connection(services, connection_id)
    await run_now(services, connection_id)
    seen = []
    for _ in range(5):
        await maintain(services)
        seen.append(events_of(caplog, connection_id, *INCIDENTS))
        clock.skip(hours=1)
    run = await run_now(services, connection_id)
    resolved = events_of(caplog, connection_id, *INCIDENTS)
    await maintain(services)

    assert seen == [[], [], [], ["incident.opened connection.overdue"], []]
    assert run.status is RunStatus.SUCCEEDED
    assert resolved == ["incident.resolved connection.overdue"]
    assert events_of(caplog, connection_id, *INCIDENTS) == []


async def test_a_connection_that_never_ran_is_missed_as_well(
    services: Services, connection_id: str, clock: Skipping, caplog: pytest.LogCaptureFixture
) -> None:
    await stored_connection(services, connection_id)
    await maintain(services)

    clock.skip(hours=2, seconds=1)
    overdue = await report_overdue(services)

    assert connection_id in overdue
    assert events_of(caplog, connection_id, *INCIDENTS) == ["incident.opened connection.overdue"]


async def test_a_long_run_is_not_missed(
    services: Services, connection_id: str, clock: Skipping
) -> None:
    await stored_connection(services, connection_id, schedule={"everyMinutes": 5})
    began = clock.now
    await services.store.leases.acquire(connection_id, Next("r1", "timer", "auto"), "worker", began)
    clock.skip(minutes=20)
    await services.store.leases.renew(connection_id, "worker", clock.now)

    assert connection_id not in await report_overdue(services)


async def test_a_quarantined_connection_is_not_missed_as_well(
    services: Services,
    emulator: GraphEmulator,
    rig: Rig,
    connection_id: str,
    clock: Skipping,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One cause, one incident, however long the wait for the next try has become."""
    await stored_connection(services, connection_id, schedule={"everyMinutes": 5})
    emulator.control.expire_secrets()
    await run_now(services, connection_id)
    for _ in range(30):
        clock.skip(minutes=10)
        for request in await asked_for(services, rig, connection_id):
            await worker.handle(services, request)
        await report_overdue(services)

    assert events_of(caplog, connection_id, *INCIDENTS) == [
        "incident.opened credential.secretExpired"
    ]


async def test_the_hourly_timer_looks_after_both(
    services: Services,
    connection_id: str,
    clock: Skipping,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "_services", services)
    await stored_connection(services, connection_id, credential=credential(connection_id, clock, 5))
    long_ago = datetime.now(UTC) - timedelta(days=1)
    await services.store.leases.acquire(
        connection_id, Next("r1", "timer", "auto"), "dead", long_ago
    )

    await triggers.maintained(past_due=False)

    assert events_of(caplog, connection_id, "credential.expiring", *INCIDENTS) == [
        "incident.opened connection.overdue",
        "credential.expiring",
    ]

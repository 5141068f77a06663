"""When a credential ends: whoever may know is asked, and the earliest end counts."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_SECRET, SAMPLE_ROLES, VENDOR_CLIENT_ID, VENDOR_CLIENT_SECRET
from sync_core.directory.checks import check_connection, credential_expiry
from sync_core.domain.connections.checks import Expiry, ExpirySource
from sync_core.services import Services
from tests.certificates import certificate_pem, key_pem, rsa_key
from tests.system import Rig, connection

NOW = datetime.now(UTC).replace(microsecond=0)
TEXT = "text/plain"
APPLICATION_READ = [*SAMPLE_ROLES, "Application.Read.All"]


def in_days(days: int) -> datetime:
    return NOW + timedelta(days=days)


async def expiry_of(services: Services, connection_id: str, **changes: Any) -> Expiry | None:
    return await credential_expiry(services.directory, connection(connection_id, **changes), NOW)


async def store(
    services: Services, connection_id: str, value: str = SAMPLE_CLIENT_SECRET, **options: Any
) -> dict[str, str]:
    """Put a secret into Key Vault and give a connection's credential that names it."""
    name = f"{connection_id}-client-secret"
    version = await services.vault.set(name, value, content_type=TEXT, **options)
    return {"secretName": name, "secretVersion": version}


@pytest.fixture
def forbidden(rig: Rig) -> Iterator[None]:
    rig.vault.faults.forbidden = True
    yield
    rig.vault.faults.forbidden = False


async def test_nobody_knows(services: Services, connection_id: str) -> None:
    credential = await store(services, connection_id)

    assert await expiry_of(services, connection_id, credential=credential) is None


async def test_key_vault_knows_of_the_very_version(services: Services, connection_id: str) -> None:
    credential = await store(services, connection_id, expires_on=in_days(40))
    await store(services, connection_id, expires_on=in_days(400))

    known = await expiry_of(services, connection_id, credential=credential)

    assert known == Expiry(expires_on=in_days(40), source=ExpirySource.KEY_VAULT)


async def test_what_was_written_down_counts_where_nobody_else_knows(
    services: Services, connection_id: str
) -> None:
    credential = await store(services, connection_id) | {"expiresOn": "2031-05-04"}

    known = await expiry_of(services, connection_id, credential=credential)

    assert known is not None
    assert (known.source, known.expires_on.date()) == ("given", date(2031, 5, 4))


async def test_a_certificate_says_it_itself(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Also where Key Vault believes something later."""
    key = rsa_key()
    certificate = certificate_pem(key, ends=in_days(20))
    emulator.control.add_certificate(certificate)
    pem = key_pem(key) + certificate
    stored = await store(services, connection_id, pem, expires_on=in_days(90))

    known = await expiry_of(services, connection_id, credential=stored | {"kind": "certificate"})

    assert known == Expiry(expires_on=in_days(20), source=ExpirySource.CERTIFICATE)


async def test_entra_knows_where_the_app_may_ask(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The app has several secrets; ours is found by its first three characters."""
    emulator.control.add_secret(value="zzz8Q~another-one", ends=in_days(3))
    mine = emulator.control.add_secret(value="abc8Q~this-one", ends=in_days(30))
    emulator.control.set_roles(APPLICATION_READ)
    credential = await store(services, connection_id, mine, expires_on=in_days(50))

    known = await expiry_of(services, connection_id, credential=credential)

    assert known == Expiry(expires_on=in_days(30), source=ExpirySource.ENTRA)


async def test_entra_is_not_asked_where_the_app_may_not(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    credential = await store(services, connection_id)

    await expiry_of(services, connection_id, credential=credential)

    assert not any("applications" in request.path for request in emulator.requests)


async def test_an_application_with_its_home_elsewhere_is_no_error(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """A vendor's app is registered in the vendor's tenant; its secrets cannot be seen from here."""
    emulator.control.set_roles(APPLICATION_READ, app=VENDOR_CLIENT_ID)
    credential = await store(services, connection_id, VENDOR_CLIENT_SECRET, expires_on=in_days(60))

    known = await expiry_of(
        services, connection_id, credential=credential, clientId=VENDOR_CLIENT_ID
    )

    assert known == Expiry(expires_on=in_days(60), source=ExpirySource.KEY_VAULT)


async def test_without_a_token_key_vault_is_still_asked(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """An expired secret gets no token, and that is when the date matters."""
    emulator.control.expire_secrets()
    credential = await store(services, connection_id, expires_on=in_days(-1))

    known = await expiry_of(services, connection_id, credential=credential)

    assert known == Expiry(expires_on=in_days(-1), source=ExpirySource.KEY_VAULT)


@pytest.mark.usefixtures("forbidden")
async def test_without_key_vault_the_written_date_is_left(
    services: Services, connection_id: str
) -> None:
    credential = {"secretName": "unreadable", "expiresOn": "2031-05-04"}

    known = await expiry_of(services, connection_id, credential=credential)

    assert known is not None
    assert known.source is ExpirySource.GIVEN


async def test_a_connection_without_a_secret_has_the_written_date(
    services: Services, connection_id: str
) -> None:
    credential = {"secretName": None, "expiresOn": "2031-05-04"}

    known = await expiry_of(services, connection_id, credential=credential)

    assert known is not None
    assert known.source is ExpirySource.GIVEN


async def test_what_has_no_secret_never_ends(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    credential = {"kind": "federated", "expiresOn": "2031-05-04"}

    assert await expiry_of(services, connection_id, credential=credential) is None
    assert emulator.requests == []


async def test_a_check_warns_of_an_end_that_is_near(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    mine = emulator.control.add_secret(value="abc8Q~this-one", ends=in_days(13))
    emulator.control.set_roles(APPLICATION_READ)
    credential = await store(services, connection_id, mine, expires_on=in_days(50))

    result = await check_connection(
        services.directory, connection(connection_id, credential=credential), NOW
    )

    last = result.checks[-1]
    assert (last.name, last.ok, last.code) == ("secret expiry", True, "credential.expiresSoon")
    assert "in 13 days" in last.message
    assert [one.source for one in result.expiries] == ["keyVault", "entra"]
    assert result.ok

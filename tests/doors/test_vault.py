"""Key Vault keeps every version of a secret: one is pinned, the others can be told of or disabled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from azure.keyvault.secrets.aio import SecretClient

from local.vault import VaultInThread
from sync_core.domain.errors import FixConnection
from sync_core.services import Services, identity
from sync_core.store.vault import Vault
from tests.system import Rig

TEXT = "text/plain"
ENDS = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


async def test_every_version_has_an_end_of_its_own(services: Services, connection_id: str) -> None:
    version = await services.vault.set(connection_id, "one", content_type=TEXT, expires_on=ENDS)
    await services.vault.set(connection_id, "two", content_type=TEXT)

    pinned = await services.vault.expires_on(connection_id, version)
    latest = await services.vault.expires_on(connection_id)

    assert (pinned, latest) == (ENDS, None)


async def test_a_disabled_version_cannot_be_read_and_the_others_can(
    services: Services, connection_id: str
) -> None:
    old = await services.vault.set(connection_id, "one", content_type=TEXT)
    new = await services.vault.set(connection_id, "two", content_type=TEXT)

    await services.vault.disable(connection_id, old)
    await services.vault.disable(connection_id, old)  # a repeated one changes nothing

    assert await services.vault.get(connection_id, new) == "two"
    with pytest.raises(FixConnection) as refused:
        await services.vault.get(connection_id, old)
    assert refused.value.code == "vault.secretDisabled"


async def test_what_is_not_there_cannot_be_disabled(services: Services, connection_id: str) -> None:
    with pytest.raises(FixConnection) as refused:
        await services.vault.disable(connection_id, "0" * 32)

    assert refused.value.code == "vault.secretMissing"


@asynccontextmanager
async def opened(url: str, services: Services) -> AsyncIterator[Vault]:
    """Open a vault as another process of the app would."""
    async with identity(services.settings) as own:
        vault = Vault(SecretClient(url, own, verify_challenge_resource=False))
        yield vault
        await vault.close()


async def test_a_key_of_the_app_is_made_once_for_all_processes(
    rig: Rig, services: Services
) -> None:
    with VaultInThread(rig.tls) as emulated:
        async with opened(emulated.url, services) as one, opened(emulated.url, services) as other:
            made = await one.own_key("usersync-cursor-key")

            assert len(made) >= 32
            assert await other.own_key("usersync-cursor-key") == made
            assert await other.own_key("usersync-client-state-key") != made


async def test_of_those_who_find_no_key_at_the_same_time_one_makes_it(
    rig: Rig, services: Services
) -> None:
    """What two subscriptions are signed with, made side by side, is what the webhook checks by."""
    with VaultInThread(rig.tls) as emulated:
        async with opened(emulated.url, services) as vault:
            asked = (vault.own_key("usersync-client-state-key") for _ in range(3))
            keys = await asyncio.gather(*asked)

            assert len(set(keys)) == 1


async def test_a_key_from_before_the_prefix_is_moved(rig: Rig, services: Services) -> None:
    """Subscriptions that were signed with it live on for weeks."""
    with VaultInThread(rig.tls) as emulated:
        async with opened(emulated.url, services) as vault:
            await vault.set("graph-client-state-key", "from before", content_type=TEXT)

            assert await vault.own_key("usersync-client-state-key") == b"from before"
            with pytest.raises(FixConnection) as refused:
                await vault.get("graph-client-state-key")
            assert refused.value.code == "vault.secretDisabled"
        async with opened(emulated.url, services) as again:
            assert await again.own_key("usersync-client-state-key") == b"from before"


async def test_a_former_key_that_an_administrator_disabled_is_not_moved(
    rig: Rig, services: Services
) -> None:
    with VaultInThread(rig.tls) as emulated:
        async with opened(emulated.url, services) as vault:
            version = await vault.set("graph-client-state-key", "gone", content_type=TEXT)
            await vault.disable("graph-client-state-key", version)

            assert await vault.own_key("usersync-client-state-key") != b"gone"

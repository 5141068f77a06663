"""Key Vault keeps every version of a secret: one is pinned, the others can be told of or disabled."""

from datetime import UTC, datetime, timedelta

import pytest

from sync_core.domain.errors import FixConnection
from sync_core.services import Services

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

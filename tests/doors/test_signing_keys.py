"""Entra's signing keys are asked for seldom, whoever asks for what; a failed refresh loses none."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from local.graph import GraphEmulator
from sync_core.directory.signing_keys import (
    ASKED_AGAIN,
    ASKED_AGAIN_WITHOUT_KEYS,
    KEPT,
    SigningKeys,
)
from sync_core.domain.errors import RetryLater
from sync_core.domain.sign_in import TokenInvalid

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PATH = "/common/discovery/v2.0/keys"
MOMENT = timedelta(seconds=1)

Find = Callable[..., "asyncio.Future[str]"]


@pytest.fixture
def find(emulator: GraphEmulator) -> Callable[..., asyncio.Task[str]]:
    """Ask for a key by id, so long after the first question; gives its id."""
    keys = SigningKeys()

    async def found(key_id: str, after: timedelta) -> str:
        return (await keys.find(emulator.authority_url, key_id, NOW + after)).id

    def ask(key_id: str, after: timedelta = timedelta()) -> asyncio.Task[str]:
        return asyncio.ensure_future(found(key_id, after))

    return ask


def newest(emulator: GraphEmulator) -> str:
    published = emulator.service.id_tokens.published(emulator.authority_url)
    return str(published["keys"][-1]["kid"])


def asked(emulator: GraphEmulator) -> int:
    return len([one for one in emulator.requests if one.path == PATH])


async def test_keys_are_loaded_once_for_all_who_come_at_once(
    find: Find, emulator: GraphEmulator
) -> None:
    key_id = newest(emulator)
    found = await asyncio.gather(*(find(key_id) for _ in range(20)))

    assert (set(found), asked(emulator)) == ({key_id}, 1)


async def test_who_makes_up_ids_causes_no_requests(find: Find, emulator: GraphEmulator) -> None:
    await find(newest(emulator))
    for number in range(50):
        with pytest.raises(TokenInvalid):
            await find(f"made-up-{number}", timedelta(minutes=4))

    assert asked(emulator) == 1


async def test_a_new_key_is_found_within_minutes(find: Find, emulator: GraphEmulator) -> None:
    await find(newest(emulator))
    emulator.control.rotate_signing_keys()
    with pytest.raises(TokenInvalid):
        await find(newest(emulator), ASKED_AGAIN - MOMENT)

    assert await find(newest(emulator), ASKED_AGAIN) == newest(emulator)
    assert asked(emulator) == 2


async def test_a_key_that_was_taken_back_is_gone_the_next_day(
    find: Find, emulator: GraphEmulator
) -> None:
    old = newest(emulator)
    await find(old)
    emulator.control.rotate_signing_keys(keep_old=False)

    assert await find(old, KEPT - MOMENT) == old
    with pytest.raises(TokenInvalid):
        await find(old, KEPT)


@pytest.mark.parametrize("fault", ["unavailable", "html", "reset", "truncated"])
async def test_a_refresh_that_fails_loses_no_key(
    find: Find, emulator: GraphEmulator, fault: str
) -> None:
    key_id = newest(emulator)
    await find(key_id)
    emulator.control.add_fault(fault, path=PATH)

    assert await find(key_id, KEPT) == key_id
    before = asked(emulator)
    assert await find(key_id, KEPT + timedelta(minutes=1)) == key_id
    assert asked(emulator) == before


async def test_without_any_key_it_is_tried_again_soon(find: Find, emulator: GraphEmulator) -> None:
    key_id = newest(emulator)
    emulator.control.add_fault("unavailable", path=PATH, times=1)
    with pytest.raises(RetryLater) as caught:
        await find(key_id)
    with pytest.raises(RetryLater):
        await find(key_id, ASKED_AGAIN_WITHOUT_KEYS - MOMENT)

    assert caught.value.code == "signIn.keysUnavailable"
    assert await find(key_id, ASKED_AGAIN_WITHOUT_KEYS) == key_id
    assert asked(emulator) == 2

"""SIGTERM is heard, acts as it did before, and does so once nothing is in hand any more."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from sync_core import draining
from sync_core.draining import Draining


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Give what reaches the handler that stood before ours, and let answers take no time."""
    monkeypatch.setattr(draining, "ANSWER_S", 0.0)
    reached: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: reached.append(number))
    yield reached
    signal.signal(signal.SIGTERM, before)


async def ask_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.05)


async def test_an_idle_process_does_what_it_did_before(passed_on: list[int]) -> None:
    ours = Draining()
    ours.listen()
    before = ours.begun
    await ask_to_end()

    assert (before, ours.begun) == (False, True)
    assert passed_on == [signal.SIGTERM]


async def test_what_is_in_hand_is_waited_for(passed_on: list[int]) -> None:
    ours, seen = Draining(), []
    ours.listen()
    with ours.in_hand():
        with ours.in_hand():
            await ask_to_end()
            seen.append(list(passed_on))
        await ask_to_end()
        seen.append(list(passed_on))
    await asyncio.sleep(0.05)

    assert seen == [[], []]
    assert passed_on == [signal.SIGTERM], "asked twice, and once is enough"


async def test_what_is_taken_in_hand_meanwhile_is_waited_for_too(
    passed_on: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of one call is on its way while another begins."""
    monkeypatch.setattr(draining, "ANSWER_S", 0.1)
    ours = Draining()
    ours.listen()
    with ours.in_hand():
        await ask_to_end()
    with ours.in_hand():
        await asyncio.sleep(0.2)
        during = list(passed_on)
    await asyncio.sleep(0.2)

    assert (during, passed_on) == ([], [signal.SIGTERM])


async def test_work_that_ends_by_itself_ends_no_process(passed_on: list[int]) -> None:
    ours = Draining()
    ours.listen()
    with ours.in_hand():
        pass
    await asyncio.sleep(0.05)

    assert (ours.begun, passed_on) == (False, [])


async def test_a_handler_of_the_loop_is_called_at_once(passed_on: list[int]) -> None:
    """The local host has one; it stops taking messages while a run comes to its end."""
    loop, called, ours = asyncio.get_running_loop(), asyncio.Event(), Draining()
    loop.add_signal_handler(signal.SIGTERM, called.set)
    try:
        ours.listen()
        with ours.in_hand():
            await ask_to_end()

            assert called.is_set()
            assert ours.begun
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def test_a_signal_after_the_end_of_the_loop_is_not_lost(passed_on: list[int]) -> None:
    async def listen() -> None:
        Draining().listen()

    asyncio.run(listen())
    signal.raise_signal(signal.SIGTERM)

    assert passed_on == [signal.SIGTERM]


def test_another_thread_leaves_signals_alone(passed_on: list[int]) -> None:
    """Python takes handlers from the main thread only."""

    def run() -> None:
        async def listen() -> None:
            Draining().listen()

        asyncio.run(listen())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    signal.raise_signal(signal.SIGTERM)

    assert passed_on == [signal.SIGTERM]

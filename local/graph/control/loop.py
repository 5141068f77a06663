"""Calls from a test's thread into the emulator's loop: state is touched by one thread only."""

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_PATIENCE_S = 60


class Home:
    """The loop an emulator lives on, once it runs."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: int | None = None

    def settle(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def leave(self) -> None:
        self._loop = None

    def call(self, function: Callable[[], T]) -> T:
        if self._loop is None or threading.get_ident() == self._thread:
            return function()

        async def on_loop() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(_PATIENCE_S)


class HasHome(Protocol):
    home: Home


H = TypeVar("H", bound=HasHome)


def on_loop(method: Callable[Concatenate[H, P], T]) -> Callable[Concatenate[H, P], T]:
    """Run the method where the emulator's state lives, from whichever thread it is called."""

    @functools.wraps(method)
    def called(self: H, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.home.call(lambda: method(self, *args, **kwargs))

    return called

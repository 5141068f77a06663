"""One call of a function: the trigger's data in, its result out; with log lines and a time limit.

Data passes through the converters of azure-functions, so that a function gets the same classes as
in Azure, and is refused what it is refused there.
"""

import asyncio
import concurrent.futures
import contextvars
import logging
import os
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

from local.host.application import RETURN, Binding, Function

logger = logging.getLogger("host")

Send = Callable[[Binding, Datum], Awaitable[None]]


class FunctionTimeoutError(Exception):
    """functionTimeout of host.json has passed."""


@dataclass(frozen=True)
class Occasion:
    """Why a function is called, in the words of the real host's log."""

    reason: str
    details: str = ""


_NOT_THE_APP = {Path(__file__).parent, Path(concurrent.futures.__file__).parent}

CALLED_BY_API = Occasion("This function was programmatically called via the host APIs.")


class Out(func.Out[Any]):
    """An output parameter."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


@dataclass(frozen=True)
class TraceContext:
    trace_parent: str
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: None = None


@dataclass(frozen=True)
class Context:
    """What a parameter called ``context`` gets: the attributes of func.Context."""

    invocation_id: str
    function_name: str
    function_directory: str
    thread_local_storage: threading.local
    trace_context: TraceContext
    retry_context: RetryContext


class Invoker:
    """Calls functions: async ones on this loop, the others in a pool of threads."""

    def __init__(self, *, timeout_s: float | None, send: Send) -> None:
        self._timeout_s = timeout_s
        self._send = send
        # As the worker: https://learn.microsoft.com/azure/azure-functions/functions-app-settings
        # (PYTHON_THREADPOOL_THREAD_COUNT).
        wanted = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
        workers = int(wanted) if wanted else min(32, (os.cpu_count() or 1) + 4)
        self._threads = concurrent.futures.ThreadPoolExecutor(
            workers, thread_name_prefix="function"
        )
        self._local = threading.local()
        self._background: set[asyncio.Task[Any]] = set()

    async def invoke(
        self,
        function: Function,
        data: Datum,
        occasion: Occasion,
        metadata: Mapping[str, Datum] | None = None,
    ) -> Any:
        """What the function returned (a Datum for an HTTP function); its exception if it raises."""
        invocation_id, started = str(uuid.uuid4()), time.perf_counter()
        title = f"'Functions.{function.name}'"
        logger.info("Executing %s (Reason='%s', Id=%s)", title, occasion.reason, invocation_id)
        if occasion.details:
            logger.info("Trigger Details: %s", occasion.details)

        def ended(how: str) -> str:
            took_ms = (time.perf_counter() - started) * 1000
            return f"Executed {title} ({how}, Id={invocation_id}, Duration={took_ms:.0f}ms)"

        try:
            result = await self._run(function, data, metadata or {}, invocation_id)
        except asyncio.CancelledError:
            logger.warning("%s", ended("Cancelled"))
            raise
        except Exception as error:
            logger.error("%s", ended("Failed"), exc_info=error.with_traceback(_of_the_app(error)))  # noqa: TRY400
            raise
        logger.info("%s", ended("Succeeded"))
        return result

    def start(self, function: Function, data: Datum, metadata: Mapping[str, Datum]) -> None:
        """Call it in the background: somebody asked for it by hand and has gone on."""
        task = asyncio.create_task(self._by_hand(function, data, metadata))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self, grace_s: float) -> None:
        """Wait for what was started in the background, then cancel it."""
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _by_hand(
        self, function: Function, data: Datum, metadata: Mapping[str, Datum]
    ) -> None:
        try:
            await self.invoke(function, data, CALLED_BY_API, metadata)
        except Exception:  # noqa: BLE001 - written to the log already; nobody waits for the answer
            return

    async def _run(
        self, function: Function, data: Datum, metadata: Mapping[str, Datum], invocation_id: str
    ) -> Any:
        converter = _converter(function.trigger)
        arguments = {function.trigger.name: converter.decode(data, trigger_metadata=metadata)}
        outs = {output.name: Out() for output in function.outputs if output.name != RETURN}
        arguments |= outs
        if function.wants_context:
            arguments["context"] = self._context(function, invocation_id)
        returned = await self._call_in_time(function, arguments)
        for output in function.outputs:
            if output.name != RETURN:
                await self._put(output, outs[output.name].get())
        return await self._returned(function, returned)

    async def _call_in_time(self, function: Function, arguments: dict[str, Any]) -> Any:
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                return await self._call(function, arguments)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise FunctionTimeoutError(
                f"Timeout value of {self._timeout_s:.0f} s was exceeded by function: "
                f"Functions.{function.name}"
            ) from error

    async def _call(self, function: Function, arguments: dict[str, Any]) -> Any:
        if function.is_async:
            return await function.call(**arguments)
        here = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, lambda: here.run(function.call, **arguments)
        )

    async def _returned(self, function: Function, value: Any) -> Any:
        output = next((output for output in function.outputs if output.name == RETURN), None)
        if output is None:
            if value is not None:
                # The worker's words; it fails such a call although the function has run.
                raise RuntimeError(
                    f"function {function.name!r} without a $return binding "
                    "returned a non-None value"
                )
            return None
        if output.type == "http":
            return None if value is None else _encode(output, value)
        await self._put(output, value)
        return None

    async def _put(self, output: Binding, value: Any) -> None:
        if value is not None:
            await self._send(output, _encode(output, value))

    def _context(self, function: Function, invocation_id: str) -> Context:
        trace = f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"
        return Context(
            invocation_id=invocation_id,
            function_name=function.name,
            function_directory=str(function.directory),
            thread_local_storage=self._local,
            trace_context=TraceContext(trace),
            retry_context=RetryContext(),
        )


def _of_the_app(error: Exception) -> TracebackType | None:
    """The traceback from the function on; how the host got there helps nobody."""
    frames = error.__traceback__
    while frames and Path(frames.tb_frame.f_code.co_filename).parent in _NOT_THE_APP:
        frames = frames.tb_next
    return frames or error.__traceback__


def _encode(output: Binding, value: Any) -> Datum:
    try:
        encoded: Datum = _converter(output).encode(value, expected_type=None)
    except NotImplementedError as error:
        raise TypeError(
            f"unable to encode outgoing TypedData: unsupported type {output.type!r} for "
            f"Python type {type(value).__name__!r}"
        ) from error
    return encoded


def _converter(binding: Binding) -> Any:
    registry = func.get_binding_registry()  # type: ignore[no-untyped-call]
    return registry.get(binding.type)

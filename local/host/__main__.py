"""``python -m local.host``: serves the function app in a folder until Ctrl-C or SIGTERM."""

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from socket import socket

import uvicorn

from local import loopback
from local.host.application import Function, load
from local.host.configuration import (
    ConfigurationError,
    HostConfig,
    read_host_json,
    read_local_settings,
)
from local.host.http import HttpHost, Keys
from local.host.invocation import Invoker
from local.host.queues import LEASE_S, QueuePoller, Queues
from local.host.timers import Timer, TimerLock, run_timers

FUNCTION_KEY = "LOCAL_HOST_FUNCTION_KEY"
MASTER_KEY = "LOCAL_HOST_MASTER_KEY"
"""Taken out of the environment before the app is loaded: an app does not know its keys."""

HOST_STORAGE = "AzureWebJobsStorage"
GRACE_S = 5.0
QUIET = ("azure", "asyncio", "httpx", "httpcore", "msal", "urllib3", "uvicorn", "websockets")

logger = logging.getLogger("host")


class _Server(uvicorn.Server):
    """Signals are ours: the whole host has to drain, not only its HTTP side."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Host:
    """Everything that runs between start and drain."""

    def __init__(
        self, functions: list[Function], config: HostConfig, keys: Keys, *, root: Path, lease_s: int
    ) -> None:
        self._queues = Queues(config.queues, os.environ)
        self._invoker = Invoker(timeout_s=config.function_timeout_s, send=self._queues.send)
        self._pollers = [
            QueuePoller(function, self._queues, self._invoker, lease_s)
            for function in _with_trigger(functions, "queueTrigger")
        ]
        self._timers = [
            Timer(function, os.environ, self._invoker)
            for function in _with_trigger(functions, "timerTrigger")
        ]
        self._lock = TimerLock(root, os.environ.get(HOST_STORAGE, ""))
        self.http = HttpHost(
            functions, prefix=config.route_prefix, keys=keys, invoker=self._invoker
        )

    async def serve(self, bound: socket) -> None:
        """Until SIGINT or SIGTERM; then up to a few seconds for what is at work."""
        server = _Server(loopback.config(self.http))
        loop = asyncio.get_running_loop()
        for wanted in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(wanted, server.handle_exit, wanted, None)
        for poller in self._pollers:
            await poller.prepare()
        background = [asyncio.create_task(poller.run()) for poller in self._pollers]
        background.append(asyncio.create_task(run_timers(self._timers, self._lock)))
        for task in background:
            task.add_done_callback(lambda task: _stop_if_failed(task, server))
        print(f"Host is ready at {loopback.url_of(bound)}", flush=True)
        await server.serve(sockets=[bound])
        logger.info("Stopping; calls under way have %.0f s to end.", GRACE_S)
        for task in background:
            task.cancel()
        await asyncio.gather(
            *background,
            *(poller.stop(GRACE_S) for poller in self._pollers),
            self._invoker.close(GRACE_S),
            return_exceptions=True,
        )
        await self._queues.close()


def _with_trigger(functions: list[Function], kind: str) -> list[Function]:
    return [function for function in functions if function.trigger.type == kind]


def _stop_if_failed(task: asyncio.Task[None], server: uvicorn.Server) -> None:
    """A poller that ended by a fault of this host must not leave a host that looks alive."""
    if not task.cancelled() and (error := task.exception()):
        logger.error("The host fails.", exc_info=error)
        server.should_exit = True


def _keys() -> Keys:
    return Keys(
        function=os.environ.pop(FUNCTION_KEY, "") or secrets.token_urlsafe(24),
        master=os.environ.pop(MASTER_KEY, "") or secrets.token_urlsafe(24),
    )


def _set_up_logging() -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stdout,
        format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s",
        datefmt="%H:%M:%S",
    )
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _prepare(root: Path, lease_s: int) -> Host:
    for name, value in read_local_settings(root).items():
        os.environ.setdefault(name, value)
    given = {FUNCTION_KEY, MASTER_KEY} <= os.environ.keys()
    config, keys = read_host_json(root), _keys()
    host = Host(load(root), config, keys, root=root, lease_s=lease_s)
    for route in host.http.routes:
        logger.info("Route %s", route)
    if not given:
        print(f"Function key: {keys.function}\nMaster key: {keys.master}")
    return host


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--port", type=int, default=7071, help="0 is any free port")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of function_app.py")
    parser.add_argument(
        "--message-lease",
        type=int,
        default=LEASE_S,
        metavar="SECONDS",
        help="how long a queue message stays hidden when its host dies",
    )
    options = parser.parse_args()
    root = options.root.resolve()
    os.chdir(root)
    _set_up_logging()
    try:
        bound = loopback.listen(options.port)
        host = _prepare(root, options.message_lease)
    except (ConfigurationError, loopback.PortInUseError) as error:
        print(error, file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 - any mistake in the app; Azure would say "0 functions found"
        traceback.print_exc()
        print("function_app.py cannot be loaded; the reason stands above.", file=sys.stderr)
        return 1
    asyncio.run(host.serve(bound))
    return 0


if __name__ == "__main__":
    sys.exit(main())

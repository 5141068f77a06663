"""The emulator as a whole: sizes and TLS files in, two TLS ports that answer out.

In a test: ``with GraphEmulator(people=50, groups=6, seed=1, tls=files) as emulator: ...``.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from local.graph.control.control import Control
from local.graph.control.loop import Home
from local.graph.directory.clock import Clock
from local.graph.directory.tenants import sample_registry
from local.graph.faults.faults import Faults
from local.graph.http.access import TokenMint
from local.graph.http.recorder import Recorded
from local.graph.odata.paging import Links
from local.graph.server import ResettableProtocol, graph_app, login_app
from local.graph.service import RigSettings, Service
from local.graph.subscriptions.notifications import Notifier
from local.graph.subscriptions.webhooks import Webhooks
from local.tls import TlsFiles

_PATIENCE_S = 120


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is up, stops at once, and leaves signals to others."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    async def main_loop(self) -> None:
        ticks = 0
        while not self.stopping.is_set() and not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Requests under way may finish; idle connections, kept for minutes by clients, are cut."""
        for server in self.servers:
            server.close()
        for bound in sockets or []:
            bound.close()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class GraphEmulator:
    def __init__(
        self,
        *,
        people: int = 300,
        groups: int = 12,
        seed: int = 1,
        tls: TlsFiles,
        graph_port: int = 0,
        authority_port: int = 0,
    ) -> None:
        self._tls = tls
        self._graph_socket = _listen(graph_port)
        self._authority_socket = _listen(authority_port)
        self.graph_url = f"https://localhost:{self._graph_socket.getsockname()[1]}"
        self.authority_url = f"https://localhost:{self._authority_socket.getsockname()[1]}"
        clock = Clock()
        # Webhooks on this machine show a certificate of the same root.
        settings, faults = RigSettings(), Faults()
        notifier = Notifier(
            clock,
            Webhooks(tls.bundle_file),
            faults,
            lambda: settings.choices["event_time"] == "told",
        )
        self.service = Service(
            clock,
            sample_registry(clock, people=people, groups=groups, seed=seed),
            TokenMint({self.graph_url}),
            Links(self.graph_url),
            notifier,
            settings=settings,
            faults=faults,
        )
        for tenant in self.service.registry.tenants.values():
            notifier.watch(tenant.id, tenant.directory)
        self._home = Home()
        self.control = Control(self.service, self._home)
        self._servers = [
            self._server(graph_app(self.service, self.control)),
            self._server(login_app(self.service, self.authority_url)),
        ]
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None

    @property
    def requests(self) -> list[Recorded]:
        """Everything that was asked so far, control calls apart."""
        return self.control.requests()

    async def serve(self) -> None:
        """Answer until ``stop``; call it on the loop that shall do the work."""
        self._home.settle()
        sockets = [self._graph_socket, self._authority_socket]
        announcing = asyncio.create_task(self._announce())
        try:
            await asyncio.gather(
                *(s.serve(sockets=[bound]) for s, bound in zip(self._servers, sockets, strict=True))
            )
        finally:
            announcing.cancel()
            await self.service.notifier.webhooks.close()
            self._home.leave()

    async def ready(self) -> None:
        for server in self._servers:
            await server.is_up.wait()

    def stop(self) -> None:
        def set_all() -> None:
            for server in self._servers:
                server.stopping.set()

        self._home.call(set_all)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="graph-emulator", daemon=True)
        self._thread.start()
        if not self._started.wait(_PATIENCE_S):
            raise TimeoutError("the Graph emulator did not start")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self.serve())
        except BaseException as error:  # noqa: BLE001 -- told to the thread that waits
            self._failure = error
        finally:
            self._started.set()

    async def _announce(self) -> None:
        await self.ready()
        self._started.set()

    def _server(self, app: ASGIApp) -> _Server:
        return _Server(
            uvicorn.Config(
                app,
                http=ResettableProtocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                ssl_certfile=str(self._tls.cert_file),
                ssl_keyfile=str(self._tls.key_file),
                timeout_keep_alive=60,
            )
        )


def _listen(port: int) -> socket.socket:
    """Loopback only: the emulator hands out made-up people, but to nobody else."""
    # The protocol is named because asyncio sends small answers at once (TCP_NODELAY) only then.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        raise OSError(f"port {port} of 127.0.0.1: {error.strerror}") from error
    return bound

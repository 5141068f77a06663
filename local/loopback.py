"""Serves an ASGI application on loopback, in this process or in a thread of it."""

import asyncio
import socket
import threading
from typing import Any, Self

import uvicorn

from local.tls import TlsFiles

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 10


class PortInUseError(RuntimeError):
    """Somebody else listens on the port that was asked for."""


def listen(port: int = 0) -> socket.socket:
    """A listening socket on loopback; 0 is any free port."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and every small answer takes 40 ms more.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A rig that was stopped a moment ago leaves connections in TIME_WAIT.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        raise PortInUseError(
            f"Port {port} is in use on this machine. "
            "Stop the program that uses it, or choose another port."
        ) from error
    bound.listen(2048)
    return bound


def port_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


def config(app: Any, tls: TlsFiles | None = None) -> uvicorn.Config:
    """A quiet uvicorn; to be run over a socket from ``listen``."""
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        ssl_certfile=tls.cert_file if tls else None,
        ssl_keyfile=tls.key_file if tls else None,
    )


def server(app: Any, tls: TlsFiles | None = None) -> uvicorn.Server:
    return uvicorn.Server(config(app, tls))


def url_of(bound: socket.socket, tls: TlsFiles | None = None) -> str:
    return f"{'https' if tls else 'http'}://localhost:{port_of(bound)}"


class InThread:
    """The application behind a socket from ``listen``, until ``stop``; for tests.

    The socket listens already and whoever comes early waits in its queue, so nothing waits here.
    """

    def __init__(self, app: Any, bound: socket.socket, tls: TlsFiles | None = None) -> None:
        self._socket = bound
        self._server = server(app, tls)
        self._thread = threading.Thread(target=self._run, name=url_of(bound, tls), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

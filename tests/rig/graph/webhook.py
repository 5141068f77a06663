"""A webhook that subscriptions can name, and the body that asks for one."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from local.tls import TlsFiles

Document = dict[str, Any]


@dataclass
class Webhook:
    """A small receiver that does the handshake and keeps what it gets; it can misbehave."""

    echo: Callable[[str], str] = lambda token: token
    content_type: str = "text/plain"
    status: int = 200
    delay_s: float = 0.0
    answers: list[int] = field(default_factory=list)
    """Statuses of the next notifications; 202 when there are none left."""
    handshakes: list[str] = field(default_factory=list)
    posts: list[tuple[str, list[Document]]] = field(default_factory=list)
    url: str = ""

    def items(self) -> list[Document]:
        return [item for _, items in self.posts for item in items]


@contextmanager
def served(tls: TlsFiles, scheme: str) -> Iterator[Webhook]:
    """A receiver on loopback, with the rig's certificate if the scheme is https."""
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            query = parse_qs(urlsplit(self.path).query)
            time.sleep(webhook.delay_s)
            if "validationToken" in query:
                webhook.handshakes.append(self.path)
                self.answer(webhook.status, webhook.echo(query["validationToken"][0]))
                return
            status = webhook.answers.pop(0) if webhook.answers else 202
            webhook.posts.append((self.path, orjson.loads(body)["value"]))
            self.answer(status, "")

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", webhook.content_type)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    webhook.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    yield webhook
    server.shutdown()
    server.server_close()
    thread.join()


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def body(webhook: Webhook, **changes: Any) -> Document:
    document = {
        "changeType": "updated",
        "notificationUrl": f"{webhook.url}/api/graph/notifications?code=a%2Bb",
        "lifecycleNotificationUrl": f"{webhook.url}/api/graph/lifecycle",
        "resource": "users",
        "expirationDateTime": in_minutes(1000),
        "clientState": "a secret",
        **changes,
    }
    return {name: value for name, value in document.items() if value is not ...}

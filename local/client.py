"""The running rig as its ready file describes it, and a client of its REST API."""

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]

FINISHED = {"succeeded", "partial", "held", "failed", "rejected"}
READY_FILE = "ready.json"
POLL_S = 1.0
WAIT_S = 20


class ApiError(RuntimeError):
    """The API refused; the message is its detail, the fields that are wrong, and its remedy."""


def read_ready_file(data: Path) -> Json:
    """ApiError if no rig runs over ``data``."""
    try:
        content: Json = json.loads((data / READY_FILE).read_text())
    except FileNotFoundError as error:
        raise ApiError("No rig is running here. Start one: make run") from error
    return content


def tls_context(ready: Json) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ready["caFile"])


class Api:
    """Calls of the REST API as the administrator."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(WAIT_S + 40),
            trust_env=False,
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ApiError(f"{method} {path} got no answer: {error}") from error
        if answer.is_error:
            raise ApiError(f"{method} {path} answered {answer.status_code}: {_problem(answer)}")
        return answer

    def exists(self, path: str) -> bool:
        return self._http.get(path).is_success

    def users(self, connection: str, search: str = "") -> Iterator[Json]:
        """The rows of a connection, page by page."""
        query = {"top": "999"} | ({"search": search} if search else {})
        return self.items(f"/api/connections/{connection}/users", query)

    def items(self, path: str, query: dict[str, str]) -> Iterator[Json]:
        """A list, page by page."""
        while True:
            page = self.request("GET", path, params=query).json()
            yield from page["items"]
            if page["next"] is None:
                return
            query = query | {"cursor": page["next"]}

    def sync(self, connection: str, progress: Callable[[Json], None]) -> Json:
        """One run, followed to its end."""
        return self.run_to_end(f"/api/connections/{connection}/sync", {"mode": "auto"}, progress)

    def run_to_end(self, path: str, body: Json, progress: Callable[[Json], None]) -> Json:
        """Ask for a run and follow it to its end."""
        headers = {"Prefer": f"wait={WAIT_S}"}
        answer = self.request("POST", path, json=body, headers=headers)
        run: Json = answer.json()
        location = answer.headers.get("Location", "")
        while run.get("status") not in FINISHED:
            progress(run)
            time.sleep(POLL_S)
            run = self.request("GET", location).json()
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()


def describe_run(run: Json) -> str:
    """One line: how it ended and what it did."""
    counts = {name: count for name, count in (run.get("counts") or {}).items() if count}
    did = ", ".join(f"{count} {name}" for name, count in counts.items())
    error = run.get("error") or {}
    reason = " ".join(filter(None, (error.get("message"), error.get("remedy"))))
    return f"{run['status']}: {reason or did or 'nothing to do'}"


def _problem(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:500]
    wrong = (f"{one['path']} {one['message']}." for one in body.get("errors", ()))
    told = " ".join(filter(None, (body.get("detail"), *wrong, body.get("remedy"))))
    return told or answer.text[:500]

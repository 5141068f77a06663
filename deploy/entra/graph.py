"""Microsoft Graph with the token of a person: reads, writes, and what a write would be (`--what-if`)."""

import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from deploy import https
from deploy.entra.documents import Document
from deploy.errors import DeployError

ATTEMPTS = 8
BUSY = frozenset((429, 500, 502, 503, 504))
# What is written in the place of an id that does not exist yet.
UNKNOWN = "<"
TO_READ = (
    "Sign in with an account of the deployment's tenant that is no guest there (`az login --tenant ... "
    "--allow-no-subscriptions`), or let somebody with the Entra role Application Developer run it."
)


class Refused(DeployError):
    """Graph has refused a request; `code` is its own."""

    def __init__(self, status: int, code: str, message: str, remedy: str) -> None:
        super().__init__(f"Microsoft Graph refused it with {status} {code}: {message}", remedy)
        self.status = status
        self.code = code


@dataclass(slots=True)
class Graph:
    """A client for one command; `writes` counts what it has written, or would have."""

    url: str
    token: str = field(repr=False)
    what_if: bool = False
    pause_s: float = 5.0
    writes: int = 0

    def find(self, path: str) -> Document | None:
        """Return an object, or None where there is none (yet)."""
        if UNKNOWN in path:
            return None
        answer = self._answered("GET", path, None, {})
        if answer.status == 404:
            return None
        found: Document = self._checked(answer, TO_READ).json()
        return found

    def listed(self, path: str) -> list[Document]:
        """Return every object of a list."""
        found: list[Document] = []
        page = self.find(path)
        while page is not None:
            found += page["value"]
            link = str(page.get("@odata.nextLink") or "")
            # The token is for this host alone.
            page = self.find(link.removeprefix(self._base)) if link.startswith(self._base) else None
        return found

    def upsert(self, path: str, document: Document, remedy: str) -> Document:
        """Make an object under a key of ours, or change it where somebody was faster."""
        answer = self._write("PATCH", path, document, remedy, {"Prefer": "create-if-missing"})
        return answer or {**document, "id": f"<id of {path}>", "appId": "<its client id>"}

    def patch(self, path: str, document: Document, remedy: str) -> None:
        self._write("PATCH", path, document, remedy, {})

    def post(self, path: str, document: Document, remedy: str) -> None:
        self._write("POST", path, document, remedy, {})

    @property
    def _base(self) -> str:
        return f"{self.url}/v1.0/"

    def _write(
        self, method: str, path: str, document: Document, remedy: str, headers: dict[str, str]
    ) -> Document | None:
        self.writes += 1
        if self.what_if:
            print(f"{method} {self._base}{path}\n{json.dumps(document, indent=2)}\n")
            return None
        answer = self._answered(method, path, document, headers, waits=True)
        self._checked(answer, remedy)
        return answer.json() if answer.status == 201 else None

    def _answered(
        self,
        method: str,
        path: str,
        document: Document | None,
        headers: dict[str, str],
        *,
        waits: bool = False,
    ) -> https.Answer:
        """Ask until Graph has time, and until what was just made has reached all of its replicas."""
        answer = self._sent(method, path, document, headers)
        for _ in range(ATTEMPTS - 1):
            late = waits and (answer.status == 404 or "does not reference" in _message(answer))
            if not (answer.status in BUSY or late):
                break
            time.sleep(max(self.pause_s, _asked_for(answer)))
            answer = self._sent(method, path, document, headers)
        return answer

    def _sent(
        self, method: str, path: str, document: Document | None, headers: dict[str, str]
    ) -> https.Answer:
        body = None if document is None else json.dumps(document).encode()
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        url = self._base + quote(path, safe="/()='?$,&%")
        return https.send(method, url, headers=sent | headers, body=body)

    @staticmethod
    def _checked(answer: https.Answer, remedy: str) -> https.Answer:
        if answer.status < 400:
            return answer
        error = _error(answer)
        code, message = str(error.get("code")), str(error.get("message"))
        if answer.status == 401:
            remedy = "Sign in again (`az login`), or give a newer token in GRAPH_TOKEN."
        raise Refused(answer.status, code, message, remedy)


def _error(answer: https.Answer) -> dict[str, Any]:
    document = answer.json()
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _asked_for(answer: https.Answer) -> float:
    """Return for how many seconds Graph wants to be left alone; a number, and not always a whole one."""
    try:
        return float(answer.headers.get("retry-after", 0))
    except ValueError:
        return 0.0


def _message(answer: https.Answer) -> str:
    return str(_error(answer).get("message", "")) if answer.status == 400 else ""

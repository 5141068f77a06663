"""A tenant's Graph, read only, with what the probes need of it: somebody, a group, a link."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

from deploy import https

EVENTUAL = {"ConsistencyLevel": "eventual"}
# Nobody has it.
NOBODY = "00000000-0000-4000-8000-000000000000"
MOST_GROUPS = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of Graph."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        error = self.document.get("error")
        return str(error.get("code", "")) if isinstance(error, dict) else ""

    @property
    def told(self) -> str:
        """Say what came without a name or an id of anybody: the status, and the code of an error."""
        return f"{self.status} {self.code}".strip()

    @property
    def items(self) -> list[dict[str, Any]]:
        found = self.document.get("value")
        return found if isinstance(found, list) else []


@dataclass
class Tenant:
    """One tenant as one connection sees it; `asked` counts the requests."""

    url: str
    token: str = field(repr=False)
    roles: frozenset[str]
    groups: Sequence[str]
    """Ids that the connection's scope names."""
    links: Sequence[tuple[float, str]] = ()
    """Links that the app has stored: how many days old, and the link."""
    asked: int = 0

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Read something: a path below v1.0, or a whole link of this Graph."""
        url = path if path.startswith("https://") else f"{self.url}/v1.0/{_quoted(path)}"
        if urlsplit(url).netloc != urlsplit(self.url).netloc:
            raise ValueError("a link to another host")
        return self._sent("GET", url, dict(headers or {}), None)

    def ask(self, path: str, document: Mapping[str, Any]) -> Reply:
        """Ask a question that is too long for an address; Graph has some that read by POST."""
        assert path == "$batch" or path.endswith("/checkMemberGroups"), "nothing here writes"  # noqa: S101
        headers = {"Content-Type": "application/json"}
        return self._sent("POST", f"{self.url}/v1.0/{path}", headers, json.dumps(document).encode())

    @cached_property
    def somebody(self) -> str | None:
        """Return the id of a person: a member of the scope's groups, else the first of the list."""
        for group in self.groups[:MOST_GROUPS]:
            found = self.get(f"groups/{group}/members?$select=id&$top=20").items
            people = [one["id"] for one in found if one.get("@odata.type", "").endswith(".user")]
            if people:
                return str(people[0])
        people = [one["id"] for one in self.get("users?$select=id&$top=1").items]
        return str(people[0]) if people else None

    @cached_property
    def group(self) -> str | None:
        """Return the id of a group: of the scope, else the first of the list."""
        if self.groups:
            return self.groups[0]
        found = self.get("groups?$select=id&$top=1").items
        return str(found[0]["id"]) if found else None

    def _sent(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Reply:
        self.asked += 1
        answer = https.send(
            method, url, headers={"Authorization": f"Bearer {self.token}", **headers}, body=body
        )
        document = answer.json()
        return Reply(answer.status, document if isinstance(document, dict) else {}, answer.headers)


def _quoted(path: str) -> str:
    return quote(path, safe="/()=?$,&':@")

"""Refusals that only an HTTP interface has; each carries its status and the headers that go with it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sync_core.checking import Check
from sync_core.errors import FieldProblem, Invalid, RequestRefused


class HttpRefused(RequestRefused):
    """A request that is refused as HTTP, before anything of ours is asked for."""

    def __init__(
        self,
        code: str,
        message: str,
        remedy: str = "",
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, remedy)
        self.headers = dict(headers or {})


class Malformed(HttpRefused):
    """The body cannot be read at all."""

    status = 400


class Unauthenticated(HttpRefused):
    """Nobody known is calling."""

    status = 401


class Forbidden(HttpRefused):
    """The caller is known and may not do this."""

    status = 403


class TooLarge(HttpRefused):
    """The body is larger than any document of ours can be."""

    status = 413


class WrongMediaType(HttpRefused):
    """The body is not sent as JSON."""

    status = 415


class NotVerified(Invalid):
    """Settings that did not pass their check cannot come into use; they are kept, and `checks` say why."""

    def __init__(
        self,
        message: str,
        remedy: str,
        *,
        waiting: Sequence[str],
        checks: Sequence[Check],
        headers: Mapping[str, str],
    ) -> None:
        unused = "is not in use: the settings did not pass their check"
        super().__init__(message, [FieldProblem(name, unused) for name in waiting], remedy)
        self.code = "connection.notVerified"
        self.checks = tuple(checks)
        self.headers = dict(headers)


class NeedsConfirmation(RequestRefused):
    """A change moves more people than the guard allows; `members` say whom, beside the problem's own."""

    def __init__(self, message: str, remedy: str, members: Mapping[str, Any]) -> None:
        super().__init__("connection.needsConfirmation", message, remedy)
        self.members = dict(members)

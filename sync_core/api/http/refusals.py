"""Refusals that only an HTTP interface has; each carries its status and the headers that go with it."""

from collections.abc import Mapping

from sync_core.domain.errors import RequestRefused


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


class TooManyCalls(HttpRefused):
    """The caller asks too often."""

    status = 429

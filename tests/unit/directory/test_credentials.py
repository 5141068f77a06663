"""A credential that is renewed disturbs nobody who waits for a token, and is closed with all that it was."""

import asyncio
from typing import Any

from azure.core.credentials import AccessToken

from sync_core.directory.credentials import GraphCredential


class Slow:
    """Gives a token when it may, unless it was closed before."""

    def __init__(self, may: asyncio.Event) -> None:
        self._may = may
        self.closed = 0

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        await self._may.wait()
        if self.closed:
            msg = "HTTP transport has already been closed"
            raise ValueError(msg)
        return AccessToken("token", 0)

    async def close(self) -> None:
        self.closed += 1


async def test_who_waits_for_a_token_gets_it_although_another_renews() -> None:
    may, made = asyncio.Event(), list[Slow]()

    def make() -> Slow:
        made.append(Slow(may))
        return made[-1]

    async with GraphCredential(make) as credential:
        waiting = asyncio.create_task(credential.get_token("scope"))
        await asyncio.sleep(0)
        await credential.renew()
        may.set()

        assert (await waiting).token == "token"
    assert [one.closed for one in made] == [1, 1]

"""The permissions in an app's token, and in a new one: a token keeps those of the moment it was issued."""

import asyncio
from collections.abc import Callable

from sync_core.directory.credentials import GraphCredential
from sync_core.directory.denials import PermissionMissing, denied_all_the_same
from sync_core.directory.trouble import Trouble
from sync_core.domain.connections.permissions import has_all
from sync_core.domain.connections.token import read_token
from sync_core.domain.errors import RetryLater


class Grants:
    """What one app may do; a new token is asked for once, however many requests are refused side by side."""

    def __init__(
        self, credential: GraphCredential, scope: str, trouble: Callable[[], Trouble]
    ) -> None:
        self._credential = credential
        self._scope = scope
        self._trouble = trouble
        self._has_new_token = False
        self._one_at_a_time = asyncio.Lock()

    async def roles(self) -> frozenset[str] | None:
        """Return the permissions in the token; None for a token that does not tell."""
        trouble = self._trouble()
        while True:
            try:
                # With the option that the SDK's pipeline uses, so that it is the token of the requests.
                token = await self._credential.get_token(self._scope, enable_cae=True)
            except RetryLater as error:
                await trouble.outlast([error])
            else:
                facts = read_token(token.token)
                return facts.roles if facts else None

    async def may(self, needs: str) -> bool | None:
        """Whether the token, or a new one, has a permission; None where tokens do not tell."""
        async with self._one_at_a_time:
            roles = await self.roles()
            if roles is None or has_all(needs, roles):
                return None if roles is None else True
            return has_all(needs, await self._new_roles() or frozenset())

    async def still_may(self, needs: str) -> bool | None:
        """Whether a new token has a permission, whatever the old one says; None where tokens do not tell."""
        async with self._one_at_a_time:
            roles = await self._new_roles()
        return None if roles is None else has_all(needs, roles)

    async def outlast(self, error: PermissionMissing) -> None:
        """Return if a new token has the permission that the old one lacked; else raise why it is refused."""
        async with self._one_at_a_time:
            before = await self.roles()
            after = await self._new_roles() if before is not None else None
        if before is None or not has_all(error.needs, after or frozenset()):
            raise error
        if has_all(error.needs, before):
            raise denied_all_the_same(error)

    async def _new_roles(self) -> frozenset[str] | None:
        if not self._has_new_token:
            self._has_new_token = True
            await self._credential.renew()
        return await self.roles()

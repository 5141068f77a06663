"""The keys with which Entra signs tokens of people: by id, kept, and seldom asked for.

Never from an address in a token, and never as often as somebody sends another `kid`: who sends a token
chooses it (github.com/cleanenergyexchange/fastapi-zitadel-auth/pull/156). A failed refresh leaves the keys
that are known in place (github.com/jpadilla/pyjwt/issues/1162), and a key that is no longer published goes
with the next one that works (github.com/jpadilla/pyjwt/issues/1051).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sync_core.directory.login import get_document
from sync_core.directory.token_errors import Asked
from sync_core.domain.errors import RetryLater, SyncError
from sync_core.domain.sign_in import SigningKey, TokenInvalid, read_keys
from sync_core.logs import log_event

# Entra's keys are replaced every few weeks, and at once in an emergency:
# learn.microsoft.com/entra/identity-platform/signing-key-rollover.
KEPT = timedelta(hours=24)
# For ids that nobody knows; sooner where no key is known at all, since nobody can sign in then.
ASKED_AGAIN = timedelta(minutes=5)
ASKED_AGAIN_WITHOUT_KEYS = timedelta(seconds=10)
PATH = "/common/discovery/v2.0/keys"


@dataclass(slots=True)
class _Known:
    """The keys of one login service."""

    keys: Mapping[str, SigningKey] = field(default_factory=dict)
    loaded_at: datetime | None = None
    asked_at: datetime | None = None
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_old(self, now: datetime) -> bool:
        return self.loaded_at is None or now - self.loaded_at >= KEPT

    def may_ask(self, now: datetime) -> bool:
        pause = ASKED_AGAIN if self.keys else ASKED_AGAIN_WITHOUT_KEYS
        return self.asked_at is None or now - self.asked_at >= pause


class SigningKeys:
    """Keys by login service."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    async def find(self, login_url: str, key_id: str, now: datetime) -> SigningKey:
        """Return a key; raise `TokenInvalid` if there is none of this id, `RetryLater` if none is known."""
        known = self._known.setdefault(login_url, _Known())
        # Several who come at once wait for one request.
        async with known.loading:
            if (key_id not in known.keys or known.is_old(now)) and known.may_ask(now):
                await _load(known, login_url, now)
        if not known.keys:
            raise RetryLater(
                "signIn.keysUnavailable",
                "Entra's signing keys could not be loaded.",
                "Nothing to do if it passes. Otherwise check the network between this app and Entra.",
            )
        if key_id not in known.keys:
            raise TokenInvalid("signIn.tokenInvalid", "The token is signed with an unknown key.")
        return known.keys[key_id]


async def _load(known: _Known, login_url: str, now: datetime) -> None:
    known.asked_at = now
    try:
        keys = read_keys(await get_document(f"{login_url}{PATH}", Asked()))
    except SyncError as error:
        log_event("signIn.keysNotLoaded", code=error.code)
        return
    if keys:
        known.keys, known.loaded_at = keys, now

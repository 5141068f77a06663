"""The end of a person's sign-in: a code in, who it was out, by an ID token that Entra has signed.

The code is exchanged with the connection's own credential, as RFC 6749 wants it of a confidential client,
so what a browser brings is of no use to who does not have that.
"""

from dataclasses import dataclass

from sync_core.directory.access import Directory
from sync_core.directory.login import post_form
from sync_core.directory.retry_budget import RetryBudget
from sync_core.directory.token_errors import Asked
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import RetryLater
from sync_core.domain.sign_in import (
    Expected,
    Identity,
    SignIn,
    TokenInvalid,
    key_id_of,
    read_id_token,
)


@dataclass(frozen=True, slots=True)
class Returned:
    """What a browser brought back from a sign-in, and what is known of that from before."""

    sign_in: SignIn
    code: str
    redirect_uri: str


async def signed_in(
    directory: Directory, connection: Connection, returned: Returned, retry_budget: RetryBudget
) -> Identity:
    """Exchange a code and read who signed in; raise what Entra or the token says against it."""
    token = await _id_token(directory, connection, returned, retry_budget)
    login_url, now = directory.login_url(connection), directory.clock()
    key = await directory.signing_keys.find(login_url, key_id_of(token), now)
    expected = Expected(frozenset({connection.client_id}), login_url, now)
    return read_id_token(token, key, expected, returned.sign_in.nonce)


async def _id_token(
    directory: Directory, connection: Connection, returned: Returned, retry_budget: RetryBudget
) -> str:
    tenant_id = returned.sign_in.tenant_id
    url = f"{directory.login_url(connection)}/{tenant_id}/oauth2/v2.0/token"
    form = {
        "grant_type": "authorization_code",
        "client_id": connection.client_id,
        "code": returned.code,
        "redirect_uri": returned.redirect_uri,
        "code_verifier": returned.sign_in.verifier,
        "scope": "openid profile",
        **await directory.proof(connection, url),
    }
    attempt = 1
    while True:
        try:
            answer = await post_form(url, form, Asked(connection.cloud))
        except RetryLater as error:
            await retry_budget.wait(attempt, error)
            attempt += 1
            continue
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise TokenInvalid("signIn.tokenInvalid", "Entra answered without an ID token.")
        return token

"""A person's sign-in: first a page and the way back with a code, then tokens for the code.

learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow. Only the code flow of a confidential
client is here: with a nonce and PKCE, the answer in the query.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from local.graph.directory.tenants import App, Tenant
from local.graph.entra.accounts import Account, accounts, find_account
from local.graph.entra.consent import find_app, page, redirect, same_address
from local.graph.entra.consent_pages import accounts_page
from local.graph.entra.errors import (
    TokenError,
    account_of_another_tenant,
    code_expired,
    code_malformed,
    code_of_another,
    code_redeemed,
    missing,
    unknown_app,
    unknown_redirect,
    unsupported_response,
    verifier_mismatch,
)
from local.graph.entra.tokens import (
    audiences,
    check_client,
    find_tenant,
    issue_token,
    known_app,
)
from local.graph.http.access import TOKEN_LIFE_S
from local.graph.http.id_tokens import CODE_LIFE, Code
from local.graph.http.messages import Answer
from local.graph.service import Service

_ANY_TENANT = frozenset({"organizations", "common"})
_WITH_ROLES = frozenset({"All", "DirectoryRole"})
_ASKED = (
    "client_id",
    "response_type",
    "redirect_uri",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
)


@dataclass(frozen=True, slots=True)
class _Request:
    app: App
    tenant: Tenant | None
    """None where any organization may answer."""
    form: dict[str, str]

    def fields(self) -> dict[str, str]:
        return {name: value for name, value in self.form.items() if name in _ASKED}

    def back(self, **answer: str) -> Answer:
        told = answer | {name: self.form[name] for name in ("state",) if name in self.form}
        joint = "&" if urlsplit(self.form["redirect_uri"]).query else "?"
        return redirect(f"{self.form['redirect_uri']}{joint}{urlencode(told)}")


def sign_in_answer(service: Service, tenant_key: str, given: bytes) -> Answer:
    """Answer one step: choose an account, then back to the application with a code."""
    request = _read(service, tenant_key, given)
    try:
        _check(request.form)
        account = find_account(service, request.form.get("account"))
        if account is None:
            return page(accounts_page(request.app.name, accounts(service), request.fields()))
        return request.back(code=_code(service, request, account))
    except TokenError as error:
        description = str(error.body(None)["error_description"])
        return request.back(error=error.error, error_description=description)


def _read(service: Service, tenant_key: str, given: bytes) -> _Request:
    """Check what makes it safe to send the browser back; TokenError is told on a page."""
    form = dict(parse_qsl(given.decode("utf-8", "replace"), keep_blank_values=True))
    tenant = None if tenant_key in _ANY_TENANT else find_tenant(service, tenant_key)
    for name in ("client_id", "redirect_uri"):
        if not form.get(name):
            raise missing(name)
    app = find_app(service, form["client_id"], tenant)
    if tenant is not None and tenant.id not in app.grants:
        raise unknown_app(app.app_id, tenant.name)
    if not any(same_address(form["redirect_uri"], known) for known in app.redirect_uris):
        raise unknown_redirect(form["redirect_uri"], app.app_id)
    return _Request(app, tenant, form)


def _check(form: dict[str, str]) -> None:
    for name in ("response_type", "scope"):
        if not form.get(name):
            raise missing(name)
    if form["response_type"] != "code" or form.get("response_mode", "query") != "query":
        raise unsupported_response(form["response_type"])
    if "openid" not in form["scope"].split():
        raise missing("openid")
    if "code_challenge" in form and form.get("code_challenge_method") != "S256":
        raise missing("code_challenge_method")


def _code(service: Service, request: _Request, account: Account) -> str:
    tenant = account.tenant
    if request.tenant is not None and tenant.id != request.tenant.id:
        raise account_of_another_tenant(account.name, request.tenant.name, request.app.app_id)
    if tenant.id not in request.app.grants:
        raise unknown_app(request.app.app_id, tenant.name)
    code = f"1.{secrets.token_urlsafe(48)}"
    service.id_tokens.codes[code] = Code(
        app_id=request.app.app_id,
        tenant_id=tenant.id,
        redirect_uri=request.form["redirect_uri"],
        challenge=request.form.get("code_challenge"),
        nonce=request.form.get("nonce"),
        account=account.name,
        object_id=account.object_id,
        roles=account.roles,
        ends=service.clock.now() + CODE_LIFE,
    )
    return code


def answer_token(
    service: Service, authority_url: str, tenant_key: str, body: bytes
) -> dict[str, Any]:
    """The answer to POST /{tenant}/oauth2/v2.0/token; TokenError when Entra would refuse."""
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    find_tenant(service, tenant_key)
    for name in ("grant_type", "client_id"):
        if not form.get(name):
            raise missing(name)
    grant = _redeemed if form["grant_type"] == "authorization_code" else issue_token
    return grant(service, authority_url, tenant_key, form)


def _redeemed(
    service: Service, authority_url: str, tenant_key: str, form: dict[str, str]
) -> dict[str, Any]:
    """Exchange a code for tokens, once, for an application that shows its credential."""
    tenant = find_tenant(service, tenant_key)
    app = known_app(service, form["client_id"], tenant)
    check_client(service, app, form, audiences(authority_url, tenant, tenant_key))
    for name in ("code", "redirect_uri"):
        if not form.get(name):
            raise missing(name)
    code = service.id_tokens.codes.get(form["code"])
    if code is None:
        raise code_malformed()
    if (code.app_id, code.tenant_id, code.redirect_uri) != (
        app.app_id,
        tenant.id,
        form["redirect_uri"],
    ):
        raise code_of_another()
    if code.is_redeemed:
        raise code_redeemed()
    if code.ends <= service.clock.now():
        raise code_expired()
    if code.challenge is not None and code.challenge != _challenge(form.get("code_verifier", "")):
        raise verifier_mismatch()
    code.is_redeemed = True
    return _tokens(service, authority_url, app, code)


def _challenge(verifier: str) -> str:
    """RFC 7636, section 4.6."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _tokens(service: Service, authority_url: str, app: App, code: Code) -> dict[str, Any]:
    roles = code.roles if app.group_claims in _WITH_ROLES else None
    id_token = service.id_tokens.issue(authority_url, code, roles=roles, now=service.clock.now)
    return {
        "token_type": "Bearer",
        "scope": "openid profile",
        "expires_in": TOKEN_LIFE_S,
        "ext_expires_in": TOKEN_LIFE_S,
        # For Graph, and of no use to who only wants to know who signed in.
        "access_token": f"EwBwA8l6{secrets.token_urlsafe(48)}",
        "id_token": id_token,
    }

"""Where a browser is sent to sign in, and which tokens are believed."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync_core.domain.sign_in import (
    GLOBAL_ADMINISTRATOR,
    MAX_TOKEN,
    PRIVILEGED_ROLE_ADMINISTRATOR,
    Expected,
    Identity,
    SignIn,
    SigningKey,
    TokenInvalid,
    challenge,
    key_id_of,
    read_id_token,
    read_keys,
    sign_in_url,
)

LOGIN = "https://login.microsoftonline.com"
TENANT = "c0570500-5a3e-4d1f-9b7a-0d6a5c1e7a01"
OTHER_TENANT = "fab21ca0-7d42-4c9b-a5e1-3f0b8d2c6e02"
CLIENT = "5a3b1e00-91c4-4f7e-8d2b-6b1f0c9e2d11"
PERSON = "0a0b0c0d-1111-4222-8333-444455556666"
NONCE = "n" * 43
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EXPECTED = Expected(frozenset({CLIENT}), LOGIN, NOW)


def published(**changes: Any) -> dict[str, Any]:
    """Give a key as Entra publishes it."""
    parts = jwt.algorithms.RSAAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True)
    whole = {"kty": parts["kty"], "n": parts["n"], "e": parts["e"], "use": "sig", "kid": "k-1"}
    return whole | {"issuer": f"{LOGIN}/{{tenantid}}/v2.0"} | changes


def key(**changes: Any) -> SigningKey:
    return read_keys({"keys": [published(**changes)]})["k-1"]


def claims(**changes: Any) -> dict[str, Any]:
    """Give the claims of a good token; None leaves one out."""
    whole = {
        "aud": CLIENT,
        "iss": f"{LOGIN}/{TENANT}/v2.0",
        "tid": TENANT,
        "oid": PERSON,
        "ver": "2.0",
        "nonce": NONCE,
        "nbf": SECONDS,
        "iat": SECONDS,
        "exp": SECONDS + 3600,
        "wids": [GLOBAL_ADMINISTRATOR, "b79fbf4d-3ef9-4689-8143-76b194e85509"],
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def signed(**changes: Any) -> str:
    return jwt.encode(claims(**changes), PRIVATE, "RS256", headers={"kid": "k-1"})


def read(token: str) -> Identity:
    return read_id_token(token, key(), EXPECTED, NONCE)


def refusal(read_it: Callable[[], object]) -> str:
    with pytest.raises(TokenInvalid) as caught:
        read_it()
    assert caught.value.remedy
    return caught.value.code


# --- on the way there -----------------------------------------------------------------------------


def test_a_browser_is_sent_to_the_tenant_with_what_only_its_answer_can_fit() -> None:
    sign_in = SignIn(TENANT, NONCE, "v" * 64)
    address = sign_in_url(
        sign_in, login_url=LOGIN, client_id=CLIENT, redirect_uri="https://x/cb", state="s & t"
    )
    parts = urlsplit(address)

    assert (
        f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{LOGIN}/{TENANT}/oauth2/v2.0/authorize"
    )
    assert dict(parse_qsl(parts.query)) == {
        "client_id": CLIENT,
        "response_type": "code",
        "response_mode": "query",
        "redirect_uri": "https://x/cb",
        "scope": "openid profile",
        "state": "s & t",
        "nonce": NONCE,
        "code_challenge": challenge("v" * 64),
        "code_challenge_method": "S256",
        "prompt": "select_account",
    }
    assert "v" * 64 not in address


def test_the_challenge_is_the_one_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


# --- who signed in --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "known", "may"),
    [
        pytest.param([GLOBAL_ADMINISTRATOR], True, True, id="global"),
        pytest.param([PRIVILEGED_ROLE_ADMINISTRATOR.upper()], True, True, id="of roles"),
        pytest.param(["158c047a-c907-4556-b7ef-446551a6b5f7"], True, False, id="cloud application"),
        pytest.param(["9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"], True, False, id="application"),
        pytest.param([], True, False, id="none"),
        pytest.param([7, None], True, False, id="nonsense among them"),
        pytest.param(None, False, False, id="not told"),
        pytest.param(GLOBAL_ADMINISTRATOR, False, False, id="no list"),
    ],
)
def test_the_token_says_who_signed_in_and_whether_they_may_consent(
    roles: Any, known: bool, may: bool
) -> None:
    identity = read(signed(wids=roles))

    assert (identity.tenant_id, identity.object_id) == (TENANT, PERSON)
    assert (identity.roles is not None, identity.may_consent) == (known, may)


@pytest.mark.parametrize("parts", [{}, {"issuer": None}, {"issuer": f"{LOGIN}/{TENANT}/v2.0"}])
def test_a_key_signs_for_every_tenant_or_for_one(parts: dict[str, Any]) -> None:
    assert read_id_token(signed(), key(**parts), EXPECTED, NONCE).tenant_id == TENANT


# --- what is not believed -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"aud": OTHER_TENANT}, "audienceUnknown", id="another application"),
        pytest.param({"aud": [CLIENT]}, "audienceUnknown", id="a list of applications"),
        pytest.param({"aud": None}, "audienceUnknown", id="no application"),
        pytest.param({"tid": OTHER_TENANT}, "issuerMismatch", id="tenant without its issuer"),
        pytest.param(
            {"iss": f"{LOGIN}/{OTHER_TENANT}/v2.0"}, "issuerMismatch", id="issuer of another tenant"
        ),
        pytest.param(
            {"iss": f"https://sts.windows.net/{TENANT}/"}, "issuerMismatch", id="issuer of v1"
        ),
        pytest.param({"ver": "1.0"}, "issuerMismatch", id="version 1"),
        pytest.param({"ver": None}, "issuerMismatch", id="no version"),
        pytest.param({"iss": None}, "issuerMismatch", id="no issuer"),
        pytest.param({"tid": None}, "tokenInvalid", id="no tenant"),
        pytest.param({"tid": "organizations"}, "tokenInvalid", id="a tenant that is no id"),
        pytest.param({"oid": None}, "tokenInvalid", id="no person"),
        pytest.param({"oid": 7}, "tokenInvalid", id="a person that is no id"),
        pytest.param({"nonce": "another"}, "nonceMismatch", id="another nonce"),
        pytest.param({"nonce": None}, "nonceMismatch", id="no nonce"),
        pytest.param({"nonce": 7}, "nonceMismatch", id="a number for a nonce"),
        pytest.param({"exp": SECONDS - 61}, "tokenExpired", id="expired"),
        pytest.param({"nbf": SECONDS + 61}, "tokenInvalid", id="not yet"),
        pytest.param({"exp": None}, "tokenInvalid", id="no end"),
        pytest.param({"exp": "never"}, "tokenInvalid", id="an end that is none"),
        pytest.param({"nbf": None}, "tokenInvalid", id="no beginning"),
    ],
)
def test_a_token_has_to_be_right_in_everything(changes: dict[str, Any], code: str) -> None:
    assert refusal(lambda: read(signed(**changes))) == f"signIn.{code}"


@pytest.mark.parametrize("changes", [{"exp": SECONDS - 59}, {"nbf": SECONDS + 60}])
def test_clocks_may_differ_by_a_minute(changes: dict[str, Any]) -> None:
    assert read(signed(**changes)).object_id == PERSON


def test_a_key_of_another_tenant_proves_nothing() -> None:
    of_another = key(issuer=f"{LOGIN}/{OTHER_TENANT}/v2.0")

    assert (
        refusal(lambda: read_id_token(signed(), of_another, EXPECTED, NONCE))
        == "signIn.issuerMismatch"
    )


def test_a_token_of_another_key_is_refused() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token = jwt.encode(claims(), other, "RS256", headers={"kid": "k-1"})

    assert refusal(lambda: read(token)) == "signIn.tokenInvalid"


def test_a_changed_token_is_refused() -> None:
    head, _, signature = signed().split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(tid=OTHER_TENANT)).encode()).decode()

    assert refusal(lambda: read(f"{head}.{body.rstrip('=')}.{signature}")) == "signIn.tokenInvalid"


@pytest.mark.parametrize(
    "parts", [{"n": "AQAB"}, {"n": None}, {"n": "~"}, {"e": ""}], ids=["small", "none", "odd", "e"]
)
def test_a_key_that_is_none_proves_nothing(parts: dict[str, Any]) -> None:
    assert (
        refusal(lambda: read_id_token(signed(), key(**parts), EXPECTED, NONCE))
        == "signIn.tokenInvalid"
    )


# --- the header -----------------------------------------------------------------------------------


def header_of(**header: Any) -> str:
    """Give a token with this header; nobody has signed it."""
    parts = [header, claims()]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(text.rstrip("=") for text in texts), "c2lnbmVk"])


def with_the_public_key() -> str:
    """Sign as if the published key were a secret that both sides know."""
    pem = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = header_of(alg="HS256", kid="k-1", typ="JWT").split(".")
    mac = hmac.digest(pem, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def test_the_header_names_a_key() -> None:
    assert key_id_of(signed()) == "k-1"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="nothing"),
        pytest.param("EwBwA8l6", id="opaque"),
        pytest.param("a.b.c", id="three parts of nothing"),
        pytest.param("é.é.é", id="other letters"),
        pytest.param("a" * (MAX_TOKEN + 1), id="too long"),
        pytest.param(header_of(alg="none", kid="k-1"), id="unsigned"),
        pytest.param(header_of(alg="RS512", kid="k-1"), id="another algorithm"),
        pytest.param(header_of(alg="RS256"), id="no key"),
        pytest.param(header_of(alg="RS256", kid=7), id="a number for a key"),
        pytest.param(with_the_public_key(), id="the public key as a secret"),
    ],
)
def test_what_is_no_token_is_refused_before_any_key_is_looked_for(token: str) -> None:
    assert refusal(lambda: key_id_of(token)) == "signIn.tokenInvalid"


def test_a_token_does_not_choose_how_it_is_verified() -> None:
    assert refusal(lambda: read(with_the_public_key())) == "signIn.tokenInvalid"


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"keys": None}, {"keys": ["k"]}],
    ids=["nothing", "a list", "empty", "no keys", "a text"],
)
def test_a_document_without_keys_gives_none(document: Any) -> None:
    assert read_keys(document) == {}


@pytest.mark.parametrize(
    "changes",
    [{"kty": "EC"}, {"use": "enc"}, {"kid": None}, {"kid": 7}],
    ids=["curve", "encryption", "no id", "a number"],
)
def test_only_named_rsa_keys_for_signatures_are_kept(changes: dict[str, Any]) -> None:
    others = read_keys({"keys": [published(**changes), published(kid="k-2")]})

    assert list(others) == ["k-2"]


def test_token_lives_are_compared_with_the_clock_that_is_given() -> None:
    later = Expected(EXPECTED.audiences, LOGIN, NOW + timedelta(hours=2))

    assert refusal(lambda: read_id_token(signed(), key(), later, NONCE)) == "signIn.tokenExpired"

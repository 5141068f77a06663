"""Our own public address, tried before Microsoft Graph is asked to call it.

Graph gives up after ten seconds and says little of why, and a cold app may need longer
(microsoft-graph-docs issue 5554, splunk/azure-functions-splunk issue 26). So the two webhooks are called here
until they answer quickly; what is in the way is told apart.
"""

import asyncio
import time
from http import HTTPStatus
from secrets import token_urlsafe
from urllib.parse import quote, urlsplit

import httpx

from sync_core.concurrency import in_thread
from sync_core.domain.errors import FixConnection

NOTIFICATIONS = "/api/graph/notifications"
LIFECYCLE = "/api/graph/lifecycle"
TRIES = 4
PAUSE_S = 1.0
# As long as Graph waits; what answers only now may be quick the next time.
PATIENCE_S = 10.0
QUICK_S = 2.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
clock = time.monotonic
SIGN_IN = frozenset({401, 301, 302, 303, 307, 308})


class AddressUnusable(FixConnection):
    """Microsoft Graph could not deliver to our address."""


async def check_own_address(base_url: str, graph_url: str | None) -> None:
    """Return once both webhooks have answered a handshake within two seconds; raise `AddressUnusable`.

    `graph_url` is that of an emulator, if there is one: it calls addresses that Graph cannot reach.
    """
    _check_public(base_url, graph_url)
    trust = await in_thread(httpx.create_ssl_context) if base_url.startswith("https:") else False
    timeout = httpx.Timeout(PATIENCE_S)
    async with httpx.AsyncClient(verify=trust, timeout=timeout, follow_redirects=False) as http:
        for path in (NOTIFICATIONS, LIFECYCLE):
            await _until_quick(http, f"{base_url}{path}")


def _check_public(base_url: str, graph_url: str | None) -> None:
    """Refuse an address that Graph does not take, or that only this machine reaches."""
    ours = urlsplit(base_url)
    if graph_url is not None and urlsplit(graph_url).hostname in LOOPBACK:
        return
    if not base_url or ours.hostname in LOOPBACK:
        raise AddressUnusable(
            "subscription.noPublicAddress",
            "Microsoft Graph cannot reach this app: its address "
            f"({base_url or 'PUBLIC_BASE_URL is not set'}) is known on this machine only.",
            "Set PUBLIC_BASE_URL to the public https address of the app.",
        )
    if ours.scheme != "https":
        raise AddressUnusable(
            "subscription.addressNotHttps",
            f"Microsoft Graph delivers to https addresses only, and PUBLIC_BASE_URL is {base_url}.",
            "Set PUBLIC_BASE_URL to the public https address of the app.",
        )


async def _until_quick(http: httpx.AsyncClient, url: str) -> None:
    """Call one webhook until it answers as it should, several times: the first call may wake the app."""
    for attempt in range(1, TRIES + 1):
        try:
            await _handshake(http, url)
        except AddressUnusable as error:
            if error.code == "subscription.addressNeedsSignIn" or attempt == TRIES:
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            return


async def _handshake(http: httpx.AsyncClient, url: str) -> None:
    # The plus and the percent sign tell one decoding from none and from two.
    token = f"Validation: the app calls itself 1+1 %2B {token_urlsafe(16)}"
    began = clock()
    try:
        answer = await http.post(
            f"{url}?validationToken={quote(token, safe='')}",
            headers={"Content-Type": "text/plain; charset=utf-8"},
        )
    except (httpx.HTTPError, OSError) as error:
        raise _unreachable(url, type(error).__name__) from error
    _check_answer(url, answer, token)
    took_s = clock() - began
    if took_s > QUICK_S:
        raise AddressUnusable(
            "subscription.addressSlow",
            f"{url} answers, but it took {took_s:.0f} seconds at the last of several tries.",
            "If it goes on, keep an instance of the app ready (always-ready instances), or look at what "
            "slows it down. It is tried again every hour.",
        )


def _unreachable(url: str, why: str) -> AddressUnusable:
    return AddressUnusable(
        "subscription.addressUnreachable",
        f"{url} could not be reached ({why}).",
        "Check that PUBLIC_BASE_URL is this app's public address, and that the network lets calls from "
        "outside in: its access restrictions, a private endpoint, a firewall.",
    )


def _check_answer(url: str, answer: httpx.Response, token: str) -> None:
    status = answer.status_code
    if status in SIGN_IN:
        raise AddressUnusable(
            "subscription.addressNeedsSignIn",
            f"{url} asks who calls to sign in (HTTP {status}): App Service authentication is in front of it, "
            "and Microsoft Graph signs in nowhere.",
            "Exclude /api/graph/notifications and /api/graph/lifecycle from authentication (excludedPaths of "
            "the app's authsettingsV2), or allow requests that are not authenticated: the app checks each "
            "delivery itself.",
        )
    if status == HTTPStatus.FORBIDDEN:
        raise AddressUnusable(
            "subscription.addressForbidden",
            f"{url} turns calls away (HTTP 403).",
            "Look at the access restrictions of the Function App, at a firewall or gateway in front of it, "
            "and whether the app is stopped. Microsoft Graph needs to get in (service tag "
            "MicrosoftGraphChangeNotification).",
        )
    plain = answer.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/plain"
    if status != HTTPStatus.OK or not plain or answer.text != token:
        raise AddressUnusable(
            "subscription.addressWrong",
            f"{url} did not give back what it was sent (HTTP {status}): something else than this app answers "
            "there.",
            "Check that PUBLIC_BASE_URL is this app's public address, and any gateway in front of it.",
        )

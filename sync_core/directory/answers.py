"""What Graph answered, understood: bytes and errors in, values or errors of ours out. Pure."""

import codecs
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from json import loads as loads_slowly
from typing import Any, NoReturn
from urllib.parse import urlsplit

import orjson

from sync_core.directory.denials import BLOCKED, BLOCKED_REMEDY, denied, speaks_of_policy
from sync_core.domain.errors import (
    FixConnection,
    IncompleteReading,
    RetryLater,
    SyncError,
    Throttled,
)

# Codes after which a listing starts again from its first page: the link to the next page is gone.
# learn.microsoft.com/graph/paging and github.com/microsoftgraph/msgraph-sdk-java/issues/368
LOST_PAGE_CODES = {"directory_expiredpagetoken", "directorypagetokennotfoundexception"}


class GraphNotFound(SyncError):
    """Graph has no such object (404); what that means is for the caller to say."""


class PageLinkLost(SyncError):
    """The link to the next page is no longer valid; the listing has to start again."""


class Gone(IncompleteReading):
    """What a request goes on from is over (410); asked from the beginning, it may be answered."""


class Clash(IncompleteReading):
    """There is such a thing already (409)."""


class TokenRefused(SyncError):
    """Graph did not accept the token (401); a fresh one may help once."""


# Of OData's own library, in which Graph refuses a name in $select or $filter (400): for example
# learn.microsoft.com/answers/questions/1191723.
UNKNOWN_PROPERTY = re.compile(
    r"Could not find a property named '([A-Za-z0-9_]{1,128})' on type 'microsoft\.graph\.user'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, numbered from 0; a listing that starts again begins with 0 once more.

    `count` is the whole list's size where Graph tells it (first page only).
    """

    items: list[dict[str, Any]]
    next_link: str | None
    count: int | None
    number: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The value of an answer; `repaired` where a text in it held what no text can hold."""

    value: Any
    repaired: bool = False


def decode(body: bytes | None) -> Decoded:
    """Decode a JSON answer; anything else is a broken answer that may be asked for again.

    One value that is no text (half a surrogate pair, a byte that is no UTF-8) must not stop the people of
    the whole page: what is broken in it becomes U+FFFD, as in every browser.
    """
    # OData allows a byte order mark before plain text, such as the number that `$count` answers.
    content = (body or b"").removeprefix(codecs.BOM_UTF8)
    try:
        return Decoded(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        try:
            return Decoded(_repaired(content), repaired=True)
        except (ValueError, RecursionError):
            raise bad_answer("an answer that is not JSON") from error


# Python's reader takes an escaped half of a pair (RFC 8259, section 8.2, leaves it open) and puts whole
# pairs together, so any half that is left stands alone.
HALF = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def _repaired(content: bytes) -> Any:
    """Read JSON whose texts may be broken; raise `ValueError` for what is no JSON all the same."""
    value = loads_slowly(content.decode(errors="replace"), parse_constant=_refuse_constant)
    return _with_whole_letters(value)


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _with_whole_letters(value: Any) -> Any:
    if isinstance(value, str):
        return HALF.sub(REPLACEMENT, value)
    if isinstance(value, list):
        return [_with_whole_letters(item) for item in value]
    if isinstance(value, dict):
        return {
            HALF.sub(REPLACEMENT, name): _with_whole_letters(item) for name, item in value.items()
        }
    return value


def refuse_error_body(answer: Any) -> None:
    """Raise for an answer of status 200 that is an error all the same.

    It is passing trouble, whatever its code says: nothing may be concluded from it, no absence above all.
    But a token that is not accepted is renewed.
    """
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return
    code = str(error.get("code") or "without a code")
    if code.lower() == "invalidauthenticationtoken":
        raise token_refused(f"Graph answered 200 {code}: {error.get('message')}")
    raise bad_answer(f"an error with status 200 ({code})")


def to_page(answer: Any, number: int = 0) -> Page:
    """Read one page; a page may be empty and still have a link to the next one."""
    items = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise bad_answer("a list without its items")
    link, count = answer.get("@odata.nextLink"), answer.get("@odata.count")
    # A link that cannot be followed is not the end of the list.
    if not (link is None or isinstance(link, str)):
        raise bad_answer("a list with a link that is none")
    return Page(items, link, count if isinstance(count, int) else None, number)


def check_link(link: str, graph_url: str) -> None:
    """Refuse a link that leaves the configured Graph: the token would go with it."""
    if not has_origin(link, graph_url):
        theirs = _origin(link)
        host = theirs[1] if theirs else "no valid address"
        raise FixConnection(
            "graph.linkHostRefused",
            f"Graph answered with a link to another host ({host}); it was not followed.",
            "Check GRAPH_ENDPOINT and any proxy between this app and Microsoft Graph.",
        )


def has_origin(link: str, graph_url: str) -> bool:
    """Whether a link leads to the configured Graph."""
    theirs = _origin(link)
    return theirs is not None and theirs == _origin(graph_url)


def _origin(address: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port; None for what browsers and libraries read in different ways."""
    if not address.isprintable():  # line breaks, which urlsplit takes out without a word
        return None
    try:
        parts = urlsplit(address)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return None
    # In lower case, some letters of other scripts are ASCII: the Kelvin sign is a k.
    if parts.hostname is None or port is None or "@" in parts.netloc or not parts.netloc.isascii():
        return None
    return parts.scheme, parts.hostname, port


def to_error(
    status: int, code: str, message: str, headers: Mapping[str, str], needs: str
) -> SyncError:
    """Say what an error answer means; `needs` names the permission that the call requires."""
    detail = f"Graph answered {status} {code or 'without a code'}: {message}"
    if code.lower() in LOST_PAGE_CODES:
        return PageLinkLost("graph.pageLinkLost", detail, WAIT_REMEDY)
    # 501 is for good: a property that is only readable one person at a time was asked for
    # (learn.microsoft.com/graph/api/user-list).
    if (status >= 500 and status != 501) or status in {408, 429}:
        return _transient(status, detail, retry_after_s(headers))
    if status == 401:
        return token_refused(detail)
    if status == 403:
        return denied(code, message, detail, needs)
    if status == 404:
        return GraphNotFound("graph.notFound", detail, NOT_FOUND_REMEDY)
    return _refused(status, message, detail)


def _refused(status: int, message: str, detail: str) -> SyncError:
    if status == 410:
        return Gone("graph.refused", detail, REPORT_REMEDY)
    if status == 409:
        return Clash("graph.refused", detail, REPORT_REMEDY)
    unknown = UNKNOWN_PROPERTY.search(message)
    if unknown is None:
        return IncompleteReading("graph.refused", detail, REPORT_REMEDY)
    return FixConnection(
        "graph.attributeUnknown",
        f"Microsoft Graph has no attribute {unknown[1]} of a user.",
        "Correct its name in the connection's scope and mapping; "
        "GET /api/connections/{id}/attributes lists what the tenant has.",
    )


def token_refused(detail: str) -> TokenRefused:
    if speaks_of_policy(detail):
        return TokenRefused("graph.blockedByPolicy", f"{BLOCKED} ({detail})", BLOCKED_REMEDY)
    return TokenRefused("graph.tokenRefused", detail, CONSENT_REMEDY)


def _transient(status: int, detail: str, wait_s: float | None) -> RetryLater:
    # 503 and 504 may say how long to wait as well (learn.microsoft.com/graph/errors).
    if status == 429 or wait_s is not None:
        return Throttled(detail, retry_after_s=wait_s)
    return RetryLater("graph.unavailable", detail, WAIT_REMEDY)


CONSENT_REMEDY = (
    "Check that the app registration still exists and that its consent was not revoked."
)
WAIT_REMEDY = "Nothing to do: the next run tries again. See status.microsoft.com if it goes on."
NOT_FOUND_REMEDY = (
    "Nothing to do if it was deleted a moment ago: the next run knows. Otherwise take it out of the "
    "connection's scope and mapping."
)
REPORT_REMEDY = (
    "If the message names a property, take it out of the connection's scope and mapping, or correct its "
    "name. Otherwise please report this: the app asked something that Graph refuses."
)


def bad_answer(what: str) -> RetryLater:
    return RetryLater("graph.badAnswer", f"Graph gave {what}.", WAIT_REMEDY)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After in seconds; Graph may send decimals (learn.microsoft.com/graph/throttling).

    None where there is none, or a date, which Graph does not send: our own waits apply then.
    """
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        seconds = float(text) if text is not None else None
    except ValueError:
        return None
    return max(0.0, seconds) if seconds is not None and math.isfinite(seconds) else None

"""What Graph answers, understood: pages, links, errors and waits."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.directory.answers import (
    Clash,
    Decoded,
    Gone,
    GraphNotFound,
    Page,
    PageLinkLost,
    TokenRefused,
    check_link,
    decode,
    retry_after_s,
    to_error,
    to_page,
)
from sync_core.directory.denials import PermissionMissing
from sync_core.domain.errors import (
    FixConnection,
    IncompleteReading,
    RetryLater,
    SyncError,
    Throttled,
)
from tests.unit.builders import JSON

GRAPH = "https://graph.microsoft.com"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b"[1]", [1]),
        (b"null", None),
        (b' {"a": "\xc3\xa9"}', {"a": "é"}),
        (b"\xef\xbb\xbf300", 300),
    ],
)
def test_json_is_decoded(body: bytes, value: Any) -> None:
    assert decode(body) == Decoded(value)


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        pytest.param(rb"A\ud83d", "A\ufffd", id="first half of a letter"),
        pytest.param(rb"\udc00 B", "\ufffd B", id="second half of a letter"),
        pytest.param(rb"\udc00\ud83d", "\ufffd\ufffd", id="halves in the wrong order"),
        pytest.param(
            rb"\ud83d \ud83d\ude00", "\ufffd \N{GRINNING FACE}", id="beside a whole letter"
        ),
        pytest.param(rb"\\ud83d \ud83d", r"\ud83d" + " \ufffd", id="beside an escaped backslash"),
        pytest.param(b"M\xfcller", "M\ufffdller", id="a byte of another encoding"),
        pytest.param(b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd", id="half a letter in bytes"),
    ],
)
def test_one_broken_value_does_not_stop_the_others(text: bytes, repaired: str) -> None:
    """A page with one such value was "not JSON", at every run, for everybody."""
    body = b'{"value": [{"displayName": "%b"}, {"displayName": "Ann", "n": [1, null]}]}' % text

    found = decode(body)

    assert found.repaired
    assert found.value == {
        "value": [{"displayName": repaired}, {"displayName": "Ann", "n": [1, None]}]
    }
    assert orjson.loads(orjson.dumps(found.value)) == found.value, "it can be stored"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="empty"),
        pytest.param(b'{"value": [{"id": ', id="cut off"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b'{"a": "\xc3', id="cut off inside a letter"),
        pytest.param(b"NaN", id="no number"),
        pytest.param(b'["\\ud800", Infinity]', id="no number beside half a letter"),
        pytest.param(b"[" * 5000, id="deep"),
    ],
)
def test_what_is_no_json_may_be_asked_for_again(body: bytes | None) -> None:
    """Never taken for an empty list."""
    with pytest.raises(RetryLater, match="not JSON") as caught:
        decode(body)

    assert caught.value.code == "graph.badAnswer"


@pytest.mark.parametrize(
    ("answer", "page"),
    [
        pytest.param({"value": []}, Page([], None, None, 0), id="empty"),
        pytest.param(
            {"@odata.count": 7, "value": [{"id": "a"}], "@odata.nextLink": "https://x"},
            Page([{"id": "a"}], "https://x", 7, 0),
            id="first of several",
        ),
        pytest.param(
            {"value": [], "@odata.nextLink": "https://x"},
            Page([], "https://x", None, 0),
            id="empty, and not the last",
        ),
        pytest.param(
            {"value": [], "@odata.nextLink": None, "@odata.count": None},
            Page([], None, None, 0),
            id="nulls",
        ),
        pytest.param({"value": [], "@odata.count": 0}, Page([], None, 0, 0), id="count of none"),
        pytest.param({"value": [], "@odata.count": "7"}, Page([], None, None, 0), id="odd count"),
    ],
)
def test_pages(answer: Any, page: Page) -> None:
    assert to_page(answer) == page


def test_pages_are_numbered_by_the_caller() -> None:
    assert to_page({"value": []}, 3).number == 3


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="list"),
        pytest.param({}, id="no items"),
        pytest.param({"value": None}, id="null for items"),
        pytest.param({"value": {}}, id="object for items"),
        pytest.param({"error": {"code": "x"}}, id="error with status 200"),
        pytest.param({"value": [{"id": "a"}, None]}, id="null among the items"),
        pytest.param({"value": ["a"]}, id="text among the items"),
        pytest.param({"value": [], "@odata.nextLink": 5}, id="a link that is none"),
        pytest.param({"value": [], "@odata.nextLink": {}}, id="an object for a link"),
        pytest.param({"value": [], "@odata.nextLink": False}, id="false for a link"),
    ],
)
def test_a_page_that_is_none_is_no_end_of_the_list(answer: Any) -> None:
    """Absence is evidence only in a list that was read to its end."""
    with pytest.raises(RetryLater) as caught:
        to_page(answer)

    assert caught.value.code == "graph.badAnswer"


@given(JSON | st.fixed_dictionaries({"value": JSON}, optional={"@odata.nextLink": JSON}))
def test_any_json_is_a_page_or_a_bad_answer(answer: Any) -> None:
    try:
        page = to_page(orjson.loads(orjson.dumps(answer)))
    except RetryLater:
        return

    assert all(isinstance(item, dict) for item in page.items)
    assert page.next_link is None or isinstance(page.next_link, str)


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph", "link"),
    [
        pytest.param(GRAPH, f"{GRAPH}/v1.0/users?$skiptoken=a%20b", id="next page"),
        pytest.param(GRAPH, "https://GRAPH.microsoft.com/v1.0/users", id="host in another case"),
        pytest.param("https://Graph.Microsoft.com", f"{GRAPH}/v1.0/users", id="configured so"),
        pytest.param(GRAPH, f"{GRAPH}:443/v1.0/users", id="usual port"),
        pytest.param("https://localhost:8443", "https://localhost:8443/v1.0/users", id="emulator"),
        pytest.param("http://localhost", "http://localhost:80/users", id="usual port without TLS"),
        pytest.param(GRAPH, f"{GRAPH}/users?$filter=city eq 'Zürich'", id="query as it was typed"),
    ],
)
def test_links_within_graph_are_followed(graph: str, link: str) -> None:
    check_link(link, graph)


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("https://evil.example/v1.0/users", id="another host"),
        pytest.param("http://graph.microsoft.com/v1.0/users", id="without TLS"),
        pytest.param("https://graph.microsoft.com:8443/v1.0/users", id="another port"),
        pytest.param("https://graph.microsoft.com.evil.example/", id="host goes on"),
        pytest.param("https://evil-graph.microsoft.com/", id="host begins otherwise"),
        pytest.param("https://graph.microsoft.com@evil.example/", id="host as a user name"),
        pytest.param("https://user:word@graph.microsoft.com/", id="user name"),
        pytest.param("https://evil.example\\@graph.microsoft.com/", id="backslash"),
        pytest.param("https://graph.microsoft.com\n.evil.example/", id="line break"),
        pytest.param("https://graph.microsoft.com/v1.0/\nusers", id="line break in the path"),
        pytest.param("https://graph.microsoft.com /", id="blank"),
        pytest.param("https://graph.microsoft.com\u3002evil.example/", id="dot of another script"),
        pytest.param("//graph.microsoft.com/v1.0/users", id="no scheme"),
        pytest.param("/v1.0/users", id="no host"),
        pytest.param("https:///v1.0/users", id="empty host"),
        pytest.param("", id="empty"),
        pytest.param("https://[::1", id="broken"),
        pytest.param("https://graph.microsoft.com:port/", id="broken port"),
        pytest.param("https://graph.microsoft.com:99999/", id="no such port"),
        pytest.param("javascript:alert(1)", id="no address"),
    ],
)
def test_a_link_that_leaves_graph_is_refused(link: str) -> None:
    """The token would go with it."""
    with pytest.raises(FixConnection) as caught:
        check_link(link, GRAPH)

    assert caught.value.code == "graph.linkHostRefused"


def test_a_letter_that_folds_to_ascii_is_another_host() -> None:
    with pytest.raises(FixConnection):
        check_link("https://\N{KELVIN SIGN}graph.example/", "https://kgraph.example")


def test_the_refused_host_is_named() -> None:
    with pytest.raises(FixConnection, match=r"another host \(evil\.example\)"):
        check_link("https://evil.example/v1.0/users?$skiptoken=secret", GRAPH)


@given(st.text())
def test_any_text_is_followed_or_refused(link: str) -> None:
    for one in (link, f"https://{link}", f"{GRAPH}{link}"):
        try:
            check_link(one, GRAPH)
        except FixConnection:
            continue

        assert one.lower().startswith(GRAPH)


# --- errors ---------------------------------------------------------------------------------------


def error(
    status: int, code: str = "", headers: dict[str, str] | None = None, message: str = "Why."
) -> SyncError:
    return to_error(status, code, message, headers or {}, "User.Read.All")


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours"),
    [
        pytest.param(400, "Request_UnsupportedQuery", IncompleteReading, "graph.refused", id="400"),
        pytest.param(
            400, "Directory_ExpiredPageToken", PageLinkLost, "graph.pageLinkLost", id="expired page"
        ),
        pytest.param(
            400,
            "directory_expiredPageToken",
            PageLinkLost,
            "graph.pageLinkLost",
            id="expired page in another case",
        ),
        pytest.param(
            404,
            "DirectoryPageTokenNotFoundException",
            PageLinkLost,
            "graph.pageLinkLost",
            id="page not found is no person not found",
        ),
        pytest.param(
            401, "InvalidAuthenticationToken", TokenRefused, "graph.tokenRefused", id="401"
        ),
        pytest.param(
            403,
            "Authorization_RequestDenied",
            PermissionMissing,
            "graph.permissionMissing",
            id="403",
        ),
        pytest.param(
            403, "", PermissionMissing, "graph.permissionMissing", id="403 without a code"
        ),
        pytest.param(404, "Request_ResourceNotFound", GraphNotFound, "graph.notFound", id="404"),
        pytest.param(408, "", RetryLater, "graph.unavailable", id="408"),
        pytest.param(409, "", Clash, "graph.refused", id="409"),
        pytest.param(410, "syncStateNotFound", Gone, "graph.refused", id="410"),
        pytest.param(429, "TooManyRequests", Throttled, "graph.throttled", id="429"),
        pytest.param(500, "", RetryLater, "graph.unavailable", id="500"),
        pytest.param(
            501, "NotImplemented", IncompleteReading, "graph.refused", id="501 is for good"
        ),
        pytest.param(502, "", RetryLater, "graph.unavailable", id="502"),
        pytest.param(503, "", RetryLater, "graph.unavailable", id="503"),
        pytest.param(504, "", RetryLater, "graph.unavailable", id="504"),
        pytest.param(509, "", RetryLater, "graph.unavailable", id="509"),
        pytest.param(0, "", IncompleteReading, "graph.refused", id="no status"),
        pytest.param(302, "", IncompleteReading, "graph.refused", id="redirect"),
    ],
)
def test_what_an_error_means(status: int, code: str, kind: type[SyncError], ours: str) -> None:
    found = error(status, code)

    assert type(found) is kind
    assert found.code == ours
    assert found.message.endswith("Why.") or "Why." in found.message
    assert str(status) in found.message


def test_an_error_without_a_code_says_so() -> None:
    assert error(500).message == "Graph answered 500 without a code: Why."
    assert error(500, "x").message == "Graph answered 500 x: Why."


def test_a_missing_permission_is_named() -> None:
    found = error(403)

    assert "User.Read.All" in found.message
    assert "User.Read.All" in found.remedy
    assert "admin consent" in found.remedy


@pytest.mark.parametrize("status", [400, 401, 403, 500, 501])
def test_every_error_has_a_remedy(status: int) -> None:
    assert error(status).remedy


@pytest.mark.parametrize(
    ("status", "headers", "wish"),
    [
        pytest.param(429, {}, None, id="429 without a wish"),
        pytest.param(429, {"Retry-After": "2.128"}, 2.128, id="429 with decimals"),
        pytest.param(503, {"retry-after": "10"}, 10.0, id="503 with a wish"),
        pytest.param(504, {"RETRY-AFTER": "0"}, 0.0, id="504 with none to wait"),
    ],
)
def test_who_asks_to_wait_is_throttling(
    status: int, headers: dict[str, str], wish: float | None
) -> None:
    found = error(status, headers=headers)

    assert isinstance(found, Throttled)
    assert found.retry_after_s == wish


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("10", 10.0, id="seconds"),
        pytest.param("0.249", 0.249, id="decimals"),
        pytest.param(" 5 ", 5.0, id="blanks"),
        pytest.param("0", 0.0, id="at once"),
        pytest.param("-3", 0.0, id="below zero"),
        pytest.param("86400", 86_400.0, id="a day"),
        pytest.param("1000000", 1_000_000.0, id="longer than any run waits"),
        pytest.param("Mon, 04 May 2026 03:02:01 GMT", None, id="date"),
        pytest.param("soon", None, id="word"),
        pytest.param("", None, id="empty"),
        pytest.param("nan", None, id="no number"),
        pytest.param("inf", None, id="for ever"),
        pytest.param("1e999", None, id="beyond numbers"),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_s({"Date": "x", "Retry-After": text}) == seconds


def test_no_retry_after() -> None:
    assert retry_after_s({"x-ms-retry-after": "5"}) is None


def test_a_name_that_graph_does_not_know_is_told_in_words() -> None:
    message = (
        "Parsing OData Select and Expand failed: Could not find a property named 'departement' on type "
        "'microsoft.graph.user'."
    )
    error = to_error(400, "BadRequest", message, {}, "User.Read.All")

    assert (type(error), error.code) == (FixConnection, "graph.attributeUnknown")
    assert error.message == "Microsoft Graph has no attribute departement of a user."
    assert "/attributes" in error.remedy

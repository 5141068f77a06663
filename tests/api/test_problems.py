"""Whatever goes wrong is answered as a problem, and nothing of the inside goes out with it."""

import logging
from typing import Any

import azure.functions as func
import httpx
import orjson
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from sync_core.api.app import create_app
from sync_core.api.http.bodies import MAX_BYTES
from sync_core.api.http.edge import Edge
from sync_core.api.http.problems import from_sync_error
from sync_core.domain.errors import (
    FixConnection,
    FixSettings,
    IncompleteReading,
    LeaseLost,
    RecordRejected,
    RetryLater,
    SyncError,
    Throttled,
)
from sync_core.services import Services
from tests.api.conftest import ADMIN, calling, document
from tests.api.description import ROUTES
from tests.api.test_roles import VALUES

MEMBERS = {"type", "title", "status", "detail", "code", "remedy"}


@pytest.mark.parametrize("path", ["/", "/api", "/api/nothing", "/api/connections/", "/docs"])
async def test_what_is_not_there(nobody: httpx.AsyncClient, path: str) -> None:
    answer = await nobody.get(path)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json().keys() == MEMBERS
    assert answer.json()["code"] == "route.notFound"


async def test_what_comes_with_a_later_version_is_not_there(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/api/me")).json()["code"] == "route.notFound"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        pytest.param("DELETE", "/api/connections", "GET, POST", id="list"),
        pytest.param("POST", "/api/connections/x", "DELETE, GET, PATCH, PUT", id="one"),
        pytest.param("GET", "/api/connections/x/sync", "POST", id="sync"),
    ],
)
async def test_a_method_that_a_path_does_not_take(
    admin: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await admin.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == allow
    assert answer.json()["code"] == "route.methodNotAllowed"


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        pytest.param(b"{", "application/json", 400, "request.malformed", id="not JSON"),
        pytest.param(b"", "application/json", 400, "request.malformed", id="empty"),
        pytest.param(b'"\xff"', "application/json", 400, "request.malformed", id="not UTF-8"),
        pytest.param(b'{"a": NaN}', "application/json", 400, "request.malformed", id="NaN"),
        pytest.param(b"[" * 2000, "application/json", 400, "request.malformed", id="deep"),
        pytest.param(b"[]", "application/json", 422, "request.invalid", id="not an object"),
        pytest.param(b"{}", "text/plain", 415, "request.mediaType", id="plain text"),
        pytest.param(b"{}", "", 415, "request.mediaType", id="no media type"),
        pytest.param(b"{}", "application/merge-patch+json", 415, "request.mediaType", id="a patch"),
        pytest.param(
            b" " * (MAX_BYTES + 1), "application/json", 413, "request.tooLarge", id="large"
        ),
    ],
)
async def test_bodies_that_cannot_be_read(
    *, admin: httpx.AsyncClient, body: bytes, kind: str, status: int, code: str
) -> None:
    answer = await admin.post("/api/connections", content=body, headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_patch_may_be_nested_deeply_without_harm(admin: httpx.AsyncClient) -> None:
    body = b'{"a":' * 900 + b"1" + b"}" * 900
    created = await admin.post("/api/connections", json=document("nested"))
    answer = await admin.patch(
        created.headers["Location"], content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        pytest.param({"top": "0"}, "top", id="top too small"),
        pytest.param({"top": "1000"}, "top", id="top too large"),
        pytest.param({"top": "many"}, "top", id="top not a number"),
        pytest.param({"cursor": "!"}, "cursor", id="cursor not base64"),
        pytest.param({"cursor": "cnVuczo1"}, "cursor", id="cursor of another list"),
        pytest.param({"cursor": "_w"}, "cursor", id="cursor not ASCII"),
        pytest.param({"cursor": "abcde"}, "cursor", id="cursor of an impossible length"),
        pytest.param({"cursor": ""}, "cursor", id="empty cursor"),
        pytest.param({"Top": "1"}, "Top", id="in another case"),
        pytest.param({"status": "failed"}, "status", id="of another call"),
        pytest.param({"": "x"}, "", id="without a name"),
    ],
)
async def test_parameters_out_of_range(
    reader: httpx.AsyncClient, parameters: dict[str, str], path: str
) -> None:
    answer = await reader.get("/api/connections", params=parameters)

    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({f"unknown{number}": 1 for number in range(5_000)}, id="many fields"),
        pytest.param({"x" * 500_000: 1}, id="a long name"),
        pytest.param({"scope": {"exclude": ["nobody"] * 1_000}}, id="many entries"),
        pytest.param(
            {
                "scope": {
                    "filters": [
                        {
                            "clauses": [
                                {
                                    "attribute": "groups",
                                    "operator": "ARRAYCONTAINS",
                                    "value": ["x" * 100_000],
                                }
                            ]
                        }
                    ]
                }
            },
            id="a long value",
        ),
    ],
)
async def test_an_answer_is_no_larger_than_it_has_to_be(
    admin: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    """A hundred problems are enough to begin with, and a text need not be given back whole."""
    document_ = document("none") | {"displayName": 1} | body
    answer = await admin.post("/api/connections", json=document_)
    told = answer.json()

    assert answer.status_code == 422
    assert len(answer.content) < 150_000
    assert all(len(one["path"]) <= 303 and len(one["message"]) <= 1_003 for one in told["errors"])
    assert len(told["errors"]) <= 100
    assert (len(told["errors"]) == 100) is ("moreErrors" in told)


async def test_how_many_problems_are_not_told(admin: httpx.AsyncClient) -> None:
    body = document("none") | {f"unknown{number}": 1 for number in range(250)}
    answer = (await admin.post("/api/connections", json=body)).json()

    assert (len(answer["errors"]), answer["moreErrors"]) == (100, 150)


CALLED_BY_OTHERS = {("GET", "/api/consent/callback"), ("GET", "/api/consent/result")}


@pytest.mark.parametrize(
    ("method", "path"),
    [pytest.param(*one, id=" ".join(one)) for one in ROUTES if one not in CALLED_BY_OTHERS],
)
async def test_a_parameter_that_a_call_does_not_know_is_refused(
    admin: httpx.AsyncClient, method: str, path: str
) -> None:
    """Whoever misspells one means it: `DELETE ?user=delete` would keep the people."""
    answer = await admin.request(method, path.format(**VALUES), params={"user": "delete"})

    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["user"]
    assert "not a known parameter" in answer.json()["errors"][0]["message"]


async def test_what_others_add_to_an_address_is_not_ours_to_refuse(
    nobody: httpx.AsyncClient,
) -> None:
    for _, path in sorted(CALLED_BY_OTHERS):
        answer = await nobody.get(path, params={"session_state": "x", "fbclid": "y"})
        assert answer.status_code in {200, 302}


async def test_the_right_names_are_told(admin: httpx.AsyncClient) -> None:
    answer = await admin.delete("/api/connections/none", params={"user": "delete"})

    assert answer.json()["errors"][0]["message"].endswith("(this call takes users, confirm)")


async def test_titles_are_those_of_the_rfc(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/connections", json={})

    assert answer.json()["title"] == "Unprocessable Content"


@pytest.mark.parametrize("top", [1, 999])
async def test_parameters_at_their_limits(reader: httpx.AsyncClient, top: int) -> None:
    assert (await reader.get("/api/connections", params={"top": top})).status_code == 200


async def test_an_answer_that_breaks_off_is_not_answered_twice() -> None:
    """Once a status is on its way, the host has to know that the rest will not come."""

    async def breaking_off(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("in the middle")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=Edge(breaking_off))) as client:
        with pytest.raises(ValueError, match="in the middle"):
            await client.get("http://localhost/")


def failing_app(error: Exception) -> FastAPI:
    async def services() -> Services:
        raise error

    return create_app(services)


async def test_an_unforeseen_error_is_logged_and_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with calling(failing_app(ValueError("the inside")), ADMIN) as client:
        answer = await client.get("/api/connections")
    body = answer.json()

    assert answer.status_code == 500
    assert body["code"] == "api.unexpected"
    assert "the inside" not in answer.text
    assert "ValueError" not in answer.text
    assert "the inside" in caplog.text
    assert body["correlationId"] in caplog.text
    assert body["correlationId"] in body["remedy"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/health", "/api/connections"])
async def test_wrong_settings_are_named_in_the_log_only(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without settings nobody can sign in, so whoever asks is a stranger."""
    error = FixSettings(["KEY_VAULT_URL is missing"])
    async with calling(failing_app(error), ADMIN) as client:
        answer = await client.get(path)

    assert answer.status_code == 500
    assert answer.json()["code"] == "settings.invalid"
    assert "KEY_VAULT_URL" not in answer.text
    assert "KEY_VAULT_URL" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        pytest.param(RetryLater("a.b", "m", "r"), 503, "10", id="later"),
        pytest.param(Throttled("m", retry_after_s=2.1), 503, "3", id="throttled, with a wish"),
        pytest.param(Throttled("m", retry_after_s=None), 503, "10", id="throttled"),
        pytest.param(LeaseLost("a.b", "m", "r"), 503, "10", id="lease"),
        pytest.param(FixConnection("a.b", "m", "r"), 502, None, id="connection"),
        pytest.param(IncompleteReading("a.b", "m", "r"), 502, None, id="reading"),
        pytest.param(RecordRejected("a.b", "m", "r"), 500, None, id="anything else"),
    ],
)
def test_errors_raised_on_purpose(
    error: SyncError, status: int, retry_after: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    answer = from_sync_error(error)
    body = orjson.loads(answer.body)

    assert answer.status_code == body["status"] == status
    assert (body["code"], body["detail"], body["remedy"]) == (
        error.code,
        error.message,
        error.remedy,
    )
    assert answer.headers.get("Retry-After") == retry_after
    assert error.code in caplog.text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/connections", 200), ("/api/connections/none", 404), ("/api/nothing", 404)],
)
async def test_every_answer_tells_caches_and_browsers_to_keep_out(
    reader: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await reader.get(path)

    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_app_runs_behind_the_functions_host(app: ASGIApp, connection_id: str) -> None:
    """The host hands over whole requests and takes whole responses."""
    middleware = func.AsgiMiddleware(app)  # type: ignore[no-untyped-call]

    async def call(method: str, path: str, body: bytes = b"", **headers: str) -> func.HttpResponse:
        url = f"https://app.example.com/api/{path}"
        request = func.HttpRequest(method, url, headers=ADMIN | headers, body=body)
        answer: func.HttpResponse = await middleware.handle_async(request)
        return answer

    sent: Any = orjson.dumps(document(connection_id))
    created = await call("POST", "connections", sent, **{"content-type": "application/json"})
    listed = await call("GET", "connections?top=1")
    deleted = await call("DELETE", f"connections/{connection_id}")
    gone = await call("GET", f"connections/{connection_id}")

    assert (created.status_code, created.mimetype) == (201, "application/json")
    assert created.headers["Location"] == f"/api/connections/{connection_id}"
    assert created.headers["ETag"]
    assert len(orjson.loads(listed.get_body())["items"]) == 1
    assert (deleted.status_code, deleted.get_body()) == (204, b"")
    assert (gone.status_code, gone.mimetype) == (404, "application/problem+json")

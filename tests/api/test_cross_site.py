"""What a page of another site makes a browser send is refused, whatever the call; programs are let in."""

import httpx
import pytest
from fastapi import FastAPI

from tests.api.conftest import ADMIN, calling
from tests.api.description import ROUTES
from tests.api.test_roles import READ_ONLY_METHODS, VALUES

# Reads that change something: who follows them begins a consent.
CHANGING_READS = {("GET", "/api/consent/start")}
CHANGES = [one for one in ROUTES if one[0] not in READ_ONLY_METHODS or one in CHANGING_READS]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "path"), [pytest.param(*one, id=" ".join(one)) for one in CHANGES]
)
async def test_no_call_that_changes_something_is_taken_from_another_site(
    admin: httpx.AsyncClient, method: str, path: str
) -> None:
    """Also calls without a body, which a form can send."""
    headers = FORM | {"Sec-Fetch-Site": "cross-site"}
    answer = await admin.request(method, path.format(**VALUES), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "request.crossSite")


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        pytest.param([], False, id="a program"),
        pytest.param([("Sec-Fetch-Site", "same-origin")], False, id="our own page"),
        pytest.param([("Sec-Fetch-Site", "none")], False, id="typed"),
        pytest.param([("Sec-Fetch-Site", "cross-site")], True, id="another site"),
        pytest.param([("Sec-Fetch-Site", "same-site")], True, id="a sister domain"),
        pytest.param([("Sec-Fetch-Site", "")], True, id="empty"),
        pytest.param(
            [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")], True, id="two"
        ),
        pytest.param([("Sec-Fetch-Site", "same-origin,cross-site")], True, id="two, joined"),
        pytest.param([("Origin", "http://localhost:7071")], False, id="own origin, older browser"),
        pytest.param([("Origin", "http://LOCALHOST:7071")], False, id="own origin in capitals"),
        pytest.param([("Origin", "http://localhost")], True, id="another port"),
        pytest.param([("Origin", "https://evil.example")], True, id="another origin"),
        pytest.param([("Origin", "null")], True, id="an origin that is not told"),
        pytest.param([("Origin", "")], True, id="an empty origin"),
        pytest.param([("Origin", "https://[")], True, id="no origin at all"),
        pytest.param(
            [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "same-origin")],
            False,
            id="the newer header decides",
        ),
    ],
)
async def test_where_a_request_comes_from(
    admin: httpx.AsyncClient, headers: list[tuple[str, str]], refused: bool
) -> None:
    answer = await admin.post("/api/connections/none/check", headers=headers)

    assert answer.status_code == (403 if refused else 404)


async def test_who_reads_may_come_from_anywhere(reader: httpx.AsyncClient) -> None:
    """A link in a mail leads to a page; what it shows, the other site cannot read."""
    answer = await reader.get("/api/connections", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200


async def test_it_is_refused_before_anything_else(app: FastAPI) -> None:
    """Another site learns neither who is signed in nor what there is."""
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    async with calling(app, elsewhere) as nobody, calling(app, ADMIN | elsewhere) as admin:
        answers = [
            await client.post(path)
            for client in (nobody, admin)
            for path in ("/api/connections", "/api/nothing")
        ]

    assert {answer.status_code for answer in answers} == {403}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}

"""`/config/import-entra`: an export of Entra in, parts of a connection out, nothing written."""

import codecs

import httpx
import orjson
import pytest

from sync_core.api.openapi import describe
from sync_core.wiring import Services
from tests.api.conftest import app_over, document, paths
from tests.api.test_openapi import mismatches
from tests.unit.entra_schema import WHOLE

URL = "/api/config/import-entra"


async def test_what_comes_out_can_be_saved(admin: httpx.AsyncClient, connection_id: str) -> None:
    answer = await admin.post(URL, json=WHOLE)

    taken = answer.json()
    assert answer.status_code == 200
    assert taken.keys() == {"scope", "mapping", "matching", "notes"}
    parts = {name: taken[name] for name in ("scope", "mapping", "matching")}
    saved = await admin.post("/api/connections", json=document(connection_id, **parts))
    assert saved.status_code == 201, saved.text
    assert saved.json()["matching"] == ["userName", "email"]
    assert saved.json()["scope"]["filters"][1]["clauses"][0]["nullMatches"] is False


async def test_nothing_is_written(admin: httpx.AsyncClient) -> None:
    await admin.post(URL, json=WHOLE)

    assert (await admin.get("/api/connections")).json()["items"] == []


async def test_the_answer_is_as_described(admin: httpx.AsyncClient, services: Services) -> None:
    answer = (await admin.post(URL, json=WHOLE)).json()

    described = describe(app_over(services))
    reference = {"$ref": "#/components/schemas/ConnectionParts"}
    assert mismatches(answer, reference, described) == []


async def test_a_file_that_powershell_wrote_is_read(admin: httpx.AsyncClient) -> None:
    body = codecs.BOM_UTF8 + orjson.dumps(WHOLE)
    answer = await admin.post(URL, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 200


async def test_a_schema_is_larger_than_a_connection_and_has_a_limit(
    admin: httpx.AsyncClient,
) -> None:
    large = await admin.post(URL, json=WHOLE | {"version": "x" * 3_000_000})
    too_large = await admin.post(URL, json=WHOLE | {"version": "x" * 9_000_000})

    assert (large.status_code, too_large.status_code) == (200, 413)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b"{", 400, "request.malformed", id="no JSON"),
        pytest.param(b"{}", 422, "request.invalid", id="no schema"),
        pytest.param(b"[]", 422, "request.invalid", id="no object"),
    ],
)
async def test_what_is_no_schema_is_refused(
    admin: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    answer = await admin.post(URL, content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["remedy"]


async def test_a_refusal_names_the_place_in_the_schema(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(URL, json={"synchronizationRules": [7]})

    assert paths(answer) == ["synchronizationRules[0]"]

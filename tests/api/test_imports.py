"""`/config/import-entra`, `-bitwarden`: settings in, parts of a connection out, nothing written."""

import codecs

import httpx
import orjson
import pytest

from local.sample import SAMPLE_GROUP_ID
from tests.api.conftest import document, paths
from tests.api.description import description, mismatches
from tests.unit.builders import ADMINS
from tests.unit.domain.formats.entra_schema import WHOLE

URL = "/api/config/import-entra"
BITWARDEN = "/api/config/import-bitwarden"
FILTERS = {"userFilter": f"includeGroup:{SAMPLE_GROUP_ID}|exclude:nobody@contoso.com"}


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


async def test_the_answer_is_as_described(admin: httpx.AsyncClient) -> None:
    answer = (await admin.post(URL, json=WHOLE)).json()

    assert mismatches(answer, "ConnectionParts") == []


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


# --- Bitwarden's Directory Connector --------------------------------------------------------------


async def test_the_outcome_of_a_filter_can_be_saved_and_chooses_its_group(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    answer = await admin.post(BITWARDEN, json=FILTERS)

    taken = answer.json()
    assert answer.status_code == 200, answer.text
    parts = {name: taken[name] for name in ("scope", "mapping", "matching")}
    saved = await admin.post("/api/connections", json=document(connection_id, **parts))
    assert saved.status_code == 201, saved.text
    # The members of the sample group who are no guests and have an address: everybody else of it.
    wanted = await admin.post(f"/api/connections/{connection_id}/preview", json={"scope": scope()})
    found = await admin.post(f"/api/connections/{connection_id}/preview", json={})
    assert found.json()["counts"]["inScope"] == wanted.json()["counts"]["inScope"] > 0


def scope() -> dict[str, object]:
    clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [SAMPLE_GROUP_ID]}
    return {"filters": [{"clauses": [clause]}]}


async def test_the_longest_filter_can_be_saved(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    many = ",".join(f"person.{number}@contoso.com" for number in range(2000))
    user_filter = f"{FILTERS['userFilter']}|exclude:{many}"

    taken = (await admin.post(BITWARDEN, json={"userFilter": user_filter})).json()

    made = document(connection_id, scope=taken["scope"])
    saved = await admin.post("/api/connections", json=made)
    assert saved.status_code == 201, saved.text


async def test_a_filter_writes_nothing(admin: httpx.AsyncClient) -> None:
    await admin.post(BITWARDEN, json=FILTERS)

    assert (await admin.get("/api/connections")).json()["items"] == []


async def test_what_came_of_a_filter_is_as_described(admin: httpx.AsyncClient) -> None:
    described = description()
    body = described["paths"][BITWARDEN]["post"]["requestBody"]["content"]["application/json"]

    answer = await admin.post(BITWARDEN, json=body["example"])

    assert answer.status_code == 200
    assert mismatches(body["example"], body["schema"]) == []
    assert mismatches(answer.json(), "ConnectionParts") == []


async def test_a_group_filter_leaves_nobody_in(admin: httpx.AsyncClient) -> None:
    taken = (await admin.post(BITWARDEN, json=FILTERS | {"groupFilter": "include:Sales"})).json()

    assert taken["scope"]["filters"] == []
    assert taken["notes"][0]["path"] == "groupFilter"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param({}, "userFilter", id="no filter"),
        pytest.param({"userFilter": None}, "userFilter", id="null"),
        pytest.param({"userFilter": "a" * 50_001}, "userFilter", id="too long"),
        pytest.param({"userFilter": f"includeGroups:{ADMINS}"}, "userFilter", id="misspelt"),
        pytest.param(FILTERS | {"groupFilter": "Sales"}, "groupFilter", id="no clause"),
        pytest.param(FILTERS | {"filter": ""}, "filter", id="unknown field"),
    ],
)
async def test_what_is_no_filter_is_refused_with_its_path(
    admin: httpx.AsyncClient, body: dict[str, object], path: str
) -> None:
    answer = await admin.post(BITWARDEN, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert paths(answer) == [path]
    assert answer.json()["remedy"]

"""The description says what the API does."""

import re
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from sync_core.domain.documents.connection import ConnectionInput
from sync_core.domain.documents.run import Run
from sync_core.domain.matching.decide import Wait, Why
from sync_core.domain.problems import PATTERN_WORDS
from sync_core.services import Services
from sync_core.store.matches import Match
from tests.api.conftest import ADMIN, Create, app_over, calling
from tests.api.description import OPEN, ROUTES, description, mismatches
from tests.api.stored import BEGIN, apply, creation, object_id, planned, saved_run

OPERATIONS = [pytest.param(method.lower(), path, id=f"{method} {path}") for method, path in ROUTES]


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return description()


async def test_a_reader_may_load_it_and_keep_it_for_a_while(
    reader: httpx.AsyncClient, described: dict[str, Any]
) -> None:
    answer = await reader.get("/api/openapi.json")

    assert answer.status_code == 200
    assert answer.json() == described
    assert answer.headers["Cache-Control"] == "private, max-age=300"
    assert described["openapi"].startswith("3.1")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_route_is_described(described: dict[str, Any], method: str, path: str) -> None:
    operation = described["paths"][path][method]
    responses = operation["responses"]
    refusals = {status: one for status, one in responses.items() if status[0] not in "23"}

    assert operation["summary"]
    assert operation["description"].endswith(".")
    assert any(status[0] == "2" or status == "302" for status in responses)
    assert "default" in refusals
    for status, refusal in refusals.items():
        # Health tells how things are, also where they are bad.
        is_report = path.startswith("/api/health") and status == "503"
        told = "json" if is_report else "problem+json"
        assert list(refusal["content"]) == [f"application/{told}"]
    if (method.upper(), path) in OPEN:
        assert {} in operation["security"]
    else:
        assert operation["security"] == [{"bearer": []}]
        assert {"401", "403"} <= refusals.keys()


def test_operation_ids_are_told_apart(described: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for path in described["paths"].values()
        for operation in path.values()
    ]

    assert len(set(ids)) == len(ids) == len(ROUTES)
    assert all(re.fullmatch(r"[a-z][A-Za-z]+", one) for one in ids)


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(described)))

    assert references
    assert references <= described["components"]["schemas"].keys()


def test_bodies_are_described_with_examples_that_are_accepted(
    described: dict[str, Any],
) -> None:
    content = described["paths"]["/api/connections"]["post"]["requestBody"]["content"]
    example = content["application/json"]["example"]

    assert ConnectionInput.model_validate(example, by_name=False).id == "contoso"
    patch = described["paths"]["/api/connections/{id}"]["patch"]["requestBody"]["content"]
    assert set(patch) == {"application/merge-patch+json", "application/json"}


def test_the_secret_can_be_written_and_not_read(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]

    assert "clientSecret" in schemas["CredentialInput"]["properties"]
    assert "clientSecret" not in schemas["Credential"]["properties"]


@pytest.mark.parametrize(("model", "name"), [(ConnectionInput, "ConnectionInput"), (Run, "Run")])
def test_schemas_use_the_names_on_the_wire(
    described: dict[str, Any], model: type[BaseModel], name: str
) -> None:
    expected = {field.alias for field in model.model_fields.values()}

    assert described["components"]["schemas"][name]["properties"].keys() == expected


# Any JSON: values of a person, which the length of the body limits.
FREE = {"attributes", "expected"}
LIMITS = {
    "string": {"maxLength", "pattern", "enum", "const", "format"},
    "array": {"maxItems"},
    "integer": {"maximum", "exclusiveMaximum"},
    # Of 64 bits; NaN and infinity are no JSON.
    "number": {"type"},
    "boolean": {"type"},
    "null": {"type"},
}


def unlimited(schema: dict[str, Any], document: dict[str, Any], path: str) -> list[str]:
    """Name everything that a caller may send without a limit of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return unlimited(document["components"]["schemas"][name], document, path)
    found = []
    for kinds in ("anyOf", "allOf", "oneOf"):
        for one in schema.get(kinds, []):
            found += unlimited(one, document, path)
    for name, one in schema.get("properties", {}).items():
        found += [] if name in FREE else unlimited(one, document, f"{path}.{name}")
    if "items" in schema:
        found += unlimited(schema["items"], document, f"{path}[]")
    kind = schema.get("type", "")
    if kind in LIMITS and not LIMITS[kind] & schema.keys():
        found.append(f"{path}: {kind}")
    return found


def test_everything_that_can_be_sent_has_a_limit(described: dict[str, Any]) -> None:
    """A text of any length would be stored, logged and answered as it is; ids in paths are looked at."""
    found = []
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            for one in operation.get("parameters", []):
                if one["in"] != "path":
                    found += unlimited(one["schema"], described, f"{method} {path} {one['name']}")
    for name in BODIES:
        found += unlimited({"$ref": name}, described, name)

    assert found == []


def test_every_pattern_of_a_parameter_has_words(described: dict[str, Any]) -> None:
    patterns = {
        one["schema"]["pattern"]
        for operations in described["paths"].values()
        for operation in operations.values()
        for one in operation.get("parameters", [])
        if "pattern" in one["schema"]
    }

    assert patterns
    assert patterns <= PATTERN_WORDS.keys()


BODIES = [
    "ConnectionInput",
    "PreviewBody",
    "SyncBody",
    "EvaluateBody",
    "ImportBody",
    "MatchBody",
    "NoteBody",
    "PeopleBody",
    "BitwardenFilters",
]


def test_every_described_body_is_among_those(described: dict[str, Any]) -> None:
    """The file of connections and exports of other programs are read by parsers with limits of their own."""
    sent = re.findall(
        r"#/components/schemas/(\w+)",
        str(
            [
                operation.get("requestBody")
                for path in described["paths"].values()
                for operation in path.values()
            ]
        ),
    )

    assert set(sent) == {*BODIES, "ConfigFile"}


async def test_answers_have_the_fields_that_are_described(
    *, create: Create, connection_id: str, services: Services, described: dict[str, Any]
) -> None:
    """Answers are written without a check on the way out, so this is the check."""
    await create(scope={}, matching=["email"])
    person = object_id("a")
    match = Match(object_id("b"), "b@contoso.com", Wait(Why.SEVERAL_ROWS, "email", ("r",)), BEGIN)
    await services.store.matches(connection_id).save_waits([match], {})
    run = await saved_run(services, connection_id)
    await services.store.plans.save(connection_id, run.id, [planned(person)])
    await apply(services, connection_id, creation(person), run_id=run.id)
    url = f"/api/connections/{connection_id}"
    expected = {
        "/api/connections": "ConnectionList",
        url: "ConnectionAnswer",
        f"{url}/runs": "RunList",
        f"{url}/runs/{run.id}": "Run",
        f"{url}/runs/{run.id}/changes": "RunChangeList",
        f"{url}/users": "UserList",
        f"{url}/users/{person}": "Person",
        f"{url}/users/{person}/history": "HistoryList",
        f"{url}/matches": "MatchList",
        "/api/health": "Health",
        f"{url}/nothing": "Problem",
    }
    async with calling(app_over(services), ADMIN) as admin:
        for path, name in expected.items():
            answer = (await admin.get(path)).json()
            assert mismatches(answer, name) == []

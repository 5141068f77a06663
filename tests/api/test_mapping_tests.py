"""The tests of a mapping at every save: a red one stops it, and nothing is changed."""

from typing import Any

import httpx
import pytest

from tests.api.conftest import Create, document

MAIL = "Coalesce([mail], [userPrincipalName])"
ANN = {"attributes": {"userPrincipalName": "ann@contoso.com"}, "expected": "ann@contoso.com"}
RED = ANN | {"expected": "bob@contoso.com"}
TOLD = 'expected "bob@contoso.com", got "ann@contoso.com"'


def mapping(*tests: dict[str, Any]) -> dict[str, Any]:
    rules = [
        {"target": "displayName", "source": "displayName"},
        {"target": "email", "expression": MAIL, "tests": list(tests)},
    ]
    return {"mapping": rules}


def errors(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(one["path"], one["message"]) for one in answer.json()["errors"]]


async def test_green_tests_are_kept_with_the_connection(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create(**mapping(ANN))

    rule = (await admin.get(f"/api/connections/{connection_id}")).json()["mapping"][1]
    assert rule["tests"] == [ANN | {"groups": [], "now": None}]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_red_test_stops_a_save(
    admin: httpx.AsyncClient, create: Create, connection_id: str, method: str
) -> None:
    made = await create(**mapping(ANN))
    body = mapping(ANN, RED) if method == "PATCH" else document(connection_id, **mapping(ANN, RED))
    url = "/api/connections" if method == "POST" else f"/api/connections/{connection_id}"

    answer = await admin.request(method, url, json=body)

    assert errors(answer) == [("mapping[1].tests[1]", TOLD)]
    stored = await admin.get(f"/api/connections/{connection_id}")
    assert stored.headers["ETag"] == made.headers["ETag"]


async def test_a_change_of_the_rule_is_held_against_its_tests(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    """What the notebook is for: somebody else's change breaks what was written down."""
    await create(**mapping(ANN))
    changed = mapping(ANN)
    changed["mapping"][1]["expression"] = "ToUpper([userPrincipalName])"

    answer = await admin.patch(f"/api/connections/{connection_id}", json=changed)

    assert errors(answer) == [
        ("mapping[1].tests[0]", 'expected "ann@contoso.com", got "ANN@CONTOSO.COM"')
    ]


async def test_a_wrong_rule_is_said_before_its_tests(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    wrong = mapping(RED)
    wrong["mapping"][1]["expression"] = "Nothing([mail])"

    answer = await admin.post("/api/connections", json=document(connection_id, **wrong))

    assert [path for path, _ in errors(answer)] == ["mapping[1].expression"]


async def test_tests_travel_in_files_and_are_run_when_one_is_planned(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create(**mapping(ANN, ANN | {"attributes": {"mail": None}, "expected": None}))
    yaml = {"Accept": "application/yaml"}
    file = (await admin.get(f"/api/connections/{connection_id}/export", headers=yaml)).text
    sent = {"Content-Type": "application/yaml"}

    same = await admin.post("/api/config/plan", content=file, headers=sent)
    broken = file.replace('expected: "ann@contoso.com"', 'expected: "bob@contoso.com"')
    broken = broken.replace("expected: ann@contoso.com", "expected: bob@contoso.com")
    refused = await admin.post("/api/config/plan", content=broken, headers=sent)

    assert same.json()["summary"]["unchanged"] == 1
    assert broken != file
    assert errors(refused) == [("connections[0].mapping[1].tests[0]", TOLD)]

"""A preview over HTTP: what may be tried, how it is checked, and what comes back."""

from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from sync_core.runs import preview
from tests.api.conftest import Create, paths
from tests.api.description import mismatches


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}/preview"


async def test_the_stored_settings_are_previewed_without_a_body(
    admin: httpx.AsyncClient, create: Create, url: str
) -> None:
    await create()
    answer = await admin.post(url)

    assert answer.status_code == 200
    found = answer.json()
    assert found["counts"]["created"] == found["counts"]["joiners"] > 0
    assert len(found["changes"]) == found["counts"]["created"]
    assert found["changes"][0]["displayName"]
    assert found["reading"]["groups"][0]["name"]
    assert mismatches(found, "Preview") == []


@pytest.mark.parametrize(
    ("body", "created", "code"),
    [
        pytest.param({"scope": {}}, 0, "scope.nobody", id="scope"),
        pytest.param(
            {"mapping": [{"target": "shoeSize", "source": "faxNumber"}]},
            None,
            "mapping.empty",
            id="mapping",
        ),
        pytest.param({"policy": {"accountDisabled": "keep"}}, 18, "mapping.empty", id="policy"),
        pytest.param({"matching": ["preferredLanguage"]}, None, "matching.doubled", id="matching"),
    ],
)
async def test_settings_are_tried_and_not_saved(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    url: str,
    body: dict[str, Any],
    created: int | None,
    code: str,
) -> None:
    await create()
    before = (await admin.get(f"/api/connections/{connection_id}")).json()
    answer = await admin.post(url, json=body)
    after = (await admin.get(f"/api/connections/{connection_id}")).json()

    assert answer.status_code == 200, answer.text
    assert code in {one["code"] for one in answer.json()["warnings"]}
    assert created is None or answer.json()["counts"]["created"] == created
    assert before == after


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param({"enabled": True}, "enabled", id="what cannot be tried"),
        pytest.param({"tenantId": None}, "tenantId", id="another tenant"),
        pytest.param({"scope": None}, "scope", id="null"),
        pytest.param({"scope": {"guests": "some"}}, "scope.guests", id="shape"),
        pytest.param(
            {
                "scope": {
                    "filters": [
                        {"clauses": [{"attribute": "a", "operator": "REGEX MATCH", "value": "("}]}
                    ]
                }
            },
            "scope.filters[0].clauses[0].value",
            id="pattern",
        ),
        pytest.param(
            {"mapping": [{"target": "a", "expression": "Nope("}]},
            "mapping[0].expression",
            id="expr",
        ),
        pytest.param({"matching": ["nothing"]}, "", id="matching without a target"),
    ],
)
async def test_what_is_tried_is_checked_as_a_save_would(
    admin: httpx.AsyncClient, create: Create, url: str, body: dict[str, Any], path: str
) -> None:
    await create()
    answer = await admin.post(url, json=body)

    assert answer.status_code == 422
    assert paths(answer) == [path]


async def test_a_mapping_without_a_column_that_is_counted_is_refused_like_a_save(
    admin: httpx.AsyncClient, create: Create, connection_id: str, url: str
) -> None:
    await create(assertions=[{"atLeast": 1, "where": {"department": "Sales"}}])
    body = {"mapping": [{"target": "departments", "source": "department"}]}
    tried = await admin.post(url, json=body)
    saved = await admin.patch(f"/api/connections/{connection_id}", json=body)

    assert [tried.status_code, saved.status_code] == [422, 422]
    assert tried.json()["errors"] == saved.json()["errors"]
    assert tried.json()["errors"] == [
        {
            "path": "assertions[0].where.department",
            "message": "No rule of the mapping fills a column department. Did you mean departments?",
        }
    ]


async def test_a_disabled_connection_without_a_tenant_says_what_is_missing(
    admin: httpx.AsyncClient, create: Create, url: str
) -> None:
    await create(enabled=False, tenantId=None)
    answer = await admin.post(url)

    assert (answer.status_code, answer.json()["code"]) == (502, "connection.noTenant")


async def test_a_disabled_connection_is_previewed(
    admin: httpx.AsyncClient, create: Create, url: str
) -> None:
    await create(enabled=False)
    answer = await admin.post(url)

    assert answer.json()["counts"]["created"] > 0


async def test_graph_is_out_of_order(
    admin: httpx.AsyncClient, create: Create, url: str, emulator: GraphEmulator
) -> None:
    await create()
    emulator.control.add_fault("unavailable", path="/v1.0/**")
    try:
        answer = await admin.post(url)
    finally:
        emulator.control.clear_faults()

    assert (answer.status_code, answer.json()["code"]) == (503, "graph.unavailable")
    assert answer.json()["remedy"]


async def test_an_answer_that_would_come_too_late(
    admin: httpx.AsyncClient, create: Create, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "LIMIT_S", 0.001)
    await create()
    answer = await admin.post(url)

    assert (answer.status_code, answer.json()["code"]) == (504, "preview.outOfTime")
    assert "narrower" in answer.json()["remedy"]

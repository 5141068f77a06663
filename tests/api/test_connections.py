"""Connections over HTTP, from the first POST to the last DELETE."""

import asyncio
from typing import Any

import httpx
import pytest

from local.sample import SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, SAMPLE_TENANT_ID
from sync_core.domain.documents.connection import Connection
from sync_core.services import Services
from sync_core.store.connections import StoredConnection, changed_meanwhile
from tests.api.conftest import Create, document, paths, scope_of

WITH_EXPIRY = {"clientSecret": SAMPLE_CLIENT_SECRET, "expiresOn": "2031-01-31"}


def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


def without_verification(answer: httpx.Response | dict[str, Any]) -> dict[str, Any]:
    """Give a connection without what the last check found: it says when that was."""
    found = answer.json() if isinstance(answer, httpx.Response) else answer
    return found | {"verification": None}


async def test_a_new_connection_is_told_where_it_is_and_which_version(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    created = await create(displayName="Contoso AG")
    loaded = await admin.get(created.headers["Location"])

    assert created.headers["Location"] == url(connection_id)
    assert loaded.headers["ETag"] == created.headers["ETag"]
    assert not created.headers["ETag"].startswith("W/"), "If-Match never matches a weak one"
    assert loaded.json() == created.json()
    assert loaded.json()["displayName"] == "Contoso AG"
    assert loaded.json()["schedule"] == {
        "automatic": True,
        "everyMinutes": 60,
        "fullEveryHours": 24,
    }


async def test_an_id_that_is_taken_is_a_conflict(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    again = await admin.post("/api/connections", json=document(connection_id))

    assert again.status_code == 409
    assert again.json()["code"] == "connection.exists"


async def test_a_taken_id_does_not_touch_the_stored_secret(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    """A refused POST must not become the newest version of somebody else's secret."""
    await create()
    other = document(connection_id, credential={"clientSecret": "another-secret"})
    await admin.post("/api/connections", json=other)

    assert await services.vault.get(f"{connection_id}-client-secret") != "another-secret"


async def test_an_id_is_made_of_the_display_name(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    name = f"Zürich & Söhne ({connection_id})"
    body = document("x", displayName=name)
    del body["id"]
    first = await admin.post("/api/connections", json=body)
    other = body | {"scope": scope_of("another")}
    second = await admin.post("/api/connections", json=other)

    assert first.json()["id"] == f"zurich-sohne-{connection_id}"
    assert second.json()["id"] == f"zurich-sohne-{connection_id}-2"
    assert second.json()["credential"]["secretName"] == f"{second.json()['id']}-client-secret"


async def test_a_name_in_another_script_still_gives_an_id(admin: httpx.AsyncClient) -> None:
    body = document("x", displayName="東京")
    del body["id"]
    answer = await admin.post("/api/connections", json=body)

    assert answer.status_code == 201
    assert answer.json()["id"].startswith("connection")


async def test_the_list_goes_on_where_the_page_ended(
    admin: httpx.AsyncClient, reader: httpx.AsyncClient, connection_id: str
) -> None:
    ids = [f"{connection_id}-{letter}" for letter in "abc"]
    for one in ids:
        await admin.post("/api/connections", json=document(one))
    found: list[str] = []
    cursor: str | None = None
    while True:
        params: dict[str, Any] = {"top": 2} | ({"cursor": cursor} if cursor else {})
        page = (await reader.get("/api/connections", params=params)).json()
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert found == sorted(set(found))
    assert set(ids) <= set(found)


async def test_what_was_loaded_can_be_edited_and_sent_back(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    """A client knows nothing of read-only fields, and it never had the secret."""
    created = await create(realtime=True)
    edited = created.json() | {"displayName": "Contoso, edited"}
    answer = await admin.put(
        url(connection_id), json=edited, headers={"If-Match": created.headers["ETag"]}
    )

    assert created.json()["warnings"]
    assert answer.status_code == 200
    assert without_verification(answer) == without_verification(edited)
    assert answer.headers["ETag"] != created.headers["ETag"]


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(None, id="no credential"),
        pytest.param({}, id="empty"),
        pytest.param({"kind": "clientSecret"}, id="kind only"),
        pytest.param({"secretName": "{id}-client-secret"}, id="the same name"),
    ],
)
async def test_put_keeps_the_secret_that_it_cannot_send(
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    credential: dict[str, str] | None,
) -> None:
    before = (await create(credential=WITH_EXPIRY)).json()["credential"]
    body = document(connection_id)
    del body["credential"]
    if credential is not None:
        body["credential"] = {k: v.format(id=connection_id) for k, v in credential.items()}
    answer = await admin.put(url(connection_id), json=body)

    assert answer.status_code == 200, answer.text
    assert answer.json()["credential"] == before


async def test_put_with_a_new_secret_does_not_keep_the_old_one_s_expiry(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    before = (await create(credential=WITH_EXPIRY)).json()["credential"]
    answer = await admin.put(url(connection_id), json=document(connection_id))

    assert answer.json()["credential"]["secretVersion"] != before["secretVersion"]
    assert answer.json()["credential"]["expiresOn"] is None


async def test_put_replaces_everything_else(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create(schedule={"everyMinutes": 5})
    answer = await admin.put(url(connection_id), json=document(connection_id))

    assert answer.json()["schedule"]["everyMinutes"] == 60


async def test_put_creates_what_is_not_there(admin: httpx.AsyncClient, connection_id: str) -> None:
    body = document(connection_id)
    del body["id"]
    answer = await admin.put(url(connection_id), json=body)

    assert answer.status_code == 201
    assert answer.headers["Location"] == url(connection_id)
    assert (await admin.get(url(connection_id))).json()["id"] == connection_id


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_the_id_cannot_change(
    admin: httpx.AsyncClient, create: Create, connection_id: str, method: str
) -> None:
    await create()
    body = document("another") if method == "PUT" else {"id": "another"}
    answer = await admin.request(method, url(connection_id), json=body)

    assert answer.status_code == 422
    assert paths(answer) == ["id"]


async def test_a_patch_changes_what_it_names(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    created = (await create(schedule={"everyMinutes": 5, "fullEveryHours": 12})).json()
    patch = {"schedule": {"everyMinutes": 30, "automatic": None}, "displayName": "Patched"}
    answer = await admin.patch(
        url(connection_id),
        json=patch,
        headers={"Content-Type": "application/merge-patch+json; charset=utf-8"},
    )

    expected = created | {
        "displayName": "Patched",
        "schedule": {"everyMinutes": 30, "fullEveryHours": 12, "automatic": True},
    }
    assert answer.status_code == 200, answer.text
    assert without_verification(answer) == without_verification(expected)


async def test_a_patch_replaces_lists(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    mapping = [{"target": "email", "source": "mail"}]
    answer = await admin.patch(url(connection_id), json={"mapping": mapping})

    assert [rule["target"] for rule in answer.json()["mapping"]] == ["email"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("condition", "accepted"),
    [
        pytest.param("{etag}", True, id="current"),
        pytest.param("*", True, id="any"),
        pytest.param('"other", {etag}', True, id="one of several"),
        pytest.param('"other"', False, id="another"),
        pytest.param("W/{etag}", False, id="weak"),
        pytest.param("nonsense", False, id="no ETag at all"),
    ],
)
async def test_if_match(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    method: str,
    condition: str,
    accepted: bool,
) -> None:
    etag = (await create()).headers["ETag"]
    answer = await _write(admin, method, connection_id, condition.format(etag=etag))
    after = await admin.get(url(connection_id))

    if accepted:
        assert answer.status_code == (204 if method == "DELETE" else 200)
        assert after.headers.get("ETag") != etag
    else:
        assert answer.status_code == 412
        assert answer.json()["code"] == "connection.changedMeanwhile"
        assert after.headers["ETag"] == etag


@pytest.mark.parametrize(
    ("method", "status"),
    [
        pytest.param("PUT", 412, id="put would create it"),
        pytest.param("PATCH", 404, id="patch"),
        pytest.param("DELETE", 404, id="delete"),
    ],
)
async def test_if_match_on_a_connection_that_is_not_there(
    admin: httpx.AsyncClient, connection_id: str, method: str, status: int
) -> None:
    answer = await _write(admin, method, connection_id, "*")

    assert answer.status_code == status
    assert (await admin.get(url(connection_id))).status_code == 404


async def _write(
    admin: httpx.AsyncClient, method: str, connection_id: str, condition: str
) -> httpx.Response:
    headers = {"If-Match": condition}
    if method == "DELETE":
        return await admin.delete(url(connection_id), headers=headers)
    body = document(connection_id) if method == "PUT" else {"displayName": "Patched"}
    return await admin.request(method, url(connection_id), json=body, headers=headers)


async def test_a_put_that_must_create_does_not_replace(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    headers = {"If-None-Match": "*"}
    first = await admin.put(url(connection_id), json=document(connection_id), headers=headers)
    second = await admin.put(url(connection_id), json=document(connection_id), headers=headers)

    assert (first.status_code, second.status_code) == (201, 412)


async def test_a_known_version_is_not_sent_again(
    reader: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    etag = (await create()).headers["ETag"]
    known = await reader.get(url(connection_id), headers={"If-None-Match": f'"x", W/{etag}'})
    other = await reader.get(url(connection_id), headers={"If-None-Match": '"x"'})

    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["ETag"] == etag
    assert other.status_code == 200


async def test_of_many_patches_at_once_none_is_lost(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    """Without If-Match a change in between is no reason to refuse, nor to undo it."""
    await create()
    changes: list[dict[str, Any]] = [
        {"displayName": "Patched"},
        {"realtime": True},
        {"schedule": {"everyMinutes": 10}},
    ]
    answers = await asyncio.gather(
        *(admin.patch(url(connection_id), json=change) for change in changes)
    )
    loaded = (await admin.get(url(connection_id))).json()

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert loaded["displayName"] == "Patched"
    assert loaded["realtime"] is True
    assert loaded["schedule"]["everyMinutes"] == 10


async def test_a_put_that_meets_a_connection_just_made_replaces_it(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was not there when the PUT looked, and it was when the PUT wrote."""
    find, looks = services.store.connections.find, 0

    async def find_late(wanted: str) -> StoredConnection | None:
        nonlocal looks
        looks += 1
        return None if looks == 1 else await find(wanted)

    await create()
    monkeypatch.setattr(services.store.connections, "find", find_late)
    answer = await admin.put(url(connection_id), json=document(connection_id, displayName="Put"))

    assert answer.status_code == 200
    assert answer.json()["displayName"] == "Put"


async def test_a_write_that_is_always_late_gives_up(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await create()

    async def too_late(changed: Connection, *_: Any) -> StoredConnection:
        raise changed_meanwhile(changed.id)

    monkeypatch.setattr(services.store.connections, "replace", too_late)
    patch = {"credential": {"clientSecret": SAMPLE_CLIENT_SECRET}}
    answer = await admin.patch(url(connection_id), json=patch)
    vault = services.vault
    properties = vault._client.list_properties_of_secret_versions(f"{connection_id}-client-secret")

    assert (answer.status_code, answer.json()["code"]) == (409, "connection.busy")
    assert len([one async for one in properties]) == 2, "a secret is stored once a request"


async def test_of_two_writers_with_the_same_version_one_wins(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    etag = (await create()).headers["ETag"]
    answers = await asyncio.gather(
        *(
            admin.patch(url(connection_id), json={"displayName": name}, headers={"If-Match": etag})
            for name in ("First", "Second")
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.parametrize("connection_id", ["Contoso", "a--%23", "x" * 49, "%F0%9F%98%80", "a%27b"])
async def test_what_cannot_be_an_id_is_not_there(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    answer = await admin.get(url(connection_id))

    assert answer.status_code == 404
    assert answer.json()["code"] == "connection.notFound"


async def test_the_smallest_connection_is_complete(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    """Nobody is in scope until chosen, guests least of all."""
    answer = await admin.put(
        url(connection_id),
        json={
            "displayName": "Contoso",
            "tenantId": SAMPLE_TENANT_ID,
            "clientId": SAMPLE_CLIENT_ID,
            "enabled": False,
        },
    )

    assert answer.status_code == 201
    assert answer.json()["scope"] == {
        "filters": [],
        "everyone": False,
        "exclude": [],
        "guests": "exclude",
        "agents": "exclude",
        "nestedGroups": True,
    }

"""HTTP functions, called as the host calls them after it has checked keys and routes."""

import pytest

from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Actor, Trigger
from sync_core.services import Services
from tests.loading.conftest import LoadedApp
from tests.system import stored_connection


async def test_sync_now_asks_for_every_enabled_connection(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await stored_connection(services, f"{connection_id}-off", enabled=False)

    answer = app.worker.http("sync_now", "POST", "/api/sync")

    assert (answer.status, answer.json()) == (202, {"requested": [connection_id]})
    [request] = app.requests()
    assert request == SyncRequest(
        connection_id=connection_id, trigger=Trigger.MANUAL, by=Actor(name="function key")
    )


async def test_sync_now_asks_for_one_connection(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)
    await stored_connection(services, f"{connection_id}-other")

    answer = app.worker.http("sync_now", "POST", f"/api/sync?connection={connection_id}")

    assert (answer.status, answer.json()) == (202, {"requested": [connection_id]})
    assert [request.connection_id for request in app.requests()] == [connection_id]


def test_sync_now_knows_no_such_connection(app: LoadedApp) -> None:
    answer = app.worker.http("sync_now", "POST", "/api/sync?connection=nobody")

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "connection.notFound"


@pytest.mark.parametrize("name", ["", "a/b", "a%2Fb", "%23", "a%00b", "a%0A", "x" * 2_000, "Ä"])
def test_what_cannot_be_an_id_is_not_there(app: LoadedApp, name: str) -> None:
    """Table Storage answers such keys with errors of its own, which looked as if it were down."""
    answer = app.worker.http("sync_now", "POST", f"/api/sync?connection={name}")

    assert (answer.status, answer.json()["code"]) == (404, "connection.notFound")


def test_what_others_add_to_the_address_is_ignored(app: LoadedApp) -> None:
    """The function's key may stand there, and what a scheduler puts beside it."""
    answer = app.worker.http("sync_now", "POST", "/api/sync?code=x&clientId=y&z=1")

    assert answer.status == 202


def test_health_is_open(app: LoadedApp) -> None:
    answer = app.worker.http("admin", "GET", "/api/health", route={"rest": "health"})

    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_the_api_is_closed_without_a_token(app: LoadedApp) -> None:
    answer = app.worker.http("admin", "GET", "/api/connections", route={"rest": "connections"})

    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_api_shows_connections_to_an_administrator(
    app: LoadedApp, services: Services, connection_id: str
) -> None:
    await stored_connection(services, connection_id)

    answer = app.worker.http(
        "admin",
        "GET",
        "/api/connections",
        headers={"Authorization": "Bearer admin-token"},
        route={"rest": "connections"},
    )

    assert answer.status == 200
    assert [item["id"] for item in answer.json()["items"]] == [connection_id]

"""What the API tells of real time, and what a save has done about it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from local.sample import SAMPLE_CLIENT_ID, SAMPLE_TENANT_ID
from sync_core.domain.documents.request import Purpose
from sync_core.domain.subscriptions import Failure, Place, State, Subscription
from sync_core.services import Services
from tests.api.conftest import Create, scope_of
from tests.api.description import mismatches
from tests.queue_of_requests import Requests, requests_of
from tests.system import Rig


@pytest.fixture
async def requests(rig: Rig) -> AsyncIterator[Requests]:
    async with requests_of(rig) as requests:
        yield requests


def subscription(services: Services, connection_id: str, **changes: Any) -> Subscription:
    made = Subscription(
        connection_id,
        "users",
        Place("public", SAMPLE_TENANT_ID, SAMPLE_CLIENT_ID),
        f"{services.settings.public_base_url}/api/graph/notifications",
        state=State.ACTIVE,
        subscription_id="an id",
        expires_at=services.clock() + timedelta(days=20),
    )
    return replace(made, **changes)


def codes(answer: httpx.Response) -> set[str]:
    return {one["code"] for one in answer.json()["warnings"]}


async def test_who_has_no_real_time_has_no_status(create: Create) -> None:
    assert (await create()).json()["realtimeStatus"] is None


async def test_the_status_tells_each_subscription_and_a_warning_what_could_not_be_had(
    create: Create, admin: httpx.AsyncClient, services: Services, connection_id: str
) -> None:
    made = await create(realtime=True)
    failure = Failure("subscription.quota", "The quota is used up.", "Name fewer groups.")
    group = "11111111-2222-4333-8444-555555555555"
    store = services.store.subscriptions
    await store.put(subscription(services, connection_id))
    await store.put(
        subscription(
            services,
            connection_id,
            slot=group,
            state=State.FAILING,
            subscription_id=None,
            expires_at=None,
            failure=failure,
        )
    )

    loaded = await admin.get(f"/api/connections/{connection_id}")
    listed = await admin.get("/api/connections")

    assert made.json()["realtimeStatus"]["subscriptions"] == []
    assert "realtime.polling" in codes(made)
    status = loaded.json()["realtimeStatus"]
    assert status["subscriptions"][0] == {
        "resource": f"groups/{group}/members",
        "state": "failing",
        "expiresAt": None,
        "code": "subscription.quota",
        "message": "The quota is used up.",
        "remedy": "Name fewer groups.",
    }
    assert (status["subscriptions"][1]["resource"], status["subscriptions"][1]["state"]) == (
        "users",
        "active",
    )
    assert listed.json()["items"][0]["realtimeStatus"] == status
    assert "subscription.quota" in codes(loaded)
    assert "realtime.polling" not in codes(loaded)
    assert mismatches(loaded.json(), "ConnectionAnswer") == []


async def test_what_is_loaded_can_be_sent_back(create: Create, admin: httpx.AsyncClient) -> None:
    made = (await create(realtime=True)).json()

    answer = await admin.put(f"/api/connections/{made['id']}", json=made)

    assert answer.status_code == 200, answer.text


async def test_a_save_has_subscriptions_looked_after_where_it_changes_them(
    create: Create, admin: httpx.AsyncClient, connection_id: str, requests: Requests
) -> None:
    url = f"/api/connections/{connection_id}"

    async def asked() -> list[str]:
        found = await requests.all()
        return [one.connection_id for one in found if one.purpose is Purpose.SUBSCRIBE]

    async def patched(**changes: Any) -> list[str]:
        answer = await admin.patch(url, json=changes)
        assert answer.status_code == 200, answer.text
        return await asked()

    await create()
    told = {"made without": await asked()}
    told["on"] = await patched(realtime=True)
    told["another name"] = await patched(displayName="Another")
    told["another scope"] = await patched(scope=scope_of("another") | {"nestedGroups": False})
    told["disabled"] = await patched(enabled=False)
    told["enabled"] = await patched(enabled=True)
    told["off"] = await patched(realtime=False)

    wanted = {"on", "another scope", "disabled", "enabled", "off"}
    assert {name for name, messages in told.items() if messages} == wanted

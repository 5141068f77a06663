"""Subscriptions are made, renewed, found again and removed, as Graph's rules and our settings want it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sync_core.connections.delete import delete
from sync_core.connections.subscriptions.tend import make_anew
from sync_core.domain.connections.deletion import Users
from sync_core.domain.notifications import client_state
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.domain.subscriptions import LIFE, State
from tests.queue_of_requests import Requests
from tests.subscriptions.conftest import App
from tests.system import BY_HAND, group_scope, run_now


def somebody(app: App) -> str:
    return str(app.control.people()[0]["id"])


NO_POLICY = dict.fromkeys(["accountDisabled", "softDeleted", "hardDeleted"], "keep")


async def test_a_connection_gets_its_subscriptions_and_graph_calls_both_webhooks(app: App) -> None:
    group = app.group()
    await app.made(scope=group_scope(group))

    users, members = await app.tend()

    at_graph = app.at_graph()
    assert at_graph.keys() == {"users", f"groups/{group}/members"}
    assert [row.state.value for row in (users, members)] == ["active", "active"]
    assert {one["notificationUrl"] for one in at_graph.values()} == {
        f"{app.webhook.url}/api/graph/notifications"
    }
    assert {one["lifecycleNotificationUrl"] for one in at_graph.values()} == {
        f"{app.webhook.url}/api/graph/lifecycle"
    }
    key = await app.services.vault.own_key(CLIENT_STATE_KEY)
    expected = [client_state(key, app.connection_id, row.nonce) for row in (users, members)]
    assert [at_graph[row.resource]["clientState"] for row in (users, members)] == expected
    assert users.nonce != members.nonce
    # Our own two handshakes, and Graph's two for each.
    assert len(app.webhook.handshakes) == 2 + 2 * 2


async def test_where_memberships_alone_decide_nobody_is_told_of_users(app: App) -> None:
    group = app.group()
    await app.made(scope=group_scope(group), policy=NO_POLICY)

    await app.tend()

    assert app.at_graph().keys() == {f"groups/{group}/members"}


async def test_a_second_look_asks_for_nothing_new(app: App) -> None:
    await app.made()
    before = await app.tend()
    app.pass_time(hours=1)
    app.webhook.handshakes.clear()

    assert await app.tend() == before
    assert app.webhook.handshakes == []
    assert (app.asked("POST"), app.asked("PATCH")) == (2, 0)


async def test_it_is_renewed_when_a_third_of_its_life_is_left(app: App) -> None:
    await app.made()
    [users, _] = await app.tend()
    app.pass_time(seconds=LIFE.total_seconds() * 0.6)
    [kept, _] = await app.tend()
    app.pass_time(seconds=LIFE.total_seconds() * 0.1)
    [renewed, _] = await app.tend()

    assert kept.expires_at == users.expires_at
    assert renewed.expires_at is not None
    assert abs(renewed.expires_at - app.now() - LIFE) < timedelta(minutes=1)
    assert renewed.subscription_id == users.subscription_id
    assert app.asked("PATCH") == 2
    await app.tend()
    assert app.asked("PATCH") == 2, "asked again within ten minutes"


async def test_one_that_is_lost_without_a_word_is_made_again_and_a_run_is_asked_for(
    app: App, requests: Requests
) -> None:
    await app.made()
    [users, members] = await app.tend()
    app.control.drop_subscription(str(users.subscription_id))
    app.pass_time(hours=1)
    await requests.taken()

    [again, kept] = await app.tend()

    assert again.subscription_id not in {None, users.subscription_id}
    assert again.nonce != users.nonce
    assert kept.subscription_id == members.subscription_id
    assert app.at_graph().keys() == {"users", members.resource}
    assert await requests.taken() == [(app.connection_id, "sync", "auto")]


async def test_a_list_of_graph_decides_nothing(app: App) -> None:
    await app.made()
    before = await app.tend()
    app.control.add_fault("hiddenSubscriptions")
    app.pass_time(hours=1)

    await app.maintain()

    assert await app.rows() == before
    assert len(app.at_graph()) == 2


async def test_one_whose_answer_is_lost_is_adopted_with_its_own_proof(app: App) -> None:
    """The POST is taken and its answer cut off; asked again, Graph says 409."""
    await app.made()
    app.control.add_fault("truncated", path="/v1.0/subscriptions", method="POST", times=1)

    rows = await app.tend()

    key = await app.services.vault.own_key(CLIENT_STATE_KEY)
    at_graph = app.at_graph()
    assert app.asked("POST") == 3
    for row in rows:
        assert (row.state, row.subscription_id) == ("active", at_graph[row.resource]["id"])
        state = client_state(key, app.connection_id, row.nonce)
        assert at_graph[row.resource]["clientState"] == state


async def test_it_is_adopted_as_well_where_the_process_ended_before_the_answer(app: App) -> None:
    await app.made()
    [users, _] = await app.tend()
    await app.services.store.subscriptions.put(
        replace(users, state=State.CREATING, subscription_id=None)
    )

    [left_alone, _] = await app.tend()
    app.pass_time(minutes=3)
    [adopted, _] = await app.tend()

    assert left_alone.subscription_id is None, "another worker may still be at it"
    assert (adopted.state, adopted.nonce) == ("active", users.nonce)
    assert adopted.subscription_id == users.subscription_id == app.at_graph()["users"]["id"]


async def test_strangers_with_our_address_are_deleted_and_those_of_others_are_not(app: App) -> None:
    await app.made()
    await app.tend()
    table = app.services.store.subscriptions
    [users, _] = await app.rows()
    await table.delete(users)  # as after a table was put back from a copy
    app.control.add_fault("deadSubscriptions")
    elsewhere = app.foreign(f"{app.webhook.url}/elsewhere", "groups")
    unknown = app.foreign(users.address, app.at_graph()["users"]["resource"] + "/" + somebody(app))

    await app.maintain()

    assert await app.states() == {row.slot: "active" for row in await app.rows()}
    at_graph = app.at_graph()
    assert at_graph["groups"]["id"] == elsewhere
    assert at_graph["users"]["id"] != users.subscription_id
    assert unknown not in {one["id"] for one in at_graph.values()}
    assert len(at_graph) == 3


async def test_what_another_installation_has_is_left_to_it_and_told(app: App) -> None:
    elsewhere = app.foreign(f"{app.webhook.url}/elsewhere", "users")
    await app.made()

    await app.tend()

    assert (await app.states())["users"] == "subscription.takenElsewhere"
    assert app.at_graph()["users"]["id"] == elsewhere


async def test_two_connections_of_one_application_share_a_subscription(
    app: App, requests: Requests
) -> None:
    other = f"{app.connection_id}b"
    await app.made()
    await app.made(other)
    await app.tend()
    [users, _] = await app.tend(other)
    await requests.taken()

    [own, _] = await app.rows()
    assert users.owner == app.connection_id
    assert users.subscription_id == own.subscription_id
    assert own.sharers == (other,)
    assert len(app.at_graph()) == 3

    app.control.patch_person(somebody(app), {"jobTitle": "Another"})
    await app.deliver()
    assert {name for name, *_ in await requests.taken()} == {app.connection_id, other}

    # Who has it goes: the other one gets its own.
    await app.change(enabled=False)
    await app.tend()
    assert (other, "subscribe", "auto") in await requests.taken()
    [users, _] = await app.tend(other)
    assert users.owner is None
    assert users.subscription_id == app.at_graph()["users"]["id"]


async def test_who_shares_a_subscription_no_longer_is_told_nothing(app: App) -> None:
    other = f"{app.connection_id}b"
    await app.made()
    await app.made(other)
    await app.tend()
    await app.tend(other)
    await app.change(other, realtime=False)

    await app.tend(other)

    [own, _] = await app.rows()
    assert own.sharers == ()
    assert await app.rows(other) == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"realtime": False}, id="realtime off"),
        pytest.param({"tenantId": None, "enabled": False}, id="tenant taken away"),
    ],
)
async def test_who_wants_none_keeps_none(app: App, changes: dict[str, Any]) -> None:
    await app.made()
    await app.tend()
    await app.change(**changes)

    await app.maintain()

    assert await app.rows() == []
    assert app.at_graph() == {}


async def test_a_connection_that_is_deleted_takes_them_along(app: App) -> None:
    await app.made()
    await app.tend()
    stored = await app.services.store.connections.get(app.connection_id)

    await delete(app.services, stored, Users.KEEP, (), BY_HAND)

    assert await app.rows() == []
    assert app.at_graph() == {}


async def test_another_scope_brings_other_subscriptions(app: App) -> None:
    await app.made()
    [users, _] = await app.tend()
    group = app.group()
    await app.change(scope=group_scope(group))

    await app.tend()

    at_graph = app.at_graph()
    assert at_graph.keys() == {"users", f"groups/{group}/members"}
    assert at_graph["users"]["id"] == users.subscription_id


async def test_nested_groups_follow_once_a_run_has_found_them(app: App) -> None:
    inner = app.group()
    outer = app.group(inner)
    await app.made(scope=group_scope(outer))
    await app.tend()
    before = set(app.at_graph())
    await run_now(app.services, app.connection_id, mode="full")

    await app.tend()

    assert before == {"users", f"groups/{outer}/members"}
    assert set(app.at_graph()) == before | {f"groups/{inner}/members"}


async def test_a_new_address_replaces_all_and_one_that_does_not_answer_replaces_none(
    app: App,
) -> None:
    await app.made()
    before = {row.subscription_id for row in await app.tend()}
    old = app.services.settings.public_base_url
    object.__setattr__(app.services.settings, "public_base_url", "http://127.0.0.1:9")

    await app.tend()

    assert {one["id"] for one in app.at_graph().values()} == before
    moved = old.replace("127.0.0.1", "localhost")
    object.__setattr__(app.services.settings, "public_base_url", moved)
    rows = await app.tend()
    assert {row.subscription_id for row in rows}.isdisjoint(before)
    assert {one["notificationUrl"] for one in app.at_graph().values()} == {
        f"{moved}/api/graph/notifications"
    }
    assert list((await app.states()).values()) == ["active", "active"]


async def test_above_the_quota_all_groups_are_told_of_by_one_subscription(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.control.settings(subscription_quota=3)
    monkeypatch.setattr("sync_core.domain.subscriptions.QUOTA", 3)
    monkeypatch.setattr("sync_core.domain.subscriptions.SPARE", 1)
    groups = [app.group() for _ in range(3)]
    await app.made(scope=group_scope(*groups[:2]))
    await app.tend()
    single = set(app.at_graph())
    await app.change(scope=group_scope(*groups))
    app.webhook.status = 401
    await app.tend()
    assert set(app.at_graph()) == single, "thrown away without a successor"
    app.webhook.status = 200
    await app.tend()
    wide = set(app.at_graph())
    await app.change(scope=group_scope(*groups[:2]))
    await app.tend()
    still_wide = set(app.at_graph())
    await app.change(scope=group_scope(*groups[:1]))
    await app.tend()

    assert single == {"users", *(f"groups/{one}/members" for one in groups[:2])}
    assert wide == still_wide == {"users", "groups"}
    assert set(app.at_graph()) == {"users", f"groups/{groups[0]}/members"}


async def test_made_anew_it_has_another_proof_and_a_run_looks_for_what_was_missed(
    app: App, requests: Requests
) -> None:
    connection = await app.made()
    [users, members] = await app.tend()
    await requests.taken()
    app.pass_time(minutes=11)

    for _ in range(2):  # two workers may have found the same silence
        await make_anew(app.services, connection, ["users"])

    [anew, kept] = await app.rows()
    assert anew.subscription_id == app.at_graph()["users"]["id"] != users.subscription_id
    assert anew.nonce != users.nonce
    assert kept == members
    assert await requests.taken() == [(app.connection_id, "sync", "auto")]


async def test_the_order_of_set_up_is_subscription_link_reading(
    app: App, requests: Requests
) -> None:
    """Who was read before it had a subscription is read in full once more; who was not, is not."""
    await app.made()
    await requests.taken()
    await app.tend()
    assert await requests.taken() == []

    late = f"{app.connection_id}b"
    await app.made(late, policy=NO_POLICY)
    await run_now(app.services, late, mode="full")
    app.pass_time(seconds=1)
    await app.tend(late)
    assert await requests.taken() == [(late, "sync", "full")]

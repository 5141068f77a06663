"""What cannot be had is a state with its remedy and a warning; nothing that lives is thrown away for it."""

from typing import Any

import pytest

from local.sample import SAMPLE_CLIENT_SECRET
from sync_core.connections.warnings import realtime_warnings, warnings_now
from sync_core.directory import own_address
from sync_core.domain.connections.verification import Verification
from sync_core.domain.documents.run import RunStatus
from sync_core.domain.incidents import open_incidents
from sync_core.domain.subscriptions import LIFE
from tests.rig.graph.webhook import Webhook
from tests.subscriptions.conftest import App
from tests.system import group_scope, run_now

# What is asked of a person: of whom the code is, and what the remedy names.
REMEDIES = {
    "subscription.addressNeedsSignIn": "excludedPaths",
    "subscription.addressForbidden": "access restrictions",
    "subscription.addressWrong": "PUBLIC_BASE_URL",
    "subscription.addressUnreachable": "private endpoint",
    "subscription.addressSlow": "always-ready",
    "subscription.noPublicAddress": "public https address",
    "subscription.addressNotHttps": "public https address",
    "subscription.validationTimedOut": "MicrosoftGraphChangeNotification",
    "subscription.validationForbidden": "MicrosoftGraphChangeNotification",
    "subscription.validationFailed": "PUBLIC_BASE_URL",
    "subscription.tenantUnsupported": "realtime",
    "subscription.quota": "app registration of its own",
    "subscription.groupNotFound": "Restore the group",
    "graph.permissionMissing": "Group.Read.All",
}


async def warned(app: App) -> dict[str, str]:
    """Return the warnings of the connection, by code."""
    stored = await app.services.store.connections.get(app.connection_id)
    state = Verification(connection_id=app.connection_id)
    found = await warnings_now(app.services, stored.connection, state)
    return {one.code: one.message for one in found}


async def assert_polling_goes_on(app: App) -> None:
    run = await run_now(app.services, app.connection_id, mode="full")
    assert run.status is RunStatus.SUCCEEDED, run.error


async def test_our_own_address_is_tried_before_graph_is_asked(app: App) -> None:
    await app.made()
    app.webhook.status = 401

    await app.tend()

    code = "subscription.addressNeedsSignIn"
    assert set((await app.states()).values()) == {code}
    assert app.asked("POST") == 0
    warnings = await warned(app)
    assert REMEDIES[code] in warnings[code]
    assert warnings[code].endswith("Meanwhile the schedule finds changes.")
    assert "realtime.polling" in warnings


@pytest.mark.parametrize(
    ("misbehaviour", "code"),
    [
        pytest.param({"status": 302}, "subscription.addressNeedsSignIn", id="redirect to sign in"),
        pytest.param({"status": 403}, "subscription.addressForbidden", id="403"),
        pytest.param({"status": 404}, "subscription.addressWrong", id="404"),
        pytest.param({"echo": lambda _: "OK"}, "subscription.addressWrong", id="no echo"),
        pytest.param({"content_type": "text/html"}, "subscription.addressWrong", id="a page"),
    ],
)
async def test_what_answers_in_place_of_the_app_is_told_apart(
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    misbehaviour: dict[str, Any],
    code: str,
) -> None:
    monkeypatch.setattr(own_address, "PAUSE_S", 0.0)
    for name, value in misbehaviour.items():
        setattr(webhook, name, value)

    with pytest.raises(own_address.AddressUnusable) as refused:
        await own_address.check_own_address(webhook.url, webhook.url)

    assert refused.value.code == code
    assert REMEDIES[code] in refused.value.remedy


@pytest.mark.parametrize(
    ("address", "graph", "code"),
    [
        pytest.param(
            "http://127.0.0.1:9",
            "https://localhost",
            "subscription.addressUnreachable",
            id="nobody is there",
        ),
        pytest.param(
            "http://localhost:7071", None, "subscription.noPublicAddress", id="this machine only"
        ),
        pytest.param("", None, "subscription.noPublicAddress", id="none"),
        pytest.param("http://a.example", None, "subscription.addressNotHttps", id="not https"),
    ],
)
async def test_an_address_that_graph_cannot_reach_is_told(
    monkeypatch: pytest.MonkeyPatch, address: str, graph: str | None, code: str
) -> None:
    monkeypatch.setattr(own_address, "PAUSE_S", 0.0)

    with pytest.raises(own_address.AddressUnusable) as refused:
        await own_address.check_own_address(address, graph)

    assert refused.value.code == code
    assert REMEDIES[code] in refused.value.remedy


@pytest.mark.parametrize("slow_calls", [3, 100], ids=["cold", "always slow"])
async def test_an_app_has_several_tries_to_be_quick(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, slow_calls: int
) -> None:
    """The first calls of a cold app take three seconds each, by the clock of the test."""
    calls, now = list[str](), [0.0]

    def slow(token: str) -> str:
        calls.append(token)
        now[0] += 3.0 if len(calls) <= slow_calls else 0.1
        return token

    monkeypatch.setattr(own_address, "PAUSE_S", 0.0)
    monkeypatch.setattr(own_address, "clock", lambda: now[0])
    webhook.echo = slow
    checking = own_address.check_own_address(webhook.url, webhook.url)

    if slow_calls < own_address.TRIES:
        await checking
        assert len(calls) == slow_calls + 2, "and both webhooks have answered quickly"
    else:
        with pytest.raises(own_address.AddressUnusable) as refused:
            await checking
        assert refused.value.code == "subscription.addressSlow"
        assert REMEDIES["subscription.addressSlow"] in refused.value.remedy
        assert len(calls) == own_address.TRIES


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(403, "subscription.validationForbidden", id="Graph is turned away"),
        pytest.param(500, "subscription.validationFailed", id="Graph gets something else"),
    ],
)
async def test_what_graph_meets_at_our_address_is_told_apart(
    app: App, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    """We get in, and Graph does not."""
    await app.made()
    ours, answer = 2, app.webhook.echo

    def only_us(token: str) -> str:
        app.webhook.status = 200 if len(app.webhook.handshakes) < ours else status
        return answer(token)

    app.webhook.echo = only_us
    await app.tend()

    assert set((await app.states()).values()) == {code}
    assert REMEDIES[code] in (await warned(app))[code]


async def test_a_handshake_that_graph_gives_up_is_told_and_the_old_one_lives_on(app: App) -> None:
    """As after ten seconds; here after a twentieth of one."""
    await app.made()
    before = await app.tend()
    app.pass_time(seconds=LIFE.total_seconds() * 0.9)
    app.control.settings(handshake_timeout_s=0.05)
    app.webhook.delay_s = 0.15

    after = await app.tend()

    code = "subscription.validationTimedOut"
    assert set((await app.states()).values()) == {code}
    assert [row.subscription_id for row in after] == [row.subscription_id for row in before]
    assert [row.expires_at for row in after] == [row.expires_at for row in before]
    assert len(app.at_graph()) == 2
    warnings = await warned(app)
    assert warnings[code].startswith("A subscription was not renewed to changes of")
    assert "realtime.polling" not in warnings

    app.webhook.delay_s = 0.0
    app.control.settings(handshake_timeout_s=10)
    app.pass_time(minutes=11)
    await app.tend()
    assert set((await app.states()).values()) == {"active"}
    assert set(await warned(app)) == set()


async def test_a_renewal_for_which_our_own_address_fails_throws_nothing_away(app: App) -> None:
    await app.made()
    before = await app.tend()
    app.pass_time(seconds=LIFE.total_seconds() * 0.9)
    app.webhook.status = 401

    after = await app.tend()

    assert set((await app.states()).values()) == {"subscription.addressNeedsSignIn"}
    assert [row.subscription_id for row in after] == [row.subscription_id for row in before]
    assert app.asked("PATCH") == 0


async def test_without_group_read_all_users_are_subscribed_to_and_the_rest_is_told(
    app: App,
) -> None:
    app.control.set_roles(["User.Read.All", "GroupMember.Read.All"])
    await app.made(scope=group_scope(*(app.group() for _ in range(6))))

    await app.tend()

    states = await app.states()
    assert states.pop("users") == "active"
    assert set(states.values()) == {"graph.permissionMissing"}
    assert app.asked("POST") < 1 + len(states), "asked for each although all are refused alike"
    warning = (await warned(app))["graph.permissionMissing"]
    assert "Group.Read.All" in warning
    assert "and 3 more" in warning
    await assert_polling_goes_on(app)


async def test_a_wider_permission_does_not_count_and_the_right_one_is_named(app: App) -> None:
    """Write permissions are not supported where reading is enough (subscription-post-subscriptions)."""
    app.control.set_roles(["User.Read.All", "Group.ReadWrite.All"])
    await app.made()

    await app.tend()

    assert set((await app.states()).values()) == {"active", "graph.permissionMissing"}
    assert "Group.Read.All" in (await warned(app))["graph.permissionMissing"]


async def test_a_permission_that_is_lost_later_is_told_and_its_return_mends_it(app: App) -> None:
    await app.made()
    await app.tend()
    app.control.set_roles(["User.Read.All", "GroupMember.Read.All"])
    app.pass_time(hours=1)
    await app.tend()
    lost = await app.states()
    app.control.set_roles(["User.Read.All", "Group.Read.All"])
    app.pass_time(hours=1)
    await app.tend()

    assert set(lost.values()) == {"active", "graph.permissionMissing"}
    assert set((await app.states()).values()) == {"active"}
    assert len(app.at_graph()) == 2


async def test_a_tenant_without_notifications_is_told(app: App) -> None:
    app.control.set_tenant(advanced_queries=False)
    await app.made()

    await app.tend()

    code = "subscription.tenantUnsupported"
    assert set((await app.states()).values()) == {code}
    assert REMEDIES[code] in (await warned(app))[code]


async def test_the_quota_is_told_with_its_remedy(app: App) -> None:
    app.control.settings(subscription_quota=1)
    await app.made(scope=group_scope(*(app.group() for _ in range(3))))

    await app.tend()

    code = "subscription.quota"
    assert sorted((await app.states()).values()) == ["active", *[code] * 3]
    assert REMEDIES[code] in (await warned(app))[code]
    await assert_polling_goes_on(app)


async def test_a_group_that_is_gone_is_told(app: App) -> None:
    group = app.group()
    app.control.delete_group(group, permanent=True)
    await app.made(scope=group_scope(group))

    await app.tend()

    code = "subscription.groupNotFound"
    assert (await app.states())[group] == code
    assert REMEDIES[code] in (await warned(app))[code]


async def test_a_disabled_service_principal_is_one_incident(app: App) -> None:
    """No token is had, so renewal and run fail with the same cause: the run's incident tells it."""
    connection = await app.made()
    await app.tend()
    app.pass_time(hours=1)
    app.control.enable_app(False)

    await app.maintain()
    run = await run_now(app.services, app.connection_id, mode="full")
    await app.maintain()

    assert run.error is not None
    code = run.error.code
    assert set((await app.states()).values()) == {code}
    health = await app.services.store.health.read(app.connection_id)
    assert list(open_incidents(health)) == [code]
    incidents = await app.services.store.incidents.all(app.connection_id)
    assert [found for found, _ in incidents] == [code]
    assert realtime_warnings(connection, await app.rows(), health) == []
    assert set(await warned(app)) == {"connection.quarantined"}
    assert len(app.at_graph()) == 2

    app.control.enable_app(True)
    app.pass_time(hours=1)
    await app.maintain()
    assert set((await app.states()).values()) == {"active"}


async def test_one_connection_that_fails_leaves_the_others_alone(app: App) -> None:
    broken = f"{app.connection_id}a"
    await app.made(broken, credential={"kind": "clientSecret", "secretName": "no-such-secret"})
    unusable = f"{app.connection_id}b"
    await app.made(unusable, tenantId="11111111-2222-4333-8444-555555555555")
    await app.made()

    await app.maintain()

    assert set((await app.states()).values()) == {"active"}
    assert set((await app.states(broken)).values()) == {"vault.secretMissing"}
    assert set((await app.states(unusable)).values()) == {"credential.tenantNotFound"}


async def test_what_lives_is_no_worse_for_passing_trouble(app: App) -> None:
    await app.made()
    await app.tend()
    app.pass_time(hours=1)
    app.control.add_fault("outage", path="/v1.0/$batch")
    await app.tend()
    of_graph = await app.states()
    app.control.clear_faults()
    app.control.add_fault("outage", path="/*/oauth2/v2.0/token")
    await app.tend()

    assert set(of_graph.values()) == {"active"}
    assert set((await app.states()).values()) == {"active"}


async def test_rows_without_their_connection_are_forgotten(app: App) -> None:
    await app.made()
    await app.tend()
    stored = await app.services.store.connections.get(app.connection_id)
    await app.services.store.connections.delete(app.connection_id, stored.etag)

    await app.maintain()

    assert await app.rows() == []


async def test_what_cannot_be_removed_now_is_removed_in_an_hour(app: App) -> None:
    await app.made()
    await app.tend()
    await app.change(realtime=False)
    app.control.add_fault("outage", path="/v1.0/subscriptions**")

    await app.maintain()
    waiting = {row.state.value for row in await app.rows()}
    app.control.clear_faults()
    await app.maintain()

    assert waiting == {"removing"}
    assert await app.rows() == []
    assert app.at_graph() == {}


async def test_those_of_an_application_whose_credential_is_gone_end_by_themselves(app: App) -> None:
    await app.made()
    await app.tend()
    app.control.remove_secrets()
    await app.change(realtime=False)

    await app.maintain()

    app.control.add_secret(value=SAMPLE_CLIENT_SECRET)
    assert await app.rows() == []
    assert len(app.at_graph()) == 2

"""What the API tells of real time."""

from sync_core.domain.health import Health
from sync_core.domain.incidents import Finding, silenced
from sync_core.domain.realtime import Channel, Heard, Kind, Latency, RealtimeState
from sync_core.domain.realtime_status import realtime_status, status_document
from sync_core.domain.subscriptions import LIFE, Failure, State
from tests.unit.domain.test_subscriptions import NOW, OUTER, connection, subscription

NOTHING: tuple[RealtimeState, Heard, None] = (RealtimeState(), {}, None)
NO_CLOCK = {"p50Seconds": None, "p95Seconds": None, "sample": 0}


def test_who_has_no_realtime_has_no_status() -> None:
    status = realtime_status(connection(realtime=False), [subscription()], *NOTHING)

    assert status is None
    assert status_document(status) is None


def test_each_subscription_is_told_with_its_state_and_end_and_why_it_fails() -> None:
    failure = Failure("subscription.quota", "It is used up.", "Name fewer groups.")
    rows = [
        subscription(),
        subscription(
            OUTER, state=State.FAILING, subscription_id=None, expires_at=None, failure=failure
        ),
        subscription("groups", state=State.CREATING, subscription_id=None),
        subscription("away", state=State.REMOVING),
    ]

    shown = status_document(realtime_status(connection(), rows, *NOTHING))

    assert shown == {
        "subscriptions": [
            {"resource": "groups", "state": "creating", "expiresAt": None},
            {
                "resource": f"groups/{OUTER}/members",
                "state": "failing",
                "expiresAt": None,
                "code": "subscription.quota",
                "message": "It is used up.",
                "remedy": "Name fewer groups.",
            },
            {
                "resource": "users",
                "state": "active",
                "expiresAt": (NOW + LIFE).isoformat().replace("+00:00", "Z"),
            },
        ],
        "lastNotificationAt": None,
        "changes": {"since": None, "byNotification": 0, "byPolling": 0},
        "latency": NO_CLOCK
        | {
            "byCause": dict.fromkeys(("notification", "polling"), NO_CLOCK),
            "byKind": dict.fromkeys(("joined", "left", "changed"), NO_CLOCK),
        },
        "silentSince": None,
    }


def test_what_came_by_notifications_is_told_with_counts_the_clock_and_silence() -> None:
    state = RealtimeState(
        since=NOW,
        by_notification=1,
        by_polling=2,
        notified=[Latency(NOW, 2.0, Kind.LEFT)],
        polled=[Latency(NOW, 9.0, Kind.CHANGED)],
    )
    quiet = Finding("realtime.silent", "Quiet.", "Look.")
    silent = silenced(Health(connection_id="contoso"), quiet, NOW).health

    shown = realtime_status(connection(), [], state, {Channel.USERS: NOW}, silent)

    assert shown is not None
    assert (shown.last_notification_at, shown.silent_since) == (NOW, NOW)
    assert (shown.changes.since, shown.changes.by_notification, shown.changes.by_polling) == (
        NOW,
        1,
        2,
    )
    assert (shown.latency.p50_seconds, shown.latency.p95_seconds, shown.latency.sample) == (
        2.0,
        9.0,
        2,
    )
    assert shown.latency.by_cause["notification"].p95_seconds == 2.0
    assert shown.latency.by_kind["changed"].p95_seconds == 9.0


def test_a_connection_that_is_well_is_not_silent() -> None:
    shown = realtime_status(connection(), [], RealtimeState(), {}, Health(connection_id="contoso"))

    assert shown is not None
    assert shown.silent_since is None

"""What the API tells of real time."""

from sync_core.domain.realtime_status import realtime_status, status_document
from sync_core.domain.subscriptions import LIFE, Failure, State
from tests.unit.domain.test_subscriptions import NOW, OUTER, connection, subscription


def test_who_has_no_realtime_has_no_status() -> None:
    status = realtime_status(connection(realtime=False), [subscription()])

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

    shown = status_document(realtime_status(connection(), rows))

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
        "changes": {"byNotification": 0, "byPolling": 0},
        "latency": {"p50Seconds": None, "p95Seconds": None, "sample": 0, "byCause": {}},
        "silentSince": None,
    }

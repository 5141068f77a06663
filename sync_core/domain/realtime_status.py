"""What the API tells of a connection's real time: its subscriptions, and what they are worth. Pure."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.health import Health
from sync_core.domain.incidents import SILENT
from sync_core.domain.realtime import Heard, RealtimeState, last_heard, latency_document
from sync_core.domain.subscriptions import State, Subscription


class SubscriptionStatus(Document):
    """One subscription; the last three say why it could not be made or renewed, and what to do."""

    resource: str = Field(examples=["users"])
    state: State
    expires_at: datetime | None
    code: str | None = None
    message: str | None = None
    remedy: str | None = None


class Changes(Document):
    """How many changes of people were written since a moment, by what told of them."""

    since: datetime | None = None
    by_notification: int = 0
    by_polling: int = 0


class Percentiles(Document):
    """Seconds from Graph's word of a change to the row."""

    p50_seconds: float | None = None
    p95_seconds: float | None = None
    sample: int = 0


class Latency(Percentiles):
    """The same of the last hundred changes, and of those by what told of them, and by what they did."""

    by_cause: dict[str, Percentiles] = Field(examples=[{"notification": {}, "polling": {}}])
    by_kind: dict[str, Percentiles] = Field(examples=[{"joined": {}, "left": {}, "changed": {}}])


class RealtimeStatus(Document):
    """Whether Graph tells of changes; `silent_since`: it did not tell of what the schedule found."""

    subscriptions: list[SubscriptionStatus]
    last_notification_at: datetime | None
    changes: Changes
    latency: Latency
    silent_since: datetime | None


def realtime_status(
    connection: Connection,
    rows: Iterable[Subscription],
    state: RealtimeState,
    heard: Heard,
    health: Health | None,
) -> RealtimeStatus | None:
    """Return the state of a connection's real time; None where it has none."""
    if not connection.realtime:
        return None
    shown = sorted(rows, key=lambda row: row.resource)
    silence = health.waiting.get(SILENT) if health is not None else None
    return RealtimeStatus(
        subscriptions=[_status(row) for row in shown if row.state is not State.REMOVING],
        last_notification_at=last_heard(heard),
        changes=Changes(
            since=state.since,
            by_notification=state.by_notification,
            by_polling=state.by_polling,
        ),
        latency=Latency.model_validate(latency_document(state)),
        silent_since=silence.since if silence is not None else None,
    )


def _status(row: Subscription) -> SubscriptionStatus:
    """Return what is told of one; the end that one was asked for with is none that it has."""
    failure = row.failure
    return SubscriptionStatus(
        resource=row.resource,
        state=row.state,
        expires_at=row.expires_at if row.subscription_id is not None else None,
        code=failure.code if failure else None,
        message=failure.message if failure else None,
        remedy=failure.remedy if failure else None,
    )


def status_document(status: RealtimeStatus | None) -> dict[str, object] | None:
    """Return the status as the API shows it: a subscription without a failure has no words about one."""
    if status is None:
        return None
    shown = status.to_json()
    shown["subscriptions"] = [
        {name: value for name, value in one.items() if value is not None or name == "expiresAt"}
        for one in shown["subscriptions"]
    ]
    return shown

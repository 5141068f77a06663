"""What messages of the queue ask for."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo

from sync_core.domain.compatibility import STORED, open_to_words
from sync_core.domain.documents.base import ConnectionId, Document, RunId
from sync_core.domain.documents.run import Actor, Trigger


class Purpose(StrEnum):
    """What a message of the queue asks for."""

    SYNC = "sync"
    VERIFY = "verify"
    DELETE = "delete"
    SUBSCRIBE = "subscribe"
    LISTEN = "listen"


class LifecycleEvent(StrEnum):
    """What Graph says about one of our subscriptions."""

    REAUTHORIZE = "reauthorizationRequired"
    REMOVED = "subscriptionRemoved"
    MISSED = "missed"


class SubscriptionEvent(Document):
    """A lifecycle notification: of which subscription, by the nonce of its `clientState`."""

    subscription_id: str
    nonce: str
    event: LifecycleEvent


def _known_mode(value: Any, info: ValidationInfo) -> Any:
    """Leave the choice to this release where another one asked for a mode that only it has."""
    return value if info.context != STORED or value in {"full", "incremental"} else "auto"


class SyncRequest(Document):
    """One message of the queue `sync-requests`: run this connection, and why.

    With the purpose `verify` nothing is run: settings that wait for Entra are tried once more. With
    `delete` a deletion that an administrator has confirmed goes on. With `subscribe` the subscriptions are
    brought to what the connection wants, or Graph's `events` about them are heeded; with `listen` it is
    found out whether they still tell of anything. `asked_at` is when the timer asked for whatever is due: a
    run that has begun since serves it.
    """

    connection_id: ConnectionId
    trigger: Annotated[Trigger, open_to_words(Trigger)]
    purpose: Purpose = Purpose.SYNC
    mode: Annotated[Literal["auto", "full", "incremental"], BeforeValidator(_known_mode)] = "auto"
    run_id: RunId | None = None
    asked_at: datetime | None = None
    by: Actor | None = None
    events: list[SubscriptionEvent] = Field(default_factory=list)


class NamedPeople(Document):
    """People whom somebody has named for a run of their own: to be brought in by hand, or to be synced now.

    Kept until that run has ended, so that one whose worker dies goes on. `who` are object ids, or for a sync
    sign-in names, too; each once. `until` is the day on which the rules decide again. People of a sync whom
    a group may let in a little later are asked for again until `ask_until`; `not_before` is when.
    """

    connection_id: ConnectionId
    run_id: RunId
    trigger: Annotated[Trigger, open_to_words(Trigger)]
    who: list[str]
    until: str = ""
    by: Actor
    note: str | None = None
    asked_at: datetime
    not_before: datetime | None = None
    ask_until: datetime | None = None
    attempts: int = 0

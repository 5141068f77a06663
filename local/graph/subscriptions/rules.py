"""What Graph asks of a subscription: a request body in, a checked subscription or a refusal out.

Facts: learn.microsoft.com/graph/api/resources/subscription (2026-09-17) and subscription-post.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from local.graph.directory.objects import NotInDirectory
from local.graph.directory.view import View
from local.graph.http.access import SUBSCRIBE_GROUPS, SUBSCRIBE_USERS, Caller
from local.graph.http.errors import GraphError, not_found

MAX_LIFE = timedelta(minutes=41_760)
MIN_LIFE = timedelta(minutes=45)
MAX_CLIENT_STATE = 128
# change-notifications-lifecycle-events: who renews and reauthorizes within so long may leave an inconsistent
# state. Graph does not say how that shows; here the second is refused, so that a client notices.
APART = timedelta(minutes=10)
_RESOURCE = re.compile(
    r"/?(?P<kind>users|groups)(?:/(?P<id>[0-9a-f-]{36})(?P<part>/members|/owners)?)?", re.IGNORECASE
)
_CHANGE_TYPES = frozenset(("created", "updated", "deleted"))
_TLS_VERSIONS = frozenset(("v1_0", "v1_1", "v1_2", "v1_3"))
_TAKEN = frozenset(
    ("changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "clientState",
     "expirationDateTime", "latestSupportedTlsVersion", "includeResourceData", "@odata.type")
)  # fmt: skip
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(slots=True)
class Subscription:
    tenant_id: str
    app_id: str
    resource: str
    """As it was given."""
    kind: str
    """users or groups"""
    object_id: str | None
    members_only: bool
    change_types: frozenset[str]
    change_type: str
    notification_url: str
    lifecycle_url: str | None
    client_state: str | None
    expires: datetime
    tls_version: str
    authorized: datetime
    """When the caller's token was last left with it."""
    renewed: datetime | None = None
    reauthorized: datetime | None = None
    reminded: datetime | None = None
    held: list[Any] = field(default_factory=list)
    """Notifications that wait for a token."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def document(self, *, with_state: bool) -> dict[str, Any]:
        return {
            "id": self.id,
            "resource": self.resource,
            "applicationId": self.app_id,
            "changeType": self.change_type,
            # Told to its creator once; read again it is null.
            "clientState": self.client_state if with_state else None,
            "notificationUrl": self.notification_url,
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": self.lifecycle_url,
            "expirationDateTime": moment(self.expires),
            "creatorId": self.app_id,
            "includeResourceData": None,
            "latestSupportedTlsVersion": self.tls_version,
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
        }


def invalid(message: str) -> GraphError:
    return GraphError(400, "InvalidRequest", message)


def keep_apart(subscription: Subscription, before: datetime | None, now: datetime) -> None:
    """Refuse to renew what was reauthorized, or the other way round, a few minutes ago."""
    if before is not None and now - before < APART:
        raise invalid(f"Subscription {subscription.id} was renewed or reauthorized a moment ago.")


def moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def new_subscription(
    body: Mapping[str, Any], *, caller: Caller, directory: View, now: datetime
) -> Subscription:
    unknown = body.keys() - _TAKEN
    if unknown:
        raise invalid(f"Invalid property in the subscription: {', '.join(sorted(unknown))}.")
    if body.get("includeResourceData"):
        raise invalid("Resource data is not supported for this resource.")
    resource = _text(body, "resource")
    match = _RESOURCE.fullmatch(resource)
    if match is None:
        raise invalid(f"Resource '{resource}' is not supported or is not written without its host.")
    kind = match["kind"].lower()
    caller.need(permission_for(kind))
    if kind == "users" and match["part"]:
        raise invalid(f"Resource '{resource}' is not supported.")
    _check_exists(directory, kind, match["id"])
    change_type = _text(body, "changeType")
    change_types = frozenset(part.strip() for part in change_type.split(","))
    if not change_types <= _CHANGE_TYPES:
        raise invalid(f"changeType '{change_type}' is not valid for this resource.")
    lifecycle_url = body.get("lifecycleNotificationUrl")
    return Subscription(
        tenant_id=caller.tenant_id,
        app_id=caller.app_id,
        resource=resource,
        kind=kind,
        object_id=match["id"] and match["id"].lower(),
        members_only=(match["part"] or "").lower() == "/members",
        change_types=change_types,
        change_type=change_type,
        notification_url=checked_url(_text(body, "notificationUrl"), "notificationUrl"),
        lifecycle_url=(
            None
            if lifecycle_url is None
            else checked_url(str(lifecycle_url), "lifecycleNotificationUrl")
        ),
        client_state=_client_state(body),
        expires=expiry(_text(body, "expirationDateTime"), now),
        tls_version=_tls_version(body),
        authorized=now,
    )


def permission_for(kind: str) -> frozenset[str]:
    """The one that is listed for a resource, and no wider one."""
    return SUBSCRIBE_USERS if kind == "users" else SUBSCRIBE_GROUPS


def expiry(text: str, now: datetime) -> datetime:
    try:
        asked = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid(f"expirationDateTime '{text}' is not a date and time.") from error
    asked = asked.replace(tzinfo=UTC) if asked.tzinfo is None else asked.astimezone(UTC)
    if asked <= now:
        raise invalid("expirationDateTime must be in the future.")
    # A minute of grace for the way here, as clocks differ.
    if asked - now > MAX_LIFE + timedelta(minutes=1):
        minutes = int(MAX_LIFE.total_seconds() // 60)
        raise invalid(f"Subscription expiration can only be {minutes} minutes in the future.")
    return max(asked, now + MIN_LIFE)


def checked_url(url: str, name: str) -> str:
    """Https only. A deviation of this emulator: http is taken for a loopback address, because the
    local functions host has no TLS.
    """
    parts = urlsplit(url)
    is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise invalid(f"{name} '{url}' must be an absolute https address.")
    return url


def _check_exists(directory: View, kind: str, object_id: str | None) -> None:
    if object_id is None:
        return
    try:
        if kind == "users":
            directory.person(object_id)
        else:
            directory.group(object_id)
    except NotInDirectory as error:
        raise not_found(object_id) from error


def _client_state(body: Mapping[str, Any]) -> str | None:
    state = body.get("clientState")
    if state is not None and (not isinstance(state, str) or len(state) > MAX_CLIENT_STATE):
        raise invalid(f"clientState must be a text of at most {MAX_CLIENT_STATE} characters.")
    return state


def _tls_version(body: Mapping[str, Any]) -> str:
    version = body.get("latestSupportedTlsVersion") or "v1_2"
    if version not in _TLS_VERSIONS:
        raise invalid(f"latestSupportedTlsVersion '{version}' is not known.")
    return str(version)


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"The required property '{name}' is missing or not a text.")
    return value

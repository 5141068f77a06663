"""Limits of the guard that a release before 2026-11-29 stored: its default takes the new one, once. Pure.

That release had no limit on creates unless it was told one, and stored this as null. A null that this
release stores is one that an administrator gave a reason for; it stores `maxCreatePercent` as well, and
by that the two are told apart.
"""

from collections.abc import Mapping
from typing import Any

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.policy import Guard, Policy, RemovalAction

# Of these a person may come back: hard-deleted people do not.
CAUSES = ("left_scope", "account_disabled", "soft_deleted")
NEW_FIELD = "maxCreatePercent"


def with_new_limits(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored document with the new default of `maxCreates` in place of the old one."""
    document = dict(document)
    policy = document.get("policy")
    if not isinstance(policy, dict):
        return document
    guard = policy.get("guard")
    if not isinstance(guard, dict) or NEW_FIELD in guard or guard.get("maxCreates") is not None:
        return document
    new = guard | {"maxCreates": Guard().max_creates}
    return document | {"policy": policy | {"guard": new}}


def has_old_limits(connection: Connection) -> bool:
    """Whether a connection, as it was read from the table, was stored before there were these limits."""
    return "max_create_percent" not in connection.policy.guard.model_fields_set


def deletes(policy: Policy, cause: str) -> bool:
    """Whether the row of a person goes who is removed for this cause."""
    return getattr(policy, cause) is RemovalAction.DELETE

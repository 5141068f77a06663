"""A digest of everything in a connection that decides who is in and with which values. Pure."""

import hashlib

import orjson

from sync_core.domain.documents.connection import Connection

# Raised by hand when an operator or a function changes what it means; not with each release, as every
# connection then reads everything once.
RULES_VERSION = 1
# Fields that change nothing about any single person: how a connection is called, reached and when it runs.
_DECIDES = ("cloud", "tenantId", "clientId", "scope", "mapping", "matching", "assertions")
# The guard judges numbers, and grace has a due time of its own.
_POLICY_APART = frozenset({"guard", "graceDays", "purgeAfterDays"})


def deciding_digest(connection: Connection) -> str:
    """Return the digest; with another one, what was decided before says nothing about the people of now."""
    document = connection.to_json()
    parts = {name: document.get(name) for name in _DECIDES}
    parts["policy"] = {
        name: value for name, value in document["policy"].items() if name not in _POLICY_APART
    }
    content = orjson.dumps([RULES_VERSION, parts], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:32]

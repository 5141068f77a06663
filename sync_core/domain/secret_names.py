"""Names of secrets in Key Vault: which are the app's own, and which two mean the same secret. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

# No connection may name one of these: what it stored there would be the app's own key from then on.
OWN_PREFIX = "usersync-"
CLIENT_STATE_KEY = "usersync-client-state-key"
CURSOR_KEY = "usersync-cursor-key"
# Asked for, not expected to be there: "not found" proves that Key Vault answers and lets us read.
HEALTH_PROBE = "usersync-health-probe"
# What some were called before they had the prefix; the value is moved when it is first needed.
FORMER_NAMES: Mapping[str, str] = MappingProxyType({CLIENT_STATE_KEY: "graph-client-state-key"})


def folded(name: str) -> str:
    """Return a name as Key Vault compares it: without regard to case.

    learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates (object identifiers)
    """
    return name.lower()


def is_same(one: str | None, other: str | None) -> bool:
    """Whether two names are those of one secret; None is no name."""
    return one is not None and other is not None and folded(one) == folded(other)


def is_own(name: str) -> bool:
    """Whether a name is one of the app's own, today or before."""
    return folded(name).startswith(OWN_PREFIX) or folded(name) in FORMER_NAMES.values()

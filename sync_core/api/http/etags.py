"""Versions of a connection over HTTP: the store's ETag and a request's conditions in, yes or no out.

Table Storage gives weak ETags, which `If-Match` never matches (RFC 9110, 13.1.1), so the API gives a
strong one made of it.
"""

import hashlib
import re

from sync_core.domain.errors import PreconditionFailed

ETAGS = re.compile(r'(W/)?("[^"]*")')


def strong(stored: str) -> str:
    """Return the API's ETag for the store's."""
    return f'"{hashlib.blake2b(stored.encode(), digest_size=12).hexdigest()}"'


def check_if_match(condition: str | None, stored: str | None) -> None:
    """Raise unless the version named by `If-Match` is the stored one; `*` means any that exists."""
    if condition is None:
        return
    if stored is None:
        raise PreconditionFailed(
            "connection.notThere",
            "If-Match asks for a connection that exists, and there is none.",
            "Leave If-Match out to create the connection.",
        )
    if condition.strip() != "*" and strong(stored) not in _named(condition, weak=False):
        raise PreconditionFailed(
            "connection.changedMeanwhile",
            "The connection was changed since it was loaded.",
            "Load it again, repeat the change, and send it with the new ETag.",
        )


def check_if_none_match(condition: str | None, stored: str | None) -> None:
    """Raise if a write that must not meet an existing connection (`If-None-Match: *`) would."""
    if stored is not None and is_known(condition, stored):
        raise PreconditionFailed(
            "connection.exists",
            "If-None-Match asks for a connection that does not exist yet, and there is one.",
            "Leave If-None-Match out to replace the connection.",
        )


def is_known(condition: str | None, stored: str) -> bool:
    """Whether `If-None-Match` names the stored version: the caller has it already."""
    if condition is None:
        return False
    return condition.strip() == "*" or strong(stored) in _named(condition, weak=True)


def _named(condition: str, *, weak: bool) -> set[str]:
    return {tag for mark, tag in ETAGS.findall(condition) if weak or not mark}

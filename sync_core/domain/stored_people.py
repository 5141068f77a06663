"""Everybody stored by object id, kept so that a million cost neither much memory nor long pauses. Pure."""

from collections.abc import Iterator, MutableMapping
from itertools import chain

from sync_core.domain.model import Origin, Status, StoredPerson

_STATUSES = {status[0]: status for status in Status}
_ORIGINS = {origin[0]: origin for origin in Origin}
_RETURNS = "r"
# Initials of status and origin, and whether the person returns; then the day until which somebody stays who
# was brought in by hand, a stroke, and the digest.
_INITIALS = 3
_STROKE = "|"


class StoredPeople(MutableMapping[str, StoredPerson]):
    """A mapping in which each person is one text.

    Python's garbage collector looks through all tuples, but not at texts: with 860,000 tuples a full
    collection kept the whole process waiting for 150 ms or more, several times while they were loaded.
    Kept by the first digit of the id, since a dictionary grows in one piece: one of a million in 25 ms
    and more.
    """

    def __init__(self) -> None:
        self._texts: dict[str, dict[str, str]] = {}

    def __getitem__(self, object_id: str) -> StoredPerson:
        text = self._beside(object_id)[object_id]
        until, _, digest = text[_INITIALS:].partition(_STROKE)
        return StoredPerson(
            _STATUSES[text[0]], _ORIGINS[text[1]], digest, text[2] == _RETURNS, until
        )

    def __setitem__(self, object_id: str, person: StoredPerson) -> None:
        returns = _RETURNS if person.returns else "-"
        initials = f"{person.status[0]}{person.origin[0]}{returns}"
        text = f"{initials}{person.until}{_STROKE}{person.digest}"
        self._texts.setdefault(object_id[:1], {})[object_id] = text

    def __delitem__(self, object_id: str) -> None:
        del self._beside(object_id)[object_id]

    def __contains__(self, object_id: object) -> bool:
        return isinstance(object_id, str) and object_id in self._beside(object_id)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._texts.values())

    def __len__(self) -> int:
        return sum(map(len, self._texts.values()))

    def _beside(self, object_id: str) -> dict[str, str]:
        """Return those whose ids begin with the same digit; to look for one changes nothing."""
        return self._texts.get(object_id[:1], {})

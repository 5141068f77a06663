"""The interest set: which people of a tenant can matter to a connection whose scope is groups. Pure.

A filter of ids that never misses a member and has some 1 % false hits: a changed person outside of it costs
nothing, one inside is looked at. It only grows between full readings, and is no mirror of who is in.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Self

# Ten bits and seven tests a person give 0.8 % false hits.
BITS_A_PERSON = 10
TESTS = 7
# Room for people who come in before the next full reading.
SPARE = 1.25
LEAST_BITS = 8 * 128


@dataclass(slots=True)
class InterestSet:
    """Bits of a Bloom filter."""

    bits: bytearray

    @classmethod
    def of(cls, object_ids: Collection[str]) -> Self:
        """Return the filter that holds these ids."""
        size = max(LEAST_BITS, int(len(object_ids) * BITS_A_PERSON * SPARE))
        found = cls(bytearray(size // 8 + 1))
        found.add(object_ids)
        return found

    def add(self, object_ids: Iterable[str]) -> None:
        for object_id in object_ids:
            for place in self._places(object_id):
                self.bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, object_id: str) -> bool:
        bits = self.bits
        return all(bits[place >> 3] & (1 << (place & 7)) for place in self._places(object_id))

    def _places(self, object_id: str) -> Iterable[int]:
        digest = hashlib.blake2b(object_id.encode(), digest_size=16).digest()
        first, step = int.from_bytes(digest[:8]), int.from_bytes(digest[8:]) | 1
        size = len(self.bits) * 8
        return ((first + number * step) % size for number in range(TESTS))

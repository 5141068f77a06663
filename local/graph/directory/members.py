"""Sets of people by number, compact and sorted: the direct members of a group."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from local.graph.directory.recent import Recent


class PersonSet:
    """A sorted set of person numbers in four bytes each."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._numbers = array("I", sorted(set(numbers)))
        self.version = 0
        """Moves with every change, so that what was computed from the set can be kept."""

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __contains__(self, number: int) -> bool:
        place = bisect_left(self._numbers, number)
        return place < len(self._numbers) and self._numbers[place] == number

    def add(self, number: int) -> bool:
        place = bisect_left(self._numbers, number)
        if place < len(self._numbers) and self._numbers[place] == number:
            return False
        self._numbers.insert(place, number)
        self.version += 1
        return True

    def discard(self, number: int) -> bool:
        place = bisect_left(self._numbers, number)
        if place == len(self._numbers) or self._numbers[place] != number:
            return False
        del self._numbers[place]
        self.version += 1
        return True

    def copy(self) -> "PersonSet":
        twin = PersonSet()
        twin._numbers = self._numbers[:]
        return twin

    def start_at(self, number: int) -> Iterator[int]:
        """The members from this number on; a change between two pages shifts nothing."""
        numbers = self._numbers
        for place in range(bisect_left(numbers, number), len(numbers)):
            yield numbers[place]


class Unions:
    """The people of several groups together; the last few answers are kept for further pages."""

    def __init__(self) -> None:
        self._recent: Recent[tuple[PersonSet, list[PersonSet]]] = Recent(4)

    def people(self, sets: list[PersonSet]) -> PersonSet:
        key = tuple((id(numbers), numbers.version) for numbers in sets)
        # The sets are kept as well: an id is only good while its object lives.
        union, _ = self._recent.get(
            key, lambda: (PersonSet(number for numbers in sets for number in numbers), sets)
        )
        return union

"""What a plan comes to, of what assertions are about: who is in then, and by how much numbers grow. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from sync_core.domain.model import Change
from sync_core.domain.plan.headcounts import Shift, Where

# So many people are told by id; of a larger number, one more than these is remembered.
NAMED = 3
NOBODY: frozenset[str] = frozenset()


class Outcome:
    """Takes the changes that are written, one after the other.

    `named` are the people whom an assertion names, by its place, and `active` those of them who are in.
    """

    def __init__(
        self,
        named: Mapping[int, AbstractSet[str]],
        active: AbstractSet[str],
        harms: Iterable[Shift],
    ) -> None:
        self._named = {number: set(ids) for number, ids in named.items()}
        self._active = set(active)
        self._harms = frozenset(harms)
        self._wheres = frozenset(shift.where for shift in self._harms)
        self.gains: Counter[Where] = Counter()
        self._harmed: defaultdict[Shift, list[str]] = defaultdict(list)

    def name(self, object_id: str, numbers: Iterable[int]) -> None:
        """Learn which assertions name a person who would be changed."""
        for number in numbers:
            self._named.setdefault(number, set()).add(object_id)

    def write(self, change: Change) -> None:
        """Take in a change that is not held."""
        if change.action.is_removal:
            self._active.discard(change.object_id)
        elif any(change.object_id in ids for ids in self._named.values()):
            self._active.add(change.object_id)
        for where in self._wheres:
            if step := where.step(change):
                self.gains[where] += step
                self._note(Shift(where, step), change.object_id)

    def _note(self, shift: Shift, object_id: str) -> None:
        known = self._harmed[shift]
        if shift in self._harms and len(known) <= NAMED:
            known.append(object_id)

    def named(self, number: int) -> AbstractSet[str]:
        """Return whom an assertion names, in or not."""
        return self._named.get(number, NOBODY)

    def inside(self, number: int) -> list[str]:
        """Return those of them who are in."""
        return sorted(self.named(number) & self._active)

    def harmed_by(self, shift: Shift) -> list[str]:
        """Return the first people whose change moves a number in this direction."""
        return self._harmed[shift]


def in_words(object_ids: list[str]) -> str:
    """Name the first of these people by id."""
    return ", ".join(object_ids[:NAMED]) + ("..." if len(object_ids) > NAMED else "")

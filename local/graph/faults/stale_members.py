"""Answers about membership that stand still: a directory in, the same one with earlier members out."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from local.graph.directory.objects import Group
from local.graph.directory.past import copied
from local.graph.directory.view import View


@dataclass(slots=True)
class StaleMembers:
    _frozen: dict[int, dict[str, Group]] = field(default_factory=dict)

    def freeze(self, directories: Iterable[View]) -> None:
        """Keep the memberships of this moment, for as long as the fault lasts."""
        # The people stay the same object in every view of a directory.
        self._frozen = {
            id(directory.people): {group.id: copied(group) for group in directory.groups.values()}
            for directory in directories
        }

    def view(self, directory: View, is_stale: bool) -> View:
        frozen = self._frozen.get(id(directory.people))
        if not is_stale or frozen is None:
            return directory
        return directory.with_groups(frozen)

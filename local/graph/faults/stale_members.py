"""Answers about membership that lag: a directory in, the same one with earlier members out."""

from dataclasses import dataclass, field, replace

from local.graph.directory.directory import Directory, Group


@dataclass(slots=True)
class StaleMembers:
    _frozen: dict[int, dict[str, Group]] = field(default_factory=dict)

    def freeze(self, directories: list[Directory]) -> None:
        """Keep the memberships of this moment, for as long as the fault lasts."""
        self._frozen = {
            id(directory): {
                group.id: replace(
                    group,
                    people=group.people.copy(),
                    nested=dict(group.nested),
                    others=dict(group.others),
                )
                for group in directory.groups.values()
            }
            for directory in directories
        }

    def view(self, directory: Directory, is_stale: bool) -> Directory:
        frozen = self._frozen.get(id(directory))
        if not is_stale or frozen is None:
            return directory
        return directory.with_groups(frozen)

"""People and groups as JSON: numbers and property names in, bytes out.

The bytes of a person are kept for each set of names, because a full reading asks for everybody with
the same $select again and again; a change of the person drops them.
"""

from collections.abc import Iterable, Sequence

import orjson

from local.graph.directory.changes import Change
from local.graph.directory.objects import Group
from local.graph.directory.view import View
from local.graph.odata.properties import GROUP_DEFAULTS
from local.sample import SCHEMA_EXTENSION

AGENT_TYPE = "#microsoft.graph.agentUser"
_MOST_KEPT = 2_200_000
Names = tuple[str, ...]


class Renderer:
    """People as one kind of caller sees them; ``hidden`` are the attributes that come as null."""

    def __init__(self, directory: View, hidden: frozenset[str]) -> None:
        self._directory = directory
        self._hidden = hidden
        self._kept: dict[Names, list[bytes | None]] = {}

    def users(self, numbers: Iterable[int], names: Names) -> list[bytes]:
        kept = self._list_for(names)
        items = []
        for number in numbers:
            item = kept[number]
            if item is None:
                item = kept[number] = self._user(number, names)
            items.append(item)
        return items

    def user(self, number: int, names: Names) -> bytes:
        return self.users((number,), names)[0]

    def limited_users(self, numbers: Iterable[int], names: Names) -> list[bytes]:
        """Without a permission to read users: type and id, and null for everything asked for."""
        nothing = dict.fromkeys(names)
        return [
            orjson.dumps(
                {
                    "@odata.type": user_type(self._directory, number),
                    **nothing,
                    "id": self._directory.object_id(number),
                }
            )
            for number in numbers
        ]

    def _user(self, number: int, names: Names) -> bytes:
        value, hidden = self._directory.value, self._hidden
        document = {name: None if name in hidden else value(number, name) for name in names}
        for name in names:
            # An extension that is not set is not told at all.
            if name.startswith(("extension_", SCHEMA_EXTENSION)) and document[name] is None:
                del document[name]
        if self._directory.is_agent(number):
            # A type derived from the one that the list declares is told with each object (OData JSON
            # format 4.5.3); a person of the plain type carries none.
            document = {"@odata.type": AGENT_TYPE, **document}
        # A copy of just the size: orjson's own buffer keeps a kilobyte for the shortest text.
        return bytes(memoryview(orjson.dumps(document)))

    def _list_for(self, names: Names) -> list[bytes | None]:
        end = self._directory.end
        kept = self._kept.get(names)
        if kept is None:
            while self._kept and end * (len(self._kept) + 1) > _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            kept = self._kept[names] = []
        if len(kept) < end:
            kept.extend([None] * (end - len(kept)))
        return kept

    def forget(self, change: Change) -> None:
        if isinstance(change.key, int):
            for kept in self._kept.values():
                if change.key < len(kept):
                    kept[change.key] = None


def user_type(directory: View, number: int) -> str:
    return AGENT_TYPE if directory.is_agent(number) else "#microsoft.graph.user"


def typed(kind: str, items: Sequence[bytes]) -> list[bytes]:
    """The same items with their @odata.type, as in lists that hold several types."""
    head = b'{"@odata.type":"#microsoft.graph.%s"' % kind.encode()
    return [
        item
        if item.startswith(b'{"@odata.type"')
        else head + (b"," + item[1:] if len(item) > 2 else b"}")
        for item in items
    ]


def group_values(group: Group, names: Names | None) -> dict[str, object]:
    values: dict[str, object] = {"id": group.id, **group.properties}
    return {name: values.get(name) for name in names or GROUP_DEFAULTS}


def limited(kind: str, object_id: str, names: Names | None) -> bytes:
    return orjson.dumps(
        {"@odata.type": f"#microsoft.graph.{kind}", **dict.fromkeys(names or ()), "id": object_id}
    )

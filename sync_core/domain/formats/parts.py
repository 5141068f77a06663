"""What an importer makes of another program's settings: parts of a connection, and every difference. Pure."""

from dataclasses import dataclass, field
from typing import Any

from sync_core.domain.errors import FieldProblem

Json = dict[str, Any]


def _nobody() -> Json:
    return {"filters": [], "guests": "exclude", "everyone": False}


@dataclass(slots=True)
class Imported:
    """What a connection can take as it is, and what to know about it; nobody is chosen at first."""

    scope: Json = field(default_factory=_nobody)
    mapping: list[Json] = field(default_factory=list)
    matching: list[str] = field(default_factory=list)
    notes: list[FieldProblem] = field(default_factory=list)

    def note(self, path: str, message: str) -> None:
        self.notes.append(FieldProblem(path, message))

"""Looks on while a run decides, and finds clauses whose value the directory writes in other letters. Pure."""

from sync_core.domain.documents.run import RunWarning
from sync_core.domain.documents.scope import Scope
from sync_core.domain.model import Attributes, Mapped
from sync_core.domain.scope.other_letters import OTHER_LETTERS, OtherLetters, other_letters


class ClauseObserver:
    """An `Observer` of the judge; it costs nothing where no clause compares texts."""

    def __init__(self, scope: Scope) -> None:
        self._clauses = other_letters(scope)

    def on_judged(self, person: Attributes, *, inside: bool) -> None:  # noqa: ARG002 -- the others' way
        for clause in self._clauses:
            clause.see(person)

    def on_mapped(self, mapped: Mapped) -> None:
        """Learn nothing: what is mapped says nothing about the scope."""

    @property
    def found(self) -> list[OtherLetters]:
        return [clause for clause in self._clauses if clause.people]

    def warnings(self) -> list[RunWarning]:
        return [RunWarning(code=OTHER_LETTERS, message=one.sentence) for one in self.found]

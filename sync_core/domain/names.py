"""People whom a connection names by sign-in name, and who that is: bound names. Pure.

A sign-in name is not the person: the one who has it is renamed, or it is misspelt. So each name is looked up
once and bound to an object id, which counts from then on. The document keeps what was sent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pydantic import Field

from sync_core.domain.documents.base import GUID, Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.policy import Assertion

# An account's whole name has at most 113 characters, and Graph refuses longer texts in a `$filter`.
# learn.microsoft.com/entra/identity/authentication/concept-sspr-policy#username-policies
LONGEST = 113
UNBOUND = "name.unbound"


class BoundName(Document):
    """A sign-in name as it was sent, and the person whom it means; null while it is nobody's."""

    name: str
    object_id: str | None = None
    bound_at: datetime | None = None


class Bindings(Document):
    """What the names of a connection are bound to, for one tenant.

    A name may stand here twice: its first account was deleted, and it was given to a new one.
    """

    connection_id: str
    tenant_id: str | None = None
    names: list[BoundName] = Field(default_factory=list)

    def ids(self, name: str) -> frozenset[str]:
        """Return the object ids that a name means."""
        key = name.casefold()
        return frozenset(
            known.object_id
            for known in self.names
            if known.object_id is not None and known.name.casefold() == key
        )

    def is_tried(self, name: str) -> bool:
        """Whether the name was looked up before, with or without success."""
        key = name.casefold()
        return any(known.name.casefold() == key for known in self.names)

    def for_tenant(self, tenant_id: str | None) -> Self:
        """Return these bindings, or none of them where they are of another tenant."""
        if self.tenant_id == tenant_id:
            return self
        return self.model_copy(update={"tenant_id": tenant_id, "names": []})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection names a person by sign-in name, and what the name does there while unbound."""

    path: str
    name: str
    effect: str

    def said(self, *, tried: bool) -> str:
        if not tried:
            return f"{self.path} names {self.name}, not looked up yet; the next run does that."
        return (
            f"{self.path} names {self.name}, and nobody in the directory has that sign-in name: "
            f"{self.effect}. It is looked up again at each run. Correct it, or give the object id."
        )


def places(connection: Connection) -> list[Place]:
    """Return every sign-in name of a connection; object ids and patterns need no binding."""
    return [
        *_each("scope.exclude", connection.scope.exclude, "it keeps nobody out"),
        *_each(
            "policy.protected",
            connection.policy.protected,
            "it protects only who is stored with that name",
        ),
        *_of_assertions(connection.assertions),
    ]


def _each(path: str, names: Iterable[str], effect: str) -> Iterator[Place]:
    for number, name in enumerate(names):
        if _is_name(name):
            yield Place(f"{path}[{number}]", name, effect)


def _of_assertions(assertions: Iterable[Assertion]) -> Iterator[Place]:
    for number, assertion in enumerate(assertions):
        if assertion.is_in is not None and _is_name(assertion.is_in):
            effect = "the assertion cannot come true"
            yield Place(f"assertions[{number}].in", assertion.is_in, effect)
        if assertion.never is not None and is_whole_name(assertion.never):
            effect = "the assertion is about nobody"
            yield Place(f"assertions[{number}].never", assertion.never, effect)


def _is_name(name: str) -> bool:
    return GUID.fullmatch(name) is None


def is_whole_name(pattern: str) -> bool:
    """Whether what must never come in is one sign-in name, and no pattern of names."""
    return "*" not in pattern and "@" in pattern and _is_name(pattern)


def askable(name: str) -> bool:
    """Whether Graph can be asked for a name; a text that no account can have is not sent."""
    return "@" in name and len(name) <= LONGEST and name.isprintable()


def unbound(connection: Connection, bindings: Bindings) -> list[Place]:
    """Return the names that were looked up and are nobody's."""
    known = bindings.for_tenant(connection.tenant_id)
    return [place for place in places(connection) if not known.ids(place.name)]


def rebound(
    connection: Connection, known: Bindings, found: Iterable[tuple[str, str]], now: datetime
) -> Bindings:
    """Return the bindings with what was `found`: pairs of a name and an object id.

    What is bound stays bound. Names that the connection no longer has are forgotten.
    """
    before = known.for_tenant(connection.tenant_id)
    names = shown_names(connection, before)
    for name, object_id in sorted({(name.casefold(), object_id) for name, object_id in found}):
        place = next(n for n, one in enumerate(names) if one.name.casefold() == name)
        bound = BoundName(name=names[place].name, object_id=object_id, bound_at=now)
        if names[place].object_id is None:
            names[place] = bound
        elif object_id not in before.ids(name):
            names.insert(place + 1, bound)
    return before.model_copy(update={"names": names})


def shown_names(connection: Connection, known: Bindings) -> list[BoundName]:
    """Return each name of the connection with what it is bound to, if to anybody."""
    before = known.for_tenant(connection.tenant_id)
    names: list[BoundName] = []
    for key, name in _distinct(place.name for place in places(connection)).items():
        bound = [one for one in before.names if one.object_id and one.name.casefold() == key]
        names += bound or [BoundName(name=name)]
    return names


def _distinct(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.casefold(), name)
    return found


def with_ids(connection: Connection, bindings: Bindings) -> Connection:
    """Return a connection as a run reads it: with object ids for the names that are bound.

    Who is excluded counts by id alone, so that a name given to another person keeps out nobody new. Who is
    protected counts by name, too: a row that was protected by its name before stays so.
    """
    known = bindings.for_tenant(connection.tenant_id)
    exclude = _replaced(connection.scope.exclude, lambda name: known.ids(name) or {name})
    protected = _replaced(connection.policy.protected, lambda name: {name} | known.ids(name))
    return connection.model_copy(
        update={
            "scope": connection.scope.model_copy(update={"exclude": exclude}),
            "policy": connection.policy.model_copy(update={"protected": protected}),
        }
    )


def _replaced(names: Iterable[str], meant: Callable[[str], Iterable[str]]) -> list[str]:
    return [one for name in names for one in sorted(meant(name))]


def asserted_ids(connection: Connection, bindings: Bindings) -> Mapping[str, frozenset[str]]:
    """Return the object ids of the names that assertions name, by the name as it was sent."""
    known = bindings.for_tenant(connection.tenant_id)
    named = [place.name for place in _of_assertions(connection.assertions)]
    return {name: ids for name in named if (ids := known.ids(name))}

"""Attributes that a connection names and Graph does not have: each with the nearest that it has. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from sync_core.domain.attributes import MANAGER, property_path
from sync_core.domain.catalog.attributes import FILTERS
from sync_core.domain.catalog.schema import Property
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.scope import BELONGING
from sync_core.domain.errors import FieldProblem
from sync_core.domain.expressions.attributes import Choice, Step
from sync_core.domain.mapping.compile import names_of

# No properties of a user, or checked elsewhere.
OTHERS = frozenset({*BELONGING, MANAGER})
# Read of everybody since long and in each cloud: with these alone nobody needs the schema, which is some MB.
WELL_KNOWN = frozenset(FILTERS) | {"preferredLanguage"}
# How alike a name has to be to be meant; "departement" and "department" are 0.95.
ALIKE = 0.7

Named = tuple[str, str]


def attributes_named(connection: Connection) -> Iterator[Named]:
    """Return the path and the name of every attribute that scope and mapping name."""
    for number, each in enumerate(connection.scope.filters):
        for place, clause in enumerate(each.clauses):
            yield f"scope.filters[{number}].clauses[{place}].attribute", clause.attribute
    for number, rule in enumerate(connection.mapping):
        field = "source" if rule.source is not None else "expression"
        for name in sorted(names_of(rule)):
            yield f"mapping[{number}].{field}", name


def needs_schema(named: Iterable[Named]) -> bool:
    """Whether an attribute is named that not every directory is known to have."""
    return any(not _is_well_known(property_path(name)) for _, name in named)


def _is_well_known(path: Sequence[Step]) -> bool:
    head, *inner = path
    return head in OTHERS or (head in WELL_KNOWN and all(isinstance(one, int) for one in inner))


def unknown_attributes(
    named: Iterable[Named], properties: Iterable[Property]
) -> list[FieldProblem]:
    """Say of each attribute that Graph's schema does not have where it is named, and what may be meant."""
    known = {one.name: one for one in properties}
    found = ((path, name, _suggestion(property_path(name), known)) for path, name in named)
    return [FieldProblem(path, said(name, near)) for path, name, near in found if near is not None]


def said(name: str, near: Sequence[str]) -> str:
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return (
        f"Microsoft Graph has no attribute {name} of a user.{meant} "
        "GET /api/connections/{id}/attributes lists what the tenant has"
    )


def _suggestion(path: Sequence[Step], known: Mapping[str, Property]) -> list[str] | None:
    """Return what may be meant, perhaps nothing; None where there is such an attribute."""
    head = str(path[0])
    # Extensions of a tenant are no part of the schema: extension_<app>_<name>, <id>_<name>.
    if head in OTHERS or "_" in head:
        return None
    found = known.get(head)
    if found is None:
        return nearest(head, known)
    parts = [one.name for one in found.parts]
    inner = [one.field if isinstance(one, Choice) else one for one in path[1:]]
    strange = [one for one in inner if isinstance(one, str) and one not in parts]
    if not parts or not strange:
        return None
    return [f"{head}.{part}" for part in nearest(strange[0], parts)]


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to two names that are nearly the same, whatever the case of their letters."""
    by_lower = {one.lower(): one for one in known}
    if same := by_lower.get(name.lower()):
        return [same]
    return [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=2, cutoff=ALIKE)]

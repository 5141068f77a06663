"""Whether two connections bring in the same people: documents in, problems out. Pure."""

from collections.abc import Iterable

import orjson

from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.scope import BELONGING, GROUPS, Clause
from sync_core.domain.errors import FieldProblem


def chosen_people(connection: Connection) -> bytes | None:
    """Return the tenant and the scope, the same for the same words in another order; None for nobody."""
    scope = connection.scope
    if connection.tenant_id is None or not (scope.filters or scope.everyone):
        return None
    filters = sorted(
        {tuple(sorted({_test(one) for one in each.clauses})) for each in scope.filters}
    )
    by_group = any(one.attribute == GROUPS for each in scope.filters for one in each.clauses)
    nested = scope.nested_groups or not by_group
    out = sorted({name.casefold() for name in scope.exclude})
    return orjson.dumps([connection.tenant_id, filters, nested, scope.guests, scope.agents, out])


def _test(clause: Clause) -> tuple[str, str, tuple[str, ...], bool]:
    fold = str.lower if clause.attribute in BELONGING else str
    values = {fold(orjson.dumps(value).decode()) for value in clause.values}
    drops_absent = clause.null_matches is False
    return clause.attribute, clause.operator.value, tuple(sorted(values)), drops_absent


def doubled_people(connection: Connection, others: Iterable[Connection]) -> list[FieldProblem]:
    """Refuse a second connection to the same people: two would make everybody twice."""
    mine = chosen_people(connection)
    if mine is None:
        return []
    return [
        FieldProblem(
            "scope",
            f"is the scope of the connection {other.id!r} for the same tenant, so the same people would "
            "be stored twice; choose other people here, or change or delete that connection",
        )
        for other in others
        if other.id != connection.id and chosen_people(other) == mine
    ][:1]

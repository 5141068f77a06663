"""Columns that a connection's assertions name and its mapping does not fill: each with the nearest. Pure."""

from sync_core.domain.connections.unknown_attributes import nearest
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FieldProblem


def unknown_columns(connection: Connection) -> list[FieldProblem]:
    """Say of each column that an assertion counts people by, and no rule fills, what may be meant."""
    targets = [rule.target for rule in connection.mapping]
    return [
        FieldProblem(
            f"assertions[{number}].where.{column}", _said(column, nearest(column, targets))
        )
        for number, assertion in enumerate(connection.assertions)
        for column in assertion.where or ()
        if column not in targets
    ]


def _said(column: str, near: list[str]) -> str:
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"No rule of the mapping fills a column {column}.{meant}"

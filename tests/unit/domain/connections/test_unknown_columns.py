"""Columns that assertions count people by, and that no rule fills: where, and what may be meant."""

from typing import Any

from sync_core.domain.connections.unknown_columns import unknown_columns
from tests.unit.builders import connection

MAPPING = [{"target": "role", "source": "jobTitle"}, {"target": "email", "source": "mail"}]


def counted(**columns: Any) -> dict[str, Any]:
    return {"atLeast": 1, "where": columns}


def test_each_column_that_no_rule_fills_is_named_with_the_nearest() -> None:
    found = unknown_columns(
        connection(
            mapping=MAPPING,
            assertions=[
                counted(role="admin"),
                {"atMost": 9},
                counted(email="x", roles="admin"),
                counted(colour="red"),
            ],
        )
    )

    assert [(one.path, one.message) for one in found] == [
        (
            "assertions[2].where.roles",
            "No rule of the mapping fills a column roles. Did you mean role?",
        ),
        ("assertions[3].where.colour", "No rule of the mapping fills a column colour."),
    ]

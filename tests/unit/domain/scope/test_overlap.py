"""Two connections bring in the same people if their scopes say the same, in whatever order."""

from typing import Any

import pytest

from sync_core.domain.documents.connection import Connection
from sync_core.domain.scope.overlap import chosen_people, doubled_people
from tests.unit.builders import ADMINS, SALES, clause, connection, in_groups, scope

SALES_OR_ADMINS = [in_groups(SALES, ADMINS)]
IN_SALES = [clause("department", "IN", ["Sales"]), clause("city", "NOT EQUALS", "Bonn")]


def with_scope(*filters: list[dict[str, Any]], **changes: Any) -> Connection:
    return connection(scope=scope(*filters, **changes))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            with_scope(SALES_OR_ADMINS), with_scope([in_groups(ADMINS, SALES)]), id="values"
        ),
        pytest.param(
            with_scope([in_groups(SALES)]), with_scope([in_groups(SALES.upper())]), id="ids"
        ),
        pytest.param(with_scope(IN_SALES), with_scope(IN_SALES[::-1]), id="clauses"),
        pytest.param(
            with_scope(IN_SALES, SALES_OR_ADMINS),
            with_scope(SALES_OR_ADMINS, IN_SALES, IN_SALES),
            id="filters, one of them twice",
        ),
        pytest.param(
            with_scope(IN_SALES, exclude=["a@x.org", "b@x.org"]),
            with_scope(IN_SALES, exclude=["B@X.org", "a@x.org"]),
            id="excluded people",
        ),
        pytest.param(
            with_scope(IN_SALES, nestedGroups=False),
            with_scope(IN_SALES),
            id="nested groups where no group is asked for",
        ),
    ],
)
def test_the_same_in_other_words(one: Connection, other: Connection) -> None:
    assert chosen_people(one) == chosen_people(other) is not None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(with_scope([IN_SALES[0]]), id="a clause less"),
        pytest.param(
            with_scope([IN_SALES[0], IN_SALES[1] | {"nullMatches": False}]), id="without a city"
        ),
        pytest.param(with_scope([clause("department", "IN", ["sales"]), IN_SALES[1]]), id="case"),
        pytest.param(with_scope(IN_SALES, guests="only"), id="guests"),
        pytest.param(with_scope(IN_SALES, exclude=["a@x.org"]), id="somebody excluded"),
        pytest.param(
            connection(scope=scope(IN_SALES), tenantId="22222222-2222-3333-4444-555555555555"),
            id="another tenant",
        ),
        pytest.param(with_scope(everyone=True), id="everyone"),
    ],
)
def test_others(other: Connection) -> None:
    assert chosen_people(other) not in {None, chosen_people(with_scope(IN_SALES))}


def test_members_of_nested_groups_make_a_difference() -> None:
    flat = with_scope(SALES_OR_ADMINS, nestedGroups=False)

    assert chosen_people(flat) != chosen_people(with_scope(SALES_OR_ADMINS))


@pytest.mark.parametrize(
    "nobody",
    [
        pytest.param(with_scope(), id="no filter"),
        pytest.param(connection(scope=scope(IN_SALES), tenantId=None), id="no tenant yet"),
    ],
)
def test_nobody_is_nobodys_double(nobody: Connection) -> None:
    assert chosen_people(nobody) is None
    assert doubled_people(nobody, [nobody.model_copy(update={"id": "fabrikam"})]) == []


def test_the_first_double_is_named_and_a_connection_is_none_of_its_own() -> None:
    mine = with_scope(IN_SALES)
    fabrikam, adatum = (mine.model_copy(update={"id": name}) for name in ("fabrikam", "adatum"))

    [problem] = doubled_people(mine, [mine, with_scope(), fabrikam, adatum])

    assert problem.path == "scope"
    assert "of the connection 'fabrikam'" in problem.message

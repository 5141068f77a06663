"""The list of groups and one group, as Graph answers and refuses."""

from urllib.parse import quote

import pytest

from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, error_code

SALES = sample_group_id(4)


def test_groups_come_with_their_default_properties(reader: Application) -> None:
    group = reader.ask("/groups?$top=1").json()["value"][0]

    assert {"id", "displayName", "groupTypes", "securityEnabled", "visibility"} <= group.keys()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("$filter=displayName eq 'sales'", {"Sales"}, id="eq"),
        pytest.param(
            "$filter=startsWith(displayName,'s')", {"Sales", "Site Reliability", "Shared Services"},
            id="startsWith",
        ),
        pytest.param(
            "$filter=groupTypes/any(t:t eq 'Unified')", {"Company News", "Project Aurora"}, id="any"
        ),
    ],
)  # fmt: skip
def test_groups_can_be_filtered(reader: Application, query: str, names: set[str]) -> None:
    found = reader.items(f"/groups?{query}&$select=displayName")

    assert {group["displayName"] for group in found} == names


@pytest.mark.parametrize(
    ("search", "status"),
    [
        pytest.param('"displayName:say \\"hi\\""', 200, id="escaped quote"),
        pytest.param('"displayName:a\\\\b"', 200, id="escaped backslash"),
        pytest.param('"displayName:say "hi""', 400, id="bare quote"),
        pytest.param('"displayName:a\\"', 400, id="bare backslash at the end"),
    ],
)
def test_quotes_and_backslashes_are_escaped_in_a_search(
    reader: Application, search: str, status: int
) -> None:
    assert reader.eventual(f"/groups?$search={quote(search)}").status_code == status


def test_groups_can_be_searched(reader: Application) -> None:
    search = quote('"displayName:engin"')
    found = reader.eventual(f"/groups?$search={search}&$select=displayName").json()["value"]

    assert [group["displayName"] for group in found] == ["Engineering", "Platform Engineering"]


def test_groups_are_paged(reader: Application) -> None:
    pages = reader.pages("/groups?$select=id&$top=5")

    assert [len(page["value"]) for page in pages] == [5, 5, 2]


def test_one_group_and_a_missing_one(reader: Application) -> None:
    answer = reader.ask(f"/groups/{SALES}?$select=id,displayName")
    missing = reader.ask(f"/groups/{SALES[::-1]}")

    document = answer.json()
    document.pop("@odata.context")
    assert document == {"id": SALES, "displayName": "Sales"}
    assert (missing.status_code, error_code(missing)) == (404, "Request_ResourceNotFound")

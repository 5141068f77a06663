"""`/groups`: the groups of a tenant to choose from, through the real search of Graph."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from kiota_abstractions.headers_collection import HeadersCollection

from local.graph import GraphEmulator
from local.sample import SAMPLE_ROLES, sample_group_id
from sync_core.api.http.paging import to_cursor
from sync_core.directory import group_search
from sync_core.services import Services
from tests.api.conftest import Create, paths
from tests.api.description import mismatches
from tests.system import Rig

QUOTED = 'The "A" team \\ back'
AURORA = sample_group_id(10)


@pytest.fixture(scope="module")
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=60, groups=12, seed=3, tls=rig.tls) as running:
        running.control.create_group(QUOTED)
        running.control.create_group("O'Brien's friends")
        dynamic = {"groupTypes": ["DynamicMembership"], "description": "Everybody in Zürich"}
        running.control.create_group("Zürich", values=dynamic)
        yield running


@pytest.fixture
async def url(create: Create, connection_id: str) -> str:
    await create()
    return f"/api/connections/{connection_id}/groups"


async def found(client: httpx.AsyncClient, url: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(url, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def names(page: dict[str, Any]) -> list[str]:
    return [one["displayName"] for one in page["items"]]


async def test_without_a_search_all_groups_come_by_name(
    reader: httpx.AsyncClient, url: str
) -> None:
    page = await found(reader, url)

    assert len(names(page)) == 15
    assert names(page) == sorted(names(page), key=str.casefold)
    assert page["next"] is None


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        pytest.param("engin", ["Engineering", "Platform Engineering"], id="beginning of a word"),
        pytest.param(" engineering PLATFORM ", ["Platform Engineering"], id="any order"),
        pytest.param("sample application", ["App users"], id="description"),
        pytest.param('"A" team', [QUOTED], id="quotes"),
        pytest.param("\\ back", [QUOTED], id="backslash"),
        pytest.param('x" OR "displayName:sales', [], id="a query inside of the text"),
        pytest.param("O'Brien", ["O'Brien's friends"], id="apostrophe"),
        pytest.param("zürich", ["Zürich"], id="other letters"),
        pytest.param("nothing of the kind", [], id="nothing"),
    ],
)
async def test_words_are_found_in_name_and_description(
    reader: httpx.AsyncClient, url: str, search: str, expected: list[str]
) -> None:
    page = await found(reader, url, search=search)

    assert sorted(names(page)) == sorted(expected)
    assert page["searched"] == "words"


async def test_an_id_finds_its_group(reader: httpx.AsyncClient, url: str) -> None:
    page = await found(reader, url, search=AURORA.upper())
    nothing = await found(reader, url, search="9d0c5a9e-0000-0000-0000-5a1f7e2d4c90")

    assert names(page) == ["Project Aurora"]
    assert nothing["items"] == []


async def test_kinds_are_told(reader: httpx.AsyncClient, url: str) -> None:
    by_name = {one["displayName"]: one for one in (await found(reader, url))["items"]}

    assert by_name["Sales"]["type"] == "security"
    assert by_name["Company News"]["type"] == "microsoft365"
    assert by_name["Zürich"]["dynamic"] is True
    assert by_name["Project Aurora"]["hiddenMembership"] is True
    assert by_name["Project Aurora"]["members"] is None


async def test_members_are_counted_when_asked_for(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    page = await found(reader, url, members="true")

    counted = {one["id"]: one["members"] for one in page["items"]}
    for group in emulator.control.groups():
        assert counted[group["id"]] == (None if group["id"] == AURORA else group["people"])


async def test_counting_many_is_refused(reader: httpx.AsyncClient, url: str) -> None:
    answer = await reader.get(url, params={"members": "true", "top": "101"})

    assert answer.status_code == 422
    assert paths(answer) == ["top"]


@pytest.mark.parametrize("search", ["", "e"])
async def test_pages_lead_through_the_whole_list(
    reader: httpx.AsyncClient, url: str, search: str
) -> None:
    whole = await found(reader, url, search=search, top=999)
    seen: list[str] = []
    page = await found(reader, url, search=search, top=2)
    seen += names(page)
    while page["next"]:
        page = await found(reader, url, search=search, top=2, cursor=page["next"])
        assert len(page["items"]) <= 2
        seen += names(page)

    assert seen == names(whole)
    assert len(seen) > 2


async def test_an_ampersand_is_compared_with_the_beginning_of_names(
    reader: httpx.AsyncClient, url: str
) -> None:
    """Graph has a known issue with ampersands in $search; a filter knows them."""
    page = await found(reader, url, search="Finance & c")

    assert names(page) == ["Finance & Controlling"]
    assert page["searched"] == "beginning"


async def test_a_tenant_without_search_compares_the_beginning_of_names(
    reader: httpx.AsyncClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure AD B2C: a search is refused there as it is here without the header that belongs to it."""
    monkeypatch.setattr(group_search, "advanced_headers", HeadersCollection)

    page = await found(reader, url, search="o'br")
    more = await found(reader, url, search="s", top=1)
    last = await found(reader, url, search="s", top=1, cursor=more["next"])

    assert (names(page), page["searched"]) == (["O'Brien's friends"], "beginning")
    assert more["searched"] == last["searched"] == "beginning"


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("{graph}/v1.0/users?$select=id", id="another list"),
        pytest.param("https://graph.example.com/v1.0/groups?$skiptoken=x", id="another host"),
        pytest.param("http://localhost/v1.0/groups", id="another scheme"),
        pytest.param("nonsense", id="no link"),
    ],
)
async def test_a_cursor_leads_to_groups_of_this_tenant_only(
    *,
    reader: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    url: str,
    connection_id: str,
    link: str,
) -> None:
    """The app's token goes with the request, so even a signed link is looked at once more."""
    position = f"words {link.format(graph=emulator.graph_url)}"
    forged = await to_cursor(services, f"groups-{connection_id}", position)
    before = len(emulator.requests)
    answer = await reader.get(url, params={"cursor": forged})

    asked = [one.path for one in emulator.requests[before:] if one.path.startswith("/v1.0")]
    assert answer.status_code == 422
    assert paths(answer) == ["cursor"]
    assert asked == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("$select=id,displayName,members", id="select"),
        pytest.param("$filter=securityEnabled eq true", id="filter"),
        pytest.param("$expand=owners", id="expand"),
    ],
)
async def test_what_graph_is_asked_is_not_a_readers_choice(
    *,
    reader: httpx.AsyncClient,
    emulator: GraphEmulator,
    url: str,
    connection_id: str,
    query: str,
) -> None:
    """A cursor holds a link of Graph, with all that is asked for in it; nobody but the app writes one."""
    page = await found(reader, url, top=2)
    link = f"groups-{connection_id}:words {emulator.graph_url}/v1.0/groups?{query}"
    kept = urlsafe_b64decode(page["next"] + "==")[:16]
    forged = [
        urlsafe_b64encode(content).decode().rstrip("=")
        for content in (link.encode(), kept + link.partition(":")[2].encode())
    ]
    before = len(emulator.requests)
    answers = [await reader.get(url, params={"cursor": cursor}) for cursor in forged]

    assert [paths(answer) for answer in answers] == [["cursor"], ["cursor"]]
    assert [one for one in emulator.requests[before:] if one.path.startswith("/v1.0")] == []


async def test_a_link_that_has_expired_is_said_to_be_so(
    *,
    reader: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    url: str,
    connection_id: str,
) -> None:
    old = f"words {emulator.graph_url}/v1.0/groups?$skiptoken=abc"
    cursor = await to_cursor(services, f"groups-{connection_id}", old)
    answer = await reader.get(url, params={"cursor": cursor})

    assert answer.status_code == 422
    assert "begin again" in answer.json()["errors"][0]["message"]


async def test_a_missing_permission_is_named(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    emulator.control.set_roles(["User.Read.All"])
    try:
        answer = await reader.get(url, params={"search": "sales"})
    finally:
        emulator.control.set_roles(SAMPLE_ROLES)

    assert (answer.status_code, answer.json()["code"]) == (502, "graph.permissionMissing")
    assert "GroupMember.Read.All" in answer.json()["remedy"]


async def test_a_connection_that_is_not_there_has_no_groups(reader: httpx.AsyncClient) -> None:
    assert (await reader.get("/api/connections/nothing/groups")).status_code == 404


async def test_the_answer_is_as_described(reader: httpx.AsyncClient, url: str) -> None:
    answer = await found(reader, url, members="true")

    assert mismatches(answer, "GroupList") == []

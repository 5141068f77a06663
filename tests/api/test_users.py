"""Synced people over HTTP: lists, searches, one person, history."""

from typing import Any

import httpx
import pytest

from sync_core.domain.model import Action, Change, Reason, Status
from sync_core.services import Services
from sync_core.store.people import People
from sync_core.store.tables import USERS
from tests.api.conftest import Create, document, paths
from tests.api.stored import RUN, TENANT, apply, creation, disabling, object_id, people

ANN = object_id("a", 1)
BEN = object_id("b", 2)
ZOE = object_id("0", 3)


@pytest.fixture
def users(connection_id: str) -> str:
    return f"/api/connections/{connection_id}/users"


async def all_pages(
    client: httpx.AsyncClient, url: str, **params: Any
) -> tuple[list[dict[str, Any]], int]:
    """Give the items of all pages and how many pages there were."""
    found: list[dict[str, Any]] = []
    pages, cursor = 0, None
    while cursor is not None or pages == 0:
        answer = await client.get(url, params=params | ({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        pages += 1
    return found, pages


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["objectId"] for item in items]


@pytest.mark.parametrize(
    ("top", "expected_pages"),
    [
        pytest.param(1, 40, id="one by one"),
        pytest.param(7, 6, id="pages across partitions"),
        pytest.param(40, 1, id="exactly all"),
        pytest.param(999, 1, id="more than there are"),
    ],
)
async def test_everybody_is_listed_once(
    *,
    reader: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    users: str,
    top: int,
    expected_pages: int,
) -> None:
    await create()
    expected = await people(services, connection_id, 40)
    found, pages = await all_pages(reader, users, top=top)

    assert ids(found) == expected
    assert pages == expected_pages


async def test_a_list_does_not_reach_into_a_connection_with_a_longer_id(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    users: str,
) -> None:
    """`contoso-0` is a partition of "contoso" and may be a connection of its own."""
    neighbours = [f"{connection_id}-0", f"{connection_id}-f", f"{connection_id}0"]
    await create()
    for one in neighbours:
        await admin.post("/api/connections", json=document(one))
        await people(services, one, 16)
    await apply(services, connection_id, creation(ZOE), creation(ANN))
    mine, _ = await all_pages(admin, users)
    theirs, _ = await all_pages(admin, f"/api/connections/{neighbours[0]}/users")

    assert ids(mine) == [ZOE, ANN]
    assert len(theirs) == 16
    assert {person["connectionId"] for person in theirs} == {neighbours[0]}


async def test_rows_of_an_application_are_not_people(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, users: str
) -> None:
    """Applications may keep rows of their own beside ours."""
    await create()
    await apply(services, connection_id, creation(ANN))
    table = await services.store.tables.table(USERS)
    await table.create_entity({"PartitionKey": f"{connection_id}-a", "RowKey": "a-session"})
    found, _ = await all_pages(reader, users)

    assert ids(found) == [ANN]


async def test_a_person_has_the_columns_and_the_attributes(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, users: str
) -> None:
    await create()
    values: dict[str, Any] = {
        "displayName": "Ann Åström",
        "email": None,
        "employeeNumber": 9_000_000_000,
        "small": 7,
        "rate": 1.0,
        "boss": True,
    }
    await apply(services, connection_id, creation(ANN, "ann@contoso.com", **values))
    answer = await reader.get(f"{users}/{ANN.upper()}")
    listed, _ = await all_pages(reader, users)

    assert answer.json() == {
        "objectId": ANN,
        "status": "active",
        "origin": "auto",
        "connectionId": connection_id,
        "tenantId": TENANT,
        "userPrincipalName": "ann@contoso.com",
        "createdAt": "2026-03-01T12:00:00Z",
        "updatedAt": "2026-03-01T12:00:00Z",
        "disabledAt": None,
        "disabledReason": None,
        "lastRunId": RUN,
        "importRunId": None,
        "until": None,
        "attributes": {"userName": "ann@contoso.com"} | values,
        "linkedFrom": None,
        "linkedBy": None,
        "linkedObjectId": None,
        "takenOverFrom": None,
    }
    assert listed == [answer.json()]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param("active", [ANN], id="active"),
        pytest.param("disabled", [BEN], id="disabled"),
    ],
)
async def test_people_by_status(
    *,
    reader: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    users: str,
    status: str,
    expected: list[str],
) -> None:
    await create()
    await apply(services, connection_id, creation(ANN), creation(BEN))
    await apply(services, connection_id, disabling(BEN), minutes=5)
    found, _ = await all_pages(reader, users, status=status)

    assert ids(found) == expected
    assert found[0]["disabledReason"] == ("leftScope" if status == "disabled" else None)
    assert found[0]["disabledAt"] == ("2026-03-01T12:05:00Z" if status == "disabled" else None)


async def test_a_status_that_does_not_exist(
    reader: httpx.AsyncClient, create: Create, users: str
) -> None:
    await create()
    answer = await reader.get(users, params={"status": "gone"})

    assert paths(answer) == ["status"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        pytest.param("ANN@", [ANN], id="user name in any case"),
        pytest.param("åström", [ANN], id="display name"),
        pytest.param("a\u030astro\u0308m", [ANN], id="letters of several characters"),
        pytest.param("STRASSE", [BEN], id="folded letters"),
        pytest.param("ben@mail", [BEN], id="mail"),
        pytest.param(ANN[4:12], [ANN], id="part of an object id"),
        pytest.param(ANN.upper(), [ANN], id="whole object id"),
        pytest.param("contoso.com", [ANN, BEN], id="both"),
        pytest.param("' or 1 eq 1", [], id="not a filter"),
        pytest.param("Sales", [], id="other targets are not searched"),
        pytest.param("  ", [ANN, BEN], id="blanks are no search"),
    ],
)
async def test_search(
    *,
    reader: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    users: str,
    search: str,
    expected: list[str],
) -> None:
    await create()
    await apply(
        services,
        connection_id,
        creation(ANN, "ann@contoso.com", displayName="Ann Åström", department="Sales"),
        creation(BEN, "ben@contoso.com", displayName="Ben Straße", email="ben@mail.example"),
    )
    found, _ = await all_pages(reader, users, search=search)

    assert ids(found) == expected


async def test_a_search_looks_at_so_many_rows_at_a_time(
    create: Create, connection_id: str, services: Services
) -> None:
    """A call stays short in a large table; the cursor leads on even where nobody was found."""
    await create()
    expected = await people(services, connection_id, 48)
    store = People(services.store.tables, connection_id, scanned_rows=10)
    found, calls, after = list[str](), 0, None
    while calls == 0 or after is not None:
        page, after = await store.page(top=5, after=after, search=expected[-1])
        found += [person.object_id for person in page]
        calls += 1

    assert found == [expected[-1]]
    assert 3 < calls < 10


async def test_only_a_connection_s_own_people_are_read(
    connection_id: str, services: Services
) -> None:
    """Neither history nor the people of a connection whose id begins alike cost a list anything."""
    for neighbour in (f"{connection_id}-0", f"{connection_id}-f"):
        await people(services, neighbour, 16)
    expected = await people(services, connection_id, 16)
    store = People(services.store.tables, connection_id, scanned_rows=17)
    found, after = await store.page(top=999)

    assert [person.object_id for person in found] == expected
    assert after is None, "a row that was not ours was looked at"


async def test_a_search_and_a_status_go_together(
    create: Create, connection_id: str, services: Services
) -> None:
    await create()
    await apply(services, connection_id, creation(ANN), creation(BEN))
    await apply(services, connection_id, disabling(BEN), minutes=5)
    store = services.store.people(connection_id)
    found, _ = await store.page(top=5, status=Status.DISABLED, search="contoso.com")

    assert [person.object_id for person in found] == [BEN]


@pytest.mark.parametrize("path", [f"/{ANN}", "/ann@contoso.com", "/a%23", f"/{ANN}/history"])
async def test_somebody_who_is_not_there(
    reader: httpx.AsyncClient, create: Create, users: str, path: str
) -> None:
    await create()
    answer = await reader.get(users + path)

    assert (answer.status_code, answer.json()["code"]) == (404, "user.notFound")


@pytest.mark.parametrize("path", ["", f"/{ANN}", f"/{ANN}/history"])
async def test_people_of_a_connection_that_is_not_there(
    reader: httpx.AsyncClient, users: str, path: str
) -> None:
    answer = await reader.get(users + path)

    assert (answer.status_code, answer.json()["code"]) == (404, "connection.notFound")


async def test_history_tells_newest_first_what_changed_and_why(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, users: str
) -> None:
    await create()
    await apply(services, connection_id, creation(ANN, "ann@contoso.com", department="Sales"))
    update = Change(
        Action.UPDATE,
        ANN,
        "ann@contoso.com",
        values={"userName": "ann@contoso.com", "department": "Legal"},
        before={"userName": "ann@contoso.com", "department": "Sales"},
    )
    await apply(services, connection_id, update, minutes=5)
    gone = disabling(ANN, Reason.HARD_DELETED, evidence={"user": 404, "deletedItems": 404})
    await apply(services, connection_id, gone, minutes=9)
    found, _ = await all_pages(reader, f"{users}/{ANN}/history")

    assert [(one["at"], one["action"], one["reason"]) for one in found] == [
        ("2026-03-01T12:09:00Z", "disable", "hardDeleted"),
        ("2026-03-01T12:05:00Z", "update", None),
        ("2026-03-01T12:00:00Z", "create", None),
    ]
    assert found[0]["evidence"] == {"user": 404, "deletedItems": 404}
    assert found[1]["fields"] == {"department": ["Sales", "Legal"]}
    assert {one["runId"] for one in found} == {RUN}


async def test_history_comes_page_by_page_and_of_one_person(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, users: str
) -> None:
    await create()
    other = object_id("a", 99)
    await apply(services, connection_id, creation(ANN), creation(other))
    for minutes in (1, 2, 3):
        await apply(services, connection_id, disabling(ANN), disabling(other), minutes=minutes)
    found, pages = await all_pages(reader, f"{users}/{ANN}/history", top=2)
    times = [one["at"] for one in found]

    assert (len(times), pages) == (4, 2)
    assert times == sorted(times, reverse=True)


async def test_the_history_of_somebody_who_was_deleted_stays(
    *, reader: httpx.AsyncClient, create: Create, connection_id: str, services: Services, users: str
) -> None:
    await create()
    await apply(services, connection_id, creation(ANN))
    await apply(services, connection_id, Change(Action.DELETE, ANN), minutes=5)
    found, _ = await all_pages(reader, f"{users}/{ANN}/history")

    assert [one["action"] for one in found] == ["delete", "create"]
    assert (await reader.get(f"{users}/{ANN}")).status_code == 404


@pytest.mark.parametrize("path", ["", f"/{BEN}/history"])
async def test_a_cursor_of_another_list_is_refused(
    *,
    reader: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    users: str,
    path: str,
) -> None:
    await create()
    await apply(services, connection_id, creation(ANN), creation(BEN))
    await apply(services, connection_id, disabling(ANN), minutes=1)
    cursor = (await reader.get(f"{users}/{ANN}/history", params={"top": 1})).json()["next"]
    answer = await reader.get(users + path, params={"cursor": cursor})

    assert cursor is not None
    assert paths(answer) == ["cursor"]

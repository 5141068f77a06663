"""Matches over HTTP: the queue, the decisions, the links, and breaking them."""

from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from sync_core.domain.matching.decide import Wait, Why
from sync_core.domain.model import Change, Link
from sync_core.people import links
from sync_core.runs.hold import held
from sync_core.services import Services
from sync_core.store.matches import Match, MatchStore
from sync_core.store.tables import USERS
from sync_core.store.wire import point
from tests.api.conftest import Create, Json, document, paths
from tests.api.stored import BEGIN, apply, creation, disabling, object_id
from tests.system import group_scope, run_now

ANN, BEN, CAT, OLD = (object_id(digit, 1) for digit in "abcd")


@pytest.fixture
def matches(connection_id: str) -> str:
    return f"/api/connections/{connection_id}/matches"


@pytest.fixture
async def store(services: Services, create: Create, connection_id: str) -> MatchStore:
    """Give the queue of a connection with Ann in it, who found two rows."""
    await create(matching=["email"])
    store = services.store.matches(connection_id)
    rows = tuple(f"{connection_id}-a|app-{number}" for number in (1, 2))
    await wait(store, ANN, Wait(Why.SEVERAL_ROWS, "email", rows))
    return store


async def wait(store: MatchStore, person: str, why: Wait) -> None:
    await store.save_waits([Match(person, f"{person[0]}@contoso.com", why, BEGIN)], {})


async def put(services: Services, connection_id: str, row_key: str, **columns: Any) -> str:
    table = await services.store.tables.table(USERS)
    partition = f"{connection_id}-a"
    await table.create_entity({"PartitionKey": partition, "RowKey": row_key} | columns)
    return f"{partition}|{row_key}"


def linked(person: str, row: str, by: str = "email") -> Change:
    partition, _, row_key = row.partition("|")
    change = creation(person, email="x@contoso.com")
    change.link = Link(partition, row_key, by)
    return change


async def test_the_queue_says_who_waits_and_why(
    reader: httpx.AsyncClient, store: MatchStore, matches: str, connection_id: str
) -> None:
    await wait(store, BEN, Wait(Why.SAME_AS_FORMER, "email", (), (CAT, OLD), (OLD,)))

    answer = (await reader.get(matches)).json()

    ann, ben = answer["items"]
    assert answer["next"] is None
    assert ann == {
        "objectId": ANN,
        "userPrincipalName": "a@contoso.com",
        "status": "waiting",
        "key": "email",
        "why": "severalRows",
        "message": "Waits for a decision: several rows of the table have the same email.",
        "row": None,
        "candidates": [
            {"row": f"{connection_id}-a|app-1", "kind": "application"},
            {"row": f"{connection_id}-a|app-2", "kind": "application"},
        ],
        "people": [],
        "since": "2026-03-01T12:00:00Z",
        "decision": None,
    }
    assert ben["candidates"] == [{"row": f"{connection_id}-d|{OLD}", "kind": "former"}]
    assert ben["people"] == [CAT, OLD]


async def test_the_queue_comes_page_by_page(
    reader: httpx.AsyncClient, store: MatchStore, matches: str
) -> None:
    for person in (BEN, CAT):
        await wait(store, person, Wait(Why.SEVERAL_PEOPLE, "email"))
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"top": "2"} | ({"cursor": cursor} if cursor else {})
        answer = (await reader.get(matches, params=params)).json()
        found += [one["objectId"] for one in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break

    assert found == [ANN, BEN, CAT]


async def test_nobody_waits_where_nothing_is_matched(
    admin: httpx.AsyncClient, store: MatchStore, matches: str, connection_id: str
) -> None:
    await admin.patch(f"/api/connections/{connection_id}", json={"matching": []})
    off = (await admin.get(matches)).json()
    await admin.patch(f"/api/connections/{connection_id}", json={"matching": ["email"]})
    on = (await admin.get(matches)).json()

    assert off == {"items": [], "next": None}
    assert [one["objectId"] for one in on["items"]] == [ANN]


@pytest.mark.parametrize("params", [{"cursor": "nonsense"}, {"status": "lost"}, {"top": "0"}])
async def test_questions_that_cannot_be_answered(
    reader: httpx.AsyncClient, store: MatchStore, matches: str, params: dict[str, str]
) -> None:
    assert (await reader.get(matches, params=params)).status_code == 422


@pytest.mark.parametrize(
    ("decision", "status"),
    [("link", "decided"), ("create", "decided"), ("ignore", "ignored")],
)
async def test_a_decision_is_remembered_shown_and_taken_back(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
    decision: str,
    status: str,
) -> None:
    row = await put(services, connection_id, "app-1", email="a@contoso.com")
    body = {"decision": decision} | ({"row": row} if decision == "link" else {})

    decided = await admin.post(f"{matches}/{ANN}", json=body)
    only = (await admin.get(matches, params={"status": status})).json()["items"]
    others = (await admin.get(matches, params={"status": "waiting"})).json()["items"]
    taken_back = await admin.delete(f"{matches}/{ANN}")
    [after] = (await admin.get(matches)).json()["items"]

    assert decided.status_code == 200
    assert [decided.json()] == only
    assert others == []
    assert decided.json()["status"] == status
    assert decided.json()["message"].startswith("Decided. It waited because several rows")
    noted = decided.json()["decision"]
    assert (noted["decision"], noted["row"]) == (decision, body.get("row"))
    assert noted["by"]
    assert noted["at"]
    assert taken_back.status_code == 204
    assert (after["status"], after["decision"]) == ("waiting", None)


async def test_a_row_that_is_not_free_is_refused_at_once(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
) -> None:
    await apply(services, connection_id, creation(BEN))
    taken = await put(services, connection_id, "taken", LinkedObjectId=CAT)
    rows = {
        f"{connection_id}-a|gone": "there is no row",
        taken: f"is linked to {CAT}",
        f"{connection_id}-b|{BEN}": "belongs to an active person",
    }
    for row, said in rows.items():
        answer = await admin.post(f"{matches}/{ANN}", json={"decision": "link", "row": row})

        assert (answer.status_code, answer.json()["code"]) == (409, "match.rowNotFree")
        assert said in answer.json()["detail"]
        assert answer.json()["remedy"]


async def test_a_row_at_the_persons_own_address_is_the_only_choice(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
) -> None:
    home = await put(services, connection_id, ANN)
    created = await admin.post(f"{matches}/{ANN}", json={"decision": "create"})
    at_home = await admin.post(f"{matches}/{ANN}", json={"decision": "link", "row": home})

    assert (created.status_code, created.json()["code"]) == (409, "match.rowNotFree")
    assert at_home.status_code == 200


async def test_a_former_person_may_be_linked(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
) -> None:
    await apply(services, connection_id, creation(OLD))
    await apply(services, connection_id, disabling(OLD), minutes=1)
    row = f"{connection_id}-d|{OLD}"
    answer = await admin.post(f"{matches}/{ANN}", json={"decision": "link", "row": row})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param({}, "decision", id="nothing"),
        pytest.param({"decision": "merge"}, "decision", id="unknown"),
        pytest.param({"decision": "link"}, "row", id="no row"),
        pytest.param({"decision": "link", "row": "app-1"}, "row", id="no partition"),
        pytest.param({"decision": "link", "row": "fabrikam-a|app-1"}, "row", id="another's"),
        pytest.param({"decision": "link", "row": "ID-a|a/b"}, "row", id="no key at all"),
        pytest.param({"decision": "link", "row": "ID-a|a\u0085"}, "row", id="control character"),
        pytest.param({"decision": "create", "row": "ID-a|app-1"}, "row", id="row without link"),
        pytest.param({"decision": "create", "rows": []}, "rows", id="misspelt"),
    ],
)
async def test_decisions_that_say_nothing(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    connection_id: str,
    body: Json,
    path: str,
) -> None:
    if "row" in body:
        body = body | {"row": body["row"].replace("ID", connection_id)}
    answer = await admin.post(f"{matches}/{ANN}", json=body)

    assert answer.status_code == 422
    assert paths(answer) == [path]


async def test_nobody_waits_and_nobody_is_linked(
    admin: httpx.AsyncClient, store: MatchStore, matches: str
) -> None:
    unknown = await admin.post(f"{matches}/{BEN}", json={"decision": "create"})
    unlinked = await admin.delete(f"{matches}/{ANN}")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "match.notFound")
    assert (unlinked.status_code, unlinked.json()["code"]) == (404, "match.notLinked")


async def test_links_are_listed_and_a_wrong_one_is_broken(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
) -> None:
    rows = [await put(services, connection_id, f"app-{number}") for number in (1, 2)]
    await apply(services, connection_id, linked(BEN, rows[0]), linked(CAT, rows[1], "decision"))
    url = f"/api/connections/{connection_id}/users/{BEN}"

    listed = (await admin.get(matches, params={"status": "linked"})).json()["items"]
    person = (await admin.get(url)).json()
    broken = await admin.delete(f"{matches}/{BEN}")
    left = (await admin.get(matches, params={"status": "linked"})).json()["items"]

    assert [one["objectId"] for one in listed] == [BEN, CAT]
    assert listed[0]["message"] == f"Linked by email to the row {rows[0]}."
    assert (listed[0]["status"], listed[0]["row"]) == ("linked", rows[0])
    assert (person["linkedFrom"], person["linkedBy"]) == (rows[0], "email")
    assert broken.status_code == 204
    assert [one["objectId"] for one in left] == [CAT]
    history = (await admin.get(f"{url}/history")).json()["items"]
    assert [entry["link"]["broken"] for entry in history] == [True, False]
    assert (await admin.get(url)).json()["linkedFrom"] is None


async def test_no_link_is_broken_while_a_run_is_under_way(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run has read both rows, and would write what it made of them."""
    monkeypatch.setattr(links, "WAIT_S", 0.1)
    row = await put(services, connection_id, "app-1")
    await apply(services, connection_id, linked(BEN, row))
    async with held(services, connection_id, budget=None):
        refused = await admin.delete(f"{matches}/{BEN}")
    broken = await admin.delete(f"{matches}/{BEN}")

    assert (refused.status_code, refused.json()["code"]) == (409, "connection.runUnderWay")
    assert broken.status_code == 204


async def test_a_row_that_was_adopted_in_place_cannot_be_given_back(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
) -> None:
    await put(services, connection_id, ANN)
    adopted = linked(ANN, f"{connection_id}-a|{ANN}", "objectId")
    adopted.link = Link(f"{connection_id}-a", ANN, "objectId", in_place=True)
    await apply(services, connection_id, adopted)
    answer = await admin.delete(f"{matches}/{ANN}")

    assert (answer.status_code, answer.json()["code"]) == (409, "match.inPlace")


async def test_a_link_whose_row_is_gone_is_broken_all_the_same(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
) -> None:
    row = await put(services, connection_id, "app-1")
    await apply(services, connection_id, linked(BEN, row))
    table = await services.store.tables.table(USERS)
    await table.delete_entity(f"{connection_id}-a", "app-1")

    assert (await admin.delete(f"{matches}/{BEN}")).status_code == 204


async def test_what_was_changed_meanwhile_is_told(
    *,
    admin: httpx.AsyncClient,
    store: MatchStore,
    matches: str,
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two administrators decide at once, or a run writes the row whose link is broken."""
    stale = await store.find(ANN)
    row = await put(services, connection_id, "app-1")
    await apply(services, connection_id, linked(BEN, row))
    await admin.post(f"{matches}/{ANN}", json={"decision": "create"})

    async def outdated(self: MatchStore, _: str) -> Match | None:
        return stale

    with monkeypatch.context() as patch:
        patch.setattr(MatchStore, "find", outdated)
        decided = await admin.post(f"{matches}/{ANN}", json={"decision": "ignore"})

    async def then_changed(table: Any, partition: str, row_key: str) -> Any:
        found = await point(table, partition, row_key)
        if row_key == BEN:
            await table.update_entity({"PartitionKey": partition, "RowKey": row_key, "x": 1})
        return found

    monkeypatch.setattr("sync_core.store.links.point", then_changed)
    broken = await admin.delete(f"{matches}/{BEN}")
    monkeypatch.undo()

    for answer in (decided, broken):
        assert (answer.status_code, answer.json()["code"]) == (409, "match.changedMeanwhile")
    assert (await admin.delete(f"{matches}/{BEN}")).status_code == 204


@pytest.mark.parametrize("users", ["keep", "delete"])
async def test_a_deleted_connection_forgets_its_matches(
    *, admin: httpx.AsyncClient, store: MatchStore, connection_id: str, users: str
) -> None:
    await admin.delete(f"/api/connections/{connection_id}", params={"users": users})

    assert await store.all() == {}


async def test_from_the_first_run_to_the_decision(
    *,
    admin: httpx.AsyncClient,
    services: Services,
    emulator: GraphEmulator,
    matches: str,
    connection_id: str,
) -> None:
    """What an administrator does: sync, look, decide, sync, and look at the person."""
    person = emulator.control.create_person({"mail": "ann@contoso.com"})["id"]
    group = emulator.control.create_group("One", members=[person])["id"]
    rows = [await put(services, connection_id, f"app-{n}", email="ann@contoso.com") for n in (1, 2)]
    body = document(connection_id, scope=group_scope(group), matching=["email"])
    assert (await admin.post("/api/connections", json=body)).status_code == 201

    waited = await run_now(services, connection_id)
    [match] = (await admin.get(matches)).json()["items"]
    row = match["candidates"][1]["row"]
    await admin.post(f"{matches}/{person}", json={"decision": "link", "row": row})
    linked = await run_now(services, connection_id)

    assert [error.code for error in waited.errors] == ["match.waiting"]
    assert f"/api/connections/{connection_id}/matches" in waited.errors[0].message
    assert row == rows[1]
    assert linked.counts.linked == 1
    assert (await admin.get(matches)).json()["items"] == []
    users = f"/api/connections/{connection_id}/users/{person}"
    assert (await admin.get(users)).json()["linkedFrom"] == rows[1]
    [entry] = (await admin.get(f"{users}/history")).json()["items"]
    assert entry["link"] == {"row": rows[1], "by": "decision", "rehire": False, "broken": False}

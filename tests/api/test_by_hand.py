"""People to pick from, imports, releases and several people at once, as callers of the API see them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_TENANT_ID
from sync_core.people import candidates
from sync_core.runs import worker
from sync_core.runs.by_name import message_for
from sync_core.services import Services
from sync_core.store.tables import AUDIT
from tests.api.conftest import Create, Json, paths
from tests.api.description import mismatches
from tests.system import group_scope, rows_of, run_now

List = Callable[..., Awaitable[Json]]
_names = count(1)


def url(connection_id: str, rest: str) -> str:
    return f"/api/connections/{connection_id}/{rest}"


@pytest.fixture
def listed(admin: httpx.AsyncClient, connection_id: str) -> List:
    async def page(status: int = 200, **query: Any) -> Json:
        answer = await admin.get(url(connection_id, "candidates"), params=query)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    return page


async def walk(listed: List, cursor: str | None = None, **query: Any) -> list[Json]:
    """Follow a cursor to its end, from the first page where there is none."""
    page = await listed(**query, **({"cursor": cursor} if cursor else {}))
    if page["next"] is None:
        return list(page["items"])
    return [*page["items"], *await walk(listed, page["next"], **query)]


def names(found: Json | list[Json]) -> list[str]:
    items = found["items"] if isinstance(found, dict) else found
    return [one["displayName"] for one in items]


@pytest.fixture
def word() -> str:
    """A name that only this test's people have: the tenant is shared."""
    return f"Quill{next(_names)}"


@pytest.fixture
async def made(create: Create, emulator: GraphEmulator) -> str:
    """The id of a group of one, whose connection has run."""
    member = emulator.control.create_person({"displayName": "Member"})["id"]
    group = str(emulator.control.create_group("Few", members=[member])["id"])
    await create(scope=group_scope(group))
    return group


def granted(emulator: GraphEmulator) -> list[str]:
    """Give what the sample app is allowed to do."""
    [app] = [one for one in emulator.control.apps() if one["appId"] == SAMPLE_CLIENT_ID]
    return list(app["grants"][SAMPLE_TENANT_ID])


@asynccontextmanager
async def by_the_queue(services: Services, connection_id: str) -> AsyncIterator[None]:
    """Do what waits as soon as it is asked for, as the queue would."""

    async def sent(request: Any, *, delay_s: int = 0) -> None:
        if delay_s == 0:
            await worker.handle(services, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services.queue, "send", sent)
        yield


# --- whom to pick ---------------------------------------------------------------------------------


async def test_everybody_of_the_directory_is_listed_once_in_one_order(
    made: str, listed: List, emulator: GraphEmulator
) -> None:
    """Also where Graph gives a page twice, or an empty one, and where somebody is renamed meanwhile."""
    control = emulator.control
    everybody = {one["id"] for one in control.people(top=1_000)}
    control.add_fault("repeatedPage", path="/v1.0/users", times=1)
    control.add_fault("emptyPage", path="/v1.0/users", page=3, times=1)
    first = await listed(top=7)
    control.patch_person(first["items"][0]["objectId"], {"displayName": "zzz"})
    found = [*first["items"], *await walk(listed, first["next"], top=7)]
    again = await walk(listed, top=11)
    ids = [one["objectId"] for one in found]

    assert sorted(ids) == sorted(everybody)
    assert [one["objectId"] for one in again] == ids


async def test_a_large_page_that_graph_gives_twice_is_listed_once(
    *, made: str, listed: List, emulator: GraphEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "MOST_MARKED", 5)
    emulator.control.add_fault("repeatedPage", path="/v1.0/users", times=1)
    ids = [one["objectId"] for one in await walk(listed, top=999)]

    assert sorted(ids) == sorted(one["id"] for one in emulator.control.people(top=1_000))


@pytest.mark.parametrize(
    ("search", "found"),
    [
        pytest.param("{word}", ["Ann {word}", "{word} Zoë", "Ben"], id="any word, and an address"),
        pytest.param("zoë {word}", ["{word} Zoë"], id="words in any order, with an accent"),
        pytest.param("{word} zo", ["{word} Zoë"], id="the start of a word"),
        pytest.param("uill{number}", [], id="not the middle of a word"),
    ],
)
async def test_a_search_finds_words_of_names_and_starts_of_addresses(
    *, made: str, listed: List, emulator: GraphEmulator, word: str, search: str, found: list[str]
) -> None:
    for name in ("Ann {word}", "{word} Zoë"):
        emulator.control.create_person({"displayName": name.format(word=word)})
    emulator.control.create_person({"displayName": "Ben", "mail": f"{word}@contoso.com"})
    page = await listed(search=search.format(word=word, number=word[5:]))

    assert sorted(names(page)) == sorted(one.format(word=word) for one in found)
    assert page["searched"] == "words"


async def test_without_advanced_queries_the_beginnings_of_names_and_addresses_are_found(
    *, made: str, listed: List, emulator: GraphEmulator, word: str
) -> None:
    control = emulator.control
    for given, surname in (("Ann", word), (word, "Zoë"), ("Ben", "Miller")):
        values = {"givenName": given, "surname": surname, "displayName": f"Dr {given} {surname}"}
        control.create_person(values | {"department": "Sales" if given == "Ann" else "Kitchen"})
    control.set_tenant(advanced_queries=False)
    try:
        page = await listed(search=word)
        sales = await listed(search=word, department="Sales")
    finally:
        control.set_tenant(advanced_queries=True)

    assert sorted(names(page)) == sorted([f"Dr Ann {word}", f"Dr {word} Zoë"])
    assert names(sales) == [f"Dr Ann {word}"]
    assert page["searched"] == "beginning"


async def test_people_are_narrowed_down_and_told_by_what_they_are_in(
    *,
    made: str,
    listed: List,
    emulator: GraphEmulator,
    word: str,
    services: Services,
    connection_id: str,
    admin: httpx.AsyncClient,
) -> None:
    control = emulator.control
    kinds: dict[str, Json] = {
        "scope": {},
        "manual": {},
        "guest": {"userType": "Guest"},
        "blocked": {"accountEnabled": False, "jobTitle": "Cook"},
    }
    person = {
        name: control.create_person({"displayName": f"{word} {name}", "department": word} | values)[
            "id"
        ]
        for name, values in kinds.items()
    }
    control.add_members(made, person["scope"])
    await run_now(services, connection_id)
    until = (services.clock() + timedelta(days=9)).date().isoformat()
    async with by_the_queue(services, connection_id):
        body = {"objectIds": [person["manual"]], "until": until}
        await admin.post(url(connection_id, "import"), json=body)
    page = await listed(department=word)
    by_name = {one["displayName"].split()[1]: one for one in page["items"]}
    told = {
        name: (one["imported"], one["blocked"], one["userType"]) for name, one in by_name.items()
    }
    narrowed = {
        asked: sorted(
            name.split()[1] for name in names(await walk(listed, search=word, imported=asked))
        )
        for asked in ("none", "any", "scope", "manual", "match")
    }

    assert told == {
        "scope": ("scope", False, "Member"),
        "manual": ("manual", False, "Member"),
        "guest": (None, False, "Guest"),
        "blocked": (None, True, "Member"),
    }
    assert by_name["manual"]["until"] == until
    assert by_name["blocked"]["jobTitle"] == "Cook"
    assert narrowed == {
        "none": ["blocked", "guest"],
        "any": ["manual", "scope"],
        "scope": ["scope"],
        "manual": ["manual"],
        "match": [],
    }
    assert names(await listed(department=word, userType="Guest")) == [f"{word} guest"]
    assert names(await listed(search=person["guest"])) == [f"{word} guest"]
    assert mismatches(page, "CandidateList") == []


async def test_a_cursor_is_good_for_its_own_list_only(made: str, listed: List) -> None:
    page = await listed(top=5)
    refused = await listed(422, top=5, search="a", cursor=page["next"])

    assert refused["errors"][0]["path"] == "cursor"


async def test_a_permission_that_is_missing_is_named(
    made: str, listed: List, emulator: GraphEmulator
) -> None:
    before = granted(emulator)
    emulator.control.set_roles(["GroupMember.Read.All"])
    try:
        refused = await listed(502)
    finally:
        emulator.control.set_roles(before)

    assert "User.Read.All" in refused["detail"] + refused["remedy"]


# --- bringing people in ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        pytest.param({}, ["objectIds"], id="nobody is named"),
        pytest.param({"objectIds": []}, ["objectIds"], id="an empty list"),
        pytest.param({"objectIds": ["{ann}", "ann@contoso.com"]}, ["objectIds[1]"], id="no id"),
        pytest.param({"objectIds": ["{ann}"], "until": "{today}"}, ["until"], id="today"),
        pytest.param({"objectIds": ["{ann}"], "until": "{later}"}, ["until"], id="in two years"),
        pytest.param({"objectIds": ["{ann}"], "until": "soon"}, ["until"], id="no date"),
        pytest.param({"objectIds": ["{ann}"], "for": "ever"}, ["for"], id="an unknown field"),
        pytest.param({"objectIds": ["{ann}"] * 1_001}, ["objectIds"], id="too many"),
    ],
)
async def test_a_call_that_is_wrong_imports_nobody(
    *,
    made: str,
    admin: httpx.AsyncClient,
    services: Services,
    connection_id: str,
    body: Json,
    wrong: list[str],
) -> None:
    today = services.clock().date()
    text = orjson.dumps(body).decode().replace("{ann}", str(uuid4()))
    text = text.replace("{today}", today.isoformat())
    text = text.replace("{later}", (today + timedelta(days=730)).isoformat())
    headers = {"Content-Type": "application/json"}
    answer = await admin.post(url(connection_id, "import"), content=text, headers=headers)

    assert answer.status_code == 422, answer.text
    assert paths(answer) == wrong
    assert await services.store.named.waiting(connection_id) == []
    assert await services.store.runs.page(connection_id, top=1, after=None) == []


async def test_an_import_is_a_run_that_can_be_waited_for(
    *,
    made: str,
    admin: httpx.AsyncClient,
    reader: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
) -> None:
    ann, nobody = emulator.control.create_person({"displayName": "Ann"})["id"], str(uuid4())
    body = {"objectIds": [ann, nobody, ann.upper()], "note": " Help over the holidays "}
    queued = await admin.post(url(connection_id, "import"), json=body)
    [named] = await services.store.named.waiting(connection_id)
    await worker.handle(services, message_for(named))
    loaded = (await reader.get(queued.headers["Location"])).json()
    async with by_the_queue(services, connection_id):
        waited = await admin.post(
            url(connection_id, "import"), json=body, headers={"Prefer": "wait=20"}
        )
    runs = (await reader.get(url(connection_id, "runs"))).json()["items"]
    changes = (await reader.get(f"{queued.headers['Location']}/changes")).json()["items"]
    audit = await audited(services, connection_id, "people.imported")

    assert (queued.status_code, queued.json()["status"]) == (202, "queued")
    assert (loaded["trigger"], loaded["mode"], loaded["status"]) == ("import", "users", "succeeded")
    assert (loaded["by"]["name"], loaded["note"]) == ("local Sync.Admin", "Help over the holidays")
    assert [(one["objectId"], one["result"]) for one in loaded["results"]] == [
        (ann, "imported"),
        (nobody, "notFound"),
    ]
    assert (waited.status_code, waited.headers["Preference-Applied"]) == (200, "wait=20")
    assert waited.json()["results"][0]["result"] == "alreadyIn"
    assert [one["results"] for one in runs] == [None, None]
    assert [(one["action"], one["objectId"]) for one in changes] == [("create", ann)]
    assert {one["byName"] for one in audit} == {"local Sync.Admin"}
    assert [one["people"] for one in audit] == [2, 2]
    assert mismatches(waited.json(), "Run") == []
    person = (await reader.get(url(connection_id, f"users/{ann}"))).json()
    past = (await reader.get(url(connection_id, f"users/{ann}/history"))).json()
    assert (person["origin"], person["importRunId"]) == ("manual", loaded["id"])
    assert past["items"][0]["origin"] == "manual"
    told = (await admin.get(url(connection_id, f"why/{ann}"))).json()
    assert told["code"] == "byHand"
    assert " is in: brought in by hand. By the rules alone they would be out: " in told["verdict"]
    assert told["nextRun"]["action"] is None


async def audited(services: Services, connection_id: str, action: str) -> list[Json]:
    table = await services.store.tables.table(AUDIT)
    condition = f"ConnectionId eq '{connection_id}' and Action eq '{action}'"
    return [orjson.loads(row["Details"]) async for row in table.query_entities(condition)]


async def test_a_release_is_confirmed_and_audited(
    *,
    made: str,
    admin: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
) -> None:
    ann = emulator.control.create_person({"displayName": "Ann"})["id"]
    await run_now(services, connection_id)
    release = url(connection_id, f"users/{ann}/release")
    missing = await admin.post(release)
    async with by_the_queue(services, connection_id):
        await admin.post(url(connection_id, "import"), json={"objectIds": [ann]})
    refused = await admin.post(release, json={"note": "no longer needed"})
    problem = refused.json()
    unknown = await admin.post(release, params={"confirm": "1f.2e"})
    answer = await admin.post(
        release, json={"note": "no longer needed"}, params={"confirm": problem["planHash"]}
    )
    [entry] = await audited(services, connection_id, "person.released")
    row = (await rows_of(services, connection_id))[ann]

    assert missing.status_code == 404
    assert (refused.status_code, problem["code"]) == (409, "release.needsConfirmation")
    assert mismatches(problem, "Problem") == []
    assert [(one["action"], one["reason"]) for one in problem["changes"]] == [
        ("disable", "leftScope")
    ]
    assert unknown.status_code == 409
    assert (answer.status_code, answer.json()["outcome"]) == (200, "leaves")
    assert "because of groups ARRAYCONTAINS Few (in none of them)" in answer.json()["message"]
    assert mismatches(answer.json(), "Released") == []
    assert answer.json()["run"]["note"] == "no longer needed"
    assert (entry["objectId"], entry["outcome"], entry["note"]) == (
        ann,
        "leaves",
        "no longer needed",
    )
    assert (row["Status"], row["Origin"]) == ("disabled", "auto")


async def test_several_people_are_synced_while_the_caller_waits(
    *,
    made: str,
    admin: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
) -> None:
    ann = emulator.control.create_person({"displayName": "Ann"})
    emulator.control.add_members(made, ann["id"])
    who = [ann["userPrincipalName"].upper(), ann["id"], "nobody@contoso.com"]
    too_many = await admin.post(url(connection_id, "users/sync"), json={"who": ["a@b"] * 101})
    async with by_the_queue(services, connection_id):
        answer = await admin.post(
            url(connection_id, "users/sync"), json={"who": who}, headers={"Prefer": "wait=20"}
        )
    found = answer.json()["results"]

    assert (too_many.status_code, paths(too_many)) == (422, ["who"])
    assert answer.status_code == 200
    assert [(one["who"], one["result"], one["action"]) for one in found] == [
        (who[0], "in", "create"),
        (who[1], "in", "create"),
        (who[2], "notFound", None),
    ]
    assert answer.json()["counts"]["created"] == 1


async def test_of_people_who_are_not_in_a_reader_is_told_no_values(
    *,
    made: str,
    admin: httpx.AsyncClient,
    reader: httpx.AsyncClient,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
) -> None:
    sales = {"attribute": "department", "operator": "EQUALS", "value": "Sales"}
    scope = {"filters": [{"clauses": [sales]}]}
    await admin.patch(f"/api/connections/{connection_id}", json={"scope": scope})
    ann, eve = (
        emulator.control.create_person({"displayName": name, "department": department})
        for name, department in (("Ann", "Sales"), ("Eve Secret", "Merger"))
    )
    who = [ann["userPrincipalName"], eve["userPrincipalName"]]
    async with by_the_queue(services, connection_id):
        asked = await admin.post(
            url(connection_id, "users/sync"), json={"who": who}, headers={"Prefer": "wait=20"}
        )
    seen = (await reader.get(url(connection_id, f"runs/{asked.json()['id']}"))).json()["results"]

    assert "Merger" in asked.json()["results"][1]["message"]
    assert (seen[0]["who"], seen[0]["result"]) == (who[0], "in")
    assert (seen[1]["objectId"], seen[1]["result"]) == (eve["id"], "notInScope")
    assert seen[1]["code"] == "notInScope"
    assert [seen[1][one] for one in ("who", "message", "userPrincipalName")] == [None] * 3

"""Why somebody is in or out, over HTTP: for anybody, in words, with everything it rests on."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from local.graph import GraphEmulator
from sync_core.api.app import CONNECTION, ROUTES
from sync_core.services import Services
from sync_core.store.tables import TABLES, USERS
from tests.api.conftest import Create, Json
from tests.api.description import mismatches
from tests.system import group_scope, run_now, set_clock

Ask = Callable[..., Awaitable[Json]]


def address(connection_id: str, who: str) -> str:
    return f"/api/connections/{connection_id}/why/{quote(who, safe='')}"


@pytest.fixture
def why(admin: httpx.AsyncClient, connection_id: str) -> Ask:
    return asking(admin, connection_id)


@pytest.fixture
def why_for_a_reader(reader: httpx.AsyncClient, connection_id: str) -> Ask:
    return asking(reader, connection_id)


def asking(client: httpx.AsyncClient, connection_id: str) -> Ask:
    async def asked(who: str, status: int = 200) -> Json:
        answer = await client.get(address(connection_id, who))
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    return asked


@pytest.fixture
def ann(emulator: GraphEmulator) -> Json:
    """Somebody in Sales DE, which is in Sales."""
    return emulator.control.create_person(
        {"displayName": "Ann Åström", "mail": "ann@contoso.com", "department": "Sales"}
    )


@pytest.fixture
def ben(emulator: GraphEmulator) -> Json:
    return emulator.control.create_person({"displayName": "Ben", "department": "Legal"})


@pytest.fixture
def sales(emulator: GraphEmulator, ann: Json, ben: Json) -> Json:
    """A scope: in Sales, and of the department Sales; Ben is in the group only."""
    control = emulator.control
    inner = control.create_group("Sales DE", members=[ann["id"], ben["id"]])
    outer = control.create_group("Sales", members=[inner["id"]])
    scope = group_scope(outer["id"])
    clause = {"attribute": "department", "operator": "EQUALS", "value": "Sales"}
    scope["filters"][0]["clauses"].append(clause)
    return scope


async def test_somebody_who_is_in_and_not_stored_yet(
    create: Create, why: Ask, ann: Json, sales: Json
) -> None:
    await create(scope=sales)
    found = await why(ann["id"])

    assert next(iter(found)) == "verdict"
    assert found["verdict"] == "Ann Åström is in: the filter matches."
    assert found["code"] == "inScope"
    assert found["nextRun"]["action"] == "create"
    assert found["nextRun"]["fields"]["email"] == [None, "ann@contoso.com"]
    assert (found["match"]["how"], found["match"]["row"]) == ("none", "")
    assert (found["stored"], found["history"]) == (None, [])
    assert found["account"]["state"] == "active"
    [group] = found["groups"]
    assert (group["name"], group["path"]) == ("Sales", "Sales > Sales DE")
    assert (group["isMember"], group["directly"]) == (True, False)
    assert found["values"]["department"] == "Sales"
    assert "city" not in found["values"], "only what the connection uses is shown"


async def test_the_answer_has_the_fields_that_are_described(
    create: Create, why: Ask, ann: Json, sales: Json, services: Services, connection_id: str
) -> None:
    await create(scope=sales)
    await run_now(services, connection_id)

    assert mismatches(await why(ann["id"]), "PersonExplained") == []


async def test_somebody_who_is_missing_is_told_which_clause_keeps_them_out(
    create: Create, why: Ask, ben: Json, sales: Json
) -> None:
    await create(scope=sales)
    found = await why(ben["userPrincipalName"])

    assert found["verdict"] == (
        "Ben is out: the filter does not match, because of department EQUALS Sales (it is Legal)."
    )
    assert found["code"] == "notInScope"
    assert [clause["ok"] for clause in found["scope"]["filters"][0]["clauses"]] == [True, False]
    assert found["nextRun"]["action"] is None


async def test_somebody_stored_with_what_happened_and_what_comes(
    *,
    create: Create,
    why: Ask,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
) -> None:
    await create(scope=sales)
    run = await run_now(services, connection_id)
    same = await why(ann["id"])
    emulator.control.patch_person(ann["id"], {"jobTitle": "Boss"})
    changed = await why(ann["id"])

    assert same["nextRun"]["action"] is None
    assert same["stored"]["attributes"]["email"] == "ann@contoso.com"
    assert same["match"]["how"] == "objectId"
    assert [(one["action"], one["runId"]) for one in same["history"]] == [("create", run.id)]
    assert changed["nextRun"]["fields"] == {"jobTitle": [None, "Boss"]}
    rule = next(one for one in changed["mapping"] if one["target"] == "jobTitle")
    assert (rule["value"], rule["stored"]) == ("Boss", None)
    email = next(one for one in changed["mapping"] if one["target"] == "email")
    assert email["trace"]["parts"][0] == {"expression": "[mail]", "value": "ann@contoso.com"}


async def test_nothing_is_written_by_asking(
    create: Create, why: Ask, ann: Json, sales: Json, services: Services
) -> None:
    await create(scope=sales)

    async def versions() -> list[str]:
        found = []
        for name in TABLES:
            table = await services.store.tables.table(name)
            found += [str(row.metadata["etag"]) async for row in table.list_entities()]
        return sorted(found)

    before = await versions()
    await why(ann["id"])

    assert await versions() == before


@pytest.mark.parametrize(
    ("change", "code", "action", "words"),
    [
        pytest.param("block", "blocked", "disable", "blocked in Entra", id="blocked"),
        pytest.param("softDelete", "softDeleted", "disable", "deleted in Entra on", id="deleted"),
        # That an account does not exist takes a second look.
        pytest.param("hardDelete", "hardDeleted", None, "no such person", id="gone"),
    ],
)
async def test_somebody_who_is_about_to_be_removed(
    *,
    create: Create,
    why: Ask,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
    change: str,
    code: str,
    action: str | None,
    words: str,
) -> None:
    await create(scope=sales)
    await run_now(services, connection_id)
    emulator.control.change_many(change, keys=[ann["id"]])
    found = await why(ann["id"])
    by_name = await why(ann["userPrincipalName"])

    assert (found["code"], found["nextRun"]["action"]) == (code, action)
    assert words in found["verdict"]
    assert found["verdict"].startswith("Ann Åström")
    assert by_name["verdict"] == found["verdict"]


async def test_somebody_deleted_who_was_never_stored_is_found_by_id(
    create: Create, why: Ask, ann: Json, sales: Json, emulator: GraphEmulator
) -> None:
    await create(scope=sales)
    emulator.control.soft_delete(ann["id"])
    found = await why(ann["id"].upper())

    assert found["code"] == "softDeleted"
    assert found["account"]["deletedAt"]
    assert found["scope"] is None
    assert found["nextRun"]["action"] is None


@pytest.mark.parametrize(
    "principal_name",
    [
        pytest.param("o'hara@contoso.com", id="a quote"),
        pytest.param("guest_fabrikam.com#EXT#@contoso.onmicrosoft.com", id="a guest"),
        pytest.param("$money@contoso.com", id="a dollar first"),
        pytest.param("a+b%2@contoso.com", id="plus and percent"),
        pytest.param("jürg@contoso.com", id="an umlaut"),
    ],
)
async def test_names_with_special_characters(
    create: Create, why: Ask, emulator: GraphEmulator, principal_name: str
) -> None:
    person = emulator.control.create_person({"userPrincipalName": principal_name})
    try:
        await create()
        found = await why(principal_name)
    finally:
        emulator.control.hard_delete(person["id"])

    assert found["objectId"] == person["id"]
    assert found["userPrincipalName"] == principal_name


async def test_a_guest_is_told_of_the_guests_rule(
    create: Create, why: Ask, emulator: GraphEmulator
) -> None:
    guest = emulator.control.create_person({"userType": "Guest", "displayName": "Gus"})
    await create()
    found = await why(guest["id"])

    assert found["code"] == "guests"
    assert found["verdict"].startswith("Gus is out: guests stay out")


@pytest.mark.parametrize(
    "who",
    [
        pytest.param("nobody@contoso.com", id="a name that nobody has"),
        pytest.param("00000000-0000-4000-8000-000000000000", id="an id that nobody has"),
        pytest.param("Ann", id="no sign-in name"),
        pytest.param("a" * 120 + "@contoso.com", id="longer than any name"),
        pytest.param("a\n@contoso.com", id="control characters"),
    ],
)
async def test_somebody_unknown(create: Create, why: Ask, who: str) -> None:
    await create()
    problem = await why(who, status=404)

    assert problem["code"] == "user.unknown"
    assert "object id" in problem["remedy"]


async def test_somebody_whom_the_policy_protects(
    *,
    create: Create,
    why: Ask,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
) -> None:
    await create(scope=sales, policy={"protected": [ann["userPrincipalName"]]})
    await run_now(services, connection_id)
    emulator.control.change_many("block", keys=[ann["id"]])
    found = await why(ann["id"])

    assert found["protected"] is True
    assert found["nextRun"]["action"] is None
    assert "policy.protected" in found["nextRun"]["message"]


async def test_somebody_whose_removal_the_guard_holds(
    *,
    create: Create,
    why: Ask,
    ann: Json,
    ben: Json,
    sales: Json,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
) -> None:
    await create(scope=sales)
    await run_now(services, connection_id)
    emulator.control.soft_delete(ann["id"])
    held = await run_now(services, connection_id)
    found = await why(ann["id"])
    other = await why(ben["id"])

    assert found["nextRun"]["heldBy"] == held.id
    assert "waits for approval" in found["nextRun"]["message"]
    assert other["nextRun"]["heldBy"] is None


async def test_a_row_that_is_not_ours(
    create: Create, why: Ask, ann: Json, sales: Json, services: Services, connection_id: str
) -> None:
    await create(scope=sales)
    table = await services.store.tables.table(USERS)
    row = {"PartitionKey": f"{connection_id}-{ann['id'][0]}", "RowKey": ann["id"]}
    await table.create_entity(row)
    found = await why(ann["id"])

    assert (found["code"], found["nextRun"]["action"]) == ("notOwned", None)


async def test_a_value_that_must_not_be_shown(
    *,
    create: Create,
    why: Ask,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
) -> None:
    emulator.control.patch_person(ann["id"], {"mobilePhone": "+41 79"})
    mapping = [{"target": "phone", "expression": "Redact([mobilePhone])"}]
    await create(scope=sales, mapping=mapping)
    await run_now(services, connection_id)
    emulator.control.patch_person(ann["id"], {"mobilePhone": "+41 78"})
    found = await why(ann["id"])

    assert "+41" not in str(found)
    assert found["nextRun"]["fields"] == {"phone": ["[Redact]", "[Redact]"]}
    assert found["stored"]["attributes"] == {"phone": "[Redact]"}


async def test_a_person_that_the_mapping_cannot_write(
    create: Create, why: Ask, ann: Json, sales: Json
) -> None:
    mapping = [{"target": "truth", "expression": "CBool([department])"}]
    await create(scope=sales, mapping=mapping)
    found = await why(ann["id"])

    assert found["code"] == "mappingFailed"
    assert found["mapping"][0]["effect"] == "fail"
    assert found["nextRun"]["action"] is None


async def test_a_disabled_connection_explains_as_well(
    create: Create, why: Ask, ann: Json, sales: Json
) -> None:
    await create(scope=sales, enabled=False)
    found = await why(ann["id"])

    assert found["code"] == "inScope"
    assert "disabled" in found["nextRun"]["message"]


async def test_a_group_that_is_gone_is_shown_so(create: Create, why: Ask, ann: Json) -> None:
    gone = "99999999-0000-4000-8000-000000000009"
    await create(enabled=False, scope=group_scope(gone))
    found = await why(ann["id"])

    assert [(one["exists"], one["isMember"]) for one in found["groups"]] == [(False, False)]


async def test_a_paused_rule_is_told_of_whom_it_may_let_in_or_keep_out(
    create: Create, why: Ask, why_for_a_reader: Ask, ann: Json, ben: Json, emulator: GraphEmulator
) -> None:
    """Ann is in by the rule that is paused; Ben is in by another group as well; Cid might come by it."""
    control = emulator.control
    north = control.create_group("North", membership_rule="a", members=[ann["id"], ben["id"]])
    south = control.create_group("South", members=[ben["id"]])
    outer = control.create_group("Teams", members=[north["id"], south["id"]])
    control.patch_group(north["id"], {"membershipRuleProcessingState": "Paused"})
    cid = control.create_person({"displayName": "Cid"})["id"]
    await create(scope=group_scope(outer["id"]))
    found = [await why(one) for one in (ann["id"], ben["id"], cid)]
    read = await why_for_a_reader(cid)
    control.patch_group(north["id"], {"membershipRuleProcessingState": "On"})
    again = await why(ann["id"])

    assert [one["groups"][0]["pausedRules"] for one in found] == [["North"], [], ["North"]]
    assert [one["code"] for one in found] == ["inScope", "inScope", "notInScope"]
    told = ["Entra has paused the rule of North" in one["verdict"] for one in [*found, read]]
    assert told == [True, False, True, True]
    assert again["groups"][0]["pausedRules"] == []


async def test_direct_members_only(create: Create, why: Ask, ann: Json, sales: Json) -> None:
    await create(scope=sales | {"nestedGroups": False})
    found = await why(ann["id"])

    assert found["code"] == "notInScope"
    assert found["groups"][0]["path"] is None


async def test_graph_that_does_not_answer(
    create: Create, why: Ask, ann: Json, sales: Json, emulator: GraphEmulator
) -> None:
    await create(scope=sales)
    emulator.control.add_fault("unavailable", path="/v1.0/**")
    try:
        problem: dict[str, Any] = await why(ann["id"], status=503)
    finally:
        emulator.control.clear_faults()

    assert problem["code"] == "graph.unavailable"


# --- with what other parts know -----------------------------------------------------------------------


async def test_somebody_excluded_by_name(create: Create, why: Ask, ann: Json, sales: Json) -> None:
    await create(scope=sales | {"exclude": [ann["userPrincipalName"]]})
    found = await why(ann["id"])

    assert (found["code"], found["scope"]["excluded"]) == ("excluded", True)
    assert found["scope"]["filters"][0]["ok"] is True
    assert found["nextRun"]["action"] is None


async def test_the_manager_is_the_reference_that_a_run_would_store(
    *,
    create: Create,
    why: Ask,
    ann: Json,
    sales: Json,
    emulator: GraphEmulator,
    services: Services,
    connection_id: str,
) -> None:
    boss = emulator.control.create_person({"displayName": "Boss", "department": "Sales"})
    emulator.control.patch_person(ann["id"], {"manager": boss["id"]})
    mapping = [
        {"target": "boss", "source": "manager"},
        {"target": "bossName", "expression": "[manager.displayName]"},
    ]
    await create(scope=sales, mapping=mapping)
    without = await why(ann["id"])
    group = sales["filters"][0]["clauses"][0]["value"][0]
    emulator.control.add_members(group, boss["id"])
    await run_now(services, connection_id)
    stored = await why(ann["id"])

    assert without["nextRun"]["fields"] == {"bossName": [None, "Boss"]}
    assert [one["value"] for one in stored["mapping"]] == [boss["id"], "Boss"]
    assert stored["stored"]["attributes"]["boss"] == boss["id"]
    assert stored["nextRun"]["action"] is None


async def test_somebody_who_waits_for_a_match(
    *,
    create: Create,
    why: Ask,
    admin: httpx.AsyncClient,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
) -> None:
    table = await services.store.tables.table(USERS)
    for number in (1, 2):
        row = {"PartitionKey": f"{connection_id}-a", "RowKey": f"app-{number}"}
        await table.create_entity(row | {"email": "ann@contoso.com"})
    await create(scope=sales, matching=["email"])
    before = await why(ann["id"])
    await run_now(services, connection_id)
    queued = await why(ann["id"])
    one = {"decision": "link", "row": f"{connection_id}-a|app-2"}
    await admin.post(f"/api/connections/{connection_id}/matches/{ann['id']}", json=one)
    await run_now(services, connection_id)
    linked = await why(ann["id"])

    for waiting in (before, queued):
        assert waiting["code"] == "matchWaiting"
        assert waiting["match"]["how"] == "waiting"
        assert waiting["nextRun"]["action"] is None
        assert "waits for a decision" in waiting["nextRun"]["message"]
    assert (linked["match"]["how"], linked["match"]["row"]) == ("decision", one["row"])
    assert linked["code"] == "inScope"


async def test_somebody_who_was_left_out_by_a_decision(
    *,
    create: Create,
    why: Ask,
    admin: httpx.AsyncClient,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
) -> None:
    table = await services.store.tables.table(USERS)
    for number in (1, 2):
        row = {"PartitionKey": f"{connection_id}-a", "RowKey": f"app-{number}"}
        await table.create_entity(row | {"email": "ann@contoso.com"})
    await create(scope=sales, matching=["email"])
    await run_now(services, connection_id)
    path = f"/api/connections/{connection_id}/matches/{ann['id']}"
    await admin.post(path, json={"decision": "ignore"})

    found = await why(ann["id"])

    assert (found["code"], found["match"]["how"]) == ("matchIgnored", "ignored")
    assert (found["nextRun"]["action"], found["nextRun"]["fields"]) == (None, {})


async def test_somebody_whom_the_next_run_is_likely_to_link(
    *,
    create: Create,
    why: Ask,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
) -> None:
    """One row and one person meet; whether somebody else claims it, a look at one cannot tell."""
    table = await services.store.tables.table(USERS)
    row = {"PartitionKey": f"{connection_id}-a", "RowKey": "app-1", "email": "ann@contoso.com"}
    await table.create_entity(row)
    await create(scope=sales, matching=["email"])
    found = await why(ann["id"])
    run = await run_now(services, connection_id)

    assert found["match"]["row"] == f"{connection_id}-a|app-1"
    assert found["nextRun"]["action"] == "create"
    assert f"{connection_id}-a|app-1 is taken over" in found["nextRun"]["message"]
    assert run.counts.linked == 1


async def test_somebody_out_of_scope_is_not_said_to_have_a_row(
    create: Create, why: Ask, ben: Json, sales: Json
) -> None:
    await create(scope=sales)

    assert (await why(ben["id"]))["match"]["message"] == "Nothing in the table matched."


# --- for readers ----------------------------------------------------------------------------------


SECRETS = ("Legal", "Chief of Nothing", "ben@private.example", "Benedikt Beispiel", "+41 79")


@pytest.fixture
def outsider(emulator: GraphEmulator, sales: Json, ben: Json) -> Json:
    """Ben, with values that nobody who only reads the table may see."""
    _, job, mail, name, phone = SECRETS
    values = {"jobTitle": job, "mail": mail, "displayName": name, "mobilePhone": phone}
    emulator.control.patch_person(ben["id"], values)
    return ben


async def test_a_reader_learns_the_reasons_of_somebody_who_is_not_in(
    create: Create, why_for_a_reader: Ask, outsider: Json, sales: Json
) -> None:
    await create(scope=sales)
    found = await why_for_a_reader(outsider["id"])

    assert [secret for secret in SECRETS if secret in str(found)] == []
    assert found["code"] == "notInScope"
    assert found["verdict"].endswith("because of department EQUALS Sales (it is [Redact]).")
    clauses = found["scope"]["filters"][0]["clauses"]
    assert [(one["attribute"], one["ok"]) for one in clauses] == [
        ("groups", True),
        ("department", False),
    ]
    assert [(one["name"], one["path"]) for one in found["groups"]] == [
        ("Sales", "Sales > Sales DE")
    ]
    assert (found["values"], found["mapping"]) == ({}, [])
    assert (found["displayName"], found["userPrincipalName"]) == (None, None)


async def test_a_reader_who_knows_the_sign_in_name_is_told_no_more_than_that(
    create: Create, why_for_a_reader: Ask, outsider: Json, sales: Json
) -> None:
    await create(scope=sales)
    name = outsider["userPrincipalName"]
    found = await why_for_a_reader(name)

    assert [secret for secret in SECRETS if secret in str(found)] == []
    assert (found["userPrincipalName"], found["objectId"]) == (name, outsider["id"])
    assert found["verdict"].startswith(f"{name} is out:")


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        pytest.param("CBool([department])", "mappingFailed", id="cannot be mapped"),
        pytest.param(
            'IIF([department]="Legal", IgnoreObjectFlow, "x")', "skipped", id="is skipped"
        ),
    ],
)
async def test_a_reader_sees_no_values_of_somebody_in_scope_who_does_not_come_in(
    *,
    create: Create,
    why_for_a_reader: Ask,
    outsider: Json,
    sales: Json,
    mapping: str,
    code: str,
) -> None:
    sales["filters"][0]["clauses"].pop()
    await create(scope=sales, mapping=[{"target": "truth", "expression": mapping}])
    found = await why_for_a_reader(outsider["id"])

    assert found["code"] == code
    assert [secret for secret in SECRETS if secret in str(found)] == []


async def test_a_reader_sees_everything_of_somebody_who_is_in(
    create: Create, why: Ask, why_for_a_reader: Ask, ann: Json, sales: Json
) -> None:
    await create(scope=sales)

    assert await why_for_a_reader(ann["id"]) == await why(ann["id"])


async def test_of_somebody_who_left_a_reader_sees_what_the_table_holds(
    *,
    create: Create,
    why_for_a_reader: Ask,
    ann: Json,
    sales: Json,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
) -> None:
    """The row can be read there; what became of the person in the directory cannot."""
    await create(scope=sales)
    await run_now(services, connection_id)
    emulator.control.patch_person(ann["id"], {"department": "Legal", "jobTitle": SECRETS[1]})
    found = await why_for_a_reader(ann["id"])

    assert found["stored"]["attributes"]["email"] == "ann@contoso.com"
    assert (found["displayName"], found["nextRun"]["action"]) == ("Ann Åström", "disable")
    assert [secret for secret in SECRETS if secret in str(found)] == []


ASKING = [
    ("GET", "/why/ann@contoso.com"),
    ("GET", "/groups"),
    ("GET", "/attributes"),
    ("POST", "/check"),
    ("POST", "/preview"),
    ("POST", "/users/6d2f5a80-1c3b-4e5f-8a9d-7b6c5d4e3f21/sync"),
]


@pytest.mark.parametrize(("method", "path"), ASKING)
async def test_who_has_graph_asked_too_often_has_to_wait(
    *,
    admin: httpx.AsyncClient,
    reader: httpx.AsyncClient,
    services: Services,
    connection_id: str,
    method: str,
    path: str,
) -> None:
    """All of a connection share what Graph allows: a loop would throttle its runs."""
    url = f"/api/connections/{connection_id}"
    began = services.clock()
    set_clock(services, lambda: began)
    first = [await admin.get(f"{url}/why/a@b.c") for _ in range(29)]
    last = await admin.get(f"{url}/groups")
    refused = await admin.request(method, f"{url}{path}")
    others = [
        await admin.request(method, f"{url}-b{path}"),
        await reader.get(f"{url}/why/a@b.c"),
        await admin.get(f"{url}/users"),
    ]
    set_clock(services, lambda: began + timedelta(seconds=60))
    later = await admin.request(method, f"{url}{path}")

    assert {answer.status_code for answer in [*first, last, *others, later]} == {404}
    assert (refused.status_code, refused.json()["code"]) == (429, "request.tooMany")
    assert refused.headers["Retry-After"] == "60"


def test_the_calls_that_ask_graph_are_those_that_are_counted() -> None:
    counted = {(one.method, one.path) for one in ROUTES if one.asks_graph}

    by_hand = {"/import", "/users/sync", "/users/{objectId}/release"}
    assert counted == {("POST", f"{CONNECTION}{path}") for path in by_hand} | {
        (method, f"{CONNECTION}{re.sub('/(why|users)/[^/]+', write_id, path)}")
        for method, path in ASKING
    }


def write_id(match: re.Match[str]) -> str:
    return f"/{match[1]}/" + ("{who}" if match[1] == "why" else "{objectId}")

"""Scopes against the rig, end to end: operators on every kind of attribute, and what Graph is asked."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import pytest
from kiota_abstractions.headers_collection import HeadersCollection
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation

from local.graph import GraphEmulator
from local.sample import COST_CENTER
from sync_core.directory import requests
from sync_core.directory.client import GraphClient
from sync_core.domain.documents.run import Run, RunStatus
from sync_core.services import Services
from tests.system import (
    Rig,
    active,
    changes_of,
    group_scope,
    rows_of,
    run_now,
    stored_connection,
)

EXTENSIONS = "onPremisesExtensionAttributes"
# What each person has; everything else of them is the same, or not there.
PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {
        "department": "Sales",
        "jobTitle": "Head of R&D + Q/A #1 (100%)",
        "mail": "Ann@Contoso.com",
        "proxyAddresses": ["SMTP:ann@contoso.com", "smtp:ann@old.example"],
        "businessPhones": ["+41 44 100 2000"],
        EXTENSIONS: {"extensionAttribute7": "L3"},
        COST_CENTER: "CC-1001",
        "createdDateTime": "2026-01-31T00:00:00Z",
        "employeeHireDate": "2020-02-29T00:00:00Z",
        "employeeId": "1000001",
    },
    "bob": {
        "department": "sales",
        "jobTitle": "O'Neil's deputy",
        "mail": "bob@fabrikam.com",
        "proxyAddresses": ["SMTP:bob@fabrikam.com"],
        "businessPhones": ["+1 206 555 0100", "+41 44 100 3000"],
        EXTENSIONS: {"extensionAttribute7": "l3"},
        COST_CENTER: "CC-1002",
        "createdDateTime": "2026-02-01T12:30:00.1234567Z",
        "employeeHireDate": "2019-12-31T00:00:00Z",
        "employeeId": "999",
    },
    "cid": {"createdDateTime": "2025-12-31T23:59:59Z"},
    "dee": {
        "department": "Straße",
        EXTENSIONS: {"extensionAttribute7": None},
        "createdDateTime": "2020-01-01T00:00:00Z",
    },
}


@pytest.fixture(scope="module")
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    """One tenant for all these tests; each looks at its own people, or leaves them as they were."""
    with GraphEmulator(people=60, groups=4, seed=7, tls=rig.tls) as running:
        for name, values in PEOPLE.items():
            running.control.create_person(
                {"id": object_id(name), "displayName": name.title(), **values}
                | {"userPrincipalName": f"{name}@contoso.com"}
            )
        yield running


@pytest.fixture(autouse=True)
def fresh_record(emulator: GraphEmulator) -> None:
    emulator.control.reset_requests()
    emulator.control.clear_faults()


def object_id(name: str) -> str:
    return f"{'abcd'['abcd'.index(name[0])]}0000000-0000-4000-8000-000000000000"


def of_a_filter(*clauses: tuple[str, str, Any], **changes: Any) -> dict[str, Any]:
    named = [{"attribute": a, "operator": o, "value": v} for a, o, v in clauses]
    return {"filters": [{"clauses": named}], **changes}


async def people_in(services: Services, connection_id: str, scope: dict[str, Any]) -> set[str]:
    """Run with a scope and give who of the four is in, by the first name."""
    await stored_connection(services, connection_id, scope=scope)
    run = await run_now(services, connection_id)
    assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
    rows = active(await rows_of(services, connection_id))
    return {name for name in PEOPLE if object_id(name) in rows}


def asked_of_users(emulator: GraphEmulator) -> list[tuple[str | None, int]]:
    """Give each list of users that was asked for: its filter and the answer's status."""
    found = []
    for one in emulator.requests:
        if one.path == "/v1.0/users" and "skiptoken" not in one.query:
            parts = dict(part.partition("=")[::2] for part in unquote_plus(one.query).split("&$"))
            found.append((parts.get("filter", parts.get("$filter")), one.status))
    return found


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "names"),
    [
        pytest.param("department", "EQUALS", "Sales", "ann", id="equals"),
        pytest.param("jobTitle", "EQUALS", "O'Neil's deputy", "bob", id="apostrophes"),
        pytest.param("jobTitle", "EQUALS", "Head of R&D + Q/A #1 (100%)", "ann", id="marks"),
        pytest.param("department", "EQUALS", "Straße", "dee", id="letters"),
        pytest.param("department", "NOT EQUALS", "Sales", "bob cid dee", id="not equals"),
        pytest.param("department", "IN", ["Sales", "Straße"], "ann dee", id="in"),
        pytest.param("department", "STARTS WITH", "SA", "ann bob", id="starts with"),
        pytest.param("department", "ENDS WITH", "LES", "ann bob", id="ends with"),
        pytest.param("mail", "ENDS WITH", "@contoso.COM", "ann", id="ends with, by Graph"),
        pytest.param("department", "INCLUDES", "ale", "ann bob", id="includes"),
        pytest.param("department", "REGEX MATCH", "^S.*e", "ann dee", id="regex"),
        pytest.param("department", "NOT REGEX MATCH", "^S", "bob cid", id="not regex"),
        pytest.param("department", "IS NULL", None, "cid", id="is null"),
        pytest.param("department", "IS NOT NULL", None, "ann bob dee", id="is not null"),
        pytest.param("accountEnabled", "IS TRUE", None, "ann bob cid dee", id="is true"),
        pytest.param("accountEnabled", "IS FALSE", None, "", id="is false"),
        pytest.param("employeeId", "GREATER_THAN", 999, "ann", id="numbers"),
        pytest.param("employeeId", "GREATER_THAN_OR_EQUALS", "999", "ann bob", id="texts"),
        pytest.param("extensionAttribute7", "EQUALS", "L3", "ann", id="extension attribute"),
        pytest.param(f"{EXTENSIONS}/extensionAttribute7", "IN", ["L3", "x"], "ann", id="its path"),
        pytest.param("extensionAttribute7", "STARTS WITH", "L", "ann bob", id="its beginning"),
        pytest.param("extensionAttribute7", "NOT EQUALS", "L3", "bob cid dee", id="its absence"),
        pytest.param("extensionAttribute7", "IS NOT NULL", None, "ann bob", id="its presence"),
        pytest.param(COST_CENTER, "EQUALS", "CC-1001", "ann", id="directory extension"),
        pytest.param(COST_CENTER, "REGEX MATCH", "CC-100[12]", "ann bob", id="its pattern"),
        pytest.param(COST_CENTER, "IS NOT NULL", None, "ann bob", id="it is there"),
        pytest.param("proxyAddresses", "EQUALS", "smtp:ann@old.example", "ann", id="one of a list"),
        pytest.param("proxyAddresses", "STARTS WITH", "smtp:BOB", "bob", id="begin of one"),
        pytest.param("proxyAddresses", "ENDS WITH", "@old.example", "ann", id="end of one"),
        pytest.param("proxyAddresses", "INCLUDES", "@fabrikam", "bob", id="part of one"),
        pytest.param("proxyAddresses", "IS NULL", None, "cid dee", id="empty list"),
        pytest.param(
            "proxyAddresses",
            "NOT ARRAYCONTAINS",
            ["SMTP:ann@contoso.com"],
            "bob cid dee",
            id="not in a list",
        ),
        pytest.param(
            "businessPhones",
            "ARRAYCONTAINS",
            ["+41 44 100 2000", "+41 44 100 3000"],
            "ann bob",
            id="lists that meet",
        ),
        pytest.param("telephoneNumber", "STARTS WITH", "+41", "ann", id="first of a list"),
        pytest.param("createdDateTime", "GREATER_THAN", "2026-01-31", "bob", id="after a day"),
        pytest.param(
            "createdDateTime", "GREATER_THAN_OR_EQUALS", "2026-01-31", "ann bob", id="from a day on"
        ),
        pytest.param("employeeHireDate", "GREATER_THAN", "2020-01-01", "ann", id="another date"),
        pytest.param("objectId", "EQUALS", object_id("cid"), "cid", id="object id"),
        pytest.param("userPrincipalName", "STARTS WITH", "DEE@", "dee", id="sign-in name"),
    ],
)
async def test_operators_on_every_kind_of_attribute(
    services: Services,
    connection_id: str,
    attribute: str,
    operator: str,
    value: Any,
    names: str,
) -> None:
    scope = of_a_filter((attribute, operator, value))

    assert await people_in(services, connection_id, scope) == set(names.split())


@pytest.mark.parametrize("operator", ["NOT EQUALS", "NOT REGEX MATCH", "NOT ARRAYCONTAINS"])
async def test_people_without_the_attribute_stay_out_where_a_negation_says_so(
    services: Services, connection_id: str, operator: str
) -> None:
    scope = of_a_filter(("extensionAttribute7", operator, "L3"))
    scope["filters"][0]["clauses"][0]["nullMatches"] = False

    assert await people_in(services, connection_id, scope) == {"bob"}


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        pytest.param({"everyone": True}, None, id="everyone"),
        pytest.param({"everyone": True, "guests": "only"}, "userType eq 'Guest'", id="guests"),
        pytest.param(
            of_a_filter(("department", "EQUALS", "Sales"), ("mail", "INCLUDES", "@")),
            "department eq 'Sales'",
            id="default",
        ),
        pytest.param(
            of_a_filter(("extensionAttribute7", "EQUALS", "L3")),
            f"{EXTENSIONS}/extensionAttribute7 eq 'L3'",
            id="advanced",
        ),
        pytest.param(of_a_filter(("department", "REGEX MATCH", "^S")), None, id="nothing"),
    ],
)
async def test_what_graph_is_asked(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    scope: dict[str, Any],
    asked: str | None,
) -> None:
    await people_in(services, connection_id, scope)

    assert asked_of_users(emulator) == [(asked, 200)]


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param(("department", "STARTS WITH", "e"), id="default"),
        pytest.param(("extensionAttribute1", "EQUALS", "Internal"), id="advanced"),
    ],
)
async def test_a_filtered_list_of_several_pages_is_whole(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
    clause: tuple[str, str, Any],
) -> None:
    """The header that an advanced query needs is not in the link to the next page."""
    monkeypatch.setattr(requests, "MAX_PAGE", 2)
    await stored_connection(services, connection_id, scope=of_a_filter(clause, guests="include"))

    run = await run_now(services, connection_id)

    pages = [one for one in emulator.requests if one.path == "/v1.0/users"]
    assert run.status is RunStatus.SUCCEEDED
    assert {one.status for one in pages} == {200}
    assert run.counts.read == run.counts.in_scope > 2 * (len(pages) - 1) >= 4


async def test_where_advanced_queries_are_refused_everybody_is_read(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As in a B2C tenant; without the header the emulator refuses them, too."""
    monkeypatch.setattr(requests, "advanced_headers", HeadersCollection)
    scope = of_a_filter(("extensionAttribute7", "EQUALS", "L3"))

    assert await people_in(services, connection_id, scope) == {"ann"}

    filters = [f"{EXTENSIONS}/extensionAttribute7 eq 'L3'", None]
    assert asked_of_users(emulator) == list(zip(filters, [400, 200], strict=True))
    [event] = [text for text in caplog.messages if text.startswith("reading.filterRefused")]
    assert f"connection={connection_id} code=graph.refused" in event
    assert "L3" not in event


async def test_where_the_pages_of_a_filtered_list_get_lost_everybody_is_read(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As github.com/microsoftgraph/msgraph-sdk-java/issues/368 reports it: page two is refused."""

    def without_header(link: str, _: RequestInformation) -> RequestInformation:
        request = RequestInformation(Method.GET)
        request.url = link
        return request

    monkeypatch.setattr(requests, "MAX_PAGE", 5)
    monkeypatch.setattr(GraphClient, "follow", staticmethod(without_header))
    scope = of_a_filter(("extensionAttribute1", "EQUALS", "Internal"), guests="include")
    await stored_connection(services, connection_id, scope=scope)

    run = await run_now(services, connection_id)

    inside = [
        person
        for person in emulator.control.people(top=999)
        if (person.get(EXTENSIONS) or {}).get("extensionAttribute1") == "Internal"
    ]
    assert run.status is RunStatus.SUCCEEDED
    assert run.counts.in_scope == len(inside) > 5
    assert "code=graph.pageLinkLost" in "".join(caplog.messages)
    assert [asked is None for asked, _ in asked_of_users(emulator)] == [False, False, False, True]


async def imported(services: Services, connection_id: str, scope: dict[str, Any]) -> Run:
    no_guard = {"guard": {"maxRemovals": None, "maxRemovalPercent": None}}
    await stored_connection(services, connection_id, scope=scope, policy=no_guard)
    return await run_now(services, connection_id)


async def test_who_is_absent_from_a_filtered_list_is_asked_for_by_id(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Another department is proof of having left; a list that lost somebody is none."""
    people = [emulator.control.create_person({"department": "Moving"})["id"] for _ in range(2)]
    await imported(services, connection_id, of_a_filter(("department", "EQUALS", "Moving")))
    emulator.control.patch_person(people[0], {"department": "Moved"})
    emulator.control.patch_person(people[1], {"jobTitle": "Found by id"})
    emulator.control.add_fault("lostRest", path="/v1.0/users")

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.counts.disabled == 1
    assert (rows[people[0]]["Status"], rows[people[0]]["DisabledReason"]) == (
        "disabled",
        "leftScope",
    )
    assert (rows[people[1]]["Status"], rows[people[1]]["jobTitle"]) == ("active", "Found by id")
    [change] = [one for one in await changes_of(services, run) if one["action"] == "disable"]
    assert change["evidence"] == {"found": True, "accountEnabled": True}


async def test_a_filtered_list_is_counted_with_the_same_filter(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other users do not count: a list that is cut short is noticed, a whole one is none."""
    people = [emulator.control.create_person({"department": "Counted"})["id"] for _ in range(8)]
    monkeypatch.setattr(requests, "MAX_PAGE", 2)
    first = await imported(
        services, connection_id, of_a_filter(("department", "EQUALS", "Counted"))
    )
    emulator.control.soft_delete(people[0])
    emulator.control.add_fault("lostRest", path="/v1.0/users", page=2)

    run = await run_now(services, connection_id)

    assert (first.status, first.counts.created) == (RunStatus.SUCCEEDED, 8)
    assert (run.status, run.counts.disabled) == (RunStatus.PARTIAL, 0)
    assert [error.code for error in run.errors] == ["graph.shortList"]
    assert len(active(await rows_of(services, connection_id))) == 8


@pytest.mark.parametrize("by", ["id", "userPrincipalName"])
async def test_who_is_excluded_later_leaves_the_scope(
    services: Services, emulator: GraphEmulator, connection_id: str, by: str
) -> None:
    one, other = (emulator.control.create_person({"department": by}) for _ in range(2))
    scope = of_a_filter(("department", "EQUALS", by))
    await imported(services, connection_id, scope)
    stored = await services.store.connections.get(connection_id)
    narrower = stored.connection.scope.model_copy(update={"exclude": [one[by].upper()]})
    await services.store.connections.replace(
        stored.connection.model_copy(update={"scope": narrower}), stored
    )

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert active(rows) == {other["id"]}
    assert rows[one["id"]]["DisabledReason"] == "leftScope"
    [change] = await changes_of(services, run)
    assert change["evidence"] == {"found": True, "accountEnabled": True, "excluded": True}


async def test_excluded_people_do_not_come_in(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    people = sorted(emulator.control.create_person()["id"] for _ in range(3))
    group = emulator.control.create_group("With exclusions", members=people)["id"]
    await imported(services, connection_id, group_scope(group, exclude=[f" {people[0].upper()}"]))

    assert (await rows_of(services, connection_id)).keys() == set(people[1:])


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("filtered", [True, False])
async def test_a_group_is_excluded_with_the_groups_in_it(
    services: Services, emulator: GraphEmulator, connection_id: str, nested: bool, filtered: bool
) -> None:
    """In a scope that reads users and no group; with nesting off, direct members only."""
    control = emulator.control
    mark = f"{connection_id} {nested} {filtered}"
    out, deep, stays = (control.create_person({"jobTitle": mark})["id"] for _ in range(3))
    inner = control.create_group("Inner", members=[deep])["id"]
    group = control.create_group("Outer", members=[out, inner])["id"]
    operator = "EQUALS" if filtered else "INCLUDES"
    scope = of_a_filter(
        ("groups", "NOT ARRAYCONTAINS", [group]),
        ("jobTitle", operator, mark),
        nestedGroups=nested,
    )
    await imported(services, connection_id, scope)

    assert (await rows_of(services, connection_id)).keys() == ({stays} if nested else {stays, deep})
    assert [filter_ is not None for filter_, _ in asked_of_users(emulator)] == [filtered]

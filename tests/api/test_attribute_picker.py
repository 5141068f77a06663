"""`/attributes`: what Graph and the tenant know of people, and how it is filled; counts, no values."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from kiota_abstractions.headers_collection import HeadersCollection

from local.graph import GraphEmulator
from local.sample import COST_CENTER, SAMPLE_ROLES
from sync_core.directory import attributes, requests
from sync_core.directory.client import GraphClient
from sync_core.domain.catalog import attributes as attribute_choices
from sync_core.domain.documents.mapping import MappingRule
from sync_core.services import Services, utc_now
from tests.api.conftest import Create, paths
from tests.api.description import mismatches
from tests.system import Rig, set_clock

Json = dict[str, Any]


@pytest.fixture(scope="module")
def emulator(rig: Rig) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=300, groups=2, seed=3, tls=rig.tls) as running:
        yield running


@pytest.fixture
async def url(create: Create, connection_id: str) -> str:
    await create(scope={})
    return f"/api/connections/{connection_id}/attributes"


async def read(client: httpx.AsyncClient, url: str, **query: Any) -> Json:
    answer = await client.get(url, params=query)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def by_name(answer: Json) -> dict[str, Json]:
    return {one["name"]: one for one in answer["items"]}


def asked(emulator: GraphEmulator, before: int) -> list[tuple[str, int]]:
    """Give what was asked of Graph since then, and with which answer."""
    graph = [one for one in emulator.requests[before:] if one.path.startswith("/v1.0")]
    return [(one.path.removeprefix("/v1.0"), one.status) for one in graph]


async def test_the_list_comes_from_graphs_schema_and_the_tenants_extensions(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    emulator.control.set_roles([*SAMPLE_ROLES, "Application.Read.All"])
    try:
        answer = await read(reader, url)
    finally:
        emulator.control.set_roles(SAMPLE_ROLES)

    found = by_name(answer)
    assert {"mail", "employeeOrgData.division", "extensionAttribute7", COST_CENTER} <= found.keys()
    assert not {"manager", "memberOf", "employeeOrgData"} & found.keys()
    assert found["accountEnabled"]["type"] == "boolean"
    assert found["proxyAddresses"]["multiValued"] is True
    assert found["employeeHireDate"]["type"] == "date"
    assert {"signInType", "issuerAssignedId"} <= set(found["identities"]["fields"])
    assert found["mail"]["fields"] == []
    assert (found["mail"]["filter"], found["companyName"]["filter"]) == ("default", "advanced")
    assert found[COST_CENTER]["source"] == "extension"
    assert found[COST_CENTER]["app"] == "Payroll"
    assert found[COST_CENTER]["filled"] > 0
    assert answer["notes"] == []


async def test_the_report_counts_what_the_tenant_holds(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    answer = await read(reader, url)

    people = [
        one
        for one in emulator.control.people(top=1000)
        if one.get("accountEnabled") and one.get("userType") != "Guest"
    ]
    found, size = by_name(answer), answer["sample"]
    numbers = [one.get("employeeId") for one in people]
    given = [one for one in numbers if one]
    assert (size["read"], size["total"], size["people"]) == (300, 300, len(people))
    assert size["guests"] > 0
    assert size["blocked"] > 0
    assert found["mail"]["filled"] == sum(1 for one in people if one.get("mail"))
    assert found["employeeId"]["filled"] == len(given)
    assert found["employeeId"]["distinct"] == len(set(given))
    assert found["employeeId"]["doubled"] == len({one for one in given if given.count(one) > 1}) > 0
    assert (
        f"employeeId is doubled {found['employeeId']['doubled']} times"
        in (found["employeeId"]["remarks"])
    )
    assert found["mail"]["remarks"][0].startswith("mail is empty for ")
    assert found["faxNumber"]["remarks"] == ["faxNumber is empty for everybody in the sample"]


async def test_keys_that_are_safe_for_matching_are_named(
    reader: httpx.AsyncClient, url: str
) -> None:
    keys = (await read(reader, url))["matchingKeys"]

    assert {"id", "userPrincipalName"} <= set(keys)
    assert not {"mail", "employeeId", "department", "accountEnabled", "createdDateTime"} & set(keys)


async def test_no_value_leaves_in_the_answer(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    text = str(await read(reader, url))

    for person in emulator.control.people(top=20):
        for name in ("id", "userPrincipalName", "displayName", "mail", "employeeId"):
            assert str(person.get(name, "nothing of it")) not in text


async def test_the_sample_is_one_request_and_the_schema_is_kept_for_a_day(
    *,
    reader: httpx.AsyncClient,
    services: Services,
    emulator: GraphEmulator,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await read(reader, url)
    before = len(emulator.requests)
    await read(reader, url)
    again = [path for path, _ in asked(emulator, before)]
    set_clock(services, lambda: utc_now() + timedelta(days=1))
    before = len(emulator.requests)
    await read(reader, url)
    a_day_later = [path for path, _ in asked(emulator, before)]

    assert (again.count("/users"), again.count("/$metadata")) == (1, 0)
    assert a_day_later.count("/$metadata") == 1


@pytest.mark.parametrize("sample", [1, 120, 250])
async def test_the_size_of_the_sample_can_be_chosen(
    reader: httpx.AsyncClient, url: str, sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "MAX_PAGE", 100)

    assert (await read(reader, url, sample=sample))["sample"]["read"] == sample


@pytest.mark.parametrize("sample", ["0", "20001", "many"])
async def test_a_sample_of_nobody_or_of_millions_is_refused(
    reader: httpx.AsyncClient, url: str, sample: str
) -> None:
    answer = await reader.get(url, params={"sample": sample})

    assert answer.status_code == 422
    assert paths(answer) == ["sample"]


async def test_a_listing_that_begins_again_counts_nobody_twice(
    reader: httpx.AsyncClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does when Graph has lost the link to the next page."""
    monkeypatch.setattr(attributes, "MAX_PAGE", 100)
    whole = by_name(await read(reader, url))
    real = GraphClient.pages

    async def interrupted(self: Any, request: Any, *, needs: str) -> Any:
        async for page in real(self, request, needs=needs):
            yield page
            break
        async for page in real(self, request, needs=needs):
            yield page

    monkeypatch.setattr(GraphClient, "pages", interrupted)
    again = await read(reader, url)

    assert again["sample"]["read"] == 300
    assert by_name(again) == whole


async def test_without_the_permission_the_extensions_are_missing_and_it_is_said(
    reader: httpx.AsyncClient, url: str
) -> None:
    answer = await read(reader, url)

    assert COST_CENTER not in by_name(answer)
    [note] = answer["notes"]
    assert note["code"] == "attributes.extensionsUnknown"
    assert "Application.Read.All" in note["remedy"]


async def test_the_wider_permission_knows_extensions_in_one_request(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    emulator.control.set_roles([*SAMPLE_ROLES, "Directory.Read.All"])
    before = len(emulator.requests)
    try:
        answer = await read(reader, url)
    finally:
        emulator.control.set_roles(SAMPLE_ROLES)

    assert COST_CENTER in by_name(answer)
    assert ("/directoryObjects/getAvailableExtensionProperties", 200) in asked(emulator, before)
    assert not [path for path, _ in asked(emulator, before) if path.startswith("/applications")]


async def test_an_extension_in_use_is_measured_though_nobody_can_list_it(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create(scope={}, mapping=[{"target": "costCenter", "source": COST_CENTER}])

    found = by_name(await read(admin, f"/api/connections/{connection_id}/attributes"))

    assert found[COST_CENTER]["source"] == "connection"
    assert found[COST_CENTER]["used"] is True
    assert found[COST_CENTER]["filled"] > 0


@pytest.mark.misspelt("maill")
async def test_a_misspelt_attribute_of_the_connection_is_found_out(
    admin: httpx.AsyncClient, services: Services, create: Create, connection_id: str
) -> None:
    """Graph refuses the whole list for it; the others are measured all the same."""
    await create(enabled=False, scope={})
    stored = await services.store.connections.get(connection_id)
    rules = [MappingRule(target="mail", source="maill")]
    # As an older release stored it: this one refuses the name at the save.
    older = stored.connection.model_copy(update={"mapping": rules})
    await services.store.connections.replace(older, stored)

    found = by_name(await read(admin, f"/api/connections/{connection_id}/attributes"))

    assert (found["maill"]["usable"], found["maill"]["used"]) == (False, True)
    assert found["maill"]["refused"] == "Graph refuses it in a list of users."
    assert found["maill"]["filled"] is None
    assert found["mail"]["filled"] > 0


async def test_what_a_list_does_not_give_is_shown_and_not_asked_for(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    before = len(emulator.requests)
    found = by_name(await read(reader, url))

    assert (found["assignedPlans"]["usable"], found["assignedPlans"]["filled"]) == (True, None)
    assert not [one for one in emulator.requests[before:] if "assignedPlans" in one.query]
    assert found["skills"]["usable"] is False
    assert "one person at a time" in found["skills"]["refused"]
    assert "AuditLog.Read.All" in found["signInActivity"]["refused"]
    assert {status for path, status in asked(emulator, before) if path == "/users"} == {200}


async def test_a_property_of_tomorrow_that_a_list_refuses_does_not_stop_the_rest(
    reader: httpx.AsyncClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if nobody had written down yet that Graph answers 501 for these."""
    monkeypatch.setattr(attribute_choices, "ONE_AT_A_TIME", frozenset())
    found = by_name(await read(reader, url))

    refused = {name for name, one in found.items() if one["refused"] == attributes.REFUSED_BY_GRAPH}
    assert {"skills", "aboutMe", "mailboxSettings.timeZone"} <= refused
    assert found["mail"]["filled"] > 0


async def test_long_lists_of_attributes_are_asked_in_portions(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await read(reader, url)
    monkeypatch.setattr(attributes, "LONGEST_SELECT", 300)
    before = len(emulator.requests)
    parts = await read(reader, url)

    assert [path for path, _ in asked(emulator, before)].count("/users") > 2
    assert parts == whole


async def test_guests_count_if_the_scope_takes_them(admin: httpx.AsyncClient, url: str) -> None:
    without = (await read(admin, url))["sample"]
    await admin.patch(url.removesuffix("/attributes"), json={"scope": {"guests": "include"}})
    with_guests = (await read(admin, url))["sample"]

    assert with_guests["people"] == without["people"] + without["guests"]


async def test_a_tenant_that_cannot_be_counted_has_no_total(
    reader: httpx.AsyncClient, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure AD B2C has no advanced queries, as here without their header."""
    monkeypatch.setattr(requests, "advanced_headers", HeadersCollection)

    answer = await read(reader, url)

    assert answer["sample"]["total"] is None
    assert answer["sample"]["read"] == 300


async def test_a_missing_permission_to_read_users_is_named(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str
) -> None:
    emulator.control.set_roles(["Group.Read.All"])
    try:
        answer = await reader.get(url)
    finally:
        emulator.control.set_roles(SAMPLE_ROLES)

    assert (answer.status_code, answer.json()["code"]) == (502, "graph.permissionMissing")
    assert "User.Read.All" in answer.json()["remedy"]


async def test_a_schema_that_a_proxy_has_eaten_is_a_passing_error(
    reader: httpx.AsyncClient, emulator: GraphEmulator, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes, "_schemas", {})
    emulator.control.add_fault("html", path="/v1.0/$metadata")
    try:
        answer = await reader.get(url)
    finally:
        emulator.control.clear_faults()

    assert (answer.status_code, answer.json()["code"]) == (503, "graph.badAnswer")
    assert "Retry-After" in answer.headers


async def test_the_answer_is_as_described(reader: httpx.AsyncClient, url: str) -> None:
    answer = await read(reader, url)

    assert mismatches(answer, "AttributeList") == []

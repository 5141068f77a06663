"""Resource units: what a request costs, what is told of it, and when it is too much."""

from collections.abc import Iterator

import httpx
import pytest

from local.graph.http.budgets import units_by_size
from local.sample import (
    SAMPLE_CLIENT_ID,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
    sample_group_id,
)
from tests.rig.graph.conftest import Application, error_code

EVERYBODY = sample_group_id(9)
ANOTHER_CLIENT_ID = "11111111-2222-4333-8444-555555555555"
LIMIT = 100


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("/users", 2),
        ("/users?$select=id", 1),
        ("/users?$top=19", 1),
        ("/users?$top=20", 2),
        ("/users?$select=id&$top=5", 1),
        ("/users/$count", 1),
        ("/users/{person}", 1),
        ("/users/{person}/manager", 1),
        ("/users/delta", 1),
        ("/groups/delta", 1),
        ("/groups", 1),
        (f"/groups/{SAMPLE_GROUP_ID}", 1),
        (f"/groups/{SAMPLE_GROUP_ID}/members", 3),
        (f"/groups/{SAMPLE_GROUP_ID}/members?$select=id", 2),
        (f"/groups/{SAMPLE_GROUP_ID}/members?$select=id&$top=5", 1),
        (f"/groups/{SAMPLE_GROUP_ID}/transitiveMembers", 5),
        ("/users/{person}/memberOf", 2),
        ("/users/{person}/transitiveMemberOf?$select=id", 1),
        ("/directory/deletedItems/microsoft.graph.user", 1),
    ],
)
def test_what_a_request_costs(reader: Application, path: str, cost: int) -> None:
    control = reader.emulator.control
    everybody = [person["id"] for person in control.people(top=50)]
    person = next(key for key in everybody if control.person(key)["manager"])

    answer = reader.ask(path.format(person=person), ConsistencyLevel="eventual")

    assert (answer.status_code, answer.headers["x-ms-resource-unit"]) == (200, str(cost))


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("/users?$expand=manager", 3),
        ("/users?$select=id&$expand=manager", 2),
        ("/users/{person}?$expand=manager", 2),
    ],
)
def test_what_is_expanded_costs_one_more(reader: Application, path: str, cost: int) -> None:
    person = reader.emulator.control.people(top=1)[0]["id"]

    answer = reader.ask(path.format(person=person))

    assert (answer.status_code, answer.headers["x-ms-resource-unit"]) == (200, str(cost))


def test_checking_groups_costs_four(reader: Application) -> None:
    person = reader.emulator.control.people(top=1)[0]["id"]
    body = {"groupIds": [SAMPLE_GROUP_ID]}

    answer = reader.ask(f"/users/{person}/checkMemberGroups", method="POST", json=body)

    assert answer.headers["x-ms-resource-unit"] == "4"


def test_a_further_page_costs_what_the_first_one_did(reader: Application) -> None:
    """What was selected is in the link."""
    path = f"/groups/{EVERYBODY}/members?$select=id&$top=50"
    link: str | None = path
    costs = []
    while link is not None:
        answer = reader.ask(link)
        costs.append(answer.headers["x-ms-resource-unit"])
        link = answer.json().get("@odata.nextLink")

    assert len(costs) > 2
    assert set(costs) == {"2"}


@pytest.mark.parametrize(
    ("people", "units"), [(49, 3500), (50, 5000), (500, 5000), (501, 8000), (1_000_000, 8000)]
)
def test_the_budget_grows_with_the_tenant(people: int, units: int) -> None:
    assert units_by_size(people) == units


@pytest.fixture
def poor(application: Application) -> Application:
    """May spend so many units in ten seconds of a clock that stands still."""
    application.emulator.control.stop_clock()
    application.emulator.control.settings(units_per_10_s=LIMIT)
    return application


def spend(application: Application, units: int) -> Iterator[httpx.Response]:
    for _ in range(units):
        yield application.ask("/users?$select=id&$top=1")


def test_what_was_used_is_told_above_eighty_percent(poor: Application) -> None:
    told = [answer.headers.get("x-ms-throttle-limit-percentage") for answer in spend(poor, LIMIT)]

    assert told[:80] == [None] * 80
    assert told[80:] == [f"{used / 100:.2f}" for used in range(81, 101)]


def test_a_budget_that_is_used_up_refuses_and_fills_again(poor: Application) -> None:
    statuses = [answer.status_code for answer in spend(poor, LIMIT)]
    [refused] = spend(poor, 1)
    wait_s = float(refused.headers["retry-after"])
    poor.emulator.control.advance_clock(wait_s + 0.2)

    assert statuses == [200] * LIMIT
    assert (refused.status_code, error_code(refused)) == (429, "TooManyRequests")
    assert refused.headers["retry-after"] == "0.100"
    assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    scope = f"Tenant_Application/ReadWrite/{SAMPLE_CLIENT_ID}/{SAMPLE_TENANT_ID}"
    assert refused.headers["x-ms-throttle-scope"] == scope
    assert refused.headers["x-ms-resource-unit"] == "1"
    assert [answer.status_code for answer in spend(poor, 1)] == [200]


def test_early_retries_prolong_the_wait(poor: Application) -> None:
    list(spend(poor, LIMIT))

    waits = [float(answer.headers["retry-after"]) for answer in spend(poor, 5)]

    assert waits == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_ten_seconds_fill_a_budget_and_no_more(poor: Application) -> None:
    list(spend(poor, LIMIT))
    poor.emulator.control.advance_clock(1000)

    statuses = [answer.status_code for answer in spend(poor, LIMIT + 1)]

    assert statuses == [200] * LIMIT + [429]


@pytest.mark.parametrize(
    ("priority", "granted"),
    [("Low", 90), ("low", 90), ("Normal", 100), ("urgent", 100), ("High", 110)],
)
def test_low_priority_is_refused_first_and_high_priority_last(
    poor: Application, priority: str, granted: int
) -> None:
    path, headers = "/users?$select=id&$top=1", {"x_ms_throttle_priority": priority}

    statuses = [poor.ask(path, **headers).status_code for _ in range(LIMIT * 2)]

    assert statuses.index(429) == granted


def test_two_applications_have_budgets_of_their_own(poor: Application) -> None:
    list(spend(poor, LIMIT))
    other = Application(poor.emulator, poor.http)
    control = poor.emulator.control
    control.create_app(ANOTHER_CLIENT_ID, "Another")
    control.set_roles(["User.Read.All"], app=ANOTHER_CLIENT_ID)
    secret = control.add_secret(app=ANOTHER_CLIENT_ID)
    other.sign_in(client_id=ANOTHER_CLIENT_ID, client_secret=secret)

    statuses = [next(spend(one, 1)).status_code for one in (poor, other)]

    assert statuses == [429, 200]


@pytest.mark.parametrize("status", [200, 424])
def test_items_of_a_batch_spend_the_same_budget(poor: Application, status: int) -> None:
    poor.emulator.control.settings(units_per_10_s=5, throttled_batch=status)
    requests = [{"id": str(n), "method": "GET", "url": "/users"} for n in range(20)]

    answer = poor.ask("/$batch", method="POST", json={"requests": requests})
    again = poor.ask("/$batch", method="POST", json={"requests": requests})

    # The batch itself costs nothing, and is never refused.
    assert "x-ms-resource-unit" not in answer.headers
    assert (answer.status_code, again.status_code) == (status, status)
    items = [item for each in (answer, again) for item in each.json()["responses"]]
    assert [item["status"] for item in items].count(200) == 3
    assert {item["status"] for item in items} == {200, 429}
    refused = next(item for item in items if item["status"] == 429)
    assert float(refused["headers"]["Retry-After"]) > 0
    assert refused["headers"]["x-ms-throttle-scope"].startswith("Tenant_Application/")

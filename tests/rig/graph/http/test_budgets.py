"""Resource units: what a request costs, what is told of it, and when it is too much."""

import pytest

from local.graph.http.budgets import units_by_size
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_GROUP_ID, SAMPLE_TENANT_ID
from tests.rig.graph.conftest import Application, error_code

SOMEBODY = "11111111-2222-4333-8444-555555555555"
EVENTUAL = {"ConsistencyLevel": "eventual"}


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("/users", 2),
        ("/users?$select=id", 1),
        ("/users?$select=id&$top=5", 1),
        ("/users?$expand=manager", 3),
        ("/users/{person}", 1),
        ("/users/{person}?$expand=manager", 2),
        ("/users/delta", 1),
        (f"/groups/{SAMPLE_GROUP_ID}/members", 3),
        (f"/groups/{SAMPLE_GROUP_ID}/members?$select=id", 2),
        (f"/groups/{SAMPLE_GROUP_ID}/transitiveMembers", 5),
        ("/users/{person}/memberOf", 2),
        ("/users/{person}/transitiveMemberOf?$select=id", 1),
        ("/groups", 2),
    ],
)
def test_what_a_request_costs(reader: Application, path: str, cost: int) -> None:
    person = reader.emulator.control.people(top=1)[0]["id"]

    answer = reader.ask(path.format(person=person))

    assert (answer.status_code, answer.headers["x-ms-resource-unit"]) == (200, str(cost))


def test_checking_groups_costs_four(reader: Application) -> None:
    person = reader.emulator.control.people(top=1)[0]["id"]
    body = {"groupIds": [SAMPLE_GROUP_ID]}

    answer = reader.ask(f"/users/{person}/checkMemberGroups", method="POST", json=body)

    assert answer.headers["x-ms-resource-unit"] == "4"


@pytest.mark.parametrize(
    ("people", "units"), [(49, 3500), (50, 5000), (500, 5000), (501, 8000), (1_000_000, 8000)]
)
def test_the_budget_grows_with_the_tenant(people: int, units: int) -> None:
    assert units_by_size(people) == units


def test_a_budget_that_is_used_up_refuses_and_fills_again(application: Application) -> None:
    control = application.emulator.control
    control.settings(units_per_10_s=40)
    answers = [application.ask("/users")]
    while answers[-1].status_code == 200 and len(answers) < 200:
        answers.append(application.ask("/users"))
    first, used, refused = answers[0], answers[-2], answers[-1]
    control.settings(units_per_10_s=1_000_000)

    assert "x-ms-throttle-limit-percentage" not in first.headers
    assert 0.8 <= float(used.headers["x-ms-throttle-limit-percentage"]) <= 1.8
    assert (refused.status_code, error_code(refused)) == (429, "TooManyRequests")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    scope = f"Tenant_Application/ReadWrite/{SAMPLE_CLIENT_ID}/{SAMPLE_TENANT_ID}"
    assert refused.headers["x-ms-throttle-scope"] == scope
    assert application.ask("/users").status_code == 200


@pytest.mark.parametrize("status", [200, 424])
def test_items_of_a_batch_spend_the_same_budget(application: Application, status: int) -> None:
    application.emulator.control.settings(units_per_10_s=5, throttled_batch=status)
    requests = [{"id": str(n), "method": "GET", "url": "/users"} for n in range(20)]

    answer = application.ask("/$batch", method="POST", json={"requests": requests})

    statuses = [response["status"] for response in answer.json()["responses"]]
    assert answer.status_code == status
    assert set(statuses) == {200, 429}

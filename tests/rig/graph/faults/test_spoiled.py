"""Answers that are odd rather than refused: in another order, broken in one place, an error with 200."""

import httpx
import orjson
import pytest

from local.graph.control.base import ControlError
from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, error_code

SALES = sample_group_id(4)
PHONES = "/users?$select=id,proxyAddresses"


def batch(application: Application, *urls: str) -> httpx.Response:
    requests = [{"id": str(n), "method": "GET", "url": url} for n, url in enumerate(urls)]
    return application.ask("/$batch", method="POST", json={"requests": requests})


def item(application: Application, url: str) -> dict[str, object]:
    [response] = batch(application, url).json()["responses"]
    answer: dict[str, object] = response
    return answer


@pytest.mark.parametrize(
    ("kind", "status"), [("throttled", 429), ("unavailable", 503), ("gatewayTimeout", 504)]
)
@pytest.mark.parametrize("retry_after", [0, 0.124, 1])
def test_items_of_a_batch_are_put_off_again_and_again(
    application: Application, kind: str, status: int, retry_after: float
) -> None:
    application.emulator.control.add_fault(kind, where="batch", times=8, retryAfter=retry_after)

    answers = [item(application, "/users?$top=1") for _ in range(9)]

    assert [answer["status"] for answer in answers] == [*[status] * 8, 200]
    headers = answers[0]["headers"]
    assert isinstance(headers, dict)
    assert headers["Retry-After"] == str(retry_after)


def test_an_item_of_a_batch_with_a_token_that_is_no_longer_good(application: Application) -> None:
    application.emulator.control.add_fault("expiredToken", where="batch", times=1)

    first, second = (item(application, "/users?$top=1")["status"] for _ in range(2))

    assert (first, second) == (401, 200)


@pytest.mark.parametrize("where", ["batch", "direct"])
def test_an_error_with_status_200(application: Application, where: str) -> None:
    application.emulator.control.add_fault(
        "errorBody", path="/v1.0/users", where=where, error="ServiceUnavailable"
    )

    inner = item(application, "/users?$top=1")
    outer = application.ask("/users?$top=1")

    body = inner["body"] if where == "batch" else outer.json()
    assert (inner["status"], outer.status_code) == (200, 200)
    assert body == {"error": {"code": "ServiceUnavailable", "message": ""}}


def test_values_come_in_another_order_each_time(application: Application) -> None:
    whole = {one["id"]: one["proxyAddresses"] for one in application.items(PHONES)}
    application.emulator.control.add_fault("reorderedValues", path="/v1.0/users")

    first, second = (
        {one["id"]: one["proxyAddresses"] for one in application.items(PHONES)} for _ in range(2)
    )

    [several, *_] = [person for person, addresses in whole.items() if len(addresses) == 2]
    assert first[several] == whole[several][::-1]
    assert second[several] == whole[several]
    assert {p: sorted(a) for p, a in first.items()} == {p: sorted(a) for p, a in whole.items()}


def test_half_a_surrogate_pair_in_one_value(application: Application) -> None:
    [first, second, *_] = application.items("/users?$select=id,displayName")
    application.emulator.control.add_fault("brokenText", person=second["id"])

    body = application.ask("/users?$select=id,displayName").content

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(body)
    assert body.count(b"\\ud83d") == 1
    assert first["displayName"].encode() in body
    repaired = orjson.loads(body.replace(b"\\ud83d", b""))
    assert repaired["value"][1] == second


def test_a_byte_that_is_no_utf_8_in_a_batch(application: Application) -> None:
    application.emulator.control.add_fault("brokenText", how="utf8", attribute="jobTitle")

    body = batch(application, "/users?$select=jobTitle&$top=3").content

    with pytest.raises(UnicodeDecodeError):
        body.decode()
    assert body.count(b'\xc3"') == 1


def test_a_group_goes_between_the_tree_and_its_members(application: Application) -> None:
    path = f"/groups/{SALES}/members"
    application.emulator.control.add_fault("deletedGroup", path=f"/v1.0{path}", group=SALES)
    tree = application.ask(f"/groups/{SALES}")

    members = application.ask(path)

    assert tree.status_code == 200
    assert (members.status_code, error_code(members)) == (404, "Request_ResourceNotFound")
    assert application.ask(f"/groups/{SALES}").status_code == 404


def test_attributes_that_come_as_null_without_their_own_permission(
    application: Application,
) -> None:
    control = application.emulator.control
    path = "/users?$select=id,employeeHireDate"
    before = application.items(path)
    control.add_fault("hiddenAttributes", attributes=["employeeHireDate"], roles=["Hire.Read"])
    hidden = application.items(path)
    late = "/users?$filter=employeeHireDate ge 1990-01-01T00:00:00Z&$select=id"
    found = application.counted_items(late)
    control.set_roles(["User.Read.All", "Hire.Read"])
    application.sign_in()

    assert {one["employeeHireDate"] for one in hidden} == {None}
    assert found == []
    assert application.items(path) == before


@pytest.mark.parametrize("path", ["/users/$count", "/groups/*/members/microsoft.graph.user"])
def test_what_counts_people_can_fail_alone(application: Application, path: str) -> None:
    application.emulator.control.add_fault("unavailable", path=f"/v1.0{path}")

    assert application.eventual("/users/$count").status_code == (503 if "users/$" in path else 200)
    assert application.ask("/users?$top=1").status_code == 200


def test_a_refusal_with_a_code_of_ones_own(application: Application) -> None:
    application.emulator.control.add_fault(
        "denied", error="AccessDenied", message="Blocked by Conditional Access."
    )

    answer = application.ask("/users")

    assert (answer.status_code, error_code(answer)) == (403, "AccessDenied")
    assert answer.json()["error"]["message"] == "Blocked by Conditional Access."


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "deletedGroup"}, id="no group"),
        pytest.param({"kind": "hiddenAttributes"}, id="no attributes"),
        pytest.param({"kind": "brokenText", "how": "loudly"}, id="no such way"),
    ],
)
def test_a_fault_that_lacks_something_is_refused(
    application: Application, fault: dict[str, str]
) -> None:
    kind = fault.pop("kind")

    with pytest.raises(ControlError):
        application.emulator.control.add_fault(kind, **fault)

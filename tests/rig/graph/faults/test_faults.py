"""Each fault breaks what it says, as often as it says, and nothing else."""

import time

import httpx
import pytest

from local.graph.control.base import ControlError
from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, error_code

SALES = sample_group_id(4)
LIST = "/users?$select=id&$top=20"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("throttled", 429),
        ("serverError", 500),
        ("badGateway", 502),
        ("unavailable", 503),
        ("gatewayTimeout", 504),
    ],
)
def test_a_status_with_graphs_body(application: Application, kind: str, status: int) -> None:
    application.emulator.control.add_fault(kind, path="/v1.0/users", times=1)

    first, second = application.ask(LIST), application.ask(LIST)

    assert (first.status_code, second.status_code) == (status, 200)
    assert first.json()["error"]["code"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"retryAfter": 7}, "7", id="integer"),
        pytest.param({"retryAfter": 0.249}, "0.249", id="decimal"),
        pytest.param({"retryAfter": "2.128"}, "2.128", id="decimal as text"),
        pytest.param({}, None, id="no header"),
    ],
)
def test_retry_after_is_sent_as_it_was_given(
    application: Application, given: dict[str, object], told: str | None
) -> None:
    application.emulator.control.add_fault("throttled", **given)

    assert application.ask(LIST).headers.get("retry-after") == told


def test_a_reset_connection(application: Application) -> None:
    application.emulator.control.add_fault("reset", times=1)

    with pytest.raises(httpx.TransportError):
        application.ask(LIST)
    assert application.ask(LIST).status_code == 200


def test_a_truncated_body(application: Application) -> None:
    """The length was announced; half of it came."""
    application.emulator.control.add_fault("truncated", times=1)

    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        application.ask(LIST)
    assert application.ask(LIST).status_code == 200


def test_html_with_status_200(application: Application) -> None:
    application.emulator.control.add_fault("html", times=1)

    answer = application.ask(LIST)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


def test_a_token_that_expires_in_the_middle(application: Application) -> None:
    application.emulator.control.add_fault("expiredToken", path="/v1.0/users", page=2, times=1)
    first = application.ask(LIST)

    second = application.ask(first.json()["@odata.nextLink"])
    with_the_same = application.ask(LIST)
    application.sign_in()
    with_a_new_one = application.ask(first.json()["@odata.nextLink"])

    assert (second.status_code, error_code(second)) == (401, "InvalidAuthenticationToken")
    assert [one.status_code for one in (with_the_same, with_a_new_one)] == [401, 200]


def test_slow_answers(application: Application) -> None:
    application.emulator.control.add_fault("slow", milliseconds=300, times=1)
    started = time.monotonic()

    answer = application.ask(LIST)

    assert answer.status_code == 200
    assert time.monotonic() - started >= 0.3


def ids(application: Application) -> list[str]:
    return [user["id"] for user in application.items(LIST)]


def test_an_empty_page_still_has_a_link_and_loses_nobody(application: Application) -> None:
    whole = ids(application)
    application.emulator.control.add_fault("emptyPage", path="/v1.0/users", page=2, times=1)

    pages = application.pages(LIST)

    assert [len(page["value"]) for page in pages] == [20, 0, 20, 10]
    assert [user["id"] for page in pages for user in page["value"]] == whole


def test_the_rest_is_lost_without_a_word(application: Application) -> None:
    application.emulator.control.add_fault("lostRest", path="/v1.0/users", page=2, times=1)

    assert [len(page["value"]) for page in application.pages(LIST)] == [20, 0]


def test_a_page_comes_twice_and_then_it_goes_on(application: Application) -> None:
    whole = ids(application)
    application.emulator.control.add_fault("repeatedPage", path="/v1.0/users", page=2, times=1)

    found = ids(application)

    assert found == whole[:40] + whole[20:]


def test_a_link_that_loops_stays_where_it_is(application: Application) -> None:
    application.emulator.control.add_fault("loopingLink", path="/v1.0/users", page=2)
    link = application.ask(LIST).json()["@odata.nextLink"]
    seen = []
    for _ in range(4):
        seen.append(link)
        link = application.ask(link).json()["@odata.nextLink"]

    assert len(set(seen)) == 1


@pytest.mark.parametrize("path", ["/users", "/groups", "/users/delta", "/groups/delta"])
def test_a_link_to_another_host(application: Application, path: str) -> None:
    application.emulator.control.add_fault(
        "foreignLink", path=f"/v1.0{path}", host="https://graph.evil.example"
    )

    link = application.ask(path).json()["@odata.nextLink"]

    assert link.startswith(f"https://graph.evil.example/v1.0{path}?")


def test_a_delta_round_can_lose_its_rest_and_its_link(application: Application) -> None:
    application.emulator.control.add_fault("lostRest", path="/v1.0/users/delta")

    page = application.ask("/users/delta?$select=id").json()

    assert page.keys() == {"@odata.context", "value"}


def test_a_lost_permission_counts_for_tokens_that_exist(application: Application) -> None:
    control = application.emulator.control
    control.add_fault("lostPermission", roles=["User.Read.All"])
    refused = application.ask(LIST)
    path = f"/groups/{SALES}/members/microsoft.graph.user?$select=id,mail&$count=true"
    members = application.items(path, ConsistencyLevel="eventual")
    control.clear_faults()

    assert refused.status_code == 403
    assert {member["mail"] for member in members} == {None}
    assert application.ask(LIST).status_code == 200


def test_stale_members_answer_as_they_were(application: Application) -> None:
    control = application.emulator.control
    leaver = control.members(SALES)[0]
    path = f"/groups/{SALES}/members?$select=id"
    control.add_fault("staleMembers")
    control.remove_members(SALES, leaver)
    stale = {item["id"] for item in application.items(path)}
    above = {group["id"] for group in application.items(f"/users/{leaver}/memberOf?$select=id")}
    control.clear_faults()
    fresh = {item["id"] for item in application.items(path)}

    assert leaver in stale
    assert SALES in above
    assert leaver not in fresh


def test_an_outage_stops_graph_and_login(application: Application) -> None:
    application.emulator.control.add_fault("outage", seconds=60)

    assert application.ask(LIST).status_code == 503
    assert application.sign_in().status_code == 503


@pytest.mark.parametrize("kind", ["reset", "truncated"])
def test_the_login_endpoint_breaks_off_as_well(application: Application, kind: str) -> None:
    application.emulator.control.add_fault(kind, path="/*/oauth2/v2.0/token", times=1)

    with pytest.raises(httpx.TransportError):
        application.sign_in()
    assert application.sign_in().status_code == 200


def test_a_fault_waits_for_its_turn_and_ends(application: Application) -> None:
    application.emulator.control.add_fault("unavailable", path="/v1.0/users", after=2, times=2)

    statuses = [application.ask(LIST).status_code for _ in range(6)]

    assert statuses == [200, 200, 503, 503, 200, 200]


def test_a_fault_for_some_time_ends_with_it(application: Application) -> None:
    application.emulator.control.add_fault("unavailable", seconds=1)
    first = application.ask(LIST).status_code
    time.sleep(1)

    assert (first, application.ask(LIST).status_code) == (503, 200)


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [
        pytest.param("/v1.0/users", True, id="exact"),
        pytest.param("/v1.0/*", True, id="one segment"),
        pytest.param("**", True, id="anything"),
        pytest.param("/v1.0/groups", False, id="another path"),
        pytest.param("/v1.0/users/*", False, id="below it"),
        pytest.param("/*", False, id="too short"),
    ],
)
def test_a_pattern_matches_segments(application: Application, pattern: str, hit: bool) -> None:
    application.emulator.control.add_fault("unavailable", path=pattern)

    assert (application.ask(LIST).status_code == 503) is hit


def test_a_method_narrows_a_fault(application: Application) -> None:
    application.emulator.control.add_fault("unavailable", method="POST")

    assert application.ask(LIST).status_code == 200


@pytest.mark.parametrize(
    "fault",
    [{"kind": "gremlin"}, {"kind": "reset", "where": "moon"}, {"kind": "reset", "colour": 1}],
    ids=["unknown kind", "unknown place", "unknown option"],
)
def test_a_fault_that_means_nothing_is_refused(
    application: Application, fault: dict[str, object]
) -> None:
    kind = str(fault.pop("kind"))

    with pytest.raises(ControlError):
        application.emulator.control.add_fault(kind, **fault)


def test_a_removed_fault_is_gone(application: Application) -> None:
    control = application.emulator.control
    fault = control.add_fault("unavailable")

    assert control.remove_fault(fault["id"])
    assert application.ask(LIST).status_code == 200
    assert control.faults() == []

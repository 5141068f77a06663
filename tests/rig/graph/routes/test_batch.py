"""$batch: up to twenty requests, each answered and throttled on its own."""

from typing import Any

import pytest

from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, Document

SALES = sample_group_id(4)


def item(number: int, url: str, **more: Any) -> Document:
    return {"id": str(number), "method": "GET", "url": url, **more}


def run(application: Application, items: list[Document]) -> dict[str, Document]:
    answer = application.ask("/$batch", method="POST", json={"requests": items})
    assert answer.status_code == 200, answer.text
    return {response["id"]: response for response in answer.json()["responses"]}


def test_each_item_has_its_own_status_and_body(reader: Application) -> None:
    responses = run(
        reader,
        [
            item(1, "/users?$top=1&$select=id"),
            item(2, "users/nobody"),
            item(3, "/groups?$skip=1"),
        ],
    )

    assert {key: r["status"] for key, r in responses.items()} == {"1": 200, "2": 404, "3": 400}
    assert responses["2"]["body"]["error"]["code"] == "Request_ResourceNotFound"
    assert len(responses["1"]["body"]["value"]) == 1


def test_answers_need_not_come_in_the_order_of_the_questions(reader: Application) -> None:
    items = [item(n, "/users?$top=1&$select=id") for n in range(3)]
    answer = reader.ask("/$batch", method="POST", json={"requests": items})

    assert [r["id"] for r in answer.json()["responses"]] != ["0", "1", "2"]


def test_a_header_counts_for_its_item_only(reader: Application) -> None:
    url = f"/groups/{SALES}/members/microsoft.graph.user?$count=true&$select=id"
    responses = run(reader, [item(1, url, headers={"ConsistencyLevel": "eventual"}), item(2, url)])

    assert (responses["1"]["status"], responses["2"]["status"]) == (200, 400)


def test_an_item_can_carry_a_body(reader: Application) -> None:
    user = reader.ask("/users?$top=1&$select=id").json()["value"][0]["id"]
    post = {
        "id": "1",
        "method": "POST",
        "url": f"/users/{user}/checkMemberGroups",
        "body": {"groupIds": [SALES]},
    }
    with_type = {**post, "id": "2", "headers": {"Content-Type": "application/json"}}

    responses = run(reader, [post, with_type])

    assert (responses["1"]["status"], responses["2"]["status"]) == (400, 200)


@pytest.mark.parametrize(("count", "status"), [(1, 200), (20, 200), (21, 400), (0, 400)])
def test_a_batch_holds_twenty(reader: Application, count: int, status: int) -> None:
    items = [item(n, "/users?$top=1&$select=id") for n in range(count)]

    assert reader.ask("/$batch", method="POST", json={"requests": items}).status_code == status


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([item(1, "/users"), item(1, "/users")], id="same id twice"),
        pytest.param([{"method": "GET", "url": "/users"}], id="no id"),
        pytest.param([{"id": 1, "method": "GET", "url": "/users"}], id="id is a number"),
        pytest.param(["/users"], id="not an object"),
        pytest.param([item(1, "/users", nonsense=1)], id="unknown key"),
        pytest.param([item(1, "/users", dependsOn=["2"])], id="depends on nothing"),
    ],
)
def test_a_malformed_batch_is_refused_as_a_whole(reader: Application, items: list[Any]) -> None:
    assert reader.ask("/$batch", method="POST", json={"requests": items}).status_code == 400


def test_an_absolute_url_and_a_nested_batch_are_refused(reader: Application) -> None:
    responses = run(
        reader,
        [item(1, f"{reader.emulator.graph_url}/v1.0/users"), item(2, "/$batch")],
    )

    assert {r["status"] for r in responses.values()} == {400}


def test_what_depends_on_a_failure_fails(reader: Application) -> None:
    responses = run(
        reader,
        [item(1, "/users/nobody"), item(2, "/users?$top=1&$select=id", dependsOn=["1"])],
    )

    assert responses["2"]["status"] == 424


def test_items_are_throttled_one_by_one(application: Application) -> None:
    application.emulator.control.add_fault(
        "throttled", path="/v1.0/users/*", where="batch", times=1, after=1, retryAfter="2.128"
    )
    users = application.items("/users?$select=id&$top=3")[:3]

    responses = run(application, [item(n, f"/users/{user['id']}") for n, user in enumerate(users)])

    throttled = [r for r in responses.values() if r["status"] == 429]
    assert len(throttled) == 1
    assert throttled[0]["headers"]["Retry-After"] == "2.128"
    assert application.ask(f"/users/{users[0]['id']}").status_code == 200


def test_a_next_link_inside_an_item_is_followed_outside(reader: Application) -> None:
    responses = run(reader, [item(1, "/users?$top=5&$select=id")])

    link = responses["1"]["body"]["@odata.nextLink"]
    assert len(reader.ask(link).json()["value"]) == 5


def test_plain_text_comes_as_base64(reader: Application) -> None:
    responses = run(reader, [item(1, "/users/$count", headers={"ConsistencyLevel": "eventual"})])

    assert responses["1"]["body"] == "MzAw"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"{", "application/json", id="broken"),
        pytest.param(b"[]", "application/json", id="not an object"),
        pytest.param(b"{}", "text/plain", id="not declared as JSON"),
        pytest.param(b"{}", "application/json", id="nothing in it"),
    ],
)
def test_a_body_that_says_nothing_is_refused(
    reader: Application, content: bytes, kind: str
) -> None:
    answer = reader.http.post(
        f"{reader.emulator.graph_url}/v1.0/$batch",
        content=content,
        headers={"Authorization": f"Bearer {reader.token}", "Content-Type": kind},
    )

    assert answer.status_code == 400

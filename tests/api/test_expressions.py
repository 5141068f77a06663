"""Expressions tried out over HTTP: the value and its trace, or the place of the mistake."""

import asyncio
from typing import Any

import httpx
import pytest

from sync_core.api.routes import expressions
from sync_core.domain.expressions import FUNCTIONS, REFUSED
from tests.unit.domain.expressions.evaluation import NOW

GROUP = "11111111-2222-3333-4444-555555555555"
URL = "/api/expressions/evaluate"


async def evaluated(client: httpx.AsyncClient, expression: str, **more: Any) -> Any:
    answer = await client.post(URL, json={"expression": expression, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


async def test_the_value_comes_with_the_steps_that_led_to_it(reader: httpx.AsyncClient) -> None:
    person = {"mail": None, "userPrincipalName": "ann@contoso.com"}
    body = {"expression": "Coalesce([mail], [userPrincipalName])", "attributes": person}
    answer = await reader.post(URL, json=body)

    assert answer.status_code == 200
    assert answer.json() == {
        "value": "ann@contoso.com",
        "trace": {
            "expression": "Coalesce([mail], [userPrincipalName])",
            "value": "ann@contoso.com",
            "parts": [
                {"expression": "[mail]", "value": None},
                {"expression": "[userPrincipalName]", "value": "ann@contoso.com"},
            ],
        },
    }


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        pytest.param("IgnoreAttributeFlow", {"$ignore": "attribute"}, id="attribute"),
        pytest.param("IgnoreFlowIfNullOrEmpty([mail])", {"$ignore": "attribute"}, id="no value"),
        pytest.param("IgnoreObjectFlow", {"$ignore": "object"}, id="object"),
        pytest.param("[mail]", None, id="null"),
        pytest.param('Split("a,b", ",")', ["a", "b"], id="list"),
        pytest.param("BitAnd(&HF, &HF7)", 7, id="number"),
        pytest.param("IsNull([mail])", True, id="condition"),
    ],
)
async def test_what_can_come_out(reader: httpx.AsyncClient, expression: str, value: Any) -> None:
    """What leaves something out is told apart from null, which a mapping may clear."""
    assert await evaluated(reader, expression) == value


async def test_groups_and_the_time_are_given_with_the_person(reader: httpx.AsyncClient) -> None:
    expression = f'IIF(InGroup("{GROUP.upper()}"), Now(), "out")'

    inside = await evaluated(reader, expression, groups=[GROUP.upper()], now=NOW.isoformat())
    without_offset = await evaluated(reader, "Now()", now="2021-07-02T15:33:38")

    assert inside == without_offset == "7/2/2021 3:33:38 PM"
    assert await evaluated(reader, expression) == "out"


async def test_without_a_time_it_is_now(reader: httpx.AsyncClient) -> None:
    assert await evaluated(reader, 'IIF(Now() > "2026-01-01", "later", "earlier")') == "later"


@pytest.mark.parametrize(
    ("expression", "code", "position", "hint"),
    [
        pytest.param(
            'Join(" ", [givenName],\n  [surname',
            "expression.unclosedBracket",
            {"offset": 25, "line": 2, "column": 3},
            "Add the ].",
            id="second line",
        ),
        pytest.param(
            "Tolower([mail])",
            "expression.unknownFunction",
            {"offset": 0, "line": 1, "column": 1},
            "ToLower",
            id="misspelt",
        ),
        pytest.param(
            "[a] == [b]",
            "expression.syntax",
            {"offset": 5, "line": 1, "column": 6},
            "One = compares.",
            id="habit",
        ),
        pytest.param(
            "SingleAppRoleAssignment([appRoleAssignments])",
            "expression.functionRefused",
            {"offset": 0, "line": 1, "column": 1},
            "InGroup",
            id="refused function",
        ),
    ],
)
async def test_a_wrong_expression_is_answered_with_the_place_of_the_mistake(
    reader: httpx.AsyncClient, expression: str, code: str, position: dict[str, int], hint: str
) -> None:
    answer = await reader.post(URL, json={"expression": expression, "attributes": {}})

    found = answer.json()
    assert (answer.status_code, found["code"], found["position"]) == (422, code, position)
    assert f"(line {position['line']}, column {position['column']})" in found["detail"]
    assert hint in found["hint"] + found["detail"]
    assert found["remedy"]
    assert [one["path"] for one in found["errors"]] == ["expression"]


async def test_a_failing_evaluation_says_what_failed_and_how_far_it_came(
    reader: httpx.AsyncClient,
) -> None:
    body = {"expression": "ToUpper([otherMails])", "attributes": {"otherMails": ["a", "b"]}}
    answer = await reader.post(URL, json=body)

    found = answer.json()
    assert (answer.status_code, found["code"]) == (422, "evaluation.textExpected")
    assert "a list of 2" in found["detail"]
    assert found["errors"][0]["path"] == "attributes"
    assert found["trace"]["parts"][0] == {"expression": "[otherMails]", "value": ["a", "b"]}


async def test_a_number_that_no_column_can_hold_is_refused(reader: httpx.AsyncClient) -> None:
    answer = await reader.post(URL, json={"expression": "BitAnd(&HFFFFFFFFFFFFFFFFFF, [a])"})
    huge = await reader.post(URL, json={"expression": "&HFFFFFFFFFFFFFFFFFF"})

    assert answer.status_code == 200  # null: there is no [a]
    assert (huge.status_code, huge.json()["code"]) == (422, "evaluation.notStorable")


async def test_what_comes_out_is_no_larger_than_a_column(reader: httpx.AsyncClient) -> None:
    """Before: 0.8 MB in, 966 MB out."""
    many = {"attributes": {"a": ["abcd"] * 20_000}}
    joined = f'Join("", {", ".join(["[a]"] * 1200)})'

    long = await reader.post(URL, json={"expression": joined, **many})
    listed = await reader.post(URL, json={"expression": "[a]", **many})

    assert (long.status_code, long.json()["code"]) == (422, "evaluation.listTooLong")
    assert (listed.status_code, listed.json()["code"]) == (422, "evaluation.notStorable")
    assert "Table Storage holds 32000" in listed.json()["detail"]
    assert max(len(long.content), len(listed.content)) < 300_000


async def test_a_person_larger_than_any_is_refused(reader: httpx.AsyncClient) -> None:
    body = {"expression": "[a]", "attributes": {"a": ["abcd"] * 100_000}}
    answer = await reader.post(URL, json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "attributes"
    assert "at most 262144" in answer.json()["detail"] + answer.json()["errors"][0]["message"]


async def test_an_expression_that_takes_long_ends_and_holds_up_nobody(
    reader: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: a pattern of 9 KB stopped the whole process for 45 s, a webhook's handshake with it."""
    slow = 'Replace([a], , "(a?){1000}b", , "")'
    body = {"expression": f'Join("", {", ".join([slow] * 9)})', "attributes": {"a": "a" * 3000}}
    # How long it takes depends on the machine; each pattern takes far longer than this on all of them.
    monkeypatch.setattr(expressions, "LIMIT_S", 0.01)
    waits = []

    async def tick() -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            await asyncio.sleep(0.01)
            waits.append(clock() - began)

    ticking = asyncio.create_task(tick())
    answer = await reader.post(URL, json=body)
    ticking.cancel()

    assert (answer.status_code, answer.json()["code"]) == (422, "evaluation.outOfTime")
    assert answer.json()["trace"]["error"]["code"] == "evaluation.outOfTime"
    assert max(waits, default=0) < 5


@pytest.mark.parametrize(
    ("body", "path"),
    [
        pytest.param({"attributes": {}}, "expression", id="no expression"),
        pytest.param({"expression": 1}, "expression", id="a number"),
        pytest.param({"expression": "1", "attributes": []}, "attributes", id="a list"),
        pytest.param({"expression": "1", "groups": ["Sales"]}, "groups[0]", id="a name of a group"),
        pytest.param({"expression": "1", "now": "soon"}, "now", id="no time"),
        pytest.param({"expression": "1", "atributes": {}}, "atributes", id="misspelt field"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_path(
    reader: httpx.AsyncClient, body: dict[str, Any], path: str
) -> None:
    answer = await reader.post(URL, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert [one["path"] for one in answer.json()["errors"]] == [path]


async def test_every_function_is_listed_with_an_example_that_can_be_tried(
    reader: httpx.AsyncClient,
) -> None:
    found = (await reader.get("/api/expressions/functions")).json()

    items = {one["name"]: one for one in found["items"]}
    assert found["next"] is None
    assert list(items) == [*FUNCTIONS, *REFUSED]
    for name in FUNCTIONS:
        assert items[name]["refused"] is None
        assert items[name]["signature"].startswith(f"{name}(")
        for example in items[name]["examples"]:
            given = {"attributes": example["attributes"], "groups": [GROUP], "now": NOW.isoformat()}
            assert await evaluated(reader, example["expression"], **given) == example["value"]
    for name, reason in REFUSED.items():
        assert items[name]["refused"] == reason
        assert items[name]["examples"] == []

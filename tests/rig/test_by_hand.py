"""The commands for people whom an administrator names, and what they print."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from local import __main__ as program
from local import commands
from local.client import Api
from tests.rig.up import Running, running

Say = Callable[..., tuple[int, list[str], str]]
UNTIL = "2099-01-31"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("rig")) as started:
        yield started


@pytest.fixture
def say(rig: Running, capsys: pytest.CaptureFixture[str]) -> Say:
    """Return how a command ends, the lines that it prints, and what it says is wrong."""

    def said(*command: str) -> tuple[int, list[str], str]:
        code = program.main([*command, "--data", str(rig.data)])
        told = capsys.readouterr()
        return code, told.out.splitlines(), told.err

    return said


@pytest.fixture
def listed(rig: Running) -> Callable[..., list[dict[str, Any]]]:
    def people(**query: str) -> list[dict[str, Any]]:
        with Api(rig.ready["url"], rig.ready["adminToken"]) as api:
            return list(api.items("/api/connections/contoso/candidates", query))

    return people


def test_people_are_listed_picked_synced_and_given_back(
    say: Say, listed: Callable[..., list[dict[str, Any]]]
) -> None:
    picked = next(
        one
        for one in listed(imported="none", userType="Guest")
        if not one["blocked"] and not one["agent"]
    )
    object_id, name = picked["objectId"], picked["userPrincipalName"]
    inside = listed(imported="scope")[0]["objectId"]

    code, lines, _ = say("candidates", "--imported", "manual")
    assert (code, len(lines), lines[0].split()[:2]) == (0, 1, ["objectId", "displayName"])

    code, lines, _ = say("import", object_id, inside, "--note", "Help")
    assert code == 0
    assert lines[0].startswith("succeeded: ")
    assert lines[1].split() == ["who", "result", "code", "action", "message"]
    assert [line.split() for line in lines[2:]] == [
        [object_id, "imported", "create"],
        [inside, "alreadyIn", "scope"],
    ]

    code, lines, _ = say("candidates", "--imported", "manual")
    assert code == 0
    assert [line.split()[0] for line in lines[1:]] == [object_id]
    assert lines[1].split()[-1] == "manual"

    code, lines, _ = say("sync-people", object_id, "nobody@contoso.com")
    assert code == 0
    assert [line.split()[:2] for line in lines[2:]] == [
        [object_id, "in"],
        ["nobody@contoso.com", "notFound"],
    ]

    code, lines, wrong = say("release", object_id)
    assert (code, lines) == (1, [])
    assert "Nothing was changed." in wrong
    plan_hash = wrong.partition("?confirm=")[2].strip().rstrip(".")

    code, lines, _ = say("release", object_id, "--confirm", plan_hash)
    assert code == 0
    assert lines[0].startswith("leaves: By the rules: ")
    assert lines[1].split() == ["userPrincipalName", "status", "origin", "disabledReason"]
    assert lines[2].split() == [name, "disabled", "auto", "leftScope"]


def test_who_is_listed_may_stand_on_any_page(
    say: Say,
    listed: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everybody = [one["objectId"] for one in listed()]
    code, lines, _ = say("candidates")
    assert code == 0
    assert [line.split()[0] for line in lines[1:]] == everybody

    monkeypatch.setattr(commands, "SHOWN_CANDIDATES", 3)
    code, lines, _ = say("candidates")
    assert code == 0
    assert [line.split()[0] for line in lines[1:4]] == everybody[:3]
    assert lines[4:] == [
        "There are more: narrow the search, or GET /api/connections/contoso/candidates"
    ]


def test_a_page_that_is_short_is_not_the_last(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pages are that are narrowed down by what people are in."""
    person = {"displayName": "Ann", "imported": None, "blocked": True, "agent": False}
    pages = [
        {"items": [], "next": "1"},
        {"items": [person | {"objectId": "first"}], "next": "2"},
        {"items": [person | {"objectId": "second", "blocked": False, "agent": True}], "next": None},
    ]
    asked: list[dict[str, str]] = []

    def request(_: Api, method: str, path: str, **options: Any) -> httpx.Response:
        asked.append(options["params"])
        return httpx.Response(200, content=json.dumps(pages[len(asked) - 1]))

    monkeypatch.setattr(Api, "request", request)
    code, lines, _ = say("candidates", "ann", "--imported", "none")

    assert (code, asked[0]["search"], asked[0]["imported"]) == (0, "ann", "none")
    assert [one.get("cursor") for one in asked] == [None, "1", "2"]
    assert [line.split() for line in lines[1:]] == [
        ["first", "Ann", "-", "blocked"],
        ["second", "Ann", "-", "agent"],
    ]


@pytest.mark.parametrize(
    ("command", "field"),
    [
        pytest.param(("import", "nobody"), "objectIds[0] must be a GUID", id="no id"),
        pytest.param(
            ("import", "6d2f5a80-1c3b-4e5f-8a9d-7b6c5d4e3f21", "--until", UNTIL),
            "until must be at most a year away",
            id="too late a day",
        ),
        pytest.param(("sync-people", "x"), "who[0] must have at least", id="no name"),
    ],
)
def test_a_refusal_names_what_is_wrong(say: Say, command: tuple[str, ...], field: str) -> None:
    code, lines, wrong = say(*command)

    assert (code, lines) == (1, [])
    assert field in wrong

"""What other releases have stored is read as far as it is known, and written back whole."""

from enum import StrEnum
from typing import Annotated, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from sync_core.domain.compatibility import (
    SCHEMA,
    kept,
    open_to_words,
    read,
    read_partly,
    schema_after,
    strange_paths,
    word,
)
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Run, RunStatus
from tests.unit.builders import GUID, JSON, clause, connection


class Color(StrEnum):
    RED = "red"


class Inner(Document):
    number: int = 0


class Outer(Document):
    name: str
    color: Annotated[Color, open_to_words(Color)] = Color.RED
    inner: Inner = Inner()
    several: list[Inner] = Field(default_factory=list)


STRANGE = {"name": "a", "several": [{"number": "many"}, {"number": 2}]}


# --- reading ----------------------------------------------------------------------------------------


def test_unknown_fields_are_ignored_at_every_depth() -> None:
    stored = {"name": "a", "new": 1, "inner": {"new": 1}, "several": [{"number": 2, "new": {}}]}

    assert read(Outer, stored) == Outer(name="a", several=[Inner(number=2)])
    assert read(Outer, orjson.dumps(stored)) == read(Outer, stored)


def test_what_callers_send_stays_strict() -> None:
    with pytest.raises(ValidationError):
        Outer.model_validate({"name": "a", "new": 1})
    with pytest.raises(ValidationError):
        Outer.model_validate({"name": "a", "color": "mauve"})


def test_a_value_that_is_not_understood_is_named_by_its_path_alone() -> None:
    with pytest.raises(ValidationError) as refused:
        read(Outer, STRANGE)

    assert strange_paths(refused.value) == "several.0.number"


def test_a_word_of_another_release_is_shown_as_it_is() -> None:
    outer = read(Outer, {"name": "a", "color": "mauve"})

    assert outer.to_json()["color"] == "mauve"
    assert (outer.color.value, str(outer.color), outer.color.name) == ("mauve",) * 3
    assert outer.color not in set(Color)
    assert isinstance(outer.color, Color)
    assert word(Color, "red") is Color.RED


@pytest.mark.parametrize("value", [1, None, ["red"]])
def test_a_word_is_a_text(value: object) -> None:
    with pytest.raises(ValidationError):
        read(Outer, {"name": "a", "color": value})


def test_a_state_forgets_only_the_fields_that_are_not_understood() -> None:
    stored = orjson.dumps(STRANGE | {"inner": {"number": 7}})

    assert read_partly(Outer, stored) == Outer(name="a", inner=Inner(number=7))


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param('{"name": 5}', id="a field that must be there"),
        pytest.param("not JSON", id="no JSON"),
        pytest.param("[]", id="no document"),
    ],
)
def test_a_state_without_what_it_needs_is_not_read(stored: str) -> None:
    with pytest.raises(ValidationError):
        read_partly(Outer, stored)


def test_a_run_of_another_release_is_read() -> None:
    run = read(
        Run,
        {
            "id": "1",
            "connectionId": "contoso",
            "trigger": "purge",
            "mode": "continued",
            "status": "paused",
            "requestedAt": "2026-05-04T03:02:01Z",
            "counts": {"read": 3, "blanked": 1},
            "decision": {"by": "ann"},
        },
    )

    assert (run.trigger.value, run.mode.value, run.status.value) == ("purge", "continued", "paused")
    assert (run.counts.read, run.status.is_final) == (3, True)
    assert run.replaced(status=RunStatus.FAILED).to_json()["trigger"] == "purge"


@pytest.mark.parametrize(
    ("mode", "understood"), [("full", "full"), ("incremental", "incremental"), ("rest", "auto")]
)
def test_a_message_of_another_release_is_read(mode: str, understood: str) -> None:
    message = {"connectionId": "contoso", "trigger": "purge", "mode": mode, "part": 3}

    request = read(SyncRequest, message)

    assert (request.trigger.value, request.mode, request.by) == ("purge", understood, None)
    with pytest.raises(ValidationError):
        SyncRequest.model_validate({"connectionId": "contoso", "trigger": "timer", "mode": "rest"})


# --- writing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "written"),
    [
        pytest.param(None, SCHEMA, id="an old row has none"),
        pytest.param("1", SCHEMA, id="no number"),
        pytest.param(0, SCHEMA, id="lower"),
        pytest.param(SCHEMA + 1, SCHEMA + 1, id="a newer row stays one"),
    ],
)
def test_schema(found: object, written: int) -> None:
    assert schema_after(found) == written


@pytest.mark.parametrize(
    ("raw", "known", "new", "written"),
    [
        pytest.param({"a": 1, "x": 2}, {"a": 1}, {"a": 3}, {"a": 3, "x": 2}, id="unknown field"),
        pytest.param({"a": 1}, {"a": 1, "b": 0}, {"a": 1, "b": 0}, {"a": 1, "b": 0}, id="default"),
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1}, {"a": 1}, id="taken away"),
        pytest.param({"a": {"x": 1}}, {"a": {}}, {"a": None}, {"a": None}, id="object to null"),
        pytest.param(
            {"a": None}, {"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="null to object"
        ),
        pytest.param({"a": "mauve"}, {"a": "red"}, {"a": "red"}, {"a": "mauve"}, id="not changed"),
        pytest.param({"a": "mauve"}, {"a": "red"}, {"a": "blue"}, {"a": "blue"}, id="changed"),
        pytest.param({"a": 1}, {"a": 1}, {"a": True}, {"a": True}, id="true is not 1"),
        pytest.param([{"a": 1, "x": 2}], [{"a": 1}], [{"a": 1}], [{"a": 1, "x": 2}], id="item"),
        pytest.param([{"a": 1, "x": 2}], [{"a": 1}], [{"a": 2}], [{"a": 2}], id="another item"),
        pytest.param([1, 2], [], [], [1, 2], id="list not understood, not changed"),
        pytest.param([1, 2], [], [3], [3], id="list not understood, changed"),
        pytest.param(None, {"a": 1}, {"a": 2}, {"a": 2}, id="nothing was stored"),
        pytest.param(["b", "a"], ["b", "a"], ["a", "c"], ["a", "c"], id="texts"),
    ],
)
def test_what_is_kept(raw: Any, known: Any, new: Any, written: Any) -> None:
    assert orjson.dumps(kept(raw, known, new)) == orjson.dumps(written)


RULES = [{"target": "b", "x": 1}, {"target": "a", "x": 2}]
CLAUSES = [{"attribute": "dept", "value": 1, "x": 1}, {"attribute": "dept", "value": 2, "x": 2}]
FILTERS = [{"clauses": [{"attribute": "a", "x": 1}], "name": "A"}, {"clauses": [], "name": "B"}]


def without_unknown(value: Any) -> Any:
    if isinstance(value, list):
        return [without_unknown(item) for item in value]
    if isinstance(value, dict):
        return {
            name: without_unknown(one) for name, one in value.items() if name not in {"x", "name"}
        }
    return value


@pytest.mark.parametrize(
    ("raw", "new", "written"),
    [
        pytest.param(
            RULES,
            [{"target": "a"}, {"target": "c"}, {"target": "b", "source": "mail"}],
            [{"target": "a", "x": 2}, {"target": "c"}, {"target": "b", "source": "mail", "x": 1}],
            id="a rule by its target, wherever it stands",
        ),
        pytest.param(
            CLAUSES,
            [{"attribute": "dept", "value": 1}, {"attribute": "dept", "value": 3}],
            [CLAUSES[0], {"attribute": "dept", "value": 3, "x": 2}],
            id="the one clause that was changed",
        ),
        pytest.param(
            CLAUSES,
            [{"attribute": "dept", "value": 3}],
            [{"attribute": "dept", "value": 3}],
            id="one of two clauses, nobody knows which",
        ),
        pytest.param(
            FILTERS,
            [{"clauses": [{"attribute": "a", "value": 5}]}, {"clauses": []}],
            [{"clauses": [{"attribute": "a", "value": 5, "x": 1}], "name": "A"}, FILTERS[1]],
            id="a clause within a filter",
        ),
        pytest.param(
            [{"never": "a", "x": 1}], [{"never": "b"}], [{"never": "b"}], id="another assertion"
        ),
    ],
)
def test_items_of_a_list_keep_what_belongs_to_them(raw: Any, new: Any, written: Any) -> None:
    assert kept(raw, without_unknown(raw), new) == written


@given(JSON)
def test_what_nobody_changes_is_written_as_it_was(stored: Any) -> None:
    assert kept(stored, stored, stored) == stored


@given(JSON, JSON)
def test_what_was_understood_whole_is_replaced_whole(stored: Any, new: Any) -> None:
    assert kept(stored, stored, new) == new


@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("xyz"), JSON))
def test_unknown_fields_survive_any_change(known: dict[str, Any], unknown: dict[str, Any]) -> None:
    written = kept(known | unknown, known, {"a": 1})

    assert written == unknown | {"a": 1}


def test_a_connection_of_a_newer_release_is_read_by_what_is_known_of_it() -> None:
    plain = connection(
        scope={"filters": [{"clauses": [clause("department", "EQUALS", "Sales")]}]},
        mapping=[{"target": "a", "source": "mail"}],
    )
    stored = plain.to_json()
    stored["scope"]["filters"][0] |= {"name": "Sales"}
    stored["scope"]["filters"][0]["clauses"][0] |= {"caseSensitive": True}
    stored["mapping"][0] |= {"note": "as agreed"}
    stored["policy"]["guard"] |= {"maxBlanked": 3}
    stored |= {"owner": {"name": "Ann"}}

    assert read(Connection, stored) == plain
    assert kept(stored, plain.to_json(), plain.to_json()) == stored


def test_a_rule_of_a_newer_release_is_not_guessed() -> None:
    """By half of its rules a connection would let in, or remove, the wrong people."""
    stored = connection().to_json() | {"scope": {"guests": "some"}}

    with pytest.raises(ValidationError) as refused:
        read(Connection, stored)

    assert strange_paths(refused.value) == "scope.guests"
    assert GUID not in strange_paths(refused.value)

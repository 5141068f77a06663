"""Rows of the Users table: what a change writes, and what it leaves alone."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.model import (
    Action,
    Change,
    Link,
    Origin,
    Reason,
    Status,
    StoredPerson,
    Value,
    utf16_length,
)
from sync_core.store.rows import (
    HISTORY,
    TEXT_PIECE,
    Stamp,
    column,
    history_key,
    joined,
    joined_row,
    linked_mark,
    mapped_values,
    moment,
    moved_history,
    moved_row,
    needs_row,
    old_values,
    operations,
    partition_key,
    pieces,
    to_be_taken,
    to_stored,
    unlinked,
    without,
)
from sync_core.store.wire import Entity, Verb
from tests.unit.builders import ANN, GUID, NOW, OBJECT_IDS, STAMP, TARGETS, VALUES, change

TIME = "2026-05-04T03:02:01.987654Z"
OLD = "2020-01-01T00:00:00.0000000Z"


def row(*, status: str = "active", targets: str = "email", **columns: Any) -> Entity:
    """Give Ann's row as the service answers with all metadata, with some columns more."""
    return {
        "odata.metadata": "https://x/$metadata#Users/@Element",
        "odata.type": "x.Users",
        "odata.id": "https://x/Users(PartitionKey='contoso-a',RowKey='…')",
        "odata.etag": "W/\"datetime'2020'\"",
        "odata.editLink": "Users(PartitionKey='contoso-a',RowKey='…')",
        "PartitionKey": "contoso-a",
        "RowKey": ANN,
        "Timestamp@odata.type": "Edm.DateTime",
        "Timestamp": OLD,
        "ConnectionId": "contoso",
        "TenantId": GUID,
        "UserPrincipalName": "old@contoso.com",
        "Status": status,
        "Origin": "manual",
        "Digest": "old",
        "LastRunId": "run-0",
        "CreatedAt@odata.type": "Edm.DateTime",
        "CreatedAt": OLD,
        "UpdatedAt@odata.type": "Edm.DateTime",
        "UpdatedAt": OLD,
        "MappedTargets": targets,
        **columns,
    }


def written(done: Change, before: Entity | None = None) -> Entity:
    """Give the person's row as one change writes it."""
    return operations(done, before, STAMP)[0].entity


def history(done: Change, before: Entity | None = None, stamp: Stamp = STAMP) -> Entity:
    return operations(done, before, stamp)[1].entity


# --- operations -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "verb", "etag"),
    [
        pytest.param(Action.CREATE, Verb.UPSERT, "*", id="create"),
        pytest.param(Action.UPDATE, Verb.REPLACE, row()["odata.etag"], id="update"),
        pytest.param(Action.REENABLE, Verb.REPLACE, row()["odata.etag"], id="reenable"),
        pytest.param(Action.DISABLE, Verb.MERGE, row()["odata.etag"], id="disable"),
        pytest.param(Action.DELETE, Verb.DELETE, row()["odata.etag"], id="delete"),
    ],
)
def test_a_change_and_its_history_are_one_group(action: Action, verb: Verb, etag: str) -> None:
    """Both in Ann's partition, so that they are written together or not at all."""
    person, record = operations(change(action), row(), STAMP)

    assert (person.verb, person.etag) == (verb, etag)
    assert record.verb is Verb.UPSERT
    assert person.entity["PartitionKey"] == record.entity["PartitionKey"] == "contoso-a"
    assert person.entity["RowKey"] == ANN


@pytest.mark.parametrize("action", sorted(set(Action) - {Action.CREATE}))
def test_all_but_a_create_need_the_stored_row(action: Action) -> None:
    assert needs_row(change(action))
    with pytest.raises(ValueError, match="no stored row"):
        operations(change(action), None, STAMP)


def test_a_create_needs_none() -> None:
    assert not needs_row(change(Action.CREATE))


def test_a_created_row() -> None:
    values: dict[str, Value] = {"email": "ann@contoso.com", "phone": None, "level": 7}
    entity = written(change(Action.CREATE, values=values, kept=("nick",), digest="d"))

    assert entity == {
        "PartitionKey": "contoso-a",
        "RowKey": ANN,
        "Status": "active",
        "Origin": "auto",
        "ConnectionId": "contoso",
        "TenantId": GUID,
        "UserPrincipalName": "ann@contoso.com",
        "LastRunId": "run-1",
        "Digest": "d",
        "CreatedAt": TIME,
        "CreatedAt@odata.type": "Edm.DateTime",
        "UpdatedAt": TIME,
        "UpdatedAt@odata.type": "Edm.DateTime",
        "email": "ann@contoso.com",
        "level": 7,
        "MappedTargets": "email,level,nick,phone",
    }


def test_a_rewritten_row() -> None:
    before = row(email="old@contoso.com", targets="email")
    entity = written(change(Action.UPDATE, values={"email": "new"}, digest="new"), before)

    assert entity == {
        "PartitionKey": "contoso-a",
        "RowKey": ANN,
        "Status": "active",
        "Origin": "manual",
        "ConnectionId": "contoso",
        "TenantId": GUID,
        "UserPrincipalName": "ann@contoso.com",
        "LastRunId": "run-1",
        "Digest": "new",
        "CreatedAt": OLD,
        "CreatedAt@odata.type": "Edm.DateTime",
        "UpdatedAt": TIME,
        "UpdatedAt@odata.type": "Edm.DateTime",
        "email": "new",
        "MappedTargets": "email",
    }


def test_a_disabled_row_keeps_everything_else() -> None:
    """It is merged, so what is not named here stays as it is stored."""
    assert written(change(Action.DISABLE, reason=Reason.SOFT_DELETED), row()) == {
        "PartitionKey": "contoso-a",
        "RowKey": ANN,
        "Status": "disabled",
        "DisabledReason": "softDeleted",
        "LastRunId": "run-1",
        "DisabledAt": TIME,
        "DisabledAt@odata.type": "Edm.DateTime",
        "UpdatedAt": TIME,
        "UpdatedAt@odata.type": "Edm.DateTime",
    }


def test_a_row_may_be_disabled_without_a_reason_known() -> None:
    assert written(change(Action.DISABLE), row())["DisabledReason"] == ""


def test_who_comes_back_is_no_longer_disabled() -> None:
    before = row(
        status="disabled",
        DisabledReason="leftScope",
        DisabledAt=OLD,
        **{"DisabledAt@odata.type": "Edm.DateTime"},
    )
    entity = written(change(Action.REENABLE), before)

    assert entity["Status"] == "active"
    assert not [name for name in entity if name.startswith("Disabled")]
    assert entity["CreatedAt"] == OLD


def test_a_deleted_row_is_named_by_its_keys() -> None:
    assert written(change(Action.DELETE), row()) == {"PartitionKey": "contoso-a", "RowKey": ANN}


# --- columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "columns"),
    [
        pytest.param(None, {}, id="null is an absent column"),
        pytest.param("x", {"a": "x"}, id="text"),
        pytest.param("", {"a": ""}, id="empty text"),
        pytest.param(True, {"a": True}, id="true"),
        pytest.param(False, {"a": False}, id="false"),
        pytest.param(2**31 - 1, {"a": 2**31 - 1}, id="largest Int32"),
        pytest.param(-(2**31), {"a": -(2**31)}, id="smallest Int32"),
        pytest.param(2**31, {"a": "2147483648", "a@odata.type": "Edm.Int64"}, id="above Int32"),
        pytest.param(
            -(2**31) - 1, {"a": "-2147483649", "a@odata.type": "Edm.Int64"}, id="below Int32"
        ),
        pytest.param(1.5, {"a": 1.5, "a@odata.type": "Edm.Double"}, id="decimals"),
        pytest.param(5.0, {"a": 5.0, "a@odata.type": "Edm.Double"}, id="whole, but a double"),
    ],
)
def test_a_value_has_the_type_it_needs(value: Value, columns: Entity) -> None:
    """learn.microsoft.com/rest/api/storageservices/payload-format-for-table-service-operations"""
    assert column("a", value) == columns
    assert type(column("a", value).get("a")) is type(columns.get("a"))


@pytest.mark.parametrize(
    "when",
    [NOW, NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))],
    ids=["UTC", "another time zone"],
)
def test_moments_are_written_in_utc(when: datetime) -> None:
    assert moment("At", when) == {"At": TIME, "At@odata.type": "Edm.DateTime"}


FOREIGN: dict[str, Any] = {
    "roles": "admin",
    "Roles": "admin",
    "TimestampOfBirth": "1990",
    "odataRank": 3,
    "seenAt": OLD,
    "seenAt@odata.type": "Edm.DateTime",
    "photo": "AQID",
    "photo@odata.type": "Edm.Binary",
    "visits": "9007199254740993",
    "visits@odata.type": "Edm.Int64",
    "score": "NaN",
    "score@odata.type": "Edm.Double",
}


@pytest.mark.parametrize("action", [Action.UPDATE, Action.REENABLE])
def test_columns_of_an_application_stay_with_their_types(action: Action) -> None:
    entity = written(change(action, values={"email": "x"}), row(**FOREIGN))

    assert {name: entity.get(name) for name in FOREIGN} == FOREIGN


@pytest.mark.parametrize("action", [Action.UPDATE, Action.REENABLE])
def test_what_the_service_adds_is_not_sent_back(action: Action) -> None:
    entity = written(change(action), row())

    assert not [name for name in entity if name.startswith("odata.") or "Timestamp" in name]


@pytest.mark.parametrize(
    ("stored", "values", "kept", "left", "targets"),
    [
        pytest.param({"a": 1}, {"a": 2}, (), {"a": 2}, "a", id="changed"),
        pytest.param({"a": 1}, {"a": None}, (), {}, "a", id="cleared"),
        pytest.param({"a": 1}, {}, ("a",), {"a": 1}, "a", id="kept"),
        pytest.param({"a": 1}, {}, (), {}, "", id="no longer mapped"),
        pytest.param({"a": 1, "b": 2}, {"b": 3}, (), {"b": 3}, "b", id="one no longer mapped"),
        pytest.param({}, {"a": 1}, (), {"a": 1}, "a", id="newly mapped"),
        pytest.param({}, {}, ("a",), {}, "", id="kept, and never there"),
        pytest.param({"a": 2**40}, {"a": 1}, (), {"a": 1}, "a", id="another type"),
        pytest.param({"a": 2**40}, {}, ("a",), {"a": 2**40}, "a", id="kept with its type"),
        pytest.param({"a": 2**40}, {"a": None}, (), {}, "a", id="cleared with its type"),
    ],
)
def test_the_row_remembers_which_columns_are_mapped(
    stored: dict[str, Value],
    values: dict[str, Value],
    kept: tuple[str, ...],
    left: dict[str, Value],
    targets: str,
) -> None:
    """So a target that is taken out of the mapping leaves the row, and an application's column stays."""
    before = row(targets=",".join(stored), foreign="f")
    for name, value in stored.items():
        before |= column(name, value)

    entity = written(change(Action.UPDATE, values=values, kept=kept), before)

    names = {name.partition("@")[0] for name in entity if name[0].islower()}
    assert names == left.keys() | {"foreign"}
    assert mapped_values(entity) == left
    assert entity["MappedTargets"] == targets


def test_a_row_from_before_the_bookkeeping_keeps_its_columns() -> None:
    before = row(a=1)
    del before["MappedTargets"]

    entity = written(change(Action.UPDATE, values={"b": 1}), before)

    assert (entity["a"], entity["MappedTargets"]) == (1, "b")
    assert mapped_values(before) == {}


MAPPED = st.dictionaries(TARGETS, VALUES, max_size=6)


def without_nulls(values: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


@given(MAPPED)
def test_what_is_written_is_read_back(values: dict[str, Value]) -> None:
    entity = orjson.loads(orjson.dumps(written(change(Action.CREATE, values=values))))

    assert mapped_values(entity) == without_nulls(values)


@given(st.data(), MAPPED, st.lists(MAPPED, max_size=3))
def test_the_mapped_values_are_those_of_the_last_change(
    data: st.DataObject, first: dict[str, Value], then: list[dict[str, Value]]
) -> None:
    """With what each change keeps, over any number of changes; an application's column stays."""
    entity = written(change(Action.CREATE, values=first)) | {"Foreign": "f"}
    expected = without_nulls(first)
    for values in then:
        kept = data.draw(st.sets(TARGETS | st.sampled_from(sorted(first) or ["a"]), max_size=2))
        kept -= values.keys()
        update = change(Action.UPDATE, values=values, kept=tuple(sorted(kept)))
        entity = written(update, entity | {"odata.etag": "e"})
        stays = {name: value for name, value in expected.items() if name in kept}
        expected = without_nulls(values) | stays

    assert mapped_values(entity) == expected
    assert entity["Foreign"] == "f"


# --- by hand --------------------------------------------------------------------------------------


def picked(action: Action = Action.CREATE, until: str = "") -> Change:
    return change(action, values={"email": "x"}, digest="d", origin=Origin.MANUAL, until=until)


def test_somebody_brought_in_by_hand_is_told_apart_in_row_and_history() -> None:
    until = {"ManualUntil": "2027-01-31"}
    row, past = written(picked(until="2027-01-31")), history(picked(until="2027-01-31"))

    assert row.items() >= {"Origin": "manual", "ImportRunId": "run-1", **until}.items()
    assert (past["Origin"], past["Until"]) == ("manual", "2027-01-31")
    assert "ManualUntil" not in written(picked())


def test_a_new_day_takes_the_place_of_the_old_one() -> None:
    there = row(Origin="manual", ManualUntil="2027-01-31", ImportRunId="old")
    again = written(picked(Action.UPDATE), there)

    assert (again["Origin"], again["ImportRunId"]) == ("manual", "run-1")
    assert "ManualUntil" not in again


def test_an_update_leaves_how_somebody_came_in() -> None:
    there = row(Origin="manual", ManualUntil="2027-01-31", ImportRunId="old")
    again = written(change(Action.UPDATE, values={"email": "x"}), there)

    assert (again["Origin"], again["ManualUntil"], again["ImportRunId"]) == (
        "manual",
        "2027-01-31",
        "old",
    )


@pytest.mark.parametrize("status", ["active", "disabled"])
def test_giving_back_changes_nothing_else(status: str) -> None:
    there = row(Status=status, Origin="manual", ManualUntil="2027-01-31", ImportRunId="old")
    again = written(change(Action.UPDATE, origin=Origin.AUTO), there)
    own = {"Origin", "LastRunId", "UpdatedAt"}

    assert again["Origin"] == "auto"
    assert without(again, own) == without(there, own | {"ManualUntil", "ImportRunId"})


def test_who_leaves_as_they_are_given_back_is_disabled_by_the_rules() -> None:
    there = row(Origin="manual", ManualUntil="2027-01-31", ImportRunId="old")
    leaving = change(Action.DISABLE, reason=Reason.LEFT_SCOPE, origin=Origin.AUTO)
    again = written(leaving, there)

    assert (again["Status"], again["DisabledReason"], again["Origin"]) == (
        "disabled",
        "leftScope",
        "auto",
    )
    assert {"ManualUntil", "ImportRunId"}.isdisjoint(again)


def test_the_day_counts_for_people_by_hand_only() -> None:
    manual = to_stored(row(Origin="manual", ManualUntil="2027-01-31"), "contoso")
    auto = to_stored(row(Origin="auto", ManualUntil="2027-01-31"), "contoso")

    assert manual is not None
    assert auto is not None
    assert (manual.until, auto.until) == ("2027-01-31", "")


# --- index ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "person"),
    [
        pytest.param({}, StoredPerson(Status.ACTIVE, Origin.MANUAL, "old"), id="active"),
        pytest.param(
            {"Status": "disabled"},
            StoredPerson(Status.DISABLED, Origin.MANUAL, "old"),
            id="disabled",
        ),
        pytest.param(
            {"Origin": None}, StoredPerson(Status.ACTIVE, Origin.AUTO, "old"), id="no origin"
        ),
        pytest.param(
            {"Digest": None}, StoredPerson(Status.ACTIVE, Origin.MANUAL, ""), id="no digest"
        ),
        pytest.param({"ConnectionId": "fabrikam"}, None, id="another connection's"),
        pytest.param({"ConnectionId": None}, None, id="nobody's"),
        pytest.param({"Status": None}, None, id="no status"),
        pytest.param({"Status": "banned"}, None, id="a status of an application"),
        pytest.param({"Origin": "imported"}, None, id="an origin of an application"),
    ],
)
def test_only_our_own_rows_count(columns: dict[str, Any], person: StoredPerson | None) -> None:
    there = row(**columns)
    absent = {name: value for name, value in there.items() if value is not None}

    assert to_stored(there, "contoso") == person
    assert to_stored(absent, "contoso") == person


@given(OBJECT_IDS)
def test_a_person_is_in_the_partition_of_the_first_digit(object_id: str) -> None:
    assert partition_key("contoso", object_id) == f"contoso-{object_id[0]}"


# --- history --------------------------------------------------------------------------------------


def test_the_record_of_a_change() -> None:
    done = change(Action.DISABLE, reason=Reason.LEFT_SCOPE, evidence={"found": True, "groups": []})

    assert history(done, row()) == {
        "PartitionKey": "contoso-a",
        "RowKey": history_key(ANN, STAMP),
        "ConnectionId": "contoso",
        "ObjectId": ANN,
        "UserPrincipalName": "ann@contoso.com",
        "RunId": "run-1",
        "Action": "disable",
        "At": TIME,
        "At@odata.type": "Edm.DateTime",
        "Reason": "leftScope",
        "Changes": "{}",
        "Evidence": '{"found":true,"groups":[]}',
    }


def test_a_create_is_its_own_record() -> None:
    """The values stand in the row; saying them twice would double a first import."""
    record = history(change(Action.CREATE, values={"email": "x"}))

    assert {"Reason", "Changes", "Evidence"}.isdisjoint(record)
    assert record["Action"] == "create"


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        pytest.param(Action.UPDATE, {"a": [1, 2]}, id="update: old and new"),
        pytest.param(Action.REENABLE, {"a": [1, 2]}, id="reenable: old and new"),
        pytest.param(Action.DELETE, {"a": [1, None]}, id="delete: what was lost"),
        pytest.param(Action.DISABLE, {}, id="disable: nothing changes"),
    ],
)
def test_the_record_tells_old_and_new_values(action: Action, fields: Any) -> None:
    values: dict[str, Value] = {} if action.is_removal else {"a": 2}
    record = history(change(action, before={"a": 1}, values=values), row())

    assert orjson.loads(record["Changes"]) == fields


def test_a_long_record_is_spread_over_columns() -> None:
    before, after = "x" * 32_000, "😀" * 16_000
    record = history(change(Action.UPDATE, before={"a": before}, values={"a": after}), row())

    assert {name for name in record if name.startswith("Changes")} >= {"Changes", "Changes1"}
    assert orjson.loads(joined("Changes", record)) == {"a": [before, after]}


@given(OBJECT_IDS, st.datetimes(datetime(2020, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001
def test_records_sort_after_people_newest_first(object_id: str, when: datetime) -> None:
    sooner = Stamp("contoso", GUID, "run-1", when.replace(tzinfo=UTC))
    later = Stamp("contoso", GUID, "run-2", sooner.now + timedelta(milliseconds=1))

    assert "g" < HISTORY <= history_key(object_id, later) < history_key(object_id, sooner)
    assert history_key(object_id, sooner) < HISTORY + object_id + HISTORY + HISTORY


def test_the_key_of_a_record() -> None:
    """Written down: records of years lie in the table, and the next ones have to sort among them."""
    assert history_key(ANN, STAMP) == f"~{ANN}~8222136278012~run-1"


def test_two_runs_at_the_same_moment_have_two_records() -> None:
    other = Stamp("contoso", GUID, "run-2", NOW)

    assert history_key(ANN, STAMP) != history_key(ANN, other)


LONG = st.builds(
    lambda start, letter, count: start + letter * count,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.sampled_from(["a", "ü", "李", "😀", "a😀"]),
    st.integers(0, 2 * TEXT_PIECE),
)


@given(LONG)
def test_pieces_fit_and_lose_nothing(text: str) -> None:
    spread = pieces("Document", text)

    assert joined("Document", spread) == text
    assert all(utf16_length(piece) <= 32_767 for piece in spread.values())
    assert list(spread)[:2] == ["Document", "Document1"][: len(spread)]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        pytest.param("", [0], id="empty"),
        pytest.param("a" * TEXT_PIECE, [TEXT_PIECE], id="just one"),
        pytest.param("a" * (TEXT_PIECE + 1), [TEXT_PIECE, 1], id="one letter more"),
        pytest.param("😀" * TEXT_PIECE, [TEXT_PIECE // 2] * 2, id="letters that count twice"),
    ],
)
def test_a_text_is_cut_where_a_column_ends(text: str, lengths: list[int]) -> None:
    assert [len(piece) for piece in pieces("D", text).values()] == lengths


def test_a_text_that_is_not_there_is_empty() -> None:
    assert joined("Document", {"Documents": "x"}) == ""


# --- links ----------------------------------------------------------------------------------------

ELSEWHERE = Link("contoso-b", "app-17", "email")
AT_HOME = Link("contoso-a", ANN, "objectId", in_place=True)


def linking(link: Link, **values: Value) -> Change:
    return change(values=values, link=link)


@pytest.mark.parametrize(
    ("link", "verb", "etag"),
    [
        pytest.param(ELSEWHERE, Verb.UPSERT, "*", id="elsewhere"),
        pytest.param(AT_HOME, Verb.REPLACE, row()["odata.etag"], id="in place"),
    ],
)
def test_a_link_writes_the_persons_own_row_with_what_was_taken_over(
    link: Link, verb: Verb, etag: str
) -> None:
    """Ours wins: the application's status, and its value of a target that is null now, go."""
    free = row(status="member", targets="", email="old@x", department="old", appTheme="dark")
    free |= {"LinkedObjectId": ANN, "LinkedBy": "email", "NoAutoLink": True}
    free |= {"appLogins": "1099511627776", "appLogins@odata.type": "Edm.Int64"}
    person, _ = operations(linking(link, email="new@x", department=None), free, STAMP)

    assert (person.verb, person.etag) == (verb, etag)
    assert person.entity == written(change(values={"email": "new@x", "department": None})) | {
        "appTheme": "dark",
        "appLogins": "1099511627776",
        "appLogins@odata.type": "Edm.Int64",
        "LinkedFrom": link.address,
        "LinkedBy": link.by,
    }


def test_of_a_former_persons_targets_only_those_that_are_kept_are_taken_over() -> None:
    former = row(status="disabled", targets="email,nick,team", email="o@x", nick="o", team="o")
    done = linking(ELSEWHERE, email="new@x")
    done.kept = ("nick",)

    person = written(done, former)
    assert (person["email"], person["nick"]) == ("new@x", "o")
    assert "team" not in person
    assert person["MappedTargets"] == "email,nick"


def test_a_link_needs_the_row_that_is_taken_over() -> None:
    assert needs_row(linking(ELSEWHERE))
    assert [one.has_row for one in (linking(ELSEWHERE), linking(AT_HOME), change())] == [
        False,
        True,
        False,
    ]
    with pytest.raises(ValueError, match="no stored row"):
        operations(linking(ELSEWHERE), None, STAMP)


def test_the_history_says_what_was_linked_and_in_place_what_it_replaced() -> None:
    adopted = linking(AT_HOME, email="new@x")
    adopted.before = old_values(adopted, row(targets="", email="old@x", other="o"))
    record = history(adopted, row())

    assert orjson.loads(record["Changes"]) == {"email": ["old@x", "new@x"]}
    assert orjson.loads(record["Link"]) == {
        "row": f"contoso-a|{ANN}",
        "by": "objectId",
        "rehire": False,
        "broken": False,
    }
    assert "Changes" not in history(linking(ELSEWHERE, email="new@x"), row())
    assert "Link" not in history(change())


def test_a_mark_leaves_the_other_columns_alone() -> None:
    mark = linked_mark(ELSEWHERE, ANN, "etag")

    assert (mark.verb, mark.etag) == (Verb.MERGE, "etag")
    assert mark.entity == {
        "PartitionKey": "contoso-b",
        "RowKey": "app-17",
        "LinkedObjectId": ANN,
        "LinkedBy": "email",
    }


def test_a_link_is_broken_together_with_its_history() -> None:
    before = row(LinkedFrom=ELSEWHERE.address, LinkedBy="email", appTheme="dark")
    person, record = unlinked(before, ELSEWHERE, STAMP)

    assert (person.verb, person.etag) == (Verb.REPLACE, before["odata.etag"])
    assert not {"LinkedFrom", "LinkedBy", "Timestamp", "odata.id"} & person.entity.keys()
    assert (person.entity["appTheme"], person.entity["Digest"]) == ("dark", "old")
    assert person.entity["UpdatedAt"] == TIME
    assert record.entity["Action"] == "update"
    assert record.entity["UserPrincipalName"] == "old@contoso.com"
    assert orjson.loads(record.entity["Link"])["broken"] is True
    unnamed = {name: value for name, value in before.items() if name != "UserPrincipalName"}
    assert unlinked(unnamed, ELSEWHERE, STAMP)[1].entity["UserPrincipalName"] == ""


# --- rows of a deleted connection that move ----------------------------------------------------------

TAKER = Stamp("new", GUID, "run-2", NOW)
ADDRESS = f"contoso-a|{ANN}"


@pytest.mark.parametrize(
    ("status", "reason", "returns"),
    [
        pytest.param("active", {}, None, id="kept"),
        pytest.param("disabled", {"DisabledReason": "leftScope"}, None, id="left before"),
        pytest.param("disabled", {"DisabledReason": "connectionDeleted"}, True, id="by deletion"),
    ],
)
def test_a_row_moves_with_all_that_it_holds(
    status: str, reason: dict[str, str], returns: bool | None
) -> None:
    columns = {"big": "5000000000", "big@odata.type": "Edm.Int64", "theme": "dark", **reason}
    before = row(status=status, email="ann@x", LinkedFrom="contoso-b|app-17", **columns)
    [moved, note] = moved_row(before, ADDRESS, TAKER)
    person = moved.entity
    kept = columns | {"email": "ann@x", "Status": status, "Origin": "manual", "Digest": "old"}
    taken = to_be_taken(before, "contoso")

    assert moved.verb is Verb.INSERT, "never over a row that stands there"
    assert (person["PartitionKey"], person["RowKey"], person["ConnectionId"]) == (
        "new-a",
        ANN,
        "new",
    )
    assert person.items() >= kept.items()
    assert (person["CreatedAt"], person["LastRunId"]) == (OLD, "run-2")
    assert (person["TakenOverFrom"], person.get("Returns")) == (ADDRESS, returns)
    assert person["LinkedFrom"] == "contoso-b|app-17"
    assert not {name for name in person if name.startswith(("odata.", "Timestamp"))}
    assert taken is not None
    assert taken.returns is bool(returns)
    assert to_stored(person, "new") == taken
    assert note.entity["RowKey"] == f"{history_key(ANN, TAKER)}~takeover"
    assert orjson.loads(note.entity["Link"])["row"] == ADDRESS


def test_a_row_that_was_linked_in_place_still_is() -> None:
    [moved, _] = moved_row(row(LinkedFrom=ADDRESS), ADDRESS, TAKER)

    assert moved.entity["LinkedFrom"] == f"new-a|{ANN}"


@pytest.mark.parametrize(("newer", "theme"), [(False, "light"), (True, "dark")])
def test_columns_of_the_application_go_into_the_row_that_is_there(newer: bool, theme: str) -> None:
    big = {"big": "5000000000", "big@odata.type": "Edm.Int64"}
    old = row(email="ann@x", theme="dark", status="disabled", **big)
    new = row(
        email="new@x", theme="light", big="no number", PartitionKey="new-a", ConnectionId="new"
    )
    new["CreatedAt"] = TIME
    [joined_one, note] = joined_row(old, new, ADDRESS, TAKER, newer=newer)
    person = joined_one.entity

    assert (joined_one.verb, joined_one.etag) == (Verb.REPLACE, new["odata.etag"])
    assert (person["theme"], person["email"], person["Status"]) == (theme, "new@x", "active")
    assert ("big@odata.type" in person) is newer
    assert (person["PartitionKey"], person["CreatedAt"]) == ("new-a", OLD)
    assert person["TakenOverFrom"] == ADDRESS
    assert "Link" in note.entity


def test_a_history_goes_along_under_its_own_key() -> None:
    before = history(change(Action.UPDATE), row()) | {"odata.etag": "1", "Timestamp": OLD}
    moved = moved_history(before, TAKER).entity

    assert moved == history(change(Action.UPDATE), row()) | {
        "PartitionKey": "new-a",
        "ConnectionId": "new",
    }


def test_of_another_connection_nothing_is_taken() -> None:
    assert to_be_taken(row(), "other") is None

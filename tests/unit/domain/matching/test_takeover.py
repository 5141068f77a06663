"""Whose rows a connection takes over, and what is done with each: tables of the rule."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sync_core.domain.matching.takeover import (
    Here,
    Leftover,
    Standing,
    Step,
    already_done,
    being_taken_over,
    explain_moved,
    explain_moving,
    explain_open,
    here,
    is_return,
    not_confirmed,
    of_tenant,
    pending,
    refusal,
    row_taken,
    step,
)
from sync_core.domain.model import Status

AT = datetime(2026, 3, 1, tzinfo=UTC)
ADDRESS = "old-a|a1"
OLD = Leftover("t1", "old", AT)
TAKEN = replace(OLD, taker="new", confirmed_at=AT)
DONE = replace(TAKEN, done_at=AT)


@pytest.mark.parametrize(
    ("leftover", "as_new", "as_other"),
    [
        (OLD, Standing.OPEN, Standing.OPEN),
        (TAKEN, Standing.CONFIRMED, Standing.ELSEWHERE),
        # What stayed when all was moved that could be is anybody's again.
        (DONE, Standing.DONE, Standing.OPEN),
    ],
)
def test_where_a_takeover_stands(leftover: Leftover, as_new: Standing, as_other: Standing) -> None:
    assert (leftover.standing("new"), leftover.standing("other")) == (as_new, as_other)


@pytest.mark.parametrize(
    ("owner", "came_from", "found", "done"),
    [
        pytest.param(None, None, Here.NOTHING, Step.MOVE, id="nobody is there"),
        pytest.param("new", None, Here.OWN, Step.JOIN, id="came in before it was confirmed"),
        pytest.param("new", "older-a|a1", Here.OWN, Step.JOIN, id="taken from a third one"),
        pytest.param("new", ADDRESS, Here.MOVED, Step.FINISH, id="killed before the deletion"),
        pytest.param("", None, Here.FOREIGN, Step.LEAVE, id="a row of the application"),
        pytest.param("third", ADDRESS, Here.FOREIGN, Step.LEAVE, id="of another connection"),
    ],
)
def test_what_is_done_with_a_row(
    owner: str | None, came_from: str | None, found: Here, done: Step
) -> None:
    assert here(owner, came_from, "new", ADDRESS) is found
    assert step(found) is done


@pytest.mark.parametrize(
    ("status", "reason", "returns"),
    [
        (Status.ACTIVE, None, False),
        (Status.DISABLED, "connectionDeleted", True),
        (Status.DISABLED, "leftScope", False),
        (Status.DISABLED, None, False),
    ],
)
def test_who_comes_back_by_the_confirmation(
    status: Status, reason: str | None, returns: bool
) -> None:
    assert is_return(status, reason) is returns


def test_a_connection_that_was_made_again_keeps_its_rows() -> None:
    other = replace(TAKEN, connection_id="older")

    assert pending([TAKEN, other, DONE, OLD], {"old"}) == [other]


@pytest.mark.parametrize(
    ("found", "exists", "code"),
    [
        pytest.param([OLD], False, None, id="free"),
        pytest.param([TAKEN], False, None, id="confirmed before"),
        pytest.param([replace(DONE, taker="third")], False, None, id="done by a third one"),
        pytest.param([OLD], True, "takeover.connectionExists", id="made again"),
        pytest.param([], False, "takeover.unknown", id="nothing is left"),
        pytest.param(
            [replace(OLD, tenant_id="t2")], False, "takeover.otherTenant", id="other tenant"
        ),
        pytest.param(
            [replace(TAKEN, taker="third")], False, "takeover.confirmedElsewhere", id="third one"
        ),
    ],
)
def test_what_cannot_be_confirmed(found: list[Leftover], exists: bool, code: str | None) -> None:
    refused = refusal("new", "T1", "old", found, exists=exists)

    assert (refused and refused.code) == code
    assert refused is None or refused.remedy


def test_a_tenant_is_the_same_in_any_case() -> None:
    assert of_tenant("T1", [replace(OLD, tenant_id="t2"), OLD]) == OLD


def test_the_words_name_both_connections_and_the_call() -> None:
    errors = [being_taken_over(TAKEN), not_confirmed("new", "old"), already_done("new", "old")]
    words = [f"{one.message} {one.remedy}" for one in errors]

    assert all("'old'" in said and "'new'" in said for said in words)
    assert "DELETE /api/connections/new/takeovers/old" in words[0]
    assert ADDRESS in row_taken(ADDRESS).message
    assert ADDRESS in explain_moved(ADDRESS)
    assert "'old'" in explain_moving(ADDRESS, "old")
    assert "POST /api/connections/new/takeovers/old" in explain_open(ADDRESS, "new", "old")

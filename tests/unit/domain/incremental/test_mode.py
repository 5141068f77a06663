"""Whether a run reads everything, and why: by need first, then by cost."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sync_core.domain.documents.run import Mode, ModeReason
from sync_core.domain.incremental.checkpoint import LINK_LIFE, Checkpoint, DeltaLink, GroupStream
from sync_core.domain.incremental.mode import (
    ASK_AGAIN_FOR_DELTA,
    FEW_REQUESTS,
    INCREMENTAL,
    MOST_RECENT,
    NOTIFIED,
    Choice,
    Cost,
    Wanted,
    choose,
    is_cheaper_to_read,
    may_ask_for_delta,
    reads_again,
)
from sync_core.domain.incremental.open_people import LAG

MORNING = datetime.fromisoformat("2026-05-04T08:00:00Z")
NOW = MORNING + timedelta(hours=2)
WANTED = Wanted(
    mode="auto",
    digest="d",
    full_every=timedelta(hours=24),
    depends_on_time=False,
    untracked_scope=False,
)


def checkpoint(**changes: Any) -> Checkpoint:
    link = DeltaLink(link="https://graph", taken_at=NOW - timedelta(hours=1))
    known: dict[str, Any] = {
        "digest": "d",
        "source": "s",
        "full_at": MORNING,
        "first_at": MORNING,
        "settled": True,
        "users": link,
        "reading_requests": 100,
    }
    return Checkpoint(**known | changes)


def old_link(age: timedelta) -> DeltaLink:
    return DeltaLink(link="https://graph", taken_at=NOW - age)


YESTERDAY = MORNING - timedelta(hours=9)


@pytest.mark.parametrize(
    ("wanted", "known", "reason"),
    [
        ({}, None, ModeReason.FIRST),
        ({"mode": "full"}, checkpoint(), ModeReason.ASKED),
        ({"mode": "incremental", "takes_over": True}, checkpoint(), ModeReason.TAKEOVER),
        ({"digest": "e"}, checkpoint(), ModeReason.SETTINGS_CHANGED),
        ({"untracked_scope": True}, checkpoint(), ModeReason.UNTRACKED_SCOPE),
        ({}, checkpoint(users=None, no_delta_at=NOW), ModeReason.NO_DELTA),
        ({}, checkpoint(users=None), ModeReason.LINK_REFUSED),
        ({}, checkpoint(users=old_link(LINK_LIFE)), ModeReason.LINK_OLD),
        ({"full_every": timedelta(hours=2)}, checkpoint(), ModeReason.FULL_EVERY_HOURS),
        ({}, checkpoint(full_at=NOW + LAG), None),
        ({}, checkpoint(full_at=NOW + 2 * LAG), ModeReason.FULL_EVERY_HOURS),
        ({"depends_on_time": True}, checkpoint(full_at=YESTERDAY), ModeReason.TIME_DEPENDENT),
        ({"depends_on_time": True}, checkpoint(), None),
        ({}, checkpoint(settled=False), ModeReason.FIRST),
        ({}, checkpoint(settled=False, first_at=NOW - LAG / 2), None),
        ({}, checkpoint(reading_requests=FEW_REQUESTS), ModeReason.CHEAPER),
        ({"mode": "incremental"}, checkpoint(reading_requests=FEW_REQUESTS), None),
        ({"mode": NOTIFIED}, checkpoint(reading_requests=FEW_REQUESTS), None),
        ({}, checkpoint(), None),
    ],
)
def test_a_run_is_full_for_a_reason(
    wanted: dict[str, Any], known: Checkpoint | None, reason: ModeReason | None
) -> None:
    choice = choose(replace(WANTED, **wanted), known, NOW)

    assert choice == (Choice(Mode.FULL, reason) if reason else INCREMENTAL)


def test_the_oldest_link_counts_be_it_that_of_a_stream() -> None:
    stream = GroupStream(link="https://graph", taken_at=NOW - LINK_LIFE, groups=["g"])

    known = checkpoint(streams=[stream])

    assert choose(WANTED, known, NOW).reason is ModeReason.LINK_OLD
    assert known.streamed() == {"g"}
    assert checkpoint(users=None).oldest_link() is None


@pytest.mark.parametrize(
    ("ago", "asks"),
    [(None, True), (ASK_AGAIN_FOR_DELTA, True), (timedelta(days=1), False)],
)
def test_a_tenant_without_delta_is_asked_again_after_a_week(
    ago: timedelta | None, asks: bool
) -> None:
    refused = checkpoint(no_delta_at=NOW - ago if ago is not None else None)

    assert may_ask_for_delta(refused, NOW) is asks
    assert may_ask_for_delta(None, NOW)


@pytest.mark.parametrize(
    ("looks", "reading", "cheaper"), [(1000, 100, False), (1001, 100, True), (80, 1, False)]
)
def test_looking_at_more_people_than_a_reading_costs_is_not_worth_it(
    looks: int, reading: int, cheaper: bool
) -> None:
    assert is_cheaper_to_read(Cost(looks), checkpoint(reading_requests=reading)) is cheaper


@pytest.mark.parametrize(
    ("recent", "requests", "reads"),
    [
        (MOST_RECENT, 1, False),
        (MOST_RECENT + 1, 1, True),
        (4000, 1001, False),
        (10_020, 1001, True),
    ],
)
def test_everybody_is_read_again_only_where_looking_at_the_recent_ones_costs_more(
    recent: int, requests: int, reads: bool
) -> None:
    assert reads_again(recent, requests) is reads

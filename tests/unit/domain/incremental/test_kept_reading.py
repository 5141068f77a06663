"""A kept reading is gone on with only while it reads the same people, and not for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from sync_core.domain.incremental.checkpoint import Checkpoint, DeltaLink, GroupStream
from sync_core.domain.incremental.kept_reading import READING_LIFE, KeptReading

BEGAN = datetime(2026, 11, 30, 8, tzinfo=UTC)
SOON = timedelta(minutes=26)


@pytest.mark.parametrize(
    ("parts", "digest", "source", "later", "goes_on"),
    [
        pytest.param([3], "d", "s", SOON, True, id="as it was left"),
        pytest.param([], "d", "s", SOON, False, id="not left whole"),
        pytest.param([3], "other", "s", SOON, False, id="other settings"),
        pytest.param([3], "d", "other", SOON, False, id="another tenant"),
        pytest.param([3], "d", "s", READING_LIFE, False, id="too old"),
    ],
)
def test_a_reading_goes_on(
    *, parts: list[int], digest: str, source: str, later: timedelta, goes_on: bool
) -> None:
    kept = KeptReading(id="r", digest="d", source="s", began_at=BEGAN, parts=parts)

    assert kept.may_go_on(digest, source, None, BEGAN + later) is goes_on


BEFORE, SINCE = BEGAN - timedelta(hours=1), BEGAN + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("full_at", "users", "stream", "goes_on"),
    [
        pytest.param(BEFORE, BEFORE, BEFORE, True, id="of the run before"),
        pytest.param(BEFORE, None, BEFORE, True, id="without a link for people"),
        pytest.param(SINCE, None, BEFORE, False, id="everybody was read since"),
        pytest.param(BEFORE, SINCE, BEFORE, False, id="people were told of since"),
        pytest.param(BEFORE, BEFORE, SINCE, False, id="groups were told of since"),
    ],
)
def test_a_reading_that_a_release_without_kept_readings_has_overtaken_is_left(
    *, full_at: datetime, users: datetime | None, stream: datetime, goes_on: bool
) -> None:
    """A rollback and back again within a day: the pages would undo what was written meanwhile."""
    checkpoint = Checkpoint(
        digest="d",
        source="s",
        full_at=full_at,
        first_at=BEFORE,
        users=DeltaLink(link="u", taken_at=users) if users else None,
        streams=[GroupStream(link="g", taken_at=stream, groups=["g"])],
    )
    kept = KeptReading(id="r", digest="d", source="s", began_at=BEGAN, parts=[3])

    assert kept.may_go_on("d", "s", checkpoint, BEGAN + SOON) is goes_on

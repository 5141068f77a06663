"""A kept reading is gone on with only while it reads the same people, and not for ever."""

from datetime import UTC, datetime, timedelta

import pytest

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

    assert kept.may_go_on(digest, source, BEGAN + later) is goes_on

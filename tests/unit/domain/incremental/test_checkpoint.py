"""Numbers of a checkpoint go on from the ones before."""

from sync_core.domain.incremental.checkpoint import counted


def test_people_are_counted_by_the_first_digit_of_their_ids() -> None:
    assert counted({"a": 2, "b": 1}, {"a": 1, "b": -3, "c": 1}) == {"a": 3, "b": 0, "c": 1}

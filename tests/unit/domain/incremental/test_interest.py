"""The interest set misses nobody, and lets few strangers in."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.incremental.interest import InterestSet

IDS = st.uuids().map(str)


@given(st.sets(IDS, max_size=50), st.sets(IDS, max_size=50))
def test_whoever_was_put_in_is_found(first: set[str], later: set[str]) -> None:
    found = InterestSet.of(first)
    found.add(later)

    assert all(object_id in found for object_id in first | later)


def test_one_stranger_in_a_hundred_is_taken_for_a_member_at_most() -> None:
    members = [str(UUID(int=number)) for number in range(5000)]
    strangers = [str(UUID(int=number)) for number in range(5000, 15_000)]
    found = InterestSet.of(members)

    assert sum(one in found for one in strangers) < 100

"""What was added comes back, sorted, whether it stayed in memory or went to disk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.errors import RecordRejected
from sync_core.domain.model import HEX_DIGITS, Action, Change, Reason
from sync_core.domain.plan.roster import EitherWay, Outcome
from sync_core.runs import spool
from sync_core.runs.spool import ChangeSpool, EitherWaySpool
from tests.unit.builders import ANN, CHANGES, OBJECT_IDS, change


def several(changes: st.SearchStrategy[Change]) -> st.SearchStrategy[list[Change]]:
    return st.lists(changes, max_size=8, unique_by=lambda one: one.object_id)


MANY = several(CHANGES)
# Where only the order is looked at: all that a change can hold takes long to make up.
ALIKE = several(OBJECT_IDS.map(lambda object_id: change(object_id=object_id)))


def in_order(changes: list[Change]) -> list[Change]:
    return sorted(changes, key=lambda one: one.object_id)


@given(MANY)
def test_what_was_added_comes_back_sorted(changes: list[Change]) -> None:
    with ChangeSpool() as spooled:
        spooled.extend(changes)

        assert list(spooled) == in_order(changes)


@given(ALIKE)
def test_a_digit_gives_its_own(changes: list[Change]) -> None:
    with ChangeSpool() as spooled:
        spooled.extend(changes)

        for digit in HEX_DIGITS:
            assert spooled.read(digit) == in_order([c for c in changes if c.object_id[0] == digit])


@given(ALIKE)
def test_a_digit_may_be_streamed_in_the_order_of_adding(changes: list[Change]) -> None:
    with ChangeSpool() as spooled:
        spooled.extend(changes)

        for digit in HEX_DIGITS:
            added = [one for one in changes if one.object_id[0] == digit]
            assert list(spooled.stream(digit)) == added
            assert spooled.read(digit) == in_order(added)
            assert list(spooled.stream(digit)) == added


@given(ALIKE, ALIKE)
def test_reading_does_not_disturb_adding(first: list[Change], then: list[Change]) -> None:
    with ChangeSpool() as spooled:
        spooled.extend(first)
        assert list(spooled) == in_order(first)
        spooled.extend(then)

        assert sorted(map(str, spooled)) == sorted(map(str, first + then))
        assert [one.object_id for one in spooled] == sorted(one.object_id for one in first + then)


def test_nothing_added_is_nothing() -> None:
    with ChangeSpool() as spooled:
        assert list(spooled) == []


def test_every_field_comes_back_with_its_type() -> None:
    full = change(
        Action.DELETE,
        reason=Reason.SOFT_DELETED,
        digest="d",
        values={"a": 1, "b": 1.0, "c": True, "d": None, "e": "line\nbreak", "f": 2**63 - 1},
        kept=("k",),
        before={"a": "😀"},
        held=True,
        evidence={"found": False, "groups": []},
    )
    with ChangeSpool() as spooled:
        spooled.add(full)
        (back,) = spooled

    assert back == full
    assert isinstance(back.action, Action)
    assert isinstance(back.reason, Reason)
    assert {name: type(value) for name, value in back.values.items()} == {
        name: type(value) for name, value in full.values.items()
    }


def test_it_goes_to_disk_when_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MEMORY_BYTES", 2000)
    changes = [change(object_id=f"a{number:03}", values={"v": "x" * 100}) for number in range(50)]
    with ChangeSpool() as spooled:
        spooled.extend(reversed(changes))

        assert [file._rolled for file in spooled._files.values()] == [True]  # type: ignore[attr-defined]
        assert list(spooled) == changes


@pytest.mark.parametrize("object_id", ["", "A" + ANN[1:], "g", "~", "١"])
def test_an_id_that_would_be_lost_is_refused(object_id: str) -> None:
    with ChangeSpool() as spooled, pytest.raises(ValueError, match="begins with a hex digit"):
        spooled.add(change(object_id=object_id))


def test_closing_gives_the_files_back() -> None:
    with ChangeSpool() as spooled:
        spooled.add(change())
        (file,) = spooled._files.values()

    assert file.closed


REJECTED = st.builds(
    RecordRejected,
    st.sampled_from(["record.a", "record.b"]),
    st.text(max_size=9),
    st.just("mend it"),
)
OUTCOMES: st.SearchStrategy[Outcome] = st.none() | CHANGES | REJECTED
EITHER_WAYS = st.lists(st.builds(EitherWay, st.text(max_size=5), st.just("m"), OUTCOMES, OUTCOMES))


def plain(either_way: EitherWay) -> tuple[object, ...]:
    """Give it in a form that can be compared, as errors cannot."""
    return tuple(vars(part) if isinstance(part, RecordRejected) else part for part in either_way)


@given(EITHER_WAYS)
def test_both_futures_come_back_in_the_order_of_adding(added: list[EitherWay]) -> None:
    with EitherWaySpool() as spooled:
        for one in added:
            spooled.add(one)

        assert spooled.size == len(added)
        assert [plain(one) for one in spooled] == [plain(one) for one in added]


@pytest.mark.parametrize(
    ("inside", "outside", "given"),
    [
        pytest.param(
            change(Action.DISABLE), change(Action.UPDATE), [Action.DISABLE], id="both change"
        ),
        pytest.param(
            None, change(Action.UPDATE), [Action.UPDATE], id="a change without the manager"
        ),
        pytest.param(change(Action.UPDATE), None, [Action.UPDATE], id="a change with the manager"),
        pytest.param(None, None, [], id="nothing to write"),
    ],
)
def test_one_change_stands_for_both_futures(
    inside: Outcome, outside: Outcome, given: list[Action]
) -> None:
    with EitherWaySpool() as spooled:
        spooled.add(EitherWay(ANN, ANN, inside, outside))

        assert [one.action for one in spooled.changes()] == given

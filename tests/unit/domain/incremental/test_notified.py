"""What notifications say of people, whatever comes late, twice, or in another order."""

from datetime import datetime, timedelta

import pytest

from sync_core.domain.incremental.hints import Hint
from sync_core.domain.incremental.interest import InterestSet
from sync_core.domain.incremental.notified import (
    AHEAD,
    BELIEVED,
    MAX_MEMBERS,
    MOST_WORDS,
    add,
    cases_of,
    joined,
    matters,
    nested_in,
    of_notified,
    with_words,
)
from sync_core.domain.incremental.open_people import LAG, Cause, Key, OpenCase, Word, opened
from sync_core.domain.notifications import Notification
from tests.unit.builders import ANN, NOW

BOB = "b0000000-0000-4000-8000-00000000000b"
ROOT = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
SECOND = timedelta(seconds=1)
LEFT, CAME, BOTH = True, False, None


def notified(
    *words: Word, since: datetime = NOW, told_at: datetime | None = NOW, itself: bool = False
) -> OpenCase:
    return OpenCase(ANN, Cause.NOTIFIED, since, since, None, told_at, itself, words)


def found(notification: Notification) -> list[OpenCase]:
    return list(cases_of(notification, NOW))


def test_a_person_is_named_by_a_notification_of_users() -> None:
    [case] = found(Notification("contoso", "n", True, object_id=ANN, at=NOW - SECOND))

    assert case == notified(told_at=NOW - SECOND, itself=True)


def test_members_are_named_with_what_is_said_of_their_group() -> None:
    members = ((ANN, LEFT), (BOB, CAME))
    cases = found(Notification("contoso", "n", True, object_id=ROOT, members=members, at=NOW))

    assert [(case.object_id, case.words) for case in cases] == [
        (ANN, (Word(ROOT, LEFT, NOW),)),
        (BOB, (Word(ROOT, CAME, NOW),)),
    ]
    assert not any(case.itself for case in cases)


@pytest.mark.parametrize("members", [(), tuple((f"{n:036}", LEFT) for n in range(MAX_MEMBERS + 1))])
def test_a_group_without_members_or_with_too_many_stands_for_itself(
    members: tuple[tuple[str, bool], ...],
) -> None:
    [case] = found(Notification("contoso", "n", True, object_id=ROOT, members=members))

    assert (case.object_id, case.itself) == (ROOT, True)


def test_a_notification_that_names_nobody_opens_nothing() -> None:
    assert found(Notification("contoso", "n", True, members=((ANN, LEFT),))) == []


@pytest.mark.parametrize("off", [BELIEVED + SECOND, -BELIEVED - SECOND])
def test_a_time_far_away_is_none(off: timedelta) -> None:
    notification = Notification(
        "contoso", "n", True, object_id=ROOT, members=((ANN, LEFT),), at=NOW - off
    )
    [case] = found(notification)

    assert (case.told_at, case.words) == (NOW, (Word(ROOT, LEFT, None),))


def test_two_notifications_of_one_person_become_one_case() -> None:
    first = notified(Word(ROOT, LEFT, NOW), told_at=NOW - SECOND, itself=True)
    later = notified(Word(OTHER, CAME, NOW), since=NOW + SECOND, told_at=NOW)

    known: dict[Key, OpenCase] = {}
    add(known, [first, later, opened(BOB, Cause.NOTIFIED, NOW)])

    assert known[ANN, Cause.NOTIFIED] == OpenCase(
        ANN,
        Cause.NOTIFIED,
        NOW + SECOND,
        NOW + SECOND,
        None,
        NOW - SECOND,
        itself=True,
        words=(Word(ROOT, LEFT, NOW), Word(OTHER, CAME, NOW)),
    )
    assert len(known) == 2


def test_the_earliest_word_counts_even_if_it_is_the_only_one() -> None:
    assert joined(notified(told_at=None), notified(told_at=NOW)).told_at == NOW
    assert joined(notified(told_at=None), notified(told_at=None)).told_at is None


@pytest.mark.parametrize(
    ("one", "other", "last"),
    [
        pytest.param((LEFT, 1), (CAME, 2), (CAME, 2), id="in order"),
        pytest.param((CAME, 2), (LEFT, 1), (CAME, 2), id="out of order"),
        pytest.param((LEFT, 1), (LEFT, None), (LEFT, 1), id="the same, once without a time"),
        pytest.param((LEFT, None), (LEFT, 1), (LEFT, 1), id="the same, the other way round"),
        pytest.param((LEFT, None), (CAME, 1), (BOTH, None), id="nobody knows which was last"),
        pytest.param((LEFT, 1), (CAME, 1), (BOTH, None), id="both at once"),
    ],
)
def test_of_one_group_the_last_word_by_its_own_time_counts(
    one: tuple[bool, int | None], other: tuple[bool, int | None], last: tuple[bool, int | None]
) -> None:
    def word(left: bool | None, second: int | None) -> Word:
        return Word(ROOT, left, None if second is None else NOW + second * SECOND)

    assert joined(notified(word(*one)), notified(word(*other))).words == (word(*last),)


def test_of_one_person_so_many_groups_are_kept() -> None:
    many = [Word(f"{number:036}", LEFT, NOW) for number in range(MOST_WORDS)]

    assert len(joined(notified(*many), notified(Word(ROOT, LEFT, NOW))).words) == MOST_WORDS


ANN_ALONE = InterestSet.of([ANN])
NOBODY = InterestSet.of([])


@pytest.mark.parametrize(
    ("case", "interest", "by_group", "expected"),
    [
        pytest.param(notified(itself=True), ANN_ALONE, True, True, id="who can matter"),
        pytest.param(notified(itself=True), NOBODY, True, False, id="who cannot"),
        pytest.param(notified(itself=True), None, True, True, id="nobody knows who can"),
        pytest.param(notified(itself=True), NOBODY, False, True, id="the scope names no groups"),
        pytest.param(notified(Word(ROOT, LEFT, NOW)), NOBODY, True, True, id="a tracked group"),
        pytest.param(notified(Word(OTHER, LEFT, NOW)), ANN_ALONE, True, False, id="another group"),
        pytest.param(opened(ROOT, Cause.NOTIFIED, NOW), NOBODY, True, True, id="the group itself"),
    ],
)
def test_who_matters(
    case: OpenCase, interest: InterestSet | None, *, by_group: bool, expected: bool
) -> None:
    assert matters(case, {ROOT}, interest, by_group=by_group) is expected


def test_a_tracked_group_among_members_is_an_edge_and_no_person() -> None:
    nested = OpenCase(
        OTHER, Cause.NOTIFIED, NOW, NOW, words=(Word(ROOT, LEFT, NOW), Word(BOB, LEFT, NOW))
    )

    assert nested_in([nested, notified(Word(OTHER, LEFT, NOW))], {ROOT, OTHER}) == {ROOT}


def test_notified_cases_are_told_from_others() -> None:
    cases = [notified(), opened(ANN, Cause.HELD, NOW)]

    assert list(of_notified({case.key: case for case in cases})) == [notified()]


@pytest.mark.parametrize(
    ("word", "hint", "joined_groups", "left_groups"),
    [
        pytest.param(Word(ROOT, LEFT, NOW), None, set(), {ROOT}, id="left"),
        pytest.param(Word(ROOT, CAME, NOW), None, {ROOT}, set(), id="came"),
        pytest.param(Word(ROOT, BOTH, NOW), None, set(), set(), id="both is said"),
        pytest.param(Word(ROOT, LEFT, NOW - LAG), None, set(), {ROOT}, id="just young enough"),
        pytest.param(
            Word(ROOT, LEFT, NOW), Hint(joined={ROOT}), {ROOT}, set(), id="the delta says otherwise"
        ),
        pytest.param(
            Word(ROOT, LEFT, NOW), Hint(left={OTHER}), set(), {ROOT, OTHER}, id="beside the delta"
        ),
    ],
)
def test_a_word_counts_beside_what_the_delta_told(
    word: Word, hint: Hint | None, joined_groups: set[str], left_groups: set[str]
) -> None:
    told = with_words(hint, notified(word), {ROOT}, NOW)

    assert told is not None
    assert (told.joined, told.left) == (joined_groups, left_groups)
    assert hint is None or ROOT not in hint.left, "the hint of the delta stays as it is"


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(Word(ROOT, LEFT, None), id="without a time"),
        pytest.param(Word(ROOT, LEFT, NOW - LAG - SECOND), id="older than a stale answer"),
        pytest.param(Word(ROOT, LEFT, NOW + AHEAD + SECOND), id="from the future"),
        pytest.param(Word(OTHER, LEFT, NOW), id="of a group that is not read"),
    ],
)
def test_other_words_count_for_nothing(word: Word) -> None:
    assert with_words(None, notified(word), {ROOT}, NOW) is None


def test_who_was_not_notified_is_known_by_the_delta_alone() -> None:
    hint = Hint(left={ROOT})

    assert with_words(hint, None, {ROOT}, NOW) is hint

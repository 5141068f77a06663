"""What change notifications say of a person, and what follows from it. Pure.

A notification may come late, twice, in another order than things happened, or not at all, and holds
nothing to compare a look with. So it only says whom to look at. One word of it is more: that somebody has
left a group a moment ago agrees with a look that shows the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta

from sync_core.domain.incremental.hints import Hint
from sync_core.domain.incremental.interest import InterestSet
from sync_core.domain.incremental.open_people import LAG, Cause, Key, OpenCase, Word
from sync_core.domain.notifications import Notification

# Graph's clock and ours need not agree.
AHEAD = timedelta(minutes=1)
# So many groups are kept of one person; a row has room for 252 columns.
MOST_WORDS = 50
# Of so many members that a group's notification names. Of a longer list, the delta tells who they are.
MAX_MEMBERS = 1_000
# Graph tries for four hours to deliver; a time far from that is none.
BELIEVED = timedelta(days=1)


def cases_of(notification: Notification, arrived_at: datetime) -> Iterator[OpenCase]:
    """Yield what a notification leaves to the next run: whom it names, since when, and what it says of them.

    The group of a notification that names no members, or too many, stands for itself: something in it
    has changed.
    """
    at, group = notification.at, notification.object_id
    if at is not None and abs(arrived_at - at) > BELIEVED:
        at = None
    members = notification.members
    if group is not None and (not members or len(members) > MAX_MEMBERS):
        yield _notified(group, arrived_at, at)
    elif group is not None:
        for object_id, left in members:
            yield _notified(object_id, arrived_at, at, Word(group, left, at))


def _notified(
    object_id: str, arrived_at: datetime, at: datetime | None, word: Word | None = None
) -> OpenCase:
    return OpenCase(
        object_id,
        Cause.NOTIFIED,
        arrived_at,
        arrived_at,
        told_at=at or arrived_at,
        itself=word is None,
        words=(word,) if word is not None else (),
    )


def add(known: dict[Key, OpenCase], more: Iterable[OpenCase]) -> None:
    """Add cases to those that are known: of a person who was notified twice, what both say."""
    for case in more:
        before = known.get(case.key)
        known[case.key] = case if before is None else joined(before, case)


def joined(one: OpenCase, other: OpenCase) -> OpenCase:
    """Return one case for two notifications of the same person, `other` being the later one.

    It begins with the later arrival, as only a round that begins after both has heard of both; what Graph
    said first counts for how long a change took.
    """
    words = {word.group: word for word in one.words}
    for word in other.words:
        words[word.group] = last_word(words.get(word.group), word)
    return replace(
        other,
        since=max(one.since, other.since),
        due_at=max(one.due_at, other.due_at),
        told_at=min((at for at in (one.told_at, other.told_at) if at is not None), default=None),
        itself=one.itself or other.itself,
        words=tuple(words.values())[:MOST_WORDS],
    )


def last_word(before: Word | None, after: Word) -> Word:
    """Return what is said of a group last, by Graph's own time; where that does not tell, no direction."""
    if before is None:
        return after
    if before.at is not None and after.at is not None and before.at != after.at:
        return before if before.at > after.at else after
    if before.left is after.left:
        return before if after.at is None else after
    return Word(after.group, None, None)


def matters(
    case: OpenCase,
    tracked: AbstractSet[str],
    interest: InterestSet | AbstractSet[str] | None,
    *,
    by_group: bool,
) -> bool:
    """Whether a notification can concern a connection: nothing is asked of Graph to tell.

    `tracked` are the groups that it reads, `interest` the people who can matter, None for everybody;
    `by_group`: who is in no such group is out of scope.
    """
    if case.object_id in tracked or any(word.group in tracked for word in case.words):
        return True
    if not case.itself:
        return False
    return not by_group or interest is None or case.object_id in interest


def of_notified(cases: Mapping[Key, OpenCase]) -> Iterator[OpenCase]:
    """Yield the cases that notifications have opened."""
    return (case for case in cases.values() if case.cause is Cause.NOTIFIED)


def nested_in(cases: Iterable[OpenCase], tracked: AbstractSet[str]) -> set[str]:
    """Return the tracked groups whose nested groups came or went, as far as those are tracked, too."""
    inner = (case for case in cases if case.object_id in tracked)
    return {word.group for case in inner for word in case.words if word.group in tracked}


def with_words(
    hint: Hint | None, case: OpenCase | None, tracked: AbstractSet[str], now: datetime
) -> Hint | None:
    """Return what was told of a person by the delta, and by a notification where the delta is silent.

    Of a group that the delta tells of, its word alone counts. A notification's counts by Graph's own time of
    the change: one that is older than answers may be behind would meet a look that is as old.
    """
    said = case.words if case is not None else ()
    words = [word for word in said if word.group in tracked and _is_fresh(word, now)]
    if not words:
        return hint
    known = hint if hint is not None else Hint()
    found = replace(known, joined=set(known.joined), left=set(known.left))
    for word in words:
        if word.left is not None and word.group not in known.joined | known.left:
            (found.left if word.left else found.joined).add(word.group)
    return found


def _is_fresh(word: Word, now: datetime) -> bool:
    return word.at is not None and -AHEAD <= now - word.at <= LAG

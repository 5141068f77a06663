"""The checkpoint of a connection: where its delta rounds go on, and what it takes to go on by them. Pure.

Written last by a run, as a whole; a run that is killed leaves the one before, and the next run drains the
same links again.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from pydantic import Field

from sync_core.domain.documents.base import Document

# A delta link of directory objects is good for 7 days (learn.microsoft.com/graph/delta-query-overview);
# whether each new one begins seven new days is not documented, so a link is left a day before.
LINK_LIFE = timedelta(days=6)
# A stream tracks so many groups: the most ids that $filter takes (learn.microsoft.com/graph/api/group-delta).
STREAM_GROUPS = 50
# So many streams more than it takes are left alone.
SPARE_STREAMS = 2
# A deleted group can be restored for 30 days with its members (learn.microsoft.com/graph/api/group-delete).
GONE_GROUP_KEPT = timedelta(days=31)
# Of so many people it is kept that they were told of, half a MiB; of more, everybody is read again.
MOST_TOLD = 10_000


class DeltaLink(Document):
    """A link to go on by, and when it was taken."""

    link: str
    taken_at: datetime


class GroupStream(DeltaLink):
    """The delta of up to 50 groups, which stand inside of the link: it cannot grow or shrink."""

    groups: list[str]


class TrackedGroups(Document):
    """The tree of groups that scope and mapping name, as the last run read it.

    `parents` are the groups that a group is a direct member of, `people` how many people are directly in
    it. `gone` are deleted ones that may be restored, since when. `entered` came lately: their members are
    read again, as lists lag behind; and so is the tree, until some time after nested groups of the groups in
    `edges` came or went, or they themselves came back. `awaited` are nested groups by the group that they
    should be in, and which the last reading of it did not show. Members of `unreadable` ones are hidden from
    this app.
    """

    names: dict[str, str] = Field(default_factory=dict)
    parents: dict[str, list[str]] = Field(default_factory=dict)
    people: dict[str, int] = Field(default_factory=dict)
    dynamic: list[str] = Field(default_factory=list)
    paused: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    unreadable: list[str] = Field(default_factory=list)
    gone: dict[str, datetime] = Field(default_factory=dict)
    entered: dict[str, datetime] = Field(default_factory=dict)
    edges: dict[str, datetime] = Field(default_factory=dict)
    awaited: dict[str, list[str]] = Field(default_factory=dict)

    @property
    def expected(self) -> frozenset[str]:
        """The nested groups that are awaited."""
        return frozenset(group for below in self.awaited.values() for group in below)

    def known(self) -> frozenset[str]:
        """Return the groups whose changes can matter: those that are there, and those that may come back."""
        return frozenset({*self.names, *self.gone, *self.missing, *self.expected})

    def lacks(
        self,
        names: AbstractSet[str],
        seen: Mapping[str, AbstractSet[str]],
        told: Mapping[tuple[str, str], bool],
    ) -> dict[str, list[str]]:
        """Return the nested groups that a reading should have shown and has not, by their groups.

        A reading found the groups `names`, each directly in those of `seen`. The list of nested groups comes
        from an index that may lack some of them for a while, so what stood there stays until it is `told` to
        be gone.
        """
        edges = {(parent, child) for child, above in self.parents.items() for parent in above}
        edges |= {(parent, child) for parent, below in self.awaited.items() for child in below}
        edges -= told.keys()
        edges |= {edge for edge, came in told.items() if came}
        lost = sorted(
            (parent, child)
            for parent, child in edges
            if parent not in seen.get(child, ()) and child not in self.gone
        )
        reached, found = set(names), dict[str, list[str]]()
        while more := [edge for edge in lost if edge[0] in reached]:
            lost = [edge for edge in lost if edge[0] not in reached]
            for parent, child in more:
                found.setdefault(parent, []).append(child)
            reached |= {child for _, child in more}
        return found


class AssertedPeople(Document):
    """Whom an assertion names, by its place, and which of them are active."""

    named: dict[int, list[str]] = Field(default_factory=dict)
    active: list[str] = Field(default_factory=list)


class ToldPeople(Document):
    """Who was told of by the rounds of one run. A look may show what was before for some time after `at`."""

    at: datetime
    people: list[str]


class Checkpoint(Document):
    """What a run leaves to the next one.

    `digest` is that of everything that decides; the links are those of a `source` (cloud, tenant and app)
    and tell changes of the `tracked` properties, without those that Graph `refused`. `full_at` is when the
    last full reading began, `first_at` when the links were taken that all since go on from. `settled`: a full
    reading began when the links were older than the lag, so nothing was missed between links and reading.
    `window_hours` is how far the marks of the guard's window reach back, `reading_requests` what the last
    full reading asked of Graph, `assignments` the people of each enterprise application. `told` are those
    whom the runs of the last quarter of an hour were told of.
    """

    digest: str
    source: str
    full_at: datetime
    first_at: datetime
    settled: bool = False
    users: DeltaLink | None = None
    streams: list[GroupStream] = Field(default_factory=list)
    tree: TrackedGroups = TrackedGroups()
    tracked: list[str] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)
    no_delta_at: datetime | None = None
    reading_requests: int = 0
    window_hours: int = 0
    active: int = 0
    by_digit: dict[str, int] = Field(default_factory=dict)
    asserted: AssertedPeople = AssertedPeople()
    assignments: dict[str, list[str]] = Field(default_factory=dict)
    told: list[ToldPeople] = Field(default_factory=list)

    def told_since(self, since: datetime) -> dict[str, datetime]:
        """Return the people who were told of after a moment, and when they last were."""
        return {person: one.at for one in self.told if one.at > since for person in one.people}

    def oldest_link(self) -> datetime | None:
        """Return when the oldest of the links was taken; None without any."""
        return min(self._taken(), default=None)

    def newest(self) -> datetime:
        """Return when the last run began that has left this checkpoint."""
        return max([self.full_at, *self._taken()])

    def _taken(self) -> list[datetime]:
        taken = [stream.taken_at for stream in self.streams]
        return [*taken, self.users.taken_at] if self.users is not None else taken

    def streamed(self) -> frozenset[str]:
        """Return the groups that a stream tracks."""
        return frozenset(group for stream in self.streams for group in stream.groups)


def counted(by_digit: Mapping[str, int], changes: Mapping[str, int]) -> dict[str, int]:
    """Return the number of stored people by first digit, after so many came or (negative) went."""
    return {
        digit: max(0, by_digit.get(digit, 0) + changes.get(digit, 0))
        for digit in sorted({*by_digit, *changes})
    }


def without_doubles(
    streams: Iterable[GroupStream], groups: AbstractSet[str]
) -> tuple[list[GroupStream], bool]:
    """Return the streams without those whose groups are gone, or in larger ones; and whether to pack anew.

    Each group that enters a tree gets a stream of its own, and each stream costs a request in every run.
    """
    kept: list[GroupStream] = []
    tracked: set[str] = set()
    for stream in sorted(streams, key=lambda one: -len(one.groups)):
        useful = groups & set(stream.groups)
        if not useful <= tracked:
            kept.append(stream)
            tracked |= useful
    needed = -(-len(groups) // STREAM_GROUPS)
    return kept, len(kept) > needed + SPARE_STREAMS

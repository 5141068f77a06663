"""A full reading of a scope: people with the named groups they are in, page by page.

Only a complete reading may say who has left. Whatever makes it incomplete either ends it with an
error or is noted in `problems`; then nobody may be removed on its account.
"""

import logging
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    KeysView,
    Mapping,
    Sequence,
)
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from sync_core.directory.answers import GraphNotFound, Page
from sync_core.directory.assignments import Assignments, read_assignments
from sync_core.directory.client import GraphClient
from sync_core.directory.groups import (
    GroupTree,
    hidden_words,
    members_hidden,
    read_group_tree,
    refused_members,
)
from sync_core.directory.lookup import check_attributes, count_people
from sync_core.directory.members import pages, users_in
from sync_core.directory.requests import USERS_READ, all_users
from sync_core.directory.streams import merged
from sync_core.directory.transcript import Transcript
from sync_core.domain.connections.permissions import HIDDEN
from sync_core.domain.documents.run import RecordError
from sync_core.domain.documents.scope import ASSIGNED_TO, GROUPS
from sync_core.domain.errors import FixConnection, IncompleteReading, SyncError
from sync_core.domain.model import Attributes
from sync_core.domain.plan.groups import GroupNow
from sync_core.domain.scope.compile import CompiledScope, keeps_out
from sync_core.domain.scope.missing import missing_application, missing_group
from sync_core.domain.scope.query import reading_plan
from sync_core.logs import log_event

# Lists read side by side: enough to hide Graph's latency, few enough to stay below its limits.
LISTS_AT_ONCE = 8
# Graph's counts come from an index that lags behind (learn.microsoft.com/graph/aad-advanced-queries):
# this share, or this many, may be missing before a list counts as cut short.
COUNT_TOLERANCE = 0.01
COUNT_TOLERANCE_LEAST = 2
# What Graph answers where it does not take a filter: at once, or when the second page is asked for
# (github.com/microsoftgraph/msgraph-sdk-java/issues/368).
FILTER_REFUSED = frozenset({"graph.refused", "graph.pageLinkLost"})
NOBODY: frozenset[str] = frozenset()

Sighting = tuple[Attributes, frozenset[str]]
OnTree = Callable[[GroupTree], Awaitable[bool]]


@dataclass(slots=True)
class Reading:
    """Reads one scope once; ask `complete` after the last page of `people()`.

    `name` is that of the connection, for events. `applied_filter` becomes false where Graph refused the
    plan's filter. `uncounted` are the lists of which Graph gave no count: whether they ended early, is not
    known then.
    """

    client: GraphClient
    scope: CompiledScope
    select: frozenset[str]
    asked_groups: frozenset[str]
    name: str = ""
    problems: list[RecordError] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    applied_filter: bool = True
    # Called with the tree before any member is read; true asks for the tree to be read once more.
    on_tree: OnTree | None = None
    # Where the pages of its lists are kept, so that another run can go on with them.
    transcript: Transcript | None = None
    tree: GroupTree = field(default_factory=GroupTree)
    _lengths: dict[str, int] = field(default_factory=dict)
    assignments: Assignments = field(default_factory=Assignments)
    _groups_of: dict[str, frozenset[str]] = field(default_factory=dict)
    _unions: dict[tuple[frozenset[str], frozenset[str]], frozenset[str]] = field(
        default_factory=dict
    )

    @property
    def complete(self) -> bool:
        return not self.problems

    async def people(self) -> AsyncIterator[Sequence[Sighting]]:
        """Read everybody who might be in scope; somebody in several groups comes several times.

        A later sighting knows more groups than an earlier one, never fewer.
        """
        if self.scope.member_groups | self.asked_groups:
            await self.find_groups()
            await self._read_asked()
        await self.find_assigned()
        if self.scope.everyone:
            lists = [self._everyone()]
        else:
            above = self.tree.above(self.scope.member_groups)
            lists = [self._members(group, inside) for group, inside in self._readable(above)]
        async with merged(lists, at_once=LISTS_AT_ONCE) as pages:
            async for page in pages:
                yield page

    def sizes(self) -> Counter[str]:
        """Count, after the reading, how many people are in each named group, also through nesting."""
        sizes: Counter[str] = Counter()
        for inside, people in Counter(self._groups_of.values()).items():
            for group in inside:
                sizes[group] += people
        return sizes

    def seen(self) -> KeysView[str]:
        """Return, after the reading, the ids of all members of the groups that were read."""
        return self._groups_of.keys()

    def direct_sizes(self) -> dict[str, GroupNow]:
        """Count, after the reading, who is directly in each group: named, nested and assigned ones."""
        read = {
            group: self.tree.group_now(group, self._lengths.get(f"the members of group {group}", 0))
            for group in self.tree.above(self.scope.groups)
        }
        return read | self.assignments.groups

    def members(self) -> int:
        """Count, after the reading, who is in any of the groups whose members come in."""
        wanted = self.scope.member_groups
        together = Counter(self._groups_of.values()).items()
        return sum(people for inside, people in together if not wanted.isdisjoint(inside))

    async def find_groups(self) -> None:
        """Read the tree of the named groups; whichever cannot be read makes the reading incomplete."""
        roots = self.scope.member_groups | self.asked_groups
        while True:
            self.tree = await read_group_tree(self.client, roots, nested=self.scope.nested_groups)
            if self.on_tree is None or not await self.on_tree(self.tree):
                break
        self.problems += map(missing_group, sorted(self.tree.missing))
        hidden = {group: self.tree.name(group) for group in self.tree.unreadable}
        self._note_hidden(hidden, self.tree.above(self._known_whole()).keys())

    async def find_assigned(self) -> None:
        """Read who is assigned to the scope's applications; one that is gone makes the reading incomplete."""
        self.assignments = await read_assignments(
            self.client, self.scope.applications, self.transcript
        )
        for object_id in self.assignments.by_person:
            self._join(object_id, self.assignments.of(object_id))
        hidden = self.assignments.hidden
        kept_out = keeps_out(self.scope.document, ASSIGNED_TO)
        self._note_hidden(hidden, hidden.keys() if kept_out else NOBODY)
        self.problems += map(missing_application, sorted(self.assignments.missing))

    def _note_hidden(self, hidden: Mapping[str, str], needed: AbstractSet[str]) -> None:
        """Note the groups whose members are hidden from this app; the members of the others come in.

        `hidden` are their names by id. Where a group keeps people out, or decides what they are mapped to,
        its members are `needed`: raises `FixConnection` then.
        """
        if unknown := hidden.keys() & needed:
            raise members_hidden(hidden[group] for group in unknown)
        for group, name in sorted(hidden.items()):
            self.problems.append(
                RecordError(
                    object_id=group,
                    code="scope.membersHidden",
                    message=f"{hidden_words([name])} The others come in; nobody is removed "
                    f"until {HIDDEN} is granted, or the group is taken out.",
                )
            )

    def _known_whole(self) -> frozenset[str]:
        """Return the named groups in which not to be is what counts, and those that the mapping asks for."""
        kept_out = keeps_out(self.scope.document, GROUPS)
        return (self.asked_groups - self.scope.asked_groups) | kept_out

    def _readable(self, above: Mapping[str, frozenset[str]]) -> list[tuple[str, frozenset[str]]]:
        return [one for one in sorted(above.items()) if one[0] not in self.tree.unreadable]

    async def _read_asked(self) -> None:
        """Learn who is in the groups that are only asked about, before anybody is judged."""
        above = self.tree.above(self.asked_groups)
        lists = [self._member_ids(group, inside) for group, inside in self._readable(above)]
        async with merged(lists, at_once=LISTS_AT_ONCE) as pages:
            async for ids, inside in pages:
                for object_id in ids:
                    self._join(object_id, inside)

    def _join(self, object_id: str, inside: frozenset[str]) -> frozenset[str]:
        """Add groups to what is known of a person; equal sets are shared, to keep memory flat."""
        known = self._groups_of.get(object_id, NOBODY)
        union = self._unions.get((known, inside))
        if union is None:
            union = self._unions[known, inside] = known | inside
        self._groups_of[object_id] = union
        return union

    async def _member_ids(
        self, group: str, inside: frozenset[str]
    ) -> AsyncIterator[tuple[list[str], frozenset[str]]]:
        async for items in self._listed(group, ["id"]):
            yield [item["id"] for item in items], inside

    async def _members(self, group: str, inside: frozenset[str]) -> AsyncIterator[list[Sighting]]:
        async for items in self._listed(group, self.select):
            await check_attributes(
                self.client, items, f"the members of the group {self.tree.name(group)!r}"
            )
            yield [(item, self._join(item["id"], inside)) for item in items]

    async def _listed(
        self, group: str, select: Iterable[str]
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Read a group's members; one that was deleted since the tree was read has none any more."""
        listed = pages(self.client, users_in(self.client, group, select), self.transcript)
        try:
            async for items in self._counted(listed, f"the members of group {group}"):
                yield items
        except GraphNotFound:
            if group in self.scope.member_groups | self.asked_groups:
                self.problems.append(missing_group(group))
        except FixConnection as error:
            told = refused_members(error, self.tree.name(group))
            if told is error:
                raise
            raise told from error

    async def _everyone(self) -> AsyncIterator[list[Sighting]]:
        """Read the users whom the plan's filter finds, or all, also where Graph refuses the filter."""
        plan = reading_plan(self.scope)
        if plan.filter is not None:
            try:
                async for page in self._users(plan.filter, advanced=plan.advanced):
                    yield page
            except IncompleteReading as error:
                if error.code not in FILTER_REFUSED:
                    raise
                self.applied_filter = False
                # The filter itself may name a person.
                log_event(
                    "reading.filterRefused",
                    level=logging.WARNING,
                    connection=self.name,
                    code=error.code,
                    advanced=plan.advanced,
                )
            else:
                return
        async for page in self._users():
            yield page

    async def _users(
        self, condition: str | None = None, *, advanced: bool = False
    ) -> AsyncIterator[list[Sighting]]:
        # An advanced query counts by itself.
        # Counted to notice a list that ends early; each removal is proven by id all the same.
        expected = None if advanced else await self._count(condition)
        request = all_users(self.client.sdk, self.select, condition, advanced=advanced)
        known = self._groups_of
        listed = self.client.pages(request, needs=USERS_READ, transcript=self.transcript)
        async for items in self._counted(listed, "the users of the tenant", expected):
            await check_attributes(self.client, items, "users")
            yield [(item, known.get(item["id"], NOBODY)) for item in items]

    async def _count(self, condition: str | None) -> int | None:
        """Ask how many users there are; whatever keeps Graph from saying so keeps nobody from being read."""
        try:
            return await count_people(self.client, condition)
        except SyncError:
            return None

    async def _counted(
        self, listed: AsyncIterator[Page], what: str, expected: int | None = None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Read a list and note a problem when it ends well before the count that Graph gave."""
        read = 0
        async for page in listed:
            expected = page.count if page.count is not None else expected
            read = len(page.items) + (read if page.number else 0)
            self._lengths[what] = read
            yield page.items
        if expected is None:
            self.uncounted.append(what)
        elif is_short(read, expected):
            self.problems.append(
                RecordError(
                    object_id="",
                    code="graph.shortList",
                    message=f"Graph counts {expected} for {what} and gave {read}. Nobody is removed "
                    "on the account of this reading.",
                )
            )


def is_short(read: int, expected: int) -> bool:
    """Whether a list ended so far below its count that it was cut short."""
    return expected - read > max(COUNT_TOLERANCE_LEAST, expected * COUNT_TOLERANCE)

"""Whom an incremental run looks at: hints of the delta, open cases, and people whom groups bring or take.

A mirror of memberships would be a second truth that can drift. So a group that enters the tree, leaves it or
is found under other groups has its members read, and everybody in it is looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sync_core.directory.assignments import Assignments, read_assignments
from sync_core.directory.delta import NoDelta, NoLinkNow
from sync_core.directory.groups import NO_GROUPS, GroupTree, existing, read_group_tree
from sync_core.directory.lookup import who_exists
from sync_core.directory.members import member_ids
from sync_core.domain.attributes import MANAGER
from sync_core.domain.documents.scope import ASSIGNED_TO, GROUPS
from sync_core.domain.incremental.checkpoint import Checkpoint, TrackedGroups
from sync_core.domain.incremental.hints import Hints
from sync_core.domain.incremental.interest import InterestSet
from sync_core.domain.incremental.notified import matters, nested_in, of_notified
from sync_core.domain.incremental.open_people import LAG, Cause, OpenCase, due
from sync_core.domain.scope.compile import keeps_out
from sync_core.runs.context import RunContext
from sync_core.runs.rounds import Rounds, take_streams
from sync_core.services import Services


class ReadEverything(Exception):
    """It takes a reading of everything to know who is concerned."""


@dataclass(slots=True)
class Candidates:
    """The people to look at, and the groups as they are now.

    `entered` are groups whose members were read, since when; `edges` those whose nested groups were told to
    come or go, or which came back and are in no list; `awaited` nested groups that no list shows yet; `sizes`
    how many people groups have. `restored` are people who were soft-deleted and are there again. `missing`
    are named groups that are gone. `notified` are the cases of notifications that are of interest, by person;
    `passed_over` all others.
    """

    ids: set[str] = field(default_factory=set)
    tree: GroupTree = field(default_factory=GroupTree)
    entered: dict[str, datetime] = field(default_factory=dict)
    edges: dict[str, datetime] = field(default_factory=dict)
    awaited: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[str, datetime] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    assignments: Assignments = field(default_factory=Assignments)
    restored: set[str] = field(default_factory=set)
    new_members: set[str] = field(default_factory=set)
    notified: dict[str, OpenCase] = field(default_factory=dict)
    passed_over: list[OpenCase] = field(default_factory=list)


def tree_of(tracked: TrackedGroups) -> GroupTree:
    """Return the tree as it was read by the last run."""
    tree = GroupTree(names=dict(tracked.names))
    for group, parents in tracked.parents.items():
        tree.parents[group] = set(parents)
    tree.dynamic, tree.paused = set(tracked.dynamic), set(tracked.paused)
    tree.missing, tree.unreadable = set(tracked.missing), set(tracked.unreadable)
    return tree


def tracked_of(
    tree: GroupTree,
    *,
    sizes: Mapping[str, int],
    gone: Mapping[str, datetime],
    entered: Mapping[str, datetime],
    edges: Mapping[str, datetime],
    awaited: Mapping[str, list[str]],
) -> TrackedGroups:
    """Return the tree as a checkpoint keeps it."""
    return TrackedGroups(
        names=dict(tree.names),
        parents={group: sorted(parents) for group, parents in tree.parents.items() if parents},
        people={group: sizes[group] for group in sorted(tree.names.keys() & sizes.keys())},
        dynamic=sorted(tree.dynamic),
        paused=sorted(tree.paused),
        missing=sorted(tree.missing),
        unreadable=sorted(tree.unreadable),
        gone=dict(gone),
        entered=dict(entered),
        edges=dict(edges),
        awaited=dict(awaited),
    )


class CandidateSearch:
    """Finds whom a run has to look at; raises `ReadEverything` where that cannot be told."""

    def __init__(
        self, services: Services, context: RunContext, checkpoint: Checkpoint, rounds: Rounds
    ) -> None:
        self._services = services
        self._context = context
        self._checkpoint = checkpoint
        self._rounds = rounds
        self._hints: Hints = rounds.hints
        self._found = Candidates()

    async def find(self) -> Candidates:
        """Return everybody whom a hint, a notification, an open case or a group names."""
        self._take_touched()
        self._take_notified(self._context.kept.interest)
        await self._follow_groups()
        self._take_hinted(self._context.kept.interest)
        await self._take_open()
        await self._compare_assignments()
        await self._take_reports()
        self._context.ledger.set("candidates", len(self._found.ids))
        return self._found

    # --- groups ---------------------------------------------------------------------------------

    async def _follow_groups(self) -> None:
        scope, roots, found = self._context.scope, self._roots, self._found
        before = self._checkpoint.tree
        found.tree, found.sizes = tree_of(before), dict(before.people)
        if not roots:
            return
        now = self._context.stamp.now
        back = await self._groups_that_are_back(now)
        news, moving = self._hints.groups, self._moving(now)
        if not (moving or news.gone or back):
            await self._read_again(now)
            self._count_members()
            return
        old = [found.tree.above(roots, nested) for nested in (NO_GROUPS, before.awaited)]
        found.tree = await self._tree_with_streams(roots)
        if found.tree.unreadable or found.tree.missing - {*before.missing, *self._only_let_in}:
            raise ReadEverything
        if scope.nested_groups:
            found.awaited = before.lacks(found.tree.names.keys(), found.tree.parents, news.nested)
        # A restored group may be in no list yet. Then the next runs read the tree again, until lists show it.
        found.edges |= dict.fromkeys(sorted(back - found.tree.names.keys()), now)
        # People of a group that is awaited no more have left with it, as those of a listed one do.
        new = [found.tree.above(roots, nested) for nested in (NO_GROUPS, found.awaited)]
        changed = set().union(*map(self._changed, old, new))
        found.entered = dict.fromkeys(sorted(changed | back), now) | found.entered
        await self._read_again(now)
        self._count_members()
        for group in sorted(changed | back):
            if not await self._take_members(group) and group not in roots:
                # Deleted, though it was not told yet: nothing says who was in it.
                raise ReadEverything

    def _moving(self, now: datetime) -> bool:
        """Whether nested groups came or went lately, so that lists of them may be older, or lack some."""
        before = self._checkpoint.tree.edges
        since = dict.fromkeys(sorted(self._hints.groups.edges), now)
        self._found.edges = {group: at for group, at in (before | since).items() if now - at < LAG}
        return bool(before or since or self._checkpoint.tree.awaited)

    async def _groups_that_are_back(self, now: datetime) -> set[str]:
        """Ask for the groups that were deleted: one that is restored brings its members, untold."""
        known = self._checkpoint.tree
        tracked = known.names.keys() | known.expected
        # One that is nested no more may be nested again, and restored after that.
        told = self._hints.groups.gone
        # A named group that once answered 404 may be there again, and of that no delta tells.
        asked = dict.fromkeys(sorted(set(known.missing) - told), now) | known.gone
        gone = asked | dict.fromkeys(sorted(told), now)
        self._found.gone = gone
        if not gone:
            return set()
        there = await existing(self._context.client, sorted(gone))
        still = gone.keys() - there
        # A nested group that is gone has taken its members with it, and one that kept people out keeps nobody
        # out any more; nothing says who was in it.
        if any(group in tracked and group not in self._only_let_in for group in still):
            raise ReadEverything
        # One that was told of lately and seems to be there is asked for again by the next runs.
        self._found.gone = {
            one: since for one, since in gone.items() if one in still or now - since < LAG
        }
        back = there & (known.gone.keys() | known.missing)
        # Nobody knows any more what was nested in a named group that was gone: it may be deleted meanwhile.
        if back & self._roots and self._context.scope.nested_groups:
            raise ReadEverything
        return back

    @property
    def _roots(self) -> frozenset[str]:
        """The groups that scope and mapping name."""
        return self._context.scope.groups | self._context.mapping.groups

    @property
    def _only_let_in(self) -> frozenset[str]:
        """The named groups that only let people in: when one of them is gone, nothing changes for anybody."""
        keepers = keeps_out(self._context.scope.document, GROUPS)
        return self._roots - keepers - self._context.mapping.groups

    def _changed(
        self, old: Mapping[str, frozenset[str]], new: Mapping[str, frozenset[str]]
    ) -> set[str]:
        """Return the groups that are under other named groups than before.

        What stood under a named group that is gone has not moved: nobody has left by that. A nested group
        that was deleted cannot be read any more, and nothing else says who was in it.
        """
        missing, told_gone = self._found.tree.missing, self._hints.groups.gone
        changed = set()
        for group in old.keys() | new.keys():
            before, now = old.get(group, frozenset()), new.get(group, frozenset())
            if before - missing == now:
                continue
            if group in told_gone and not now:
                raise ReadEverything
            changed.add(group)
        return changed

    async def _tree_with_streams(self, roots: frozenset[str]) -> GroupTree:
        """Read the tree again; new groups get their link before anything under them is believed."""
        while True:
            tree = await read_group_tree(
                self._context.client, roots, nested=self._context.scope.nested_groups
            )
            if tree.names.keys() <= self._rounds.streamed:
                return tree
            try:
                await take_streams(self._context, self._rounds, tree.names)
            except (NoDelta, NoLinkNow) as error:
                raise ReadEverything from error

    async def _read_again(self, now: datetime) -> None:
        """Read the members of groups that entered some time ago once more: their list lags, too."""
        nested = self._checkpoint.tree.names.keys() - self._roots
        for group, since in self._checkpoint.tree.entered.items():
            if now - since < LAG:
                self._found.entered.setdefault(group, since)
            elif not await self._take_members(group) and group in nested:
                # It seemed to be there, long after the delta had told that it is deleted.
                self._hints.groups.gone.add(group)
                raise ReadEverything

    async def _take_members(self, group: str) -> bool:
        """Take everybody in a group; false if it is not there."""
        found = self._found
        ids = await member_ids(self._context.client, group)
        if ids is None:
            return False
        found.sizes[group] = len(ids)
        for object_id in ids:
            self._hints.of(object_id).concerned.add(group)
        found.ids |= ids
        found.new_members |= ids
        return True

    def _count_members(self) -> None:
        """Bring the sizes of groups up to date by who came and went."""
        sizes = self._found.sizes
        for hint in self._hints.people.values():
            for group in hint.joined & sizes.keys():
                sizes[group] += 1
            for group in hint.left & sizes.keys():
                sizes[group] = max(0, sizes[group] - 1)

    # --- people ---------------------------------------------------------------------------------

    def _take_hinted(self, interest: InterestSet | None) -> None:
        """Take everybody who was told of and can matter."""
        by_group = not self._context.scope.everyone
        for object_id, hint in self._hints.people.items():
            matters = bool(hint.joined or hint.left) or not by_group
            if matters or interest is None or object_id in interest:
                self._found.ids.add(object_id)
            if hint.joined:
                self._found.new_members.add(object_id)

    def _take_notified(self, interest: InterestSet | None) -> None:
        """Take whom notifications named and who can matter; before the groups are followed.

        A group among the members of another one is no person: what is nested has changed, and is read again.
        Whether it came or went is for the reading to say.
        """
        tracked, found = self._checkpoint.tree.known(), self._found
        notified = list(of_notified(self._context.kept.cases))
        self._hints.groups.edges |= nested_in(notified, tracked)
        by_group = not self._context.scope.everyone
        for case in notified:
            is_group = case.object_id in tracked
            if is_group or not matters(case, tracked, interest, by_group=by_group):
                found.passed_over.append(case)
                continue
            found.notified[case.object_id] = case
            found.ids.add(case.object_id)

    def _take_touched(self) -> None:
        """Take whom an earlier run was about to write that has not come to its end."""
        touched = self._context.kept.touched
        if touched is None:
            raise ReadEverything
        self._found.ids |= touched

    async def _take_open(self) -> None:
        known = self._context.kept.cases.values()
        cases = [case for case in known if case.cause is not Cause.NOTIFIED]
        now = self._context.stamp.now
        restorable = [case.object_id for case in cases if case.cause is Cause.RESTORABLE]
        self._found.ids |= due((one for one in cases if one.cause is not Cause.RESTORABLE), now)
        if restorable:
            self._found.restored = await who_exists(self._context.client, restorable)
            self._found.ids |= self._found.restored

    async def _compare_assignments(self) -> None:
        """Take everybody who is assigned to an application and was not, or the other way round.

        The list that names them is the one that they are judged by, so it is no second witness.
        """
        applications = self._context.scope.applications
        found = self._found.assignments = await read_assignments(self._context.client, applications)
        # Whom a missing one has let in stay; whom it has kept out may come in.
        all_stay = found.missing - keeps_out(self._context.scope.document, ASSIGNED_TO)
        for application in applications - all_stay:
            before = set(self._checkpoint.assignments.get(application, ()))
            now = {oid for oid, assigned in found.by_person.items() if application in assigned}
            self._found.ids |= before ^ now

    async def _take_reports(self) -> None:
        """Take who reports to somebody that was told of, or is looked at: their values change with those."""
        if MANAGER not in self._context.selected:
            return
        managers = self._hints.people.keys() | self._found.ids
        digits = {object_id[0] for object_id in managers}
        loaded = await self._services.store.reports.load(self._context.connection.id, digits)
        for reports in loaded.values():
            for manager in reports.keys() & managers:
                self._found.ids |= reports[manager]


def by_application(assignments: Assignments, applications: Iterable[str]) -> dict[str, list[str]]:
    """Return who is assigned to each application, as a checkpoint keeps it."""
    return {
        application: sorted(
            oid for oid, assigned in assignments.by_person.items() if application in assigned
        )
        for application in sorted(applications)
    }

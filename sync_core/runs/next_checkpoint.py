"""The checkpoint that a run leaves: the links, the groups and the numbers as they are after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sync_core.domain.incremental.checkpoint import (
    GONE_GROUP_KEPT,
    AssertedPeople,
    Checkpoint,
    TrackedGroups,
    counted,
)
from sync_core.domain.incremental.digest import deciding_digest
from sync_core.domain.incremental.open_people import LAG
from sync_core.runs.candidates import by_application, tracked_of
from sync_core.runs.context import RunContext
from sync_core.runs.full import FullReading
from sync_core.runs.incremental import Looks
from sync_core.runs.planner import Draft
from sync_core.runs.rounds import Links, Rounds, source_of


@dataclass(frozen=True, slots=True)
class NextCheckpoint:
    """Makes the checkpoint of a run that has carried out a plan."""

    context: RunContext
    draft: Draft

    def after_reading(
        self, gatherer: FullReading, links: Links, *, looks_again: bool
    ) -> Checkpoint:
        """Return what a full run leaves; `looks_again`: the next one has to be full, too."""
        context, now, rounds = self.context, self.context.stamp.now, links.rounds
        before = context.kept.checkpoint
        first_at, settled = self._age_of_links(links)
        return Checkpoint(
            **self._numbers(),
            digest=deciding_digest(context.connection),
            source=source_of(context.connection),
            full_at=now,
            first_at=now if looks_again else first_at,
            settled=settled and not looks_again,
            users=rounds.users,
            streams=rounds.streams,
            tree=self._tree(gatherer, rounds, before),
            tracked=rounds.tracked,
            refused=rounds.refused,
            no_delta_at=rounds.no_delta_at,
            reading_requests=gatherer.requests,
            assignments=by_application(gatherer.reading.assignments, context.scope.applications),
        )

    def after_looks(self, gatherer: Looks, rounds: Rounds) -> Checkpoint:
        """Return what an incremental run leaves: what it has not read stays as it was."""
        candidates, before = gatherer.candidates, self.context.kept.checkpoint
        assert before is not None  # noqa: S101 -- an incremental run goes on from one
        tree = tracked_of(
            candidates.tree,
            sizes=candidates.sizes,
            gone=candidates.gone,
            entered=candidates.entered,
            edges=candidates.edges,
            awaited=candidates.awaited,
        )
        applications = self.context.scope.applications
        changed = {
            **self._numbers(),
            "users": rounds.users,
            "streams": rounds.streams,
            "tree": tree,
            "assignments": by_application(candidates.assignments, applications),
        }
        return before.model_copy(update=changed)

    def _numbers(self) -> dict[str, object]:
        """Return what is counted, as it is after everything was written."""
        context, inventory = self.context, self.draft.inventory
        return {
            "window_hours": context.connection.policy.guard.window_hours,
            "active": max(0, inventory.active + context.written.active),
            "by_digit": counted(inventory.by_digit, context.written.stored),
            "asserted": AssertedPeople(
                named=context.assertions.named, active=context.assertions.active
            ),
        }

    def _age_of_links(self, links: Links) -> tuple[datetime, bool]:
        """Return since when links go on from each other, and whether a reading was begun after the lag."""
        before, began_at = self.context.kept.checkpoint, links.began_at
        if before is None or links.rounds.is_fresh:
            return began_at, False
        return before.first_at, before.settled or began_at - before.first_at >= LAG

    def _tree(
        self, gatherer: FullReading, rounds: Rounds, before: Checkpoint | None
    ) -> TrackedGroups:
        tree, now = gatherer.reading.tree, self.context.stamp.now
        known = before.tree.gone if before is not None else {}
        gone = known | dict.fromkeys(sorted(rounds.hints.groups.gone), now)
        # One that was told of lately and seems to be there is asked for again by the next runs.
        kept = {
            group: since
            for group, since in gone.items()
            if now - since < (LAG if group in tree.names else GONE_GROUP_KEPT)
        }
        sizes = {group: size.people for group, size in gatherer.reading.direct_sizes().items()}
        old = before.tree if before is not None else TrackedGroups()
        entered = old.entered | dict.fromkeys(sorted(tree.names.keys() - old.names.keys()), now)
        edges = old.edges | dict.fromkeys(sorted(rounds.hints.groups.edges), now)
        awaited: dict[str, list[str]] = {}
        if self.context.scope.nested_groups and not rounds.is_fresh:
            # Once at most: what the full reading after this one does not show, either, is given up.
            expected = old.model_copy(update={"awaited": {}, "gone": kept})
            awaited = expected.lacks(tree.names.keys(), tree.parents, rounds.hints.groups.nested)
        return tracked_of(
            tree,
            sizes=sizes,
            gone=kept,
            entered=_recent(entered, now),
            edges=_recent(edges, now),
            awaited=awaited,
        )


def without_missing(context: RunContext, gatherer: FullReading) -> Checkpoint | None:
    """Return the checkpoint of before without the named groups that are gone; None if none is gone since.

    What their absence changes has been read: no other run has to read everything for it again.
    """
    before = context.kept.checkpoint
    if before is None or not (gone := gatherer.reading.tree.missing & before.tree.names.keys()):
        return None
    known = before.tree
    changed = {
        "names": {group: name for group, name in known.names.items() if group not in gone},
        "parents": {group: above for group, above in known.parents.items() if group not in gone},
        "missing": sorted(gone.union(known.missing)),
    }
    tree = known.model_copy(update=changed)
    return before.model_copy(update={"tree": tree})


def _recent(groups: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """Return the groups whose lists may be older than what happened to them."""
    return {group: since for group, since in groups.items() if now - since < LAG}

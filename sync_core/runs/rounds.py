"""The delta rounds of a run: the links of the checkpoint drained, and links taken for what has none."""

from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sync_core.directory.delta import (
    LinkRefused,
    NoDelta,
    NoLinkNow,
    TooMany,
    drain_groups,
    drain_users,
    groups_link,
    users_link,
)
from sync_core.directory.groups import GroupTree
from sync_core.domain.documents.connection import Connection
from sync_core.domain.incremental.checkpoint import (
    STREAM_GROUPS,
    Checkpoint,
    DeltaLink,
    GroupStream,
    without_doubles,
)
from sync_core.domain.incremental.hints import Hints
from sync_core.domain.incremental.mode import may_ask_for_delta
from sync_core.domain.incremental.tracking import delta_select, names_to_track
from sync_core.logs import log_event
from sync_core.runs.context import RunContext
from sync_core.store.users import bounded

STREAMS_AT_ONCE = 4
# A round without end is left after so many pages, whatever a full reading costs.
MOST_PAGES = 10_000


@dataclass(slots=True)
class Rounds:
    """What the links told, and where the next rounds begin.

    `is_fresh`: the links were taken by this run and go on from no earlier ones. `no_delta_at` is when a
    tenant refused to give any. `ended_at` is when the last page of what they told had come.
    """

    hints: Hints = field(default_factory=Hints)
    users: DeltaLink | None = None
    streams: list[GroupStream] = field(default_factory=list)
    tracked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    no_delta_at: datetime | None = None
    is_fresh: bool = True
    ended_at: datetime | None = None

    @property
    def streamed(self) -> set[str]:
        """The groups that a stream tracks."""
        return {group for stream in self.streams for group in stream.groups}


def source_of(connection: Connection) -> str:
    """Return where the links of a connection come from; those of another app are not to be followed."""
    return f"{connection.cloud.value}|{connection.tenant_id}|{connection.client_id}"


async def drained(
    context: RunContext, checkpoint: Checkpoint, too_many: TooMany | None = None
) -> Rounds:
    """Read what changed since the checkpoint; raises `LinkRefused` where a link does not go on."""
    client, now = context.client, context.stamp.now
    stop = too_many or (lambda pages: pages > MOST_PAGES)
    tracked = checkpoint.tree.known()
    found = Rounds(tracked=checkpoint.tracked, refused=checkpoint.refused, is_fresh=False)
    if checkpoint.users is not None:
        users = await drain_users(client, checkpoint.users.link, stop)
        for row in users.rows:
            await context.turns.take()
            found.hints.add_user(row)
        found.users = DeltaLink(link=users.link, taken_at=now)

    async def drain_stream(stream: GroupStream) -> None:
        told = await drain_groups(client, stream.link, stop)
        for row in told.rows:
            await context.turns.take()
            found.hints.add_group(row, tracked)
        found.streams.append(GroupStream(link=told.link, taken_at=now, groups=stream.groups))

    calls = (partial(drain_stream, stream) for stream in checkpoint.streams)
    await bounded(STREAMS_AT_ONCE, calls)
    found.ended_at = context.clock()
    return found


async def take_streams(context: RunContext, rounds: Rounds, groups: Iterable[str]) -> None:
    """Take a link for those of the groups that none tells of, before their members are read."""
    now = context.stamp.now
    missing = sorted(set(groups) - rounds.streamed)
    for start in range(0, len(missing), STREAM_GROUPS):
        some = missing[start : start + STREAM_GROUPS]
        link = await groups_link(context.client, some)
        rounds.streams.append(GroupStream(link=link, taken_at=now, groups=some))


class Links:
    """The links of a full run: what the old ones tell is kept, and new ones are taken before reading.

    In this order, so that what changes during the reading is told by the next round. A reading that another
    run began at `began_at` goes on with the `rounds` of then; nothing is drained or taken for it again.
    """

    def __init__(
        self, context: RunContext, rounds: Rounds | None = None, began_at: datetime | None = None
    ) -> None:
        self._context = context
        self._drained = rounds is not None
        self.rounds = rounds or Rounds()
        self.goes_on = began_at is not None
        # A reading that goes on without the link for people can use none for groups.
        self.has_links = not self.goes_on or self.rounds.users is not None
        # Packed again, the streams from before the reading would be those that are left out.
        self._packed = self.goes_on
        self.began_at = began_at or context.stamp.now

    async def begin(self) -> None:
        """Drain the links that are good still, and take one for the people of the tenant."""
        context, checkpoint = self._context, self._context.kept.checkpoint
        usable = checkpoint is not None and checkpoint.source == source_of(context.connection)
        if checkpoint is not None and usable and not self._drained:
            try:
                self.rounds = await drained(context, checkpoint)
            except LinkRefused as error:
                log_event("delta.refused", connection=context.connection.id, code=error.code)
        if not may_ask_for_delta(checkpoint if usable else None, context.stamp.now):
            self.has_links = False
            self.rounds.no_delta_at = checkpoint.no_delta_at if checkpoint is not None else None
            return
        await self._guarded(self._take_users_link)

    async def _take_users_link(self) -> None:
        wanted = names_to_track(self._context.selected)
        rounds = self.rounds
        if rounds.users is not None and rounds.tracked == wanted:
            return
        link, refused = await users_link(self._context.client, delta_select(wanted))
        rounds.users = DeltaLink(link=link, taken_at=self._context.stamp.now)
        rounds.tracked, rounds.refused, rounds.is_fresh = wanted, refused, True

    def as_checkpoint(self, before: Checkpoint) -> Checkpoint:
        """Return a checkpoint from which the links that were taken are drained."""
        rounds = self.rounds
        return before.model_copy(update={"users": rounds.users, "streams": rounds.streams})

    def add(self, later: Rounds) -> None:
        """Go on from a later round; what it told is kept, too."""
        self.rounds.users, self.rounds.streams = later.users, later.streams
        hints = self.rounds.hints
        for object_id, hint in later.hints.people.items():
            known = hints.people.setdefault(object_id, hint)
            known.joined |= hint.joined
            known.left |= hint.left
        hints.groups.gone |= later.hints.groups.gone
        hints.groups.edges |= later.hints.groups.edges
        hints.groups.nested |= later.hints.groups.nested

    async def on_tree(self, tree: GroupTree) -> bool:
        """Take streams for the groups of a tree; whether any was taken, and the tree has to be read again."""
        if self.has_links and not self._packed:
            self._packed = True
            await self._guarded(partial(self._pack, tree.names.keys()))
        if not self.has_links or tree.names.keys() <= self.rounds.streamed:
            return False
        await self._guarded(partial(take_streams, self._context, self.rounds, tree.names))
        return self.has_links

    async def _pack(self, groups: AbstractSet[str]) -> None:
        """Take fewer streams for the same groups; the old ones go on until the next full run.

        Until then they tell what came before the new ones were taken and is told late.
        """
        rounds = self.rounds
        rounds.streams, is_sparse = without_doubles(rounds.streams, groups)
        if is_sparse:
            packed = Rounds()
            await take_streams(self._context, packed, groups)
            rounds.streams += packed.streams

    async def _guarded(self, take: Callable[[], Awaitable[None]]) -> None:
        """Take links; a tenant that has no delta is read as a whole, each time, and asked now and then.

        Where Graph gives none for another reason, the next run asks again.
        """
        try:
            await take()
        except NoDelta as error:
            log_event("delta.none", connection=self._context.connection.id, code=error.code)
            self.rounds.users, self.rounds.streams = None, []
            self.has_links = False
            self.rounds.no_delta_at = self._context.stamp.now if error.is_lasting else None
        except NoLinkNow as error:
            log_event("delta.noLink", connection=self._context.connection.id, code=error.code)
            # Of people alone, or of groups alone, half of what changes would never be told.
            self.rounds.users, self.rounds.streams = None, []
            self.has_links = False

"""A full reading that goes on in the next run: kept where one has to stop, taken up where the next begins."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice

from sync_core.concurrency import in_thread
from sync_core.directory.transcript import Transcript
from sync_core.domain.documents.run import Mode, ModeReason
from sync_core.domain.errors import LeaseLost, RetryLater, SyncError
from sync_core.domain.incremental.checkpoint import MOST_TOLD
from sync_core.domain.incremental.digest import deciding_digest
from sync_core.domain.incremental.hints import GroupNews, Hint, Hints
from sync_core.domain.incremental.kept_reading import KeptReading
from sync_core.domain.incremental.mode import Choice
from sync_core.logs import log_event
from sync_core.runs.context import RunContext
from sync_core.runs.hold import Hold, Unfinished
from sync_core.runs.rounds import Links, Rounds, source_of
from sync_core.services import Services
from sync_core.store.fences import Fence
from sync_core.store.readings import ReadingBroken

# Fewer pages than these are read again in a minute or less; to keep them is not worth it.
LEAST_PAGES = 50
# A process that was asked to end may not have so long; a run has, before its host would end it.
KEEP_LIMIT_S = 180.0
ID_BYTES = 6
# Where Graph fails so many runs in a row at the same page, its link may be at fault.
MOST_IDLE = 3


class Continuation:
    """The reading of a run: what Graph has answered, and where it stood when an earlier run left it."""

    def __init__(self, services: Services, context: RunContext, hold: Hold) -> None:
        self._services = services
        self._context = context
        self._hold = hold
        self._before: KeptReading | None = None
        self._links: Links | None = None
        self._reason: ModeReason | None = None
        self.transcript = Transcript()

    @property
    def _id(self) -> str:
        return self._context.connection.id

    async def taken_up(self) -> tuple[Choice, Links] | None:
        """Load what an earlier run could not finish; None where there is nothing to go on with."""
        context, kept = self._context, self._context.kept.reading
        if kept is None:
            return None
        digest, source = deciding_digest(context.connection), source_of(context.connection)
        if not kept.may_go_on(digest, source, context.kept.checkpoint, context.stamp.now):
            log_event("reading.left", connection=self._id, began=kept.began_at.isoformat())
            return None
        try:
            async for chunk in self._services.store.readings.load(self._id, kept):
                self.transcript.fill(chunk)
            await in_thread(self.transcript.read_in)
        except (ReadingBroken, ValueError):
            log_event("reading.broken", connection=self._id)
            self.transcript.close()
            self.transcript = Transcript()
            return None
        self._before = kept
        log_event("reading.continued", connection=self._id, pages=self.transcript.pages)
        links = Links(context, _rounds(kept), began_at=kept.began_at)
        return Choice(Mode.FULL, kept.reason), links

    @property
    def requests(self) -> int:
        """How many requests the earlier runs of this reading have made."""
        return self._before.requests if self._before is not None else 0

    @property
    def apart(self) -> frozenset[str]:
        """The people who were synced alone since an earlier run began to read."""
        return frozenset(self._before.apart if self._before is not None else ())

    def begin(self, choice: Choice, links: Links) -> None:
        """Note that a reading begins, or goes on, under these links, and why there is one."""
        self._reason, self._links = choice.reason, links

    async def keep(self, *, has_failed: bool = False) -> None:
        """Keep what was read for the next run, where there is time for it; without it, that begins anew.

        `has_failed`: Graph did not answer. Where that happens again and again before the first new page, the
        lists are left, as a link may be at fault that would be asked for again until the reading is too old.
        """
        if self._links is None or self.transcript.pages < LEAST_PAGES:
            return
        if has_failed and self._idle >= MOST_IDLE:
            log_event("reading.left", connection=self._id, began=self._links.began_at.isoformat())
            await self.give_up()
            return
        self._hold.leave_off()
        try:
            async with asyncio.timeout(KEEP_LIMIT_S):
                idle = self._idle if has_failed else 0
                await self._keep(self._standing(self._links, idle))
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 -- what is not kept is read again, and the run ends as it would
            log_event("reading.notKept", connection=self._id, error=type(error).__name__)

    async def _keep(self, reading: KeptReading) -> None:
        kept, store, fence = self._context.kept, self._services.store, self._hold.fence
        if not reading.parts:
            # Whoever finds it without parts knows that there may be rows of it.
            stale = kept.reading is not None
            await store.checkpoints.keep(self._id, kept, reading, fence)
            if stale:
                await store.readings.clear(self._id, fence)
        if self.transcript.has_more:
            rows = await store.readings.save(self._id, reading, self.transcript.take(), fence)
            reading = reading.model_copy(update={"parts": [*reading.parts, rows]})
        await store.checkpoints.keep(self._id, kept, reading, fence)
        log_event(
            "reading.kept",
            connection=self._id,
            pages=self.transcript.pages,
            rows=sum(reading.parts),
        )

    @property
    def _idle(self) -> int:
        """How many runs in a row, with this one, have added nothing to the reading."""
        before = self._before
        return before.idle + 1 if before is not None and not self.transcript.has_more else 0

    def _standing(self, links: Links, idle: int) -> KeptReading:
        context, before, rounds = self._context, self._before, links.rounds
        return KeptReading(
            id=before.id if before is not None else secrets.token_hex(ID_BYTES),
            digest=deciding_digest(context.connection),
            source=source_of(context.connection),
            began_at=links.began_at,
            reason=self._reason,
            parts=before.parts if before is not None else [],
            requests=self.requests + context.client.usage.requests,
            idle=idle,
            users=rounds.users,
            streams=rounds.streams,
            tracked=rounds.tracked,
            refused=rounds.refused,
            no_delta_at=rounds.no_delta_at,
            is_fresh=rounds.is_fresh,
            # Of more people than are looked at afterwards, only that there are so many matters.
            told=list(islice(rounds.hints.people, MOST_TOLD + 1)),
            gone=sorted(rounds.hints.groups.gone),
            edges=sorted(rounds.hints.groups.edges),
            apart=sorted(self.apart),
        )

    async def finish(self) -> None:
        """Delete what was kept: the reading has ended, and the checkpoint names it no longer."""
        if self._context.kept.reading is not None:
            await self._cleared(named=False)

    async def give_up(self) -> None:
        """Delete what was kept of a reading that ended with an error: the next one would, too."""
        if self._context.kept.reading is not None:
            await self._cleared(named=True)

    async def _cleared(self, *, named: bool) -> None:
        """Delete the rows, and first what names them; where that fails, the run ends as it would."""
        store, kept, fence = self._services.store, self._context.kept, self._hold.fence
        self._hold.leave_off()
        try:
            if named:
                await store.checkpoints.drop(self._id, kept, fence)
            await store.readings.clear(self._id, fence)
        except LeaseLost:
            raise
        except SyncError as error:
            log_event("reading.notDeleted", connection=self._id, code=error.code)


def _rounds(kept: KeptReading) -> Rounds:
    """Return the rounds before a reading as they were kept: who was told of, not what."""
    people = {object_id: Hint() for object_id in kept.told}
    return Rounds(
        hints=Hints(people, GroupNews(gone=set(kept.gone), edges=set(kept.edges))),
        users=kept.users,
        streams=list(kept.streams),
        tracked=kept.tracked,
        refused=kept.refused,
        no_delta_at=kept.no_delta_at,
        is_fresh=kept.is_fresh,
    )


@asynccontextmanager
async def continuing(
    services: Services, context: RunContext, hold: Hold
) -> AsyncIterator[Continuation]:
    """Take care of what a run reads: kept if it has to stop, or if Graph fails, and deleted at its end."""
    found = Continuation(services, context, hold)
    try:
        yield found
        await found.finish()
    except Unfinished:
        await found.keep()
        raise
    except RetryLater:
        await found.keep(has_failed=True)
        raise
    except LeaseLost:
        raise
    except Exception:
        await found.give_up()
        raise
    finally:
        await in_thread(found.transcript.close)


async def set_apart(context: RunContext, object_ids: Iterable[str], fence: Fence) -> None:
    """Have a full reading that goes on later leave these people as they are now."""
    kept = context.kept
    if kept.reading is None:
        return
    apart = list(dict.fromkeys([*kept.reading.apart, *object_ids]))
    reading = kept.reading.model_copy(update={"apart": apart})
    await context.checkpoints.keep(context.connection.id, kept, reading, fence)

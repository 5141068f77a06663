"""Whether a run reads everything or goes by the delta, and why. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_core.domain.documents.run import Mode, ModeReason
from sync_core.domain.incremental.checkpoint import LINK_LIFE, Checkpoint
from sync_core.domain.incremental.open_people import LAG

# A scope that is read in so few requests is always read: nothing is cheaper, or more certain.
FEW_REQUESTS = 8
# Asked for by notifications: whom they name is looked at, since lists may be behind a single person.
NOTIFIED = "notified"
# Up to so many people are looked at one by one once answers are true, whatever a reading costs.
MOST_RECENT = 500
# A tenant that refuses delta queries (Azure AD B2C, External ID) is asked again after this.
ASK_AGAIN_FOR_DELTA = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is asked for, and what its connection says about it."""

    mode: str
    digest: str
    full_every: timedelta
    depends_on_time: bool
    untracked_scope: bool
    takes_over: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A mode and its reason; an incremental run has none."""

    mode: Mode
    reason: ModeReason | None = None


INCREMENTAL = Choice(Mode.INCREMENTAL)


def full(reason: ModeReason) -> Choice:
    return Choice(Mode.FULL, reason)


def choose(wanted: Wanted, checkpoint: Checkpoint | None, now: datetime) -> Choice:
    """Choose how a run that begins now reads the directory."""
    if checkpoint is None:
        return full(ModeReason.FIRST)
    reason = _needed(wanted, checkpoint, now) or _cheaper(wanted, checkpoint)
    return full(reason) if reason is not None else INCREMENTAL


def _needed(wanted: Wanted, checkpoint: Checkpoint, now: datetime) -> ModeReason | None:
    """Return why only a full reading will do."""
    needs = {
        ModeReason.ASKED: wanted.mode == "full",
        ModeReason.TAKEOVER: wanted.takes_over,
        ModeReason.SETTINGS_CHANGED: wanted.digest != checkpoint.digest,
        ModeReason.UNTRACKED_SCOPE: wanted.untracked_scope,
        ModeReason.NO_DELTA: _has_no_links(checkpoint) and checkpoint.no_delta_at is not None,
        # The last run asked for links in vain.
        ModeReason.LINK_REFUSED: _has_no_links(checkpoint),
        ModeReason.LINK_OLD: _is_old(checkpoint, now),
        ModeReason.FULL_EVERY_HOURS: _is_due(wanted, checkpoint, now),
        ModeReason.TIME_DEPENDENT: wanted.depends_on_time
        and now.date() != checkpoint.full_at.date(),
        ModeReason.FIRST: not checkpoint.settled and now - checkpoint.first_at >= LAG,
    }
    return next((reason for reason, is_needed in needs.items() if is_needed), None)


def _is_due(wanted: Wanted, checkpoint: Checkpoint, now: datetime) -> bool:
    """Whether the last full reading is too long ago, or seems to be still to come: a clock was wrong."""
    return now - checkpoint.full_at >= wanted.full_every or checkpoint.full_at - now > LAG


def _has_no_links(checkpoint: Checkpoint) -> bool:
    return checkpoint.users is None and not checkpoint.streams


def _is_old(checkpoint: Checkpoint, now: datetime) -> bool:
    taken = checkpoint.oldest_link()
    return taken is not None and now - taken >= LINK_LIFE


def _cheaper(wanted: Wanted, checkpoint: Checkpoint) -> ModeReason | None:
    """Return the reason for a full reading where that costs next to nothing, unless one was not wanted."""
    few = checkpoint.reading_requests <= FEW_REQUESTS
    looks = wanted.mode in {"incremental", NOTIFIED}
    return ModeReason.CHEAPER if few and not looks else None


def may_ask_for_delta(checkpoint: Checkpoint | None, now: datetime) -> bool:
    """Whether delta links are asked for: not where the tenant refused them lately."""
    refused_at = checkpoint.no_delta_at if checkpoint is not None else None
    return refused_at is None or now - refused_at >= ASK_AGAIN_FOR_DELTA


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run by the delta asks of Graph from here on; learn.microsoft.com/graph/throttling-limits."""

    looks: int

    @property
    def requests(self) -> int:
        """Two questions a person, 20 of them in a `$batch`."""
        return -(-2 * self.looks // 20)


def is_cheaper_to_read(cost: Cost, checkpoint: Checkpoint) -> bool:
    """Whether reading everything costs less than looking at each candidate."""
    return cost.requests > max(checkpoint.reading_requests, FEW_REQUESTS)


def reads_again(recent: int, requests: int) -> bool:
    """Whether everybody is read once more after the lag, where `requests` read everybody.

    The other way is to look at the `recent` people, of whom a reading may have shown what was before. In a
    tenant where that many change between two readings, another reading would be followed by another.
    """
    return recent > MOST_RECENT and Cost(recent).requests > max(requests, FEW_REQUESTS)

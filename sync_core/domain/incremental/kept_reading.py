"""A full reading that its run could not finish: what the next one needs to go on with it. Pure."""

from datetime import datetime, timedelta

from pydantic import Field

from sync_core.domain.documents.base import Document
from sync_core.domain.documents.run import ModeReason
from sync_core.domain.incremental.checkpoint import Checkpoint, DeltaLink, GroupStream

# How long the link to a next page is good is not documented (microsoft-graph-docs issue 20092). A maintainer
# knows of no limit (msgraph-sdk-javascript issue 1463); others have seen Directory_ExpiredPageToken
# (msgraph-sdk-dotnet issue 2254), and such a list is read from the beginning. The bound is for the people:
# what was read of them is put right by the delta only after the reading.
READING_LIFE = timedelta(hours=24)


class KeptReading(Document):
    """Where a reading stands; what Graph has answered is kept under its `id`.

    `parts` are the numbers of rows that each run has left, none while the first one is still leaving them.
    `digest` and `source` are those of a checkpoint. The links were taken before the reading began; `told` are
    people whom the delta named until then, `gone` the groups that it told to be deleted, `edges` those whose
    nested groups came or went. `requests` is how many were made so far, `idle` how many runs in a row Graph
    has failed before they had added anything. `apart` are people who were synced alone since it began: what
    was read of them is older than what is stored.
    """

    id: str
    digest: str
    source: str
    began_at: datetime
    reason: ModeReason | None = None
    parts: list[int] = Field(default_factory=list)
    requests: int = 0
    idle: int = 0
    users: DeltaLink | None = None
    streams: list[GroupStream] = Field(default_factory=list)
    tracked: list[str] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)
    no_delta_at: datetime | None = None
    is_fresh: bool = True
    told: list[str] = Field(default_factory=list)
    gone: list[str] = Field(default_factory=list)
    edges: list[str] = Field(default_factory=list)
    apart: list[str] = Field(default_factory=list)

    def may_go_on(self, digest: str, source: str, before: Checkpoint | None, now: datetime) -> bool:
        """Whether a run that begins now may go on: the same people would be read, and not too long ago.

        `before` is the checkpoint that it would move. Where one was left since the reading began, by a
        release that knows of no kept readings, what was read is older than what is stored.
        """
        is_same = (self.digest, self.source) == (digest, source)
        is_last = before is None or before.newest() <= self.began_at
        return bool(self.parts) and is_same and is_last and now - self.began_at < READING_LIFE

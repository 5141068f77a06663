"""How long histories, plans and runs are kept, and how a pass over them goes on from tick to tick. Pure.

A pass looks at every partition of a table once. A tick does a bounded part of it and notes where it
stands; a day later the next pass begins.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sync_core.domain.documents.base import Document

PASS_EVERY = timedelta(days=1)
# Storage takes some 50 ms each, so a tick is over in two minutes.
REQUESTS_A_TICK = 2_000


class Pass(Document):
    """How far the pass over one table is: in a partition, up to a row.

    No partition yet stands for the beginning, or, of one that `is_over`, for the end.
    """

    name: str
    partition: str = ""
    row: str = ""
    began_at: datetime | None = None
    is_over: bool = True

    def begun(self, now: datetime) -> Self | None:
        """Return the pass that is under way, or the next one; None while none is due."""
        if not self.is_over:
            return self
        if self.began_at is not None and now - self.began_at < PASS_EVERY:
            return None
        return self.model_copy(update={"began_at": now, "is_over": False})

    def at(self, partition: str | None, row: str = "") -> Self:
        """Return the pass a step further on; without another partition it is over."""
        where = {"partition": partition or "", "row": row, "is_over": partition is None}
        return self.model_copy(update=where)


@dataclass(slots=True)
class Budget:
    """The requests that a tick may still make."""

    left: int = REQUESTS_A_TICK

    def spend(self, requests: int) -> None:
        self.left -= requests

    @property
    def is_spent(self) -> bool:
        return self.left <= 0


def cutoff(now: datetime, days: int) -> datetime:
    """Return the moment before which nothing is kept."""
    return now - timedelta(days=days)

"""The pause between runs that notifications start, on the lease; and the one message that comes after it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Trigger
from sync_core.domain.incremental.rest import Rest
from sync_core.services import Services

Rested = Callable[[Rest], Rest]


def as_it_is(rest: Rest) -> Rest:
    return rest


@dataclass(slots=True)
class Pause:
    """How a pause changes by a run or a look that ended `now`, and when somebody is to be looked at again.

    Handed to the lease, which may ask for the change several times; `sends` is the time of the message to
    be sent then, None where one comes before that anyway. `ends_pause`: nobody has to ask before it comes.
    """

    rested: Rested
    now: datetime
    look_at: datetime | None = None
    sends: datetime | None = None
    ends_pause: bool = False

    def __call__(self, rest: Rest) -> Rest:
        after = self.rested(rest)
        self.sends, self.ends_pause = None, False
        if self.look_at is None:
            return after
        at = max(self.look_at, after.quiet_until or self.look_at)
        woken = after.woken(at, self.now)
        if woken != after:
            self.sends, self.ends_pause = at, at == after.quiet_until
        return woken

    async def send(self, services: Services, connection_id: str) -> None:
        """Send the message, if there is one to be sent; it asks like a notification does."""
        if self.sends is None:
            return
        request = SyncRequest(connection_id=connection_id, trigger=Trigger.WEBHOOK)
        left_s = max(1, math.ceil((self.sends - services.clock()).total_seconds()))
        await services.queue.send(request, delay_s=left_s)
        if self.ends_pause:
            services.wakes.note(connection_id, self.sends)

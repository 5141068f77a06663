"""What passes while Graph is asked: waits, and one new token. The same for a request and items of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

from sync_core.directory.answers import TokenRefused
from sync_core.directory.credentials import GraphCredential
from sync_core.directory.retry_budget import RetryBudget
from sync_core.domain.errors import FixConnection, RetryLater, Throttled


@dataclass(slots=True)
class Usage:
    """What a run has asked of Graph so far.

    `units` are what Graph's limits count; `waited_s` the seconds that requests waited, together, to keep to
    those limits or because Graph said so.
    """

    requests: int = 0
    throttled: int = 0
    retried: int = 0
    bytes: int = 0
    delta_pages: int = 0
    empty_delta_pages: int = 0
    units: int = 0
    waited_s: float = 0.0


class Trouble:
    """One call's way through passing trouble, until it is answered or cannot be."""

    def __init__(self, credential: GraphCredential, budget: RetryBudget, usage: Usage) -> None:
        self._credential = credential
        self._budget = budget
        self._usage = usage
        self._attempt = 1
        self._renewed = False
        self._begun = budget.clock()

    async def outlast(self, errors: Sequence[TokenRefused | RetryLater]) -> None:
        """Return when it is time to ask again; raise when asking again cannot help, or no longer.

        Of several errors the longest wait counts: learn.microsoft.com/graph/throttling.
        """
        refused = next((one for one in errors if isinstance(one, TokenRefused)), None)
        if refused is not None:
            await self._renew(refused)
        waiting = [one for one in errors if isinstance(one, RetryLater)]
        if waiting:
            await self._wait(max(waiting, key=_wish))
        self._begun = self._budget.clock()

    async def _renew(self, refused: TokenRefused) -> None:
        # A cached token outlives a revoked consent or a rotated key; a new one tells.
        if self._renewed:
            raise FixConnection(refused.code, refused.message, refused.remedy) from refused
        self._renewed = True
        await self._credential.renew()

    async def _wait(self, error: RetryLater) -> None:
        throttled, began = isinstance(error, Throttled), self._budget.clock()
        self._usage.throttled += throttled
        await self._budget.wait(self._attempt, error, begun=self._begun)
        self._usage.waited_s += self._budget.clock() - began if throttled else 0.0
        self._usage.retried += 1
        self._attempt += 1


def _wish(error: RetryLater) -> float:
    return (error.retry_after_s or 0.0) if isinstance(error, Throttled) else 0.0

"""The Matches table: who waits for a match to be decided, and what was decided; one row a person.

A run writes why somebody waits, a decision is written beside it. Neither overwrites the other: rows that
exist are merged, and whoever deletes one names the version that was read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice

import orjson
from pydantic import TypeAdapter

from sync_core.domain.compatibility import STORED
from sync_core.domain.errors import Conflict
from sync_core.domain.matching.decide import Decision, DecisionKind, Wait
from sync_core.domain.plan.by_hand import Pick
from sync_core.store.checkpoints import leave_to_next_run
from sync_core.store.rows import moment
from sync_core.store.tables import MATCHES, Tables
from sync_core.store.wire import (
    MAX_OPERATIONS,
    Entity,
    Operation,
    Verb,
    point,
    query,
    quoted,
    submit,
    submit_current,
)

_WAIT = TypeAdapter(Wait)
_MOMENT = TypeAdapter(datetime)
DECISIONS = frozenset(DecisionKind)
# Dates begin with 1601 there: a merge cannot take a column away, so this one says "none".
# learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Match:
    """Somebody in the queue; `wait` is what the last run found, `decision` what has been decided.

    `judged_at` is the moment of the decision that the last run could not carry out. Somebody whom an
    administrator has picked has a `pick`: they come in by hand as soon as the match is settled.
    """

    object_id: str
    user_principal_name: str
    wait: Wait
    since: datetime
    decision: Decision | None = None
    decided_at: datetime | None = None
    decided_by: str = ""
    judged_at: datetime = NEVER
    etag: str = "*"
    pick: Pick | None = None

    @property
    def is_stale(self) -> bool:
        """Whether it is this very decision that could not be carried out."""
        return self.judged_at == self.decided_at


class MatchStore:
    """One connection's queue."""

    def __init__(self, tables: Tables, connection_id: str) -> None:
        self._tables = tables
        self._connection_id = connection_id

    async def all(self) -> dict[str, Match]:
        """Load the whole queue by object id."""
        found, _ = await self.page(top=None)
        return {one.object_id: one for one in found}

    async def page(self, *, top: int | None, after: str = "") -> tuple[list[Match], str | None]:
        """Return up to `top` of the queue by object id, and the id after which the next page begins."""
        table = await self._tables.table(MATCHES)
        condition = f"PartitionKey eq {quoted(self._connection_id)} and RowKey gt {quoted(after)}"
        found: list[Match] = []
        async for rows in query(table, condition, typed=True):
            for row in rows:
                if len(found) == top:
                    return found, found[-1].object_id
                found.append(_match(row))
        return found, None

    async def find(self, object_id: str) -> Match | None:
        table = await self._tables.table(MATCHES)
        row = await point(table, self._connection_id, object_id)
        return _match(row) if row is not None else None

    async def save_waits(self, matches: Iterable[Match], known: dict[str, Match]) -> None:
        """Write who waits and why; a decision that somebody has made meanwhile stays."""
        await self._submit(
            Operation(Verb.MERGE if one.object_id in known else Verb.UPSERT, self._waiting(one))
            for one in matches
        )

    async def decide(self, match: Match, decision: Decision | None, now: datetime, by: str) -> None:
        """Note a decision, or take one back; raise `Conflict` where the match changed meanwhile.

        The next run looks at the person, whatever the delta tells.
        """
        row = self._keys(match.object_id) | {
            "Decision": decision.kind.value if decision else "",
            "DecisionRow": decision.row if decision else "",
            "DecidedBy": by,
            **moment("DecidedAt", now),
        }
        table = await self._tables.table(MATCHES)
        if not await submit_current(
            partial(submit, table), [Operation(Verb.MERGE, row, match.etag)]
        ):
            raise Conflict(
                "match.changedMeanwhile",
                f"The match of {match.object_id} was changed by a run or by somebody else.",
                "Load the list again and decide once more.",
            )
        await leave_to_next_run(self._tables, self._connection_id, match.object_id, now)

    async def delete(self, matches: Iterable[Match]) -> None:
        """Take people out of the queue, unless their rows were changed since they were read."""
        await self._submit(
            Operation(Verb.DELETE, self._keys(one.object_id), one.etag) for one in matches
        )

    async def delete_all(self) -> None:
        """Forget the queue and all decisions."""
        known = await self.all()
        await self._submit(Operation(Verb.DELETE, self._keys(one)) for one in known)

    async def _submit(self, operations: Iterable[Operation]) -> None:
        table = await self._tables.table(MATCHES)
        onward = iter(operations)
        while batch := list(islice(onward, MAX_OPERATIONS)):
            await submit_current(partial(submit, table), batch)

    def _keys(self, object_id: str) -> Entity:
        return {"PartitionKey": self._connection_id, "RowKey": object_id}

    def _waiting(self, match: Match) -> Entity:
        wait = match.wait
        return self._keys(match.object_id) | {
            "UserPrincipalName": match.user_principal_name,
            "Why": wait.why.value,
            "Wait": orjson.dumps(wait).decode(),
            **moment("Since", match.since),
            **moment("JudgedAt", match.judged_at),
            "Picked": match.pick is not None,
            "PickedUntil": match.pick.until if match.pick else "",
        }


def _match(row: Entity) -> Match:
    # A kind of decision that only a newer release can carry out counts as none, so the person goes on
    # waiting; runs merge their columns, so that release finds its decision again.
    kind = row.get("Decision") if row.get("Decision") in DECISIONS else None
    decided_at = row.get("DecidedAt") if kind else None
    return Match(
        row["RowKey"],
        row["UserPrincipalName"],
        _WAIT.validate_json(row["Wait"], context=STORED),
        _MOMENT.validate_python(row["Since"]),
        Decision(DecisionKind(kind), row.get("DecisionRow") or "") if kind else None,
        _MOMENT.validate_python(decided_at) if decided_at else None,
        row.get("DecidedBy") or "" if kind else "",
        _MOMENT.validate_python(row["JudgedAt"]),
        row["odata.etag"],
        Pick(row.get("PickedUntil") or "") if row.get("Picked") is True else None,
    )

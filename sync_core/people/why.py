"""Why one person is in or out: read from the directory and the tables, decided as a run would.

Nothing is written.
"""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Any

from sync_core.directory.groups import GroupTree, read_group_tree
from sync_core.directory.lookup import direct_groups, find_by_name
from sync_core.domain.documents.base import GUID, Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import RecordError, RunStatus
from sync_core.domain.errors import RetryLater
from sync_core.domain.explain.facts import (
    REDACTED,
    GroupSeen,
    RuleSeen,
    ScopeSeen,
    explain_mapping,
    explain_scope,
    group_path,
    hidden_attributes,
    paused_ways,
    redacts,
)
from sync_core.domain.explain.words import (
    NextRun,
    by_hand_in_words,
    display_name_of,
    next_run,
    principal_name_of,
    standing_of,
    unknown_person,
    verdict,
)
from sync_core.domain.matching import decide
from sync_core.domain.matching.registry import OBJECT_ID
from sync_core.domain.model import Action, Attributes, Change, Evidence, Origin, Reason, Status
from sync_core.domain.plan.by_hand import is_over
from sync_core.domain.plan.decide import is_protected
from sync_core.people.stored import stored_person, takeover_seen
from sync_core.runs.context import RunContext, run_context
from sync_core.runs.one import OnePlan, plan_one
from sync_core.services import Services
from sync_core.store.people import HistoryEntry, Person

LAST_ACTIONS = 10
# A caller is waiting for the answer.
LIMIT_S = 60.0
RETRY_BUDGET_S = 20.0
RUN_ID = "why"
OWN_ROW = decide.Explanation(OBJECT_ID, OBJECT_ID, "", "The row is the person's own.")
# Pages of a search for a person who has left the directory, about 20,000 people each.
PAGES_SEARCHED = 50


class Account(Document):
    """The account's state in Entra: `active`, `blocked`, `softDeleted`, `hardDeleted`."""

    state: str
    user_type: str | None
    deleted_at: datetime | None


class MatchSeen(Document):
    """How the person and the table belong together.

    `how` is `objectId`, `key`, `decision` or `none`, or `waiting` or `ignored` for a person in the queue;
    `by` the key, or `takeover` for a row of a deleted connection, `row` the row that was, or would be, taken
    over.
    """

    how: str
    by: str
    row: str
    message: str


class PersonExplained(Document):
    """Why a person is in or out of a connection; the sentence first, then what it rests on.

    `scope`, `groups` and `mapping` are missing for a person who is not in the directory.
    """

    verdict: str
    code: str
    object_id: str
    user_principal_name: str | None
    display_name: str | None
    account: Account
    next_run: NextRun
    values: dict[str, Any]
    scope: ScopeSeen | None
    groups: list[GroupSeen]
    match: MatchSeen
    mapping: list[RuleSeen]
    stored: Person | None
    protected: bool
    history: list[HistoryEntry]


async def explain(
    services: Services, connection: Connection, who: str, *, values_of_outsiders: bool
) -> PersonExplained:
    """Say why a person, named by object id or sign-in name, is in or out.

    Without `values_of_outsiders` only the reasons are told of people who are not in.
    Raises `NotFound` for a person who is neither in the directory nor in the table.
    """
    retry_budget = services.directory.retry_budget()
    retry_budget = replace(retry_budget, budget_s=min(retry_budget.budget_s, RETRY_BUDGET_S))
    try:
        async with (
            asyncio.timeout(LIMIT_S),
            services.directory.open(connection, retry_budget) as client,
        ):
            context = await run_context(services, connection, client, RUN_ID, services.clock())
            explainer = Explainer(services, context)
            return await explainer.explain(who, values_of_outsiders=values_of_outsiders)
    except TimeoutError as error:
        raise RetryLater(
            "why.outOfTime",
            f"Microsoft Graph did not answer within {LIMIT_S:.0f} seconds.",
            "Ask again in a while.",
        ) from error


class Explainer:
    """Explains one person of a connection."""

    def __init__(self, services: Services, context: RunContext) -> None:
        self._services = services
        self._connection = context.connection
        self._client = context.client
        self._people = services.store.people(context.connection.id)
        self._context = context

    async def explain(self, who: str, *, values_of_outsiders: bool) -> PersonExplained:
        object_id = await self._object_id(who)
        decided = await plan_one(self._context, object_id)
        stored = await stored_person(self._services, self._context, object_id)
        standing_at = stored.connection_id if stored else self._connection.id
        people = self._services.store.people(standing_at)
        history, _ = await people.history(object_id, top=LAST_ACTIONS)
        if decided.evidence.reason is Reason.HARD_DELETED and not (stored or history):
            raise unknown_person(who)
        groups = await self._groups(decided.evidence)
        told = await self._told(decided, stored, history, groups)
        if values_of_outsiders or _is_in(told):
            return told
        return self._reasons(told, decided, who)

    def _reasons(self, told: PersonExplained, decided: OnePlan, who: str) -> PersonExplained:
        """Take away what only the directory knows of a person who is not in.

        What the table holds stays, because a reader may read it there: the row and its history.
        """
        scope = self._scope_without_values(decided.evidence)
        known_name, display_name = names_of(None, told.stored, told.history)
        standing = standing_of(
            self._connection,
            decided.evidence,
            decided.mapped_from,
            name=display_name or known_name or who,
            error=_without_values(decided.error),
            now=self._context.stamp.now,
            matched=decided.matched,
            groups=told.groups,
            by_hand=by_hand_of(told.stored, self._context.stamp.now),
        )
        _, sentence = verdict(replace(standing, scope=scope))
        return told.model_copy(
            update={
                "verdict": sentence,
                "user_principal_name": known_name or (who if "@" in who else None),
                "display_name": display_name,
                "next_run": told.next_run.model_copy(update={"fields": {}}),
                "values": {},
                "scope": scope,
                "mapping": [],
            }
        )

    def _scope_without_values(self, evidence: Evidence) -> ScopeSeen | None:
        if evidence.person is None:
            return None
        hidden = self._context.selected | evidence.person.keys()
        return explain_scope(self._connection.scope, evidence.person, evidence.groups, hidden)

    async def _object_id(self, who: str) -> str:
        if GUID.fullmatch(who):
            return who.lower()
        found = await find_by_name(self._client, who) or await self._stored_id(who)
        if found is None:
            raise unknown_person(who)
        return found

    async def _stored_id(self, principal_name: str) -> str | None:
        """Find a person who has left the directory, where deleted people lose their names."""
        after: str | None = None
        for _ in range(PAGES_SEARCHED):
            people, after = await self._people.page(top=100, after=after, search=principal_name)
            for person in people:
                if person.user_principal_name.casefold() == principal_name.casefold():
                    return person.object_id
            if after is None:
                break
        return None

    async def _groups(self, evidence: Evidence) -> list[GroupSeen]:
        scope = self._context.scope
        named = scope.groups | self._context.mapping.groups
        if not named or evidence.person is None:
            return []
        tree = await read_group_tree(self._client, named, nested=scope.nested_groups)
        direct = await direct_groups(self._client, evidence.object_id)
        return [_seen(group, evidence, tree, direct) for group in sorted(named)]

    async def _told(
        self,
        decided: OnePlan,
        stored: Person | None,
        history: list[HistoryEntry],
        groups: list[GroupSeen],
    ) -> PersonExplained:
        connection, evidence, person = self._connection, decided.evidence, decided.evidence.person
        hidden = hidden_attributes(connection.mapping)
        scope = explain_scope(connection.scope, person, evidence.groups, hidden) if person else None
        read = decided.mapped_from
        mapping = self._mapped(read, evidence.groups, stored) if read else []
        principal_name, display_name = names_of(person, stored, history)
        standing = standing_of(
            connection,
            evidence,
            read,
            name=display_name or principal_name or evidence.object_id,
            error=decided.error,
            now=self._context.stamp.now,
            matched=decided.matched,
            groups=groups,
            by_hand=by_hand_of(stored, self._context.stamp.now),
        )
        code, sentence = verdict(standing)
        if stored is not None and stored.origin is Origin.MANUAL and code != "byHand":
            sentence += f" {self._by_hand(stored)}"
        return PersonExplained(
            verdict=sentence,
            code=code,
            object_id=evidence.object_id,
            user_principal_name=principal_name,
            display_name=display_name,
            account=_account(evidence),
            next_run=await self._next_run(decided),
            values=_values(person, self._context.selected, hidden),
            scope=scope,
            groups=groups,
            match=await self._match(decided, stored),
            mapping=mapping,
            stored=self._shown(stored),
            # The policy goes by the stored name, where there is one.
            protected=self._is_protected(
                evidence.object_id, stored.user_principal_name if stored else principal_name
            ),
            history=[self._past(entry) for entry in history],
        )

    def _by_hand(self, stored: Person) -> str:
        """Say what it means for somebody that they were brought in by hand."""
        if stored.until is None:
            return "Brought in by hand, so leaving the scope removes nobody here."
        day = stored.until.isoformat()
        if is_over(day, self._context.stamp.now):
            return f"Brought in by hand until {day}, which has come: the rules decide now."
        return (
            f"Brought in by hand until {day}: before that, leaving the scope removes nobody here."
        )

    def _mapped(
        self, person: Attributes, groups: frozenset[str], stored: Person | None
    ) -> list[RuleSeen]:
        known = stored.attributes if stored else None
        now = self._context.stamp.now
        return explain_mapping(self._connection.mapping, person, groups, now, known)

    async def _match(self, decided: OnePlan, stored: Person | None) -> MatchSeen:
        """Say how the person was found in the table, or why a match has to be decided."""
        told = await takeover_seen(
            self._services, self._context, decided.evidence.object_id, stored
        )
        if stored is not None and stored.linked_from:
            told = decide.explain_link(stored.linked_from, stored.linked_by or "")
        elif decided.matched is not None:
            told = decide.explain(decided.matched)
        elif told is None:
            told = OWN_ROW if stored is not None else decide.explain(None)
        return MatchSeen(how=told.how, by=told.key, row=told.row, message=told.message)

    def _is_protected(self, object_id: str, principal_name: str | None) -> bool:
        leaving = Change(Action.DISABLE, object_id, principal_name or "")
        return is_protected(leaving, self._connection.policy)

    async def _next_run(self, decided: OnePlan) -> NextRun:
        likely = _likely_link(decided.matched)
        told = next_run(
            decided.change,
            protected=decided.is_kept_back,
            enabled=self._connection.enabled,
            held_by=await self._held_by(decided.change) if decided.change else None,
            left_out=None if likely else decided.unwritten,
        )
        if likely:
            told = told.model_copy(update={"message": f"{told.message} {likely}"})
        return told.model_copy(update={"fields": self._redacted_pairs(told.fields)})

    async def _held_by(self, change: Change) -> str | None:
        """Return the last run, if its plan holds this change for approval."""
        runs = await self._services.store.runs.page(self._connection.id, top=1, after=None)
        if not runs or runs[0].status is not RunStatus.HELD:
            return None
        async for planned in self._services.store.plans.load(self._connection.id, runs[0].id):
            if planned["objectId"] == change.object_id:
                same = planned["held"] and planned["action"] == change.action.value
                return runs[0].id if same else None
            if str(planned["objectId"]) > change.object_id:  # a plan is sorted
                return None
        return None

    def _shown(self, stored: Person | None) -> Person | None:
        if stored is None:
            return None
        hidden = {rule.target for rule in self._connection.mapping if redacts(rule)}
        values = {
            name: REDACTED if name in hidden and value is not None else value
            for name, value in stored.attributes.items()
        }
        return stored.model_copy(update={"attributes": values})

    def _past(self, entry: HistoryEntry) -> HistoryEntry:
        return entry.model_copy(update={"fields": self._redacted_pairs(entry.fields)})

    def _redacted_pairs(self, fields: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
        hidden = {rule.target for rule in self._connection.mapping if redacts(rule)}
        return {
            name: (REDACTED, REDACTED) if name in hidden else pair for name, pair in fields.items()
        }


def _seen(group: str, evidence: Evidence, tree: GroupTree, direct: AbstractSet[str]) -> GroupSeen:
    is_member = group in evidence.groups
    leading = tree.above([group]).keys()
    paused = paused_ways(leading, direct, tree.paused, is_member=is_member)
    return GroupSeen(
        id=group,
        name=tree.names.get(group),
        exists=group not in tree.missing,
        is_member=is_member,
        directly=group in direct,
        path=group_path(group, direct, tree.parents, tree.names),
        paused_rules=sorted(map(tree.name, paused)),
    )


def _is_in(told: PersonExplained) -> bool:
    """Whether the person is in the table and stays, or is about to come in."""
    if told.code in {"inScope", "byHand"}:
        return True
    stored = told.stored
    if stored is None or stored.status is not Status.ACTIVE:
        return False
    return stored.origin is Origin.MANUAL or told.code == "mappingFailed"


def _without_values(error: RecordError | None) -> RecordError | None:
    """Return an error that names its code only: the message of a mapping may quote what it read."""
    if error is None or error.code in {"record.notOwned", "match.waiting"}:
        return error
    return error.model_copy(update={"message": f"{error.code}."})


def by_hand_of(stored: Person | None, now: datetime) -> str | None:
    """Say how somebody was brought in whom leaving the scope does not remove; None of anybody else."""
    if stored is None:
        return None
    until = stored.until.isoformat() if stored.until else ""
    return by_hand_in_words(stored.origin, until, now)


def names_of(
    person: Attributes | None, stored: Person | None, history: Sequence[HistoryEntry] = ()
) -> tuple[str | None, str | None]:
    """Return a person's sign-in name and display name, as far as directory or table know them."""
    known = [stored.user_principal_name] if stored else []
    known += [entry.user_principal_name for entry in history[:1]]
    display_name = display_name_of(person, stored.attributes if stored else None)
    return principal_name_of(person, *known), display_name


def _account(evidence: Evidence) -> Account:
    person = evidence.person
    if person is None:
        state = (evidence.reason or Reason.HARD_DELETED).value
    else:
        state = "blocked" if person.get("accountEnabled") is False else "active"
    return Account(
        state=state,
        user_type=(person or {}).get("userType"),
        deleted_at=evidence.facts.get("deletedDateTime"),
    )


def _likely_link(matched: decide.Outcome | None) -> str | None:
    """Say what a full run does where one person alone cannot tell; None elsewhere."""
    if not isinstance(matched, decide.Wait) or matched.why is not decide.Why.READING_INCOMPLETE:
        return None
    return (
        f"The row {matched.rows[0]} is taken over with that, unless somebody else in scope claims it, too: "
        "that is known when everybody was read."
    )


def _values(
    person: Attributes | None, used: frozenset[str], hidden: frozenset[str]
) -> dict[str, Any]:
    """Return the attributes that the connection uses, absent ones as null."""
    if person is None:
        return {}
    return {name: REDACTED if name in hidden else person.get(name) for name in sorted(used)}

"""Matches over HTTP: who waits for one to be decided, deciding it, and breaking a wrong link."""

from enum import StrEnum
from typing import Annotated

from fastapi import Query, Response
from pydantic import ValidationError

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.bodies import Body, JsonObject
from sync_core.api.http.names import ConnectionIdHere, ObjectIdHere
from sync_core.api.http.paging import Cursor, Top, from_cursor, page, to_cursor
from sync_core.api.shapes import Candidate, MatchBody, MatchDecision
from sync_core.api.shapes import Match as MatchAnswer
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import Conflict, FieldProblem, Invalid, NotFound
from sync_core.domain.matching.decide import (
    Decision,
    DecisionKind,
    create_problem,
    explain,
    explain_link,
    link_problem,
    reason,
)
from sync_core.domain.matching.registry import Registry, parted
from sync_core.domain.model import HEX_DIGITS
from sync_core.domain.names import with_ids
from sync_core.domain.problems import document_problems
from sync_core.logs import log_event
from sync_core.people.links import break_link
from sync_core.services import Services
from sync_core.store.matches import Match
from sync_core.store.people import Person

MATCHES = "matches"


class MatchStatus(StrEnum):
    """Where a match stands."""

    WAITING = "waiting"
    DECIDED = "decided"
    IGNORED = "ignored"
    LINKED = "linked"


StatusAsked = Annotated[
    MatchStatus | None,
    Query(description="Only these; without it, everybody in the queue: all but `linked`."),
]


async def list_matches(
    services: ServicesHere,
    connection_id: ConnectionIdHere,
    status: StatusAsked = None,
    top: Top = 100,
    cursor: Cursor = None,
) -> Response:
    """List who waits for a match to be decided, what was decided, and with `status=linked` the links."""
    kind = f"{MATCHES}/{connection_id}/{status or ''}"
    after = await from_cursor(services, kind, cursor)
    stored = await services.store.connections.get(connection_id)
    if status is MatchStatus.LINKED:
        people = services.store.people(connection_id)
        linked, last = await people.page(top=top, after=after, linked=True)
        items = [_linked(one) for one in linked]
    elif stored.connection.matching:
        store = services.store.matches(connection_id)
        found, last = await store.page(top=top, after=after or "")
        items = [_queued(one, connection_id) for one in found]
    else:
        # Nobody waits where nothing is matched; decisions are kept for when it is again.
        items, last = [], None
    items = [one for one in items if status is None or one.status == status.value]
    return json_answer(page(items, await to_cursor(services, kind, last)))


async def decide_match(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    object_id: ObjectIdHere,
    body: Body,
) -> Response:
    """Decide about somebody who waits; the next run carries it out, and checks it once more."""
    decision = _decision(body, connection_id)
    stored = await services.store.connections.get(connection_id)
    store = services.store.matches(connection_id)
    match = await store.find(object_id)
    if match is None:
        raise NotFound(
            "match.notFound",
            f"Nobody with the object id {object_id} waits for a match.",
            "List those who do with GET /api/connections/{id}/matches.",
        )
    await _check(services, stored.connection, object_id, decision)
    await store.decide(match, decision, services.clock(), caller.name)
    log_event(
        "match.decided", connection=connection_id, decision=decision.kind.value, by=caller.name
    )
    decided = await store.find(object_id)
    return json_answer(_queued(decided or match, connection_id))


async def delete_match(
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    object_id: ObjectIdHere,
) -> Response:
    """Take back a decision that was not carried out yet, or break a link that was made."""
    stored = await services.store.connections.get(connection_id)
    store = services.store.matches(connection_id)
    match = await store.find(object_id)
    if match is not None and match.decision is not None:
        await store.decide(match, None, services.clock(), caller.name)
        log_event("match.takenBack", connection=connection_id, by=caller.name)
        return Response(status_code=204)
    if await break_link(services, stored.connection, object_id) is None:
        raise NotFound(
            "match.notLinked",
            f"The person {object_id} has neither a link nor a decision that waits.",
            "List the links with GET /api/connections/{id}/matches?status=linked.",
        )
    log_event("match.broken", connection=connection_id, by=caller.name)
    return Response(status_code=204)


def _decision(body: JsonObject, connection_id: str) -> Decision:
    try:
        asked = MatchBody.model_validate(body, by_alias=True, by_name=False)
    except ValidationError as error:
        raise Invalid("The decision is not valid.", document_problems(error, body)) from None
    problem = _row_problem(asked, connection_id)
    if problem is not None:
        raise Invalid("The decision is not valid.", [FieldProblem("row", problem)])
    return Decision(asked.decision, asked.row or "")


def _row_problem(asked: MatchBody, connection_id: str) -> str | None:
    if asked.decision is not DecisionKind.LINK:
        return None if asked.row is None else 'goes with "link" only'
    partition, row_key = parted(asked.row or "")
    if not row_key or partition not in {f"{connection_id}-{digit}" for digit in HEX_DIGITS}:
        return f"must be the address of a candidate, such as {connection_id}-a|app-17"
    # learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
    if any(letter in "/\\#?" or ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in row_key):
        return "holds a character that no row key can hold"
    return None


async def _check(
    services: Services, connection: Connection, object_id: str, decision: Decision
) -> None:
    """Refuse what the next run could not do as things stand."""
    bindings = await services.store.bindings.read(connection.id)
    protected = with_ids(connection, bindings).policy.protected
    registry = Registry(connection.id, connection.matching, protected)
    addresses = [registry.address(object_id), *filter(None, [decision.row])]
    await services.store.links(connection.id).look_at(registry, addresses)
    problem = None
    if decision.kind is DecisionKind.LINK:
        problem = link_problem(registry, object_id, decision.row)
    elif decision.kind is DecisionKind.CREATE:
        problem = create_problem(registry, object_id)
    if problem is not None:
        raise Conflict(
            "match.rowNotFree",
            f"That cannot be done: {problem}.",
            "Choose another candidate, or another decision.",
        )


def _queued(match: Match, connection_id: str) -> MatchAnswer:
    wait, decision = match.wait, match.decision
    former = [f"{connection_id}-{one[0]}|{one}" for one in wait.former]
    candidates = [Candidate(row=row, kind="application") for row in wait.rows]
    candidates += [Candidate(row=row, kind="former") for row in former]
    noted = decision and MatchDecision(
        decision=decision.kind,
        row=decision.row or None,
        at=match.decided_at,
        by=match.decided_by,
    )
    return MatchAnswer(
        object_id=match.object_id,
        user_principal_name=match.user_principal_name,
        status=_status(match).value,
        key=wait.key,
        why=wait.why,
        message=_message(match),
        row=None,
        candidates=candidates,
        people=list(wait.people),
        since=match.since,
        decision=noted,
    )


def _status(match: Match) -> MatchStatus:
    """A decision that could not be carried out waits for another one."""
    if match.decision is None or match.is_stale:
        return MatchStatus.WAITING
    ignored = match.decision.kind is DecisionKind.IGNORE
    return MatchStatus.IGNORED if ignored else MatchStatus.DECIDED


def _message(match: Match) -> str:
    if _status(match) is MatchStatus.WAITING:
        return explain(match.wait).message
    return f"Decided. It waited because {reason(match.wait)}."


def _linked(person: Person) -> MatchAnswer:
    row, by = person.linked_from or "", person.linked_by or ""
    return MatchAnswer(
        object_id=person.object_id,
        user_principal_name=person.user_principal_name,
        status=MatchStatus.LINKED.value,
        key=by,
        why=None,
        message=explain_link(row, by).message,
        row=row,
        candidates=[],
        people=[],
        since=person.created_at,
        decision=None,
    )

"""Connections over HTTP: list, load, create, replace, patch, delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header, Query, Response

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.bodies import Body, JsonObject, Patch
from sync_core.api.http.confirmation import Confirm, Reason
from sync_core.api.http.etags import check_if_match, check_if_none_match, is_known, strong
from sync_core.api.http.names import ConnectionIdHere, ids_for
from sync_core.api.http.paging import Cursor, Top, from_cursor, page, to_cursor
from sync_core.connections.delete import delete
from sync_core.connections.impact import SaveGuard
from sync_core.connections.names import bind, name_warnings
from sync_core.connections.realtime import heard_by, status_of
from sync_core.connections.refusals import NotVerified
from sync_core.connections.save import Saver, checked_draft, settled
from sync_core.connections.verify import Saved
from sync_core.connections.warnings import (
    realtime_warnings,
    warnings_about,
    warnings_from,
    warnings_now,
    warnings_with_count,
)
from sync_core.domain.connections.changes import refused_by
from sync_core.domain.connections.deletion import Users
from sync_core.domain.connections.draft import Draft, patched, with_id, with_kept_secret
from sync_core.domain.connections.verification import (
    Verification,
    newest,
    state_words,
    verification_document,
    waiting_remedy,
)
from sync_core.domain.connections.warnings import Warning  # noqa: A004 -- the word of the contract
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Run
from sync_core.domain.errors import Conflict, Invalid, PreconditionFailed
from sync_core.domain.health import QUARANTINED
from sync_core.domain.names import Bindings, shown_names
from sync_core.domain.realtime_status import RealtimeStatus, realtime_status, status_document
from sync_core.domain.subscriptions import Subscription
from sync_core.health import journal
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.connections import StoredConnection

KIND = "connections"

IfMatch = Annotated[
    str | None,
    Header(max_length=2_000, description="The ETag that must still be current, or `*`."),
]
IfNoneMatch = Annotated[
    str | None, Header(max_length=2_000, description="ETags that the caller has, or `*`.")
]


async def list_connections(
    services: ServicesHere, top: Top = 100, cursor: Cursor = None
) -> Response:
    """List the connections by id."""
    after = await from_cursor(services, KIND, cursor) or ""
    found: list[Connection] = []
    async for connection in services.store.connections.all():
        if connection.id > after:
            found.append(connection)
        if len(found) > top:
            break
    known = await journal.read_all(services)
    states = {state.connection_id: state async for state in services.store.verifications.all()}
    bound = {one.connection_id: one async for one in services.store.bindings.all()}
    subscribed: dict[str, list[Subscription]] = {}
    for row in await services.store.subscriptions.all():
        subscribed.setdefault(row.connection_id, []).append(row)
    heard = await heard_by(services, found[:top])
    items = []
    for one in found[:top]:
        state = states.get(one.id) or Verification(connection_id=one.id)
        said = warnings_about(one, refused_by(state.checks))
        said += warnings_from(known.get(one.id), state, one, services)
        rows = subscribed.get(one.id, [])
        said += realtime_warnings(one, rows, known.get(one.id))
        told = heard[one.id]
        status = realtime_status(one, rows, told.state, told.at, known.get(one.id))
        beside = Beside(state, bound.get(one.id) or Bindings(connection_id=one.id), status)
        items.append(_document(one, said, beside, services))
    last = found[top - 1].id if len(found) > top else None
    return json_answer(page(items, await to_cursor(services, KIND, last)))


async def create_connection(
    services: ServicesHere,
    caller: CallerHere,
    body: Body,
    confirm: Confirm = None,
    reason: Reason = None,
) -> Response:
    """Create a connection; without an `id` one is made of the display name."""
    saver = Saver(services, guard=SaveGuard(services, confirm or (), caller.name, reason))
    if "id" in body:
        saved = await _create(services, saver, body)
    else:
        saved = await _create_named(services, saver, body)
    log_event("connection.created", connection=saved.stored.connection.id, by=caller.name)
    return await _saved_answer(services, saver, saved, created=True)


async def _create(services: Services, saver: Saver, document: JsonObject) -> Saved:
    draft = await checked_draft(document, services.clock())
    # Looked up before the secret is stored: it would become a version of somebody else's.
    if await services.store.connections.find(draft.connection.id) is not None:
        raise Conflict(
            "connection.exists",
            f"There is a connection {draft.connection.id!r} already.",
            "Choose another id, or change the existing one with PUT or PATCH.",
        )
    return await saver.create(draft)


async def _create_named(services: Services, saver: Saver, document: JsonObject) -> Saved:
    for connection_id in ids_for(str(document.get("displayName"))):
        try:
            return await _create(services, saver, document | {"id": connection_id})
        except Conflict:
            continue
    raise Conflict(
        "connection.exists",
        "Every id that could be made of the display name is taken.",
        "Send an id.",
    )


async def get_connection(
    services: ServicesHere, connection_id: ConnectionIdHere, if_none_match: IfNoneMatch = None
) -> Response:
    """Load a connection."""
    stored = await services.store.connections.get(connection_id)
    if is_known(if_none_match, stored.etag):
        return Response(status_code=304, headers={"ETag": strong(stored.etag)})
    state = await services.store.verifications.read(connection_id)
    warnings = await warnings_now(services, stored.connection, state)
    bindings = await services.store.bindings.read(connection_id)
    status = await status_of(services, stored.connection)
    return _answer(services, stored, warnings, Beside(state, bindings, status))


@dataclass(frozen=True, slots=True)
class Beside:
    """What is kept of a connection beside its document, and told with it."""

    state: Verification
    bindings: Bindings
    realtime: RealtimeStatus | None = None


async def put_connection(
    *,
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    body: Body,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
    confirm: Confirm = None,
    reason: Reason = None,
) -> Response:
    """Replace a connection, or create it; the stored secret is kept unless another one is sent."""
    saver = Saver(services, guard=SaveGuard(services, confirm or (), caller.name, reason))
    document = with_id(body, connection_id)

    async def put() -> tuple[Saved, bool]:
        stored = await services.store.connections.find(connection_id)
        etag = stored.etag if stored else None
        check_if_match(if_match, etag)
        check_if_none_match(if_none_match, etag)
        if stored is None:
            return await _create_unless_made(services, saver, document), True
        known = await services.store.verifications.read(connection_id)
        kept = with_kept_secret(document, newest(stored.connection, stored.document, known))
        return await saver.replace(await checked_draft(kept, services.clock()), stored), False

    conditional = if_match is not None or if_none_match is not None
    saved, created = await settled(put, conditional=conditional)
    log_event("connection.replaced", connection=connection_id, by=caller.name)
    return await _saved_answer(services, saver, saved, created=created)


async def _create_unless_made(services: Services, saver: Saver, document: JsonObject) -> Saved:
    try:
        return await saver.create(await checked_draft(document, services.clock()))
    except Conflict as error:
        # Made by somebody else since we looked.
        raise PreconditionFailed(error.code, error.message, error.remedy) from error


async def patch_connection(
    *,
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    patch: Patch,
    if_match: IfMatch = None,
    confirm: Confirm = None,
    reason: Reason = None,
) -> Response:
    """Change some fields of a connection (JSON merge patch, RFC 7396)."""
    saver = Saver(services, guard=SaveGuard(services, confirm or (), caller.name, reason))

    async def apply() -> Saved:
        stored = await services.store.connections.get(connection_id)
        check_if_match(if_match, stored.etag)
        known = await services.store.verifications.read(connection_id)
        newer = patched(newest(stored.connection, stored.document, known), patch)
        draft = await checked_draft(newer, services.clock())
        return await saver.replace(draft, stored, await _alone(services, stored, known, patch))

    saved = await settled(apply, conditional=if_match is not None)
    log_event("connection.patched", connection=connection_id, by=caller.name)
    return await _saved_answer(services, saver, saved, created=False)


async def _alone(
    services: Services, stored: StoredConnection, known: Verification, patch: JsonObject
) -> Draft | None:
    """Return what is in use with this change alone, where other settings wait beside it."""
    if known.pending is None:
        return None
    try:
        return await checked_draft(patched(stored.connection, patch), services.clock())
    except Invalid:  # valid only together with what waits
        return None


async def delete_connection(
    *,
    services: ServicesHere,
    caller: CallerHere,
    connection_id: ConnectionIdHere,
    users: Annotated[
        Users,
        Query(
            description="What becomes of its people: disabled, left as they are, or deleted with their "
            "history."
        ),
    ] = Users.DISABLE,
    confirm: Confirm = None,
    if_match: IfMatch = None,
) -> Response:
    """Delete a connection; what that does to people has to be confirmed."""

    async def attempt() -> Run | None:
        stored = await services.store.connections.get(connection_id)
        check_if_match(if_match, stored.etag)
        return await delete(services, stored, users, confirm or (), caller.actor)

    run = await settled(attempt, conditional=if_match is not None)
    if run is None:
        return Response(status_code=204)
    return json_answer(run, 202, {"Location": f"/api/connections/{connection_id}/runs/{run.id}"})


async def _saved_answer(
    services: Services, saver: Saver, saved: Saved, *, created: bool
) -> Response:
    stored, state = saved.stored, saved.verification
    headers = {"Location": f"/api/connections/{stored.connection.id}"} if created else {}
    if saved.refused:
        raise _not_verified(services, saved, headers)
    warnings = await warnings_with_count(services, stored.connection, state) + saver.told(saved)
    bindings = await bind(services, stored.connection)
    status = 201 if created else 200
    beside = Beside(state, bindings, await status_of(services, stored.connection))
    return _answer(services, stored, warnings, beside, status=status, headers=headers)


def _not_verified(services: Services, saved: Saved, headers: Mapping[str, str]) -> NotVerified:
    """Say that the settings are kept and not in use, why, and when they come into use."""
    connection, state = saved.stored.connection, saved.verification
    name, pending = connection.id, sorted(state.pending or {})
    if connection.enabled:
        kept = "is synced with the settings it had; the new ones are kept beside them, not in use"
    else:
        kept = "is stored, not verified and not enabled"
    remedy = f"POST /api/connections/{name}/check tries again and brings them into use if they pass"
    remedy = f"{waiting_remedy(state)} {remedy}".lstrip()
    return NotVerified(
        f"The connection {name!r} {kept}. {state_words(state, services.clock())}",
        f"{remedy}; DELETE /api/connections/{name}/pending forgets them.",
        waiting=pending,
        checks=state.checks,
        headers={**headers, "ETag": strong(saved.stored.etag)},
    )


def _answer(
    services: Services,
    stored: StoredConnection,
    warnings: list[Warning],
    beside: Beside,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    tagged = {**(headers or {}), "ETag": strong(stored.etag)}
    document = _document(stored.connection, warnings, beside, services)
    return json_answer(document, status, tagged)


def _document(
    connection: Connection,
    warnings: list[Warning],
    beside: Beside,
    services: Services,
) -> JsonObject:
    bindings = beside.bindings.for_tenant(connection.tenant_id)
    warnings = warnings + name_warnings(connection, bindings)
    said = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in warnings]
    trouble = next((one.message for one in warnings if one.code == QUARANTINED), None)
    shown = verification_document(beside.state, services.clock(), trouble)
    bound = [one.to_json() for one in shown_names(connection, bindings)]
    return connection.to_json() | {
        "warnings": said,
        "verification": shown,
        "bindings": bound,
        "realtimeStatus": status_document(beside.realtime),
    }

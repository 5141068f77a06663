"""Config as code over HTTP: connections out as a file; a file in, first as a plan, then applied.

A file's connections go through the same checks and the same saving code as a PUT. Nothing is written
unless the whole file is valid and the caller names the plan that would be carried out now.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from sync_core.api.http.answers import json_answer
from sync_core.api.http.auth import CallerHere, ServicesHere
from sync_core.api.http.bodies import JSON, YAML, limited_body, media_type
from sync_core.api.http.confirmation import MAX_HASH, Confirm, Reason
from sync_core.api.http.etags import strong
from sync_core.api.http.names import ConnectionIdHere, ConnectionName, connection_id
from sync_core.api.http.problems import problem
from sync_core.api.shapes import (
    ConfigApplied,
    ConfigChange,
    ConfigConfirmation,
    ConfigFieldChange,
    ConfigPlan,
    ConfigProblem,
    ConfigResult,
    ConfigSummary,
)
from sync_core.connections.impact import SaveGuard, described, several
from sync_core.connections.save import Saver, checked_draft
from sync_core.connections.verify import Saved
from sync_core.connections.warnings import warnings_about
from sync_core.domain.connections.draft import (
    Draft,
    JsonObject,
    secret_name_problems,
    with_kept_secret,
)
from sync_core.domain.connections.verification import newest, state_words
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import (
    Conflict,
    FieldProblem,
    Invalid,
    RequestRefused,
    RetryLater,
    SyncError,
)
from sync_core.domain.formats.config_file import (
    HEADER,
    MAX_BYTES,
    SECRETS,
    Action,
    Change,
    Entry,
    Plan,
    plan_changes,
    read_entries,
    to_document,
)
from sync_core.domain.formats.text import from_json, from_yaml, to_json, to_yaml
from sync_core.domain.scope.overlap import chosen_people, doubled_people
from sync_core.logs import log_event
from sync_core.services import Services
from sync_core.store.connections import changed_meanwhile

# As programs called it before RFC 9512.
YAML_TYPES = (YAML, "application/x-yaml", "text/yaml", "text/x-yaml")
BOOLEAN = TypeAdapter(bool)


class Format(StrEnum):
    """What an export is written in."""

    YAML = "yaml"
    JSON = "json"


async def export_format(
    request: Request,
    format_: Annotated[
        Format | None,
        Query(alias="format", description="Wins over `Accept`; JSON where neither says."),
    ] = None,
) -> Format:
    """Return the format that the caller prefers."""
    if format_ is not None:
        return format_
    accept = ",".join(request.headers.getlist("accept")).lower()
    yaml, json = (_quality(accept, types) for types in (YAML_TYPES, (JSON,)))
    return Format.YAML if yaml > json else Format.JSON


def _quality(accept: str, types: tuple[str, ...]) -> float:
    """Return the weight of the best of these types in an `Accept` header (RFC 9110, 12.5.1)."""
    best = 0.0
    for one in accept.split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        if name in types:
            best = max(best, _number(weights[0]) if weights else 1.0)
    return best


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


FormatHere = Annotated[Format, Depends(export_format)]


async def export_config(
    services: ServicesHere,
    format_: FormatHere,
    connection: Annotated[
        list[ConnectionName] | None,
        Query(max_length=1_000, description="Only these; may be given several times."),
    ] = None,
) -> Response:
    """Export connections as one file, without secrets."""
    if connection is None:
        return _file([one async for one in services.store.connections.all()], format_)
    ids = [await connection_id(one) for one in dict.fromkeys(connection)]
    return _file([(await services.store.connections.get(one)).connection for one in ids], format_)


async def export_connection(
    services: ServicesHere, format_: FormatHere, connection_id: ConnectionIdHere
) -> Response:
    """Export one connection as a file, without its secret."""
    return _file([(await services.store.connections.get(connection_id)).connection], format_)


def _file(connections: list[Connection], format_: Format) -> Response:
    document = to_document(connections)
    if format_ is Format.JSON:
        return Response(to_json(document), media_type=JSON)
    return Response(HEADER + to_yaml(document), media_type=f"{YAML}; charset=utf-8")


async def config_file(request: Request) -> Any:
    """Read the body as YAML or JSON, whichever it is sent as."""
    kind = media_type(request, (*YAML_TYPES, JSON))
    body = await limited_body(request, MAX_BYTES)
    return from_json(body) if kind == JSON else from_yaml(body)


FileHere = Annotated[Any, Depends(config_file)]
Prune = Annotated[
    bool, Query(description="Disable the connections that the file does not name; none is deleted.")
]


@dataclass(frozen=True, slots=True)
class Outlook:
    """A valid file beside what is stored: what would be saved, and what was said about it."""

    stored: Mapping[str, Connection]
    drafts: Mapping[str, Draft]
    paths: Mapping[str, str]
    plan: Plan
    problems: list[ConfigProblem]

    @property
    def summary(self) -> ConfigSummary:
        return ConfigSummary(
            create=self.plan.count(Action.CREATE),
            update=self.plan.count(Action.UPDATE),
            disable=self.plan.count(Action.DISABLE),
            unchanged=len(self.plan.unchanged),
            not_in_file=len(self.plan.not_in_file),
        )


async def plan_config(services: ServicesHere, file: FileHere, *, prune: Prune = False) -> Response:
    """Show what applying the file would change now; writes nothing."""
    outlook = await _look(services, file, prune=prune)
    refused, unknown = await SaveGuard(services).refused(_replacements(outlook))
    unplanned = [_unplanned(outlook, *one) for one in unknown.items()]
    return json_answer(
        ConfigPlan(
            plan_hash=outlook.plan.hash,
            summary=outlook.summary,
            changes=[_shown(one, outlook.drafts) for one in outlook.plan.changes],
            not_in_file=list(outlook.plan.not_in_file),
            problems=[*outlook.problems, *unplanned],
            confirmations=[ConfigConfirmation.model_validate(one) for one in described(refused)],
        )
    )


def _unplanned(outlook: Outlook, name: str, error: SyncError) -> ConfigProblem:
    return ConfigProblem(
        connection=name,
        path=outlook.paths[name],
        message=f"Whether its guard would hold anybody could not be seen. {error.message}",
        remedy=error.remedy,
    )


def _replacements(outlook: Outlook) -> list[tuple[Connection | None, Connection]]:
    """Return the connections that the file makes or changes: as stored, and as they would be saved."""
    return [
        (outlook.stored.get(one.connection_id), outlook.drafts[one.connection_id].connection)
        for one in outlook.plan.changes
        if one.action is not Action.DISABLE
    ]


def _shown(change: Change, drafts: Mapping[str, Draft]) -> ConfigChange:
    draft = drafts.get(change.connection_id)
    return ConfigChange(
        connection=change.connection_id,
        action=change.action,
        fields=[
            ConfigFieldChange(path=one.path, old=one.old, new=one.new) for one in change.fields
        ],
        warnings=warnings_about(draft.connection) if draft else [],
    )


async def apply_config(
    *,
    services: ServicesHere,
    caller: CallerHere,
    file: FileHere,
    plan_hash: Annotated[
        str,
        Query(
            alias="planHash",
            max_length=MAX_HASH,
            description="The plan that was read and is to be carried out.",
        ),
    ],
    prune: Prune = False,
    confirm: Confirm = None,
    reason: Reason = None,
) -> Response:
    """Carry out a plan, connection by connection; refused when it is not the plan of this moment."""
    outlook = await _look(services, file, prune=prune)
    if plan_hash != outlook.plan.hash:
        raise _outdated()
    guard = SaveGuard(services, confirm or (), caller.name, reason)
    refused, unknown = await guard.refused(_replacements(outlook))
    if refused:
        raise several(refused)
    results, failed, unverified = await _apply(services, outlook, guard, unknown)
    for one in results:
        log_event("config.applied", connection=one.connection, action=one.action, by=caller.name)
    return _applied_answer(outlook, results, failed, unverified)


def _outdated() -> Conflict:
    return Conflict(
        "config.planOutdated",
        "Applying the file would not do what the named plan says: the file, prune or a connection "
        "is different now. Nothing was changed.",
        "POST the file to /api/config/plan again, read the new plan, and apply that.",
    )


def _applied_answer(
    outlook: Outlook,
    results: list[ConfigResult],
    failed: list[FieldProblem],
    unverified: list[ConfigProblem],
) -> Response:
    """Say what was done; a change that was refused makes it a problem."""
    if failed:
        return problem(
            409,
            "config.partlyApplied",
            f"{len(results)} of {len(outlook.plan.changes)} changes were made.",
            "Read the errors, then plan the file again: the new plan holds what is left.",
            errors=failed,
        )
    return json_answer(
        ConfigApplied(
            plan_hash=outlook.plan.hash,
            summary=outlook.summary,
            results=results,
            problems=[*outlook.problems, *unverified],
        )
    )


# --- from a file to what would be saved -----------------------------------------------------------


async def _look(services: Services, file: Any, *, prune: bool) -> Outlook:
    """Check the whole file; raise `Invalid` with everything that is wrong with it."""
    entries, problems = read_entries(file)
    if prune and not entries and not problems:
        message = "names no connection; with prune that would disable every one there is"
        problems.append(FieldProblem("connections", message))
    stored = {one.id: one async for one in services.store.connections.all()}
    saver = Saver(services)
    drafts: dict[str, Draft] = {}
    paths: dict[str, str] = {}
    remarks: list[ConfigProblem] = []
    for entry in entries:
        try:
            draft, found = await _drafted(saver, entry, stored.get(entry.id or ""))
        except Invalid as error:
            problems += [FieldProblem(_inside(entry, one), one.message) for one in error.problems]
            continue
        drafts[draft.connection.id], paths[draft.connection.id] = draft, entry.path
        remarks += found
    problems += _doubled(stored, drafts, paths)
    if problems:
        named = ", ".join(sorted({one.path for one in problems if one.path}))
        raise Invalid(
            "The file is not valid" + (f": {named}." if named else "."),
            problems,
            "Correct the named fields and send the file again; nothing was changed.",
        )
    wanted = [draft.connection for draft in drafts.values()]
    return Outlook(stored, drafts, paths, plan_changes(stored, wanted, prune=prune), remarks)


def _inside(entry: Entry, wrong: FieldProblem) -> str:
    return f"{entry.path}.{wrong.path}" if wrong.path else entry.path


async def _drafted(
    saver: Saver, entry: Entry, stored: Connection | None
) -> tuple[Draft, list[ConfigProblem]]:
    """Check one connection; where only enabling it fails, it comes in disabled, and why is said.

    A file cannot bring a secret, so a new connection has none yet. One that runs already is not
    switched off by a slip in a file: there it stays a problem.
    """
    document = _with_known(entry.document, stored)
    try:
        return await _checked(saver, document, stored), []
    except Invalid as error:
        if not _enables(document) or (stored is not None and stored.enabled):
            raise
        # What is wrong in any case is told from here, and without what only enabling it needs.
        draft = await _checked(saver, document | {"enabled": False}, stored)
        return draft, [_disabled(entry, draft, one) for one in error.problems]


def _enables(document: JsonObject) -> bool:
    """Whether the file enables it, in any spelling that the field takes."""
    try:
        return BOOLEAN.validate_python(document.get("enabled", True))
    except ValidationError:
        return False


def _with_known(document: JsonObject, stored: Connection | None) -> JsonObject:
    """Keep what the app learnt after the file was written: the secret, and the tenant that consented."""
    if stored is not None:
        document = {"tenantId": stored.tenant_id} | document
    return with_kept_secret(document, stored)


async def _checked(saver: Saver, document: JsonObject, stored: Connection | None) -> Draft:
    draft = await checked_draft(document, saver.now())
    if problems := await saver.secret_problems(draft, stored):
        raise Invalid("The connection names a secret that does not exist.", problems)
    return draft


def _disabled(entry: Entry, draft: Draft, wrong: FieldProblem) -> ConfigProblem:
    missing = wrong.path.removeprefix("credential.") in SECRETS
    why = "it has no secret yet, and a file cannot bring one" if missing else wrong.message
    first = "Do what the message says"
    if wrong.path.startswith("credential."):
        what = wrong.path if missing else " or ".join(f"credential.{name}" for name in SECRETS)
        first = f"PATCH /api/connections/{draft.connection.id} with {what}"
    return ConfigProblem(
        connection=draft.connection.id,
        path=_inside(entry, wrong),
        message=f"Stays disabled, though the file enables it: {why}",
        remedy=f"{first}, then plan and apply the file again: that enables it.",
    )


def _doubled(
    stored: Mapping[str, Connection], drafts: Mapping[str, Draft], paths: Mapping[str, str]
) -> list[FieldProblem]:
    """Compare the connections as they would be after all of the file; old doubles are left alone.

    Neither people nor a secret belong to two of them.
    """
    after = dict(stored) | {name: draft.connection for name, draft in drafts.items()}
    problems = []
    for name, draft in drafts.items():
        before = stored.get(name)
        credentials = ((one.id, one.credential) for one in after.values())
        found = secret_name_problems(draft, before, credentials)
        if before is None or chosen_people(before) != chosen_people(draft.connection):
            found += doubled_people(draft.connection, after.values())
        problems += [FieldProblem(f"{paths[name]}.{one.path}", one.message) for one in found]
    return problems


# --- from a plan to the table ---------------------------------------------------------------------


async def _apply(
    services: Services, outlook: Outlook, guard: SaveGuard, unknown: Mapping[str, SyncError]
) -> tuple[list[ConfigResult], list[FieldProblem], list[ConfigProblem]]:
    """Save one connection after the other; one that is refused does not stop the rest.

    One of the `unknown` that may come right by itself is saved, and waits; the others are refused.
    Gives what was done, what was refused, and what was kept without coming into use.
    """
    saver = Saver(services, compared=outlook.drafts.keys(), guard=guard)
    results: list[ConfigResult] = []
    failed: list[FieldProblem] = []
    unverified: list[ConfigProblem] = []
    for change in outlook.plan.changes:
        why = unknown.get(change.connection_id)
        if why is not None and not isinstance(why, RetryLater):
            path = outlook.paths[change.connection_id]
            failed.append(FieldProblem(path, f"{change.connection_id}: {_why(why)}"))
            continue
        try:
            saved = await _applied(services, saver, outlook, change)
        except SyncError as error:
            path = outlook.paths.get(change.connection_id, "prune")
            failed.append(FieldProblem(path, f"{change.connection_id}: {_why(error)}"))
            if not isinstance(error, RequestRefused):
                # Storage or Key Vault does not answer: waiting for it once more each would take minutes.
                break
        else:
            name, etag = change.connection_id, strong(saved.stored.etag)
            results.append(ConfigResult(connection=name, action=change.action, etag=etag))
            if saved.refused:
                unverified.append(_unverified(services, saved, outlook.paths[name]))
    return results, failed, unverified


def _unverified(services: Services, saved: Saved, path: str) -> ConfigProblem:
    connection = saved.stored.connection
    kept = "the settings it had stay in use" if connection.enabled else "it is not enabled"
    words = state_words(saved.verification, services.clock())
    return ConfigProblem(
        connection=connection.id,
        path=path,
        message=f"The settings did not pass their check; {kept}. {words}",
        remedy=f"POST /api/connections/{connection.id}/check brings them into use once they pass.",
    )


def _why(error: SyncError) -> str:
    if isinstance(error, Invalid):
        return "; ".join(f"{one.path} {one.message}".strip() for one in error.problems)
    return f"{error.message} {error.remedy}"


async def _applied(services: Services, saver: Saver, outlook: Outlook, change: Change) -> Saved:
    name = change.connection_id
    stored = await services.store.connections.find(name)
    if (stored.connection if stored else None) != outlook.stored.get(name):
        raise changed_meanwhile(name)
    if stored is None:
        return await saver.create(outlook.drafts[name])
    known = await services.store.verifications.read(name)
    if change.action is Action.DISABLE:
        # Not validated again: whatever it holds, it must be possible to switch it off.
        draft = Draft(stored.connection.model_copy(update={"enabled": False}), None)
    else:
        draft = outlook.drafts[name]
    waiting = newest(stored.connection, stored.document, known).credential
    whole = draft.with_waiting(waiting, stored.connection)
    return await saver.replace(whole, stored, draft if whole != draft else None)

"""The REST API as an ASGI application: one table of routes, each with its role and its answers.

A route without a role is open to everybody: health, and the way back from Entra.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI

from sync_core.api import openapi
from sync_core.api.http.auth import Role, needs
from sync_core.api.http.bodies import YAML
from sync_core.api.http.call_limit import CallLimit, limit_calls
from sync_core.api.http.edge import Edge
from sync_core.api.http.parameters import refuse_unknown
from sync_core.api.http.problems import add_handlers
from sync_core.api.http.version import VERSION
from sync_core.api.routes import (
    by_hand,
    checks,
    config,
    connections,
    consent,
    expressions,
    health,
    imports,
    matches,
    person_sync,
    pickers,
    plans,
    preview,
    release,
    runs,
    takeovers,
    users,
    why,
)
from sync_core.api.shapes import (
    AttributeList,
    CandidateList,
    CheckAnswer,
    ConfigApplied,
    ConfigFile,
    ConfigPlan,
    ConnectionAnswer,
    ConnectionList,
    ConnectionParts,
    Evaluated,
    FunctionList,
    GroupList,
    Health,
    HistoryList,
    Match,
    MatchList,
    PlanChangeList,
    RunChangeList,
    RunList,
    Takeover,
    TakeoverList,
    UserList,
)
from sync_core.domain.connections.consent import CALLBACK_PATH, RESULT_PATH
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.run import Run
from sync_core.people.release import Released
from sync_core.people.sync_now import PersonSynced
from sync_core.people.why import PersonExplained
from sync_core.runs.preview import Preview
from sync_core.services import Services
from sync_core.store.people import Person

CONNECTIONS = "/api/connections"
CONNECTION = f"{CONNECTIONS}/{{id}}"
RUNS = f"{CONNECTION}/runs"
USERS = f"{CONNECTION}/users"
MATCHES = f"{CONNECTION}/matches"
TAKEOVERS = f"{CONNECTION}/takeovers"
CONFIG = "/api/config"
EXPRESSIONS = "/api/expressions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call: who may make it, and what it answers; every one may also refuse with a problem.

    `also` are media types of the answer beside JSON. `changes` is said of a GET that changes something,
    `lenient` of what others call: what they add to the address is not ours to refuse. `asks_graph` of what
    may be called so often only, as each call asks Graph on the caller's behalf.
    """

    method: str
    path: str
    call: Callable[..., Awaitable[Any]]
    role: Role | None
    answers: Mapping[int, type[Document] | None]
    refusals: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    changes: bool = False
    lenient: bool = False
    asks_graph: bool = False


ROUTES = (
    Route(
        method="GET",
        path="/api/health",
        call=health.get_health,
        role=None,
        answers={200: Health, 503: Health},
    ),
    Route(
        method="GET",
        path="/api/health/details",
        call=health.get_health_details,
        role=Role.READER,
        answers={200: Health, 503: Health},
    ),
    Route(
        method="GET",
        path="/api/openapi.json",
        call=openapi.get_openapi_document,
        role=Role.READER,
        answers={200: None},
    ),
    Route(
        method="GET",
        path=CONNECTIONS,
        call=connections.list_connections,
        role=Role.READER,
        answers={200: ConnectionList},
        refusals=(422,),
    ),
    Route(
        method="POST",
        path=CONNECTIONS,
        call=connections.create_connection,
        role=Role.ADMIN,
        answers={201: ConnectionAnswer},
        refusals=(400, 409, 413, 415, 422, 502, 503),
        headers=("ETag", "Location"),
        body=openapi.CONNECTION_BODY,
    ),
    Route(
        method="GET",
        path=CONNECTION,
        call=connections.get_connection,
        role=Role.READER,
        answers={200: ConnectionAnswer, 304: None},
        refusals=(404,),
        headers=("ETag",),
    ),
    Route(
        method="PUT",
        path=CONNECTION,
        call=connections.put_connection,
        role=Role.ADMIN,
        answers={200: ConnectionAnswer, 201: ConnectionAnswer},
        refusals=(400, 404, 409, 412, 413, 415, 422, 502, 503),
        headers=("ETag",),
        body=openapi.CONNECTION_BODY,
    ),
    Route(
        method="PATCH",
        path=CONNECTION,
        call=connections.patch_connection,
        role=Role.ADMIN,
        answers={200: ConnectionAnswer},
        refusals=(400, 404, 409, 412, 413, 415, 422, 502, 503),
        headers=("ETag",),
        body=openapi.PATCH_BODY,
    ),
    Route(
        method="DELETE",
        path=CONNECTION,
        call=connections.delete_connection,
        role=Role.ADMIN,
        answers={204: None, 202: Run},
        refusals=(404, 409, 412, 422, 503),
        headers=("Location",),
    ),
    Route(
        method="POST",
        path=f"{CONNECTION}/check",
        call=checks.check_connection,
        asks_graph=True,
        role=Role.ADMIN,
        answers={200: CheckAnswer},
        refusals=(404, 409, 503),
    ),
    Route(
        method="DELETE",
        path=f"{CONNECTION}/pending",
        call=checks.drop_pending,
        role=Role.ADMIN,
        answers={204: None},
        refusals=(404, 503),
    ),
    # For administrators, though it writes nothing: a rule that is tried may read any property of anybody
    # in the directory, also what the connection does not copy, and it costs as much of Graph as a run.
    Route(
        method="POST",
        path=f"{CONNECTION}/preview",
        call=preview.preview_connection,
        asks_graph=True,
        role=Role.ADMIN,
        answers={200: Preview},
        refusals=(400, 404, 413, 415, 422, 502, 503, 504),
        body=openapi.PREVIEW_BODY,
    ),
    # For administrators: what was tried may read any property of anybody in the directory.
    Route(
        method="GET",
        path=f"{CONNECTION}/plans/{{planHash}}",
        call=plans.list_plan_changes,
        role=Role.ADMIN,
        answers={200: PlanChangeList},
        refusals=(404, 422),
        also=(plans.CSV,),
    ),
    Route(
        method="POST",
        path=f"{CONNECTION}/sync",
        call=runs.sync_connection,
        role=Role.ADMIN,
        answers={202: Run, 200: Run},
        refusals=(400, 404, 409, 415, 422, 503),
        headers=("Location", "Preference-Applied"),
        body=openapi.SYNC_BODY,
    ),
    Route(
        method="GET",
        path=RUNS,
        call=runs.list_runs,
        role=Role.READER,
        answers={200: RunList},
        refusals=(404, 422),
    ),
    Route(
        method="GET",
        path=f"{RUNS}/{{runId}}",
        call=runs.get_run,
        role=Role.READER,
        answers={200: Run},
        refusals=(404,),
    ),
    Route(
        method="GET",
        path=f"{RUNS}/{{runId}}/changes",
        call=runs.list_run_changes,
        role=Role.READER,
        answers={200: RunChangeList},
        refusals=(404, 422),
    ),
    Route(
        method="GET",
        path=USERS,
        call=users.list_users,
        role=Role.READER,
        answers={200: UserList},
        refusals=(404, 422),
    ),
    Route(
        method="GET",
        path=f"{USERS}/{{objectId}}",
        call=users.get_user,
        role=Role.READER,
        answers={200: Person},
        refusals=(404,),
    ),
    Route(
        method="GET",
        path=f"{USERS}/{{objectId}}/history",
        call=users.list_user_history,
        role=Role.READER,
        answers={200: HistoryList},
        refusals=(404, 422),
    ),
    # For administrators: it shows people who are not in.
    Route(
        method="GET",
        path=f"{CONNECTION}/candidates",
        call=by_hand.list_candidates,
        role=Role.ADMIN,
        answers={200: CandidateList},
        refusals=(404, 422, 502, 503),
    ),
    Route(
        method="POST",
        path=f"{CONNECTION}/import",
        call=by_hand.import_people,
        asks_graph=True,
        role=Role.ADMIN,
        answers={202: Run, 200: Run},
        refusals=(400, 404, 409, 413, 415, 422, 503),
        headers=("Location", "Preference-Applied"),
        body=openapi.PICKED_BODY,
    ),
    Route(
        method="POST",
        path=f"{USERS}/sync",
        call=by_hand.sync_people,
        asks_graph=True,
        role=Role.ADMIN,
        answers={202: Run, 200: Run},
        refusals=(400, 404, 409, 413, 415, 422, 503),
        headers=("Location", "Preference-Applied"),
        body=openapi.PEOPLE_BODY,
    ),
    Route(
        method="POST",
        path=f"{USERS}/{{objectId}}/release",
        call=release.release_person,
        asks_graph=True,
        role=Role.ADMIN,
        answers={200: Released},
        refusals=(400, 404, 409, 413, 415, 422, 503),
        body=openapi.NOTE_BODY,
    ),
    Route(
        method="POST",
        path=f"{USERS}/{{objectId}}/sync",
        call=person_sync.sync_person,
        asks_graph=True,
        role=Role.ADMIN,
        answers={200: PersonSynced},
        refusals=(404, 409, 503),
    ),
    Route(
        method="GET",
        path=f"{CONNECTION}/why/{{who}}",
        call=why.explain_person,
        asks_graph=True,
        role=Role.READER,
        answers={200: PersonExplained},
        refusals=(404, 502, 503),
    ),
    Route(
        method="GET",
        path=f"{CONNECTION}/groups",
        call=pickers.list_groups,
        asks_graph=True,
        role=Role.READER,
        answers={200: GroupList},
        refusals=(404, 422, 502, 503),
    ),
    Route(
        method="GET",
        path=f"{CONNECTION}/attributes",
        call=pickers.list_attributes,
        asks_graph=True,
        role=Role.READER,
        answers={200: AttributeList},
        refusals=(404, 422, 502, 503),
    ),
    Route(
        method="GET",
        path=MATCHES,
        call=matches.list_matches,
        role=Role.READER,
        answers={200: MatchList},
        refusals=(404, 422),
    ),
    Route(
        method="POST",
        path=f"{MATCHES}/{{objectId}}",
        call=matches.decide_match,
        role=Role.ADMIN,
        answers={200: Match},
        refusals=(400, 404, 409, 413, 415, 422, 503),
        body=openapi.MATCH_BODY,
    ),
    Route(
        method="DELETE",
        path=f"{MATCHES}/{{objectId}}",
        call=matches.delete_match,
        role=Role.ADMIN,
        answers={204: None},
        refusals=(404, 409, 503),
    ),
    Route(
        method="GET",
        path=TAKEOVERS,
        call=takeovers.list_takeovers,
        role=Role.READER,
        answers={200: TakeoverList},
        refusals=(404, 503),
    ),
    Route(
        method="POST",
        path=f"{TAKEOVERS}/{{other}}",
        call=takeovers.confirm_takeover,
        role=Role.ADMIN,
        answers={200: Takeover},
        refusals=(404, 409, 422, 503),
    ),
    Route(
        method="DELETE",
        path=f"{TAKEOVERS}/{{other}}",
        call=takeovers.delete_takeover,
        role=Role.ADMIN,
        answers={204: None},
        refusals=(404, 409, 503),
    ),
    Route(
        method="GET",
        path=f"{CONNECTION}/export",
        call=config.export_connection,
        role=Role.READER,
        answers={200: ConfigFile},
        refusals=(404, 422),
        also=(YAML,),
    ),
    Route(
        method="GET",
        path=CONFIG,
        call=config.export_config,
        role=Role.READER,
        answers={200: ConfigFile},
        refusals=(404, 422),
        also=(YAML,),
    ),
    # For administrators, though it writes nothing: it tells which names there are in Key Vault.
    Route(
        method="POST",
        path=f"{CONFIG}/plan",
        call=config.plan_config,
        role=Role.ADMIN,
        answers={200: ConfigPlan},
        refusals=(400, 413, 415, 422, 502, 503),
        body=openapi.CONFIG_BODY,
    ),
    Route(
        method="POST",
        path=f"{CONFIG}/apply",
        call=config.apply_config,
        role=Role.ADMIN,
        answers={200: ConfigApplied},
        refusals=(400, 409, 413, 415, 422, 502, 503),
        body=openapi.CONFIG_BODY,
    ),
    Route(
        method="POST",
        path=f"{CONFIG}/import-entra",
        call=imports.import_entra,
        role=Role.ADMIN,
        answers={200: ConnectionParts},
        refusals=(400, 413, 415, 422),
        body=openapi.IMPORT_BODY,
    ),
    Route(
        method="POST",
        path=f"{CONFIG}/import-bitwarden",
        call=imports.import_bitwarden,
        role=Role.ADMIN,
        answers={200: ConnectionParts},
        refusals=(400, 413, 415, 422),
        body=openapi.BITWARDEN_BODY,
    ),
    # For readers, though it is no GET: it works on what the caller sends, and on nothing else.
    Route(
        method="POST",
        path=f"{EXPRESSIONS}/evaluate",
        call=expressions.evaluate_expression,
        role=Role.READER,
        answers={200: Evaluated},
        refusals=(400, 413, 415, 422),
        body=openapi.EVALUATE_BODY,
    ),
    Route(
        method="GET",
        path=f"{EXPRESSIONS}/functions",
        call=expressions.list_functions,
        role=Role.READER,
        answers={200: FunctionList},
    ),
    Route(
        method="GET",
        path="/api/consent/start",
        call=consent.start_consent,
        changes=True,
        role=Role.ADMIN,
        answers={302: None},
        refusals=(404, 409, 422, 503),
        headers=("Location",),
    ),
    Route(
        method="GET",
        path=CALLBACK_PATH,
        call=consent.finish_consent,
        lenient=True,
        role=None,
        answers={302: None},
        headers=("Location",),
    ),
    Route(
        method="GET",
        path=RESULT_PATH,
        call=consent.get_consent_result,
        lenient=True,
        role=None,
        answers={200: None},
        also=("text/html",),
    ),
)


def create_app(services: Callable[[], Awaitable[Services]]) -> FastAPI:
    """Build the API; `services` is asked at every request and opens them at the first."""
    # No pages that load scripts from elsewhere, no redirects, and no description for strangers.
    app = FastAPI(
        title=openapi.TITLE,
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.call_limit = CallLimit()
    app.state.pulse = health.Pulse()
    add_handlers(app)
    app.add_middleware(Edge, changing={route.path for route in ROUTES if route.changes})
    for route in ROUTES:
        _add(app, route)
    return app


def _add(app: FastAPI, route: Route) -> None:
    role = route.role
    app.add_api_route(
        route.path,
        route.call,
        methods=[route.method],
        dependencies=[Depends(one) for one in _conditions(route)],
        status_code=next(iter(route.answers)),
        response_model=None,
        responses=_responses(route),
        operation_id=_operation_id(route.call.__name__),
        tags=[_tag(route.path)],
        openapi_extra=dict(route.body)
        | {"security": [{"bearer": []}] if role else [{}, {"bearer": []}]},
    )


Condition = Callable[..., Awaitable[None]]


def _conditions(route: Route) -> list[Condition]:
    """Return what every call of a route has to pass first, in this order."""
    conditions: list[Condition] = [needs(route.role)] if route.role else []
    if not route.lenient:
        conditions.append(refuse_unknown)
    return [*conditions, limit_calls] if route.asks_graph else conditions


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    headers = {
        name: {"schema": {"type": "string"}, "required": name != "Preference-Applied"}
        for name in route.headers
    }
    responses: dict[int | str, dict[str, Any]] = {}
    for status, model in route.answers.items():
        shown = {} if status == HTTPStatus.NO_CONTENT else headers
        responses[status] = {"description": HTTPStatus(status).phrase, "headers": shown}
        if model is not None:
            responses[status]["model"] = model
        if route.also:
            text = {"schema": {"type": "string"}}
            responses[status]["content"] = dict.fromkeys(route.also, text)
    for status in sorted(_refusals(route)):
        responses[status] = openapi.problem_answer(HTTPStatus(status).phrase)
    return responses | {"default": openapi.problem_answer("Any other problem")}


def _refusals(route: Route) -> set[int]:
    """Return the statuses of problems: the route's own, and those of its conditions."""
    more = {401, 403} if route.role else set()
    more |= set() if route.lenient else {422}
    return {*route.refusals} | more | ({429} if route.asks_graph else set())


def _operation_id(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _tag(path: str) -> str:
    """Name what a call is about: the last part of its path that is one of these."""
    known = (
        "connections",
        "runs",
        "users",
        "matches",
        "takeovers",
        "sync",
        "config",
        "consent",
        "expressions",
    )
    parts = [part for part in path.split("/") if part in known]
    return parts[-1].replace("sync", "runs") if parts else "app"

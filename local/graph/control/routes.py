"""The control interface over HTTP: /_control/… on the Graph port, JSON in and out."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.graph.control.base import ControlError
from local.graph.control.control import Control
from local.graph.directory.objects import NotInDirectory
from local.sample import SAMPLE_CLIENT_ID

Handler = Callable[[Request, dict[str, Any]], object]
Endpoint = Callable[[Request], Awaitable[Response]]


def control_routes(control: Control) -> list[Route]:
    return [
        *_people(control),
        *_groups(control),
        *_apps(control),
        *_tenant_itself(control),
        *_rig(control),
    ]


def _people(control: Control) -> list[Route]:
    def listed(request: Request, _: dict[str, Any]) -> object:
        query = request.query_params
        return control.people(
            query.get("search", ""),
            state=query.get("state", "live"),
            top=int(query.get("top", "100")),
            skip=int(query.get("skip", "0")),
            tenant=_tenant(request),
        )

    return [
        _route("/people", "GET", listed),
        _route("/people", "POST", lambda r, b: control.create_person(b, tenant=_tenant(r))),
        _route("/people/bulk", "POST", lambda r, b: control.change_many(
            b.pop("action", ""), **b, tenant=_tenant(r))),
        _route("/people/{key}", "GET", lambda r, _: control.person(_key(r), tenant=_tenant(r))),
        _route("/people/{key}", "PATCH", lambda r, b: control.patch_person(
            _key(r), b, tenant=_tenant(r))),
        _route("/people/{key}", "DELETE", lambda r, _: (
            control.hard_delete if r.query_params.get("permanent") == "true"
            else control.soft_delete)(_key(r), tenant=_tenant(r))),
        _route("/people/{key}/restore", "POST", lambda r, _: control.restore(
            _key(r), tenant=_tenant(r))),
    ]  # fmt: skip


def _groups(control: Control) -> list[Route]:
    return [
        _route("/groups", "GET", lambda r, _: control.groups(
            r.query_params.get("search", ""), tenant=_tenant(r))),
        _route("/groups", "POST", lambda r, b: control.create_group(
            b.pop("displayName", "New group"),
            members=b.pop("members", ()),
            microsoft_365=b.pop("microsoft365", False),
            hidden=b.pop("hidden", False),
            membership_rule=b.pop("membershipRule", None),
            group_id=b.pop("id", None),
            values=b,
            tenant=_tenant(r))),
        _route("/groups/{key}", "GET", lambda r, _: control.group(_key(r), tenant=_tenant(r))),
        _route("/groups/{key}", "PATCH", lambda r, b: control.patch_group(
            _key(r), b, tenant=_tenant(r))),
        _route("/groups/{key}", "DELETE", lambda r, _: control.delete_group(
            _key(r), permanent=r.query_params.get("permanent") == "true", tenant=_tenant(r))),
        _route("/groups/{key}/restore", "POST", lambda r, _: control.restore_group(
            _key(r), tenant=_tenant(r))),
        _route("/groups/{key}/members", "GET", lambda r, _: control.members(
            _key(r), transitive=r.query_params.get("transitive") == "true", tenant=_tenant(r))),
        _route("/groups/{key}/members", "POST", lambda r, b: control.add_members(
            _key(r), *b.get("members", ()), tenant=_tenant(r))),
        _route("/groups/{key}/members", "DELETE", lambda r, b: control.remove_members(
            _key(r), *b.get("members", ()), count=b.get("count"), tenant=_tenant(r))),
    ]  # fmt: skip


def _apps(control: Control) -> list[Route]:
    def patched(request: Request, body: dict[str, Any]) -> object:
        app, tenant = _key(request), _tenant(request)
        if "roles" in body:
            control.set_roles(body["roles"], app=app, tenant=tenant)
        if "enabled" in body:
            control.enable_app(body["enabled"], app=app)
        if "groupMembershipClaims" in body:
            control.set_group_claims(body["groupMembershipClaims"], app=app)
        return None

    return [
        _route("/apps", "GET", lambda _, __: control.apps()),
        _route("/apps", "POST", lambda r, b: control.create_app(
            b["appId"], b.get("displayName", "New app"), tenant=_tenant(r))),
        _route("/apps/{key}", "PATCH", patched),
        _route("/apps/{key}", "DELETE", lambda r, _: control.remove_from_tenant(
            app=_key(r), tenant=_tenant(r))),
        _route("/apps/{key}/secrets", "POST", lambda r, b: {"value": control.add_secret(
            app=_key(r), value=b.get("value"), ends=_moment(b.get("ends")))}),
        _route("/apps/{key}/secrets/expire", "POST", lambda r, b: control.expire_secrets(
            app=_key(r), ends=_moment(b.get("ends")))),
        _route("/apps/{key}/secrets", "DELETE", lambda r, _: control.remove_secrets(app=_key(r))),
        _route("/apps/{key}/certificates", "POST", lambda r, b: control.add_certificate(
            b["pem"], app=_key(r))),
        _route("/apps/{key}/federated", "POST", lambda r, b: control.add_federated_credential(
            issuer=b["issuer"], subject=b["subject"], audience=b["audience"],
            public_key=b["publicKey"], app=_key(r))),
        _route("/idTokens", "PATCH", lambda _, b: control.change_id_tokens(**b)),
        _route("/idTokens/keys", "POST", lambda _, b: control.rotate_signing_keys(
            keep_old=b.get("keepOld", True))),
        _route("/registered", "GET", lambda r, _: control.registered(tenant=_tenant(r))),
        _route("/registered", "PATCH", lambda r, b: control.set_registering(
            users_may=b.get("usersMay"), lag_requests=b.get("lagRequests"), tenant=_tenant(r))),
        _route("/registered/identities", "POST", lambda r, b: control.add_identity(
            b["displayName"], object_id=b["id"], client_id=b["appId"], tenant=_tenant(r))),
        _route("/accounts/{key}/token", "POST", lambda r, b: {"value": control.administrator_token(
            _key(r), scopes=b.get("scopes"), resource=b.get("resource"))}),
        _route("/identities", "POST", lambda _, b: control.trust_identity(b["publicKey"])),
    ]  # fmt: skip


def _tenant_itself(control: Control) -> list[Route]:
    return [
        _route("/tenant", "GET", lambda r, _: control.tenant(tenant=_tenant(r))),
        _route("/tenant", "PATCH", lambda r, b: control.set_tenant(
            premium=b.get("premium"), advanced_queries=b.get("advancedQueries"),
            place=b.get("place"), refused_in_delta=b.get("refusedInDelta"), tenant=_tenant(r))),
        _route("/enterpriseApps", "GET", lambda r, _: control.enterprise_apps(tenant=_tenant(r))),
        _route("/enterpriseApps", "POST", lambda r, b: control.create_enterprise_app(
            b.get("displayName", "New application"), b["appId"], tenant=_tenant(r))),
        _route("/enterpriseApps/{key}/assigned", "POST", lambda r, b: control.assign(
            _key(r), *b.get("principals", ()), tenant=_tenant(r))),
        _route("/enterpriseApps/{key}/assigned", "DELETE", lambda r, b: control.unassign(
            _key(r), *b.get("principals", ()), tenant=_tenant(r))),
    ]  # fmt: skip


def _rig(control: Control) -> list[Route]:
    def clock(_: Request, body: dict[str, Any]) -> object:
        if "stopped" in body:
            control.stop_clock(body["stopped"])
        return {"now": control.advance_clock(float(body.get("advanceSeconds", 0)))}

    return [
        _route("/faults", "GET", lambda _, __: control.faults()),
        _route("/faults", "POST", lambda _, b: control.add_fault(b.pop("kind", ""), **b)),
        _route("/faults", "DELETE", lambda _, __: control.clear_faults()),
        _route("/faults/{key}", "DELETE", lambda r, _: control.remove_fault(_key(r))),
        _route("/requests", "GET", lambda _, __: [asdict(q) for q in control.requests()]),
        _route("/requests/counts", "GET", lambda _, __: control.request_counts()),
        _route("/requests", "DELETE", lambda _, __: control.reset_requests()),
        _route("/subscriptions", "GET", lambda _, __: control.subscriptions()),
        _route("/subscriptions/{key}", "DELETE", lambda r, _: control.drop_subscription(_key(r))),
        _route("/deliveries", "GET", lambda _, __: control.deliveries()),
        _route("/deliveries", "DELETE", lambda _, __: control.reset_deliveries()),
        _route("/lifecycle", "POST", lambda _, b: {"sent": control.send_lifecycle(
            b.get("event", "reauthorizationRequired"),
            subscription_id=b.get("subscriptionId"))}),
        _route("/clock", "POST", clock),
        _route("/settings", "GET", lambda _, __: control.settings()),
        _route("/settings", "PATCH", lambda _, b: control.settings(**b)),
    ]  # fmt: skip


def _route(path: str, method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            raw = await request.body()
            body = orjson.loads(raw) if raw else {}
            if not isinstance(body, dict):
                return _problem(400, "the body must be a JSON object")
            answer = handler(request, body)
        except NotInDirectory as error:
            return _problem(404, f"nobody and nothing has the id {error}")
        except (ControlError, orjson.JSONDecodeError, TypeError, KeyError, ValueError) as error:
            return _problem(400, str(error))
        if answer is None:
            return Response(status_code=204)
        return Response(orjson.dumps(answer), media_type="application/json")

    return Route(path, endpoint, methods=[method])


def _problem(status: int, detail: str) -> Response:
    return Response(orjson.dumps({"error": detail}), status, media_type="application/json")


def _key(request: Request) -> str:
    """`sample` stands for the sample app's client id."""
    key = str(request.path_params["key"])
    return SAMPLE_CLIENT_ID if key == "sample" else key


def _tenant(request: Request) -> str | None:
    return request.query_params.get("tenant")


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)

"""The login endpoints: client-credentials tokens, and the discovery documents clients ask for."""

import re
from typing import Any

from local.graph.directory.places import Place
from local.graph.directory.tenants import App, Tenant
from local.graph.entra.assertions import check_assertion
from local.graph.entra.errors import (
    TokenError,
    cross_cloud_client,
    disabled_app,
    expired_secret,
    malformed_scope,
    malformed_tenant,
    missing,
    no_credential,
    not_default_scope,
    other_cloud,
    unknown_app,
    unknown_resource,
    unknown_tenant,
    wrong_secret,
)
from local.graph.http.access import TOKEN_LIFE_S
from local.graph.service import Service

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN = re.compile(r"([a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE)
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEFAULT = "/.default"


def issue_token(
    service: Service, authority_url: str, tenant_key: str, form: dict[str, str]
) -> dict[str, Any]:
    """The answer to a client that asks for itself; TokenError when Entra would refuse."""
    tenant = find_tenant(service, tenant_key)
    if not form.get("scope"):
        raise missing("scope")
    if form["grant_type"] != "client_credentials":
        raise TokenError(
            70003,
            "unsupported_grant_type",
            f"The app requested an unsupported grant type '{form['grant_type']}'.",
        )
    resource = _resource(form["scope"])
    app = known_app(service, form["client_id"], tenant)
    arrival = app.arrivals.get(tenant.id)
    if arrival is not None and not arrival.known.is_over(service.clock.now()):
        raise unknown_app(form["client_id"], tenant.name)
    check_client(service, app, form, audiences(authority_url, tenant, tenant_key))
    if not service.mint.knows_resource(resource):
        raise unknown_resource(resource, tenant.name)
    granted = app.grants[tenant.id]
    if arrival is not None and not arrival.roles.is_over(service.clock.now()):
        granted = []
    lost = service.faults.lost_roles(app.app_id, granted)
    token = service.mint.issue(
        tenant_id=tenant.id,
        app_id=app.app_id,
        resource=resource,
        roles=[role for role in granted if role not in lost],
    )
    return {
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFE_S,
        "ext_expires_in": TOKEN_LIFE_S,
        "access_token": token,
    }


def known_app(service: Service, client_id: str, tenant: Tenant) -> App:
    app = service.registry.app(client_id)
    if client_id.lower() in service.registry.other_clouds:
        raise cross_cloud_client()
    if app is None or tenant.id not in app.grants:
        raise unknown_app(client_id, tenant.name)
    return app


def find_tenant(service: Service, key: str) -> Tenant:
    tenant = service.registry.tenant(key)
    if tenant is not None:
        return tenant
    if key.lower() in service.registry.other_clouds:
        raise other_cloud(key)
    if not _GUID.fullmatch(key) and not _DOMAIN.fullmatch(key):
        raise malformed_tenant(key)
    raise unknown_tenant(key)


def _resource(scope: str) -> str:
    if " " in scope.strip():
        raise malformed_scope(scope)
    if not scope.endswith(_DEFAULT) or scope == _DEFAULT:
        raise not_default_scope(scope)
    return scope.removesuffix(_DEFAULT)


def audiences(authority_url: str, tenant: Tenant, tenant_key: str) -> set[str]:
    """What an assertion may name as its audience: this endpoint, under any name of the tenant."""
    hosts = (authority_url, "https://login.microsoftonline.com")
    keys = {tenant.id, tenant_key, *tenant.domains}
    return {
        f"{host}/{key}/{tail}"
        for host in hosts
        for key in keys
        for tail in ("oauth2/v2.0/token", "v2.0")
    }


def check_client(service: Service, app: App, form: dict[str, str], ours: set[str]) -> None:
    """Refuse a disabled application, and one whose credential does not fit; `ours` are good audiences."""
    if not app.enabled:
        raise disabled_app(app.app_id, app.name)
    if form.get("client_secret"):
        _check_secret(service, app, form["client_secret"])
    elif form.get("client_assertion"):
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise missing("client_assertion_type")
        check_assertion(app, form["client_assertion"], audiences=ours, clock=service.clock)
    else:
        raise no_credential()


def _check_secret(service: Service, app: App, value: str) -> None:
    found = [secret for secret in app.secrets if secret.value == value]
    if not found:
        raise wrong_secret(app.app_id)
    if all(secret.ends <= service.clock.now() for secret in found):
        raise expired_secret(app.app_id)


def openid_configuration(service: Service, authority_url: str, tenant_key: str) -> dict[str, Any]:
    """The tenant's metadata, which needs no credential and also knows tenants of other clouds.

    learn.microsoft.com/entra/identity-platform/v2-protocols-oidc, "Find your app's OpenID configuration
    document URI"; fields as read by public programs.
    """
    other = service.registry.other_clouds.get(tenant_key.lower())
    if other is not None:
        return _metadata(f"https://{other.login_host}/{tenant_key.lower()}", other)
    tenant = find_tenant(service, tenant_key)
    return _metadata(f"{authority_url}/{tenant.id}", tenant.place)


def _metadata(base: str, place: Place) -> dict[str, Any]:
    told = {
        "tenant_region_scope": place.region_scope,
        "tenant_region_sub_scope": place.region_sub_scope,
        "cloud_instance_name": place.cloud_instance_name or None,
        "msgraph_host": place.msgraph_host or None,
    }
    return {
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        **{name: value for name, value in told.items() if value is not None},
    }


def instance_discovery(authority_url: str) -> dict[str, Any]:
    host = authority_url.removeprefix("https://")
    return {
        "tenant_discovery_endpoint": (
            f"{authority_url}/common/v2.0/.well-known/openid-configuration"
        ),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }

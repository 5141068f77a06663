"""Admin consent: an address that an application sent somebody to in; a page, or the way back, out.

learn.microsoft.com/entra/identity-platform/v2-admin-consent. What is wrong before the application is
known for sure ends on a page of the login service; afterwards the application is told.
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from local.graph.directory.tenants import App, Arrival, Delay, Tenant
from local.graph.entra.accounts import accounts, find_account
from local.graph.entra.consent_pages import (
    accounts_page,
    approval_page,
    consent_page,
    trouble_page,
)
from local.graph.entra.errors import (
    TokenError,
    account_of_another_tenant,
    admin_needed,
    consent_declined,
    malformed_scope,
    malformed_tenant,
    missing,
    single_tenant_app,
    unknown_app,
    unknown_redirect,
    unknown_resource,
)
from local.graph.entra.tokens import find_tenant
from local.graph.http.messages import Answer
from local.graph.service import Service

_ANY_TENANT = "organizations"
_DEFAULT = "/.default"
_NOT_KEPT = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """What an application asks an administrator for; checked."""

    app: App
    tenant: Tenant | None
    """None where any organization may answer."""
    resource: str
    scope: str
    redirect_uri: str
    state: str | None

    def fields(self) -> dict[str, str]:
        """Give the parameters again, for the forms of the pages."""
        given = {
            "client_id": self.app.app_id,
            "scope": self.scope,
            "redirect_uri": self.redirect_uri,
        }
        return given if self.state is None else given | {"state": self.state}

    def back(self, **answer: str) -> str:
        """Give the address that leads back to the application."""
        told = answer if self.state is None else {**answer, "state": self.state}
        joint = "&" if urlsplit(self.redirect_uri).query else "?"
        return f"{self.redirect_uri}{joint}{urlencode(told)}"


def consent_answer(service: Service, tenant_key: str, method: str, given: bytes) -> Answer:
    """Answer one step of the way: choose an account, look at the permissions, accept or not."""
    form = dict(parse_qsl(given.decode("utf-8", "replace"), keep_blank_values=True))
    request = read_request(service, tenant_key, form)
    account = find_account(service, form.get("account"))
    if account is None:
        return page(accounts_page(request.app.name, accounts(service), request.fields()))
    tenant = account.tenant
    if request.tenant is not None and tenant.id != request.tenant.id:
        error = account_of_another_tenant(account.name, request.tenant.name, request.app.app_id)
        return _refused(request, error)
    if not account.may_consent:
        if method == "POST":
            return _refused(request, admin_needed(request.app.name))
        return page(approval_page(request.app.name, account, request.fields()))
    if method == "POST":
        accepted = form.get("decision") == "accept"
        return (
            _granted(service, request, tenant)
            if accepted
            else _refused(request, consent_declined())
        )
    return page(consent_page(request.app.name, account, request.app.required, request.fields()))


def read_request(service: Service, tenant_key: str, form: dict[str, str]) -> ConsentRequest:
    """Check the parameters in the order in which trust grows; TokenError says what is wrong."""
    if tenant_key == "common":
        # Personal accounts cannot consent for an organization: v2-admin-consent, "tenant".
        raise malformed_tenant(tenant_key)
    tenant = None if tenant_key == _ANY_TENANT else find_tenant(service, tenant_key)
    for name in ("client_id", "redirect_uri", "scope"):
        if not form.get(name):
            raise missing(name)
    app = find_app(service, form["client_id"], tenant)
    if not any(same_address(form["redirect_uri"], known) for known in app.redirect_uris):
        raise unknown_redirect(form["redirect_uri"], app.app_id)
    resource = _resource(service, form["scope"], tenant)
    return ConsentRequest(
        app, tenant, resource, form["scope"], form["redirect_uri"], form.get("state")
    )


def find_app(service: Service, client_id: str, tenant: Tenant | None) -> App:
    app = service.registry.app(client_id)
    if app is None:
        raise unknown_app(client_id, _called(tenant))
    if app.is_multi_tenant:
        return app
    if tenant is None:
        raise single_tenant_app(app.app_id, app.name)
    if tenant.id != app.home_tenant:
        raise unknown_app(app.app_id, tenant.name)
    return app


def _resource(service: Service, scope: str, tenant: Tenant | None) -> str:
    resource = scope.removesuffix(_DEFAULT)
    if " " in scope.strip() or resource in {"", scope}:
        # Others would ask for delegated permissions, which nobody here uses.
        raise malformed_scope(scope)
    if not service.mint.knows_resource(resource):
        raise unknown_resource(resource, _called(tenant))
    return resource


def _called(tenant: Tenant | None) -> str:
    return tenant.name if tenant else _ANY_TENANT


def same_address(asked: str, registered: str) -> bool:
    """Exactly the same, but for the port of a localhost address.

    learn.microsoft.com/entra/identity-platform/reply-url#localhost-exceptions
    """
    if asked == registered:
        return True
    ours, theirs = urlsplit(asked), urlsplit(registered)
    if ours.hostname != "localhost" or theirs.hostname != "localhost" or ours.username is not None:
        return False
    return ours._replace(netloc="") == theirs._replace(netloc="")


def _granted(service: Service, request: ConsentRequest, tenant: Tenant) -> Answer:
    app, settings, now = request.app, service.settings, service.clock.now()
    is_new = tenant.id not in app.grants
    known_at = now + timedelta(seconds=settings.consent_delay_s if is_new else 0)
    app.arrivals[tenant.id] = Arrival(
        Delay(known_at, int(settings.consent_delay_requests) if is_new else 0),
        Delay(
            known_at + timedelta(seconds=settings.roles_delay_s), int(settings.roles_delay_requests)
        ),
    )
    before = app.grants.get(tenant.id, [])
    app.grants[tenant.id] = [*before, *(one for one in app.required if one not in before)]
    scope = " ".join(f"{request.resource}/{role}" for role in app.required)
    return redirect(request.back(admin_consent="True", tenant=tenant.id, scope=scope))


def _refused(request: ConsentRequest, error: TokenError) -> Answer:
    description = str(error.body(None)["error_description"])
    return redirect(
        request.back(admin_consent="True", error=error.error, error_description=description)
    )


def redirect(address: str) -> Answer:
    return Answer(302, headers={"Location": address, **_NOT_KEPT})


def consent_trouble(error: TokenError) -> Answer:
    """Say on a page what is wrong: nobody knows whether the address of the application is its own."""
    return page(trouble_page(str(error.body(None)["error_description"])), error.status)


def page(html: str, status: int = 200) -> Answer:
    return Answer(status, html.encode(), dict(_NOT_KEPT), content_type="text/html; charset=utf-8")

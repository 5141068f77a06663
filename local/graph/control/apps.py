"""Changing app registrations: their credentials, their permissions, the tenants they are in."""

from datetime import datetime
from typing import Any

from local.graph.control.base import ControlBase, ControlError, Document
from local.graph.control.loop import on_loop
from local.graph.directory.people import timestamp
from local.graph.directory.tenants import App, FederatedCredential
from local.graph.entra.accounts import find_account
from local.sample import SAMPLE_CLIENT_ID

# The Azure CLI, and what its tokens for Graph may do; its own first-party registration fixes both.
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
CLI_SCOPES = (
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "Directory.AccessAsUser.All",
)


class AppsControl(ControlBase):
    @on_loop
    def apps(self) -> list[Document]:
        return [_app(app) for app in self.service.registry.apps.values()]

    @on_loop
    def create_app(self, app_id: str, name: str, *, tenant: str | None = None) -> Document:
        """A registration without credentials and permissions, known in its home tenant."""
        home = self.tenant_of(tenant)
        app = App(app_id.lower(), name, home.id, grants={home.id: []})
        self.service.registry.apps[app.app_id] = app
        return _app(app)

    @on_loop
    def set_roles(
        self, roles: list[str], *, app: str = SAMPLE_CLIENT_ID, tenant: str | None = None
    ) -> None:
        """What an administrator grants; tokens already issued keep what they say."""
        found = self._app(app)
        found.grants[self.tenant_of(tenant).id] = list(roles)

    @on_loop
    def remove_from_tenant(self, *, app: str = SAMPLE_CLIENT_ID, tenant: str | None = None) -> None:
        """Delete the service principal: the app is unknown in this tenant."""
        self._app(app).grants.pop(self.tenant_of(tenant).id, None)

    @on_loop
    def add_secret(
        self,
        *,
        app: str = SAMPLE_CLIENT_ID,
        value: str | None = None,
        ends: datetime | None = None,
    ) -> str:
        """Answers the secret's value."""
        return self._app(app).add_secret(self.service.clock.now(), value, ends).value

    @on_loop
    def expire_secrets(self, *, app: str = SAMPLE_CLIENT_ID, ends: datetime | None = None) -> None:
        """Every secret of the app ends now, or at the time given."""
        for secret in self._app(app).secrets:
            secret.ends = ends or self.service.clock.now()

    @on_loop
    def remove_secrets(self, *, app: str = SAMPLE_CLIENT_ID) -> None:
        self._app(app).secrets.clear()

    @on_loop
    def enable_app(self, enabled: bool, *, app: str = SAMPLE_CLIENT_ID) -> None:
        self._app(app).enabled = enabled

    @on_loop
    def set_group_claims(self, claims: str | None, *, app: str = SAMPLE_CLIENT_ID) -> None:
        """`groupMembershipClaims` of the registration: whether ID tokens tell directory roles."""
        known = (None, "All", "DirectoryRole", "SecurityGroup", "ApplicationGroup")
        if claims not in known:
            raise ControlError(f"groupMembershipClaims is one of {known}, not {claims!r}")
        self._app(app).group_claims = claims

    @on_loop
    def add_certificate(self, pem: str, *, app: str = SAMPLE_CLIENT_ID) -> None:
        self._app(app).certificates.append(pem)

    @on_loop
    def add_federated_credential(
        self,
        *,
        issuer: str,
        subject: str,
        audience: str,
        public_key: str,
        app: str = SAMPLE_CLIENT_ID,
    ) -> None:
        federated = self._app(app).federated
        if len(federated) >= 20:
            raise ControlError("an app takes at most 20 federated credentials")
        federated.append(FederatedCredential(issuer, subject, audience, public_key))

    @on_loop
    def administrator_token(
        self, account: str, *, scopes: list[str] | None = None, resource: str | None = None
    ) -> str:
        """The token with which the Azure CLI asks Graph for an account of the sign-in pages."""
        found = find_account(self.service, account)
        if found is None:
            raise ControlError(f"no account {account}")
        return self.service.mint.issue_for(
            account,
            tenant_id=found.tenant.id,
            app_id=AZURE_CLI,
            resource=resource or "https://graph.microsoft.com",
            scopes=list(CLI_SCOPES if scopes is None else scopes),
        )

    @on_loop
    def registered(self, *, tenant: str | None = None) -> Document:
        """Everything that administrators have registered in a tenant."""
        found = self.service.registered_in(self.tenant_of(tenant).id)
        return {
            "applications": list(found.applications.values()),
            "servicePrincipals": list(found.principals.values()),
            "federatedIdentityCredentials": found.federated,
            "appRoleAssignments": found.assignments,
        }

    @on_loop
    def add_identity(
        self, name: str, *, object_id: str, client_id: str, tenant: str | None = None
    ) -> None:
        """A managed identity of Azure, which is a service principal in its tenant."""
        self.service.registered_in(self.tenant_of(tenant).id).add_principal(
            {
                "id": object_id,
                "appId": client_id,
                "displayName": name,
                "servicePrincipalType": "ManagedIdentity",
            }
        )

    @on_loop
    def set_registering(
        self,
        *,
        users_may: bool | None = None,
        lag_requests: int | None = None,
        tenant: str | None = None,
    ) -> None:
        """Whether everybody may register applications; for how many requests new ones are not found."""
        found = self.service.registered_in(self.tenant_of(tenant).id)
        if users_may is not None:
            found.users_may_register = users_may
        if lag_requests is not None:
            found.lag_requests = lag_requests

    @on_loop
    def trust_identity(self, public_key: str) -> None:
        """A managed identity of a tenant here, by the PEM of the key that signs its tokens."""
        self.service.mint.identity_keys.append(public_key)

    @on_loop
    def issue_opaque_tokens(self, opaque: bool) -> None:
        self.service.mint.is_opaque = opaque

    @on_loop
    def change_id_tokens(self, /, *, unknown_key: bool = False, **claims: Any) -> None:
        """Put these claims into every ID token from now on (None: leave out); none puts things right."""
        self.service.id_tokens.changes = claims
        self.service.id_tokens.unknown_key = unknown_key

    @on_loop
    def rotate_signing_keys(self, *, keep_old: bool = True) -> None:
        """Sign ID tokens with a new key."""
        self.service.id_tokens.rotate(keep_old=keep_old)

    def _app(self, app_id: str) -> App:
        found = self.service.registry.app(app_id)
        if found is None:
            raise ControlError(f"no app {app_id}")
        return found


def _app(app: App) -> Document:
    return {
        "appId": app.app_id,
        "displayName": app.name,
        "homeTenant": app.home_tenant,
        "enabled": app.enabled,
        "groupMembershipClaims": app.group_claims,
        "grants": app.grants,
        "secrets": [
            {"keyId": s.key_id, "hint": s.value[:3], "endDateTime": timestamp(s.ends)}
            for s in app.secrets
        ],
        "certificates": len(app.certificates),
        "federatedCredentials": [
            {"issuer": c.issuer, "subject": c.subject, "audience": c.audience}
            for c in app.federated
        ],
    }

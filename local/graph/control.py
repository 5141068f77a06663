"""The rig's own interface: everything that tests and people change in the emulator from outside.

Every method may be called from any thread; ``control_routes.py`` offers them over HTTP.
"""

from datetime import datetime
from typing import Any

from local.graph.control_groups import GroupsControl
from local.graph.control_people import ControlError, Document, PeopleControl
from local.graph.directory import KEPT_AFTER_DELETION
from local.graph.on_loop import on_loop
from local.graph.people import timestamp
from local.graph.recorder import Recorded
from local.graph.tenants import App, FederatedCredential
from local.sample import SAMPLE_CLIENT_ID

LIFECYCLE_EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")


class AppsControl(PeopleControl, GroupsControl):
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
    def trust_identity(self, public_key: str) -> None:
        """A managed identity of a tenant here, by the PEM of the key that signs its tokens."""
        self.service.mint.identity_keys.append(public_key)

    @on_loop
    def issue_opaque_tokens(self, opaque: bool) -> None:
        self.service.mint.is_opaque = opaque

    def _app(self, app_id: str) -> App:
        found = self.service.registry.app(app_id)
        if found is None:
            raise ControlError(f"no app {app_id}")
        return found


class Control(AppsControl):
    @on_loop
    def add_fault(self, kind: str, /, **options: Any) -> Document:
        try:
            fault = self.service.faults.add({"kind": kind, **options})
        except ValueError as error:
            raise ControlError(str(error)) from error
        if kind == "staleMembers":
            tenants = self.service.registry.tenants.values()
            self.service.stale.freeze([tenant.directory for tenant in tenants])
        return fault.described()

    @on_loop
    def faults(self) -> list[Document]:
        return [fault.described() for fault in self.service.faults.listed()]

    @on_loop
    def remove_fault(self, fault_id: str) -> bool:
        return self.service.faults.remove(fault_id)

    @on_loop
    def clear_faults(self) -> None:
        self.service.faults.clear()

    @on_loop
    def requests(self) -> list[Recorded]:
        return list(self.service.recorder.requests)

    @on_loop
    def request_counts(self) -> dict[str, int]:
        return self.service.recorder.counts()

    @on_loop
    def reset_requests(self) -> None:
        self.service.recorder.reset()

    @on_loop
    def subscriptions(self) -> list[Document]:
        return [s.document(with_state=True) for s in self.service.notifier.live()]

    @on_loop
    def drop_subscription(self, subscription_id: str) -> bool:
        """Lost without a word, as has been reported of Graph."""
        return self.service.notifier.subscriptions.pop(subscription_id, None) is not None

    @on_loop
    def deliveries(self) -> list[Document]:
        return [delivery.described() for delivery in self.service.notifier.webhooks.deliveries]

    @on_loop
    def reset_deliveries(self) -> None:
        self.service.notifier.webhooks.deliveries.clear()

    @on_loop
    def send_lifecycle(
        self, event: str = "reauthorizationRequired", *, subscription_id: str | None = None
    ) -> int:
        """To one subscription or to all; `subscriptionRemoved` removes it as well."""
        if event not in LIFECYCLE_EVENTS:
            raise ControlError(f"event must be one of {', '.join(LIFECYCLE_EVENTS)}")
        notifier = self.service.notifier
        chosen = [s for s in notifier.live() if subscription_id in (None, s.id)]
        for subscription in chosen:
            notifier.send_lifecycle(subscription, event)
            if event == "subscriptionRemoved":
                del notifier.subscriptions[subscription.id]
        return len(chosen)

    @on_loop
    def advance_clock(self, seconds: float) -> str:
        """Ages delta links, subscriptions, secrets and deleted items; answers the new time."""
        clock = self.service.clock
        clock.advance(seconds)
        for tenant in self.service.registry.tenants.values():
            tenant.directory.purge(clock.now() - KEPT_AFTER_DELETION)
        return timestamp(clock.now())

    @on_loop
    def settings(self, /, **changes: Any) -> Document:
        """Change settings of the rig by name; answers all of them."""
        holders = {
            "delta_page_size": self.service.settings,
            "delta_members_per_page": self.service.settings,
            "handshake_timeout_s": self.service.settings,
            "subscription_quota": self.service.settings,
            "consent_delay_s": self.service.settings,
            "consent_delay_requests": self.service.settings,
            "roles_delay_s": self.service.settings,
            "roles_delay_requests": self.service.settings,
            "delay_s": self.service.notifier,
            "first_retry_s": self.service.notifier,
        }
        if changes.keys() - holders.keys():
            raise ControlError(f"settings are {', '.join(holders)}")
        for name, value in changes.items():
            if not isinstance(value, int | float) or value < 0:
                raise ControlError(f"{name} must be a number, not {value!r}")
            setattr(holders[name], name, value)
        return {name: getattr(holder, name) for name, holder in holders.items()}


def _app(app: App) -> Document:
    return {
        "appId": app.app_id,
        "displayName": app.name,
        "homeTenant": app.home_tenant,
        "enabled": app.enabled,
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

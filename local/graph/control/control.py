"""The rig's own interface: everything that tests and people change in the emulator from outside.

Every method may be called from any thread; ``routes.py`` offers them over HTTP.
"""

from typing import Any

from local.graph.control.apps import AppsControl
from local.graph.control.base import ControlError, Document
from local.graph.control.groups import GroupsControl
from local.graph.control.loop import on_loop
from local.graph.control.people import PeopleControl
from local.graph.control.tenants import TenantsControl
from local.graph.directory.directory import KEPT_AFTER_DELETION
from local.graph.directory.people import timestamp
from local.graph.http.recorder import Recorded
from local.graph.service import CHOICES

LIFECYCLE_EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")


class Control(PeopleControl, GroupsControl, AppsControl, TenantsControl):
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
        return self.service.notifier.drop(subscription_id)

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
                notifier.drop(subscription.id)
        return len(chosen)

    @on_loop
    def advance_clock(self, seconds: float) -> str:
        """Ages delta links, subscriptions, secrets and deleted items; answers the new time."""
        clock = self.service.clock
        clock.advance(seconds)
        for tenant in self.service.registry.tenants.values():
            tenant.directory.purge(clock.now() - KEPT_AFTER_DELETION)
        self.service.notifier.remind()
        return timestamp(clock.now())

    @on_loop
    def stop_clock(self, stopped: bool = True) -> None:
        """Let nothing but ``advance_clock`` move it, so that a sequence can be replayed to the second."""
        if stopped:
            self.service.clock.stop()
        else:
            self.service.clock.go_on()

    @on_loop
    def settings(self, /, **changes: Any) -> Document:
        """Change settings of the rig by name; answers all of them."""
        holders = {
            "delta_page_size": self.service.settings,
            "delta_members_per_page": self.service.settings,
            "next_link_life_s": self.service.settings,
            "handshake_timeout_s": self.service.settings,
            "subscription_quota": self.service.settings,
            "units_per_10_s": self.service.settings,
            "consent_delay_s": self.service.settings,
            "consent_delay_requests": self.service.settings,
            "roles_delay_s": self.service.settings,
            "roles_delay_requests": self.service.settings,
            "delay_s": self.service.notifier,
            "token_life_s": self.service.notifier,
            "first_retry_s": self.service.notifier,
        }
        choices = self.service.settings.choices
        if changes.keys() - holders.keys() - choices.keys():
            raise ControlError(f"settings are {', '.join([*holders, *choices])}")
        for name, value in changes.items():
            _check_setting(name, value)
            if name in choices:
                choices[name] = value
            else:
                setattr(holders[name], name, value)
        return {name: getattr(holder, name) for name, holder in holders.items()} | choices


def _check_setting(name: str, value: Any) -> None:
    choices = CHOICES.get(name)
    if choices is not None and value not in choices:
        raise ControlError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r}")
    if choices is None and (not isinstance(value, int | float) or value < 0):
        raise ControlError(f"{name} must be a number, not {value!r}")

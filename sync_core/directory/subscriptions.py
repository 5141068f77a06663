"""Our own subscriptions to change notifications: made, read, renewed and removed.

The only requests of the program that write anything at Graph, and nothing of the directory. Before it answers
who makes or renews a subscription, Graph calls our address: learn.microsoft.com/graph/api/
subscription-post-subscriptions, and microsoftgraph/msgraph-sdk-dotnet issue 2805 of renewing. A PATCH
reauthorizes as well (learn.microsoft.com/graph/change-notifications-lifecycle-events), so `reauthorize` is
never asked for: both within ten minutes may leave a subscription in an inconsistent state.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from msgraph.graph_service_client import GraphServiceClient

from sync_core.directory.answers import Clash, GraphNotFound, bad_answer
from sync_core.directory.client import GraphClient
from sync_core.directory.denials import PermissionMissing
from sync_core.domain.connections.permissions import GROUPS, USERS
from sync_core.domain.errors import FixConnection, IncompleteReading, SyncError
from sync_core.domain.subscriptions import CHANGES, Listed, is_of_groups, resource_of

# "Subscription Id <> already exists for the requested combination."
TAKEN = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
# "The message property explains which limit was exceeded" (change-notifications-overview); no page says how.
QUOTA_WORDS = re.compile(r"\b(?:limits?|quota)\b", re.IGNORECASE)


# What a 403 is taken for before its sentence is read.
REFUSALS = frozenset({"graph.permissionMissing", "graph.accessDenied"})


class AlreadyThere(FixConnection):
    """The application has a subscription to the same already; `subscription_id`, if Graph named it."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            "subscription.takenElsewhere",
            "Another installation of an app that uses the same app registration has subscribed to the same, "
            f"and Microsoft Graph lets an application do so once. ({detail})",
            "Use an app registration of its own for each installation, or remove the subscription there.",
        )
        found = TAKEN.search(detail)
        self.subscription_id = found[0].lower() if found else None


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """What a subscription is asked for with."""

    slot: str
    notification_url: str
    lifecycle_url: str
    client_state: str
    expires_at: datetime


class Lost(SyncError):
    """Graph has no such subscription any more."""


async def create(client: GraphClient, wanted: NewSubscription) -> Listed:
    """Make a subscription; Graph calls both addresses before it answers.

    Raises `AlreadyThere`, and other `FixConnection` whose code says what an administrator has to mend.
    """
    request = creation(client.sdk, wanted)
    try:
        async with _explained(client, wanted.slot):
            return _listed(await client.get(request, needs=_needs(wanted.slot)))
    except GraphNotFound as error:
        raise FixConnection(
            "subscription.groupNotFound",
            f"The tenant has no group {wanted.slot}, so Microsoft Graph tells no changes of it.",
            "Restore the group, or take it out of the scope. The next run says more.",
        ) from error


async def renew(client: GraphClient, subscription_id: str, slot: str, until: datetime) -> Listed:
    """Move the end of a subscription, and reauthorize it; raises `Lost` where Graph has none."""
    request = renewal(client.sdk, subscription_id, until)
    try:
        async with _explained(client, slot):
            return _listed(await client.get(request, needs=_needs(slot)))
    except GraphNotFound as error:
        raise Lost(
            "subscription.lost",
            f"Microsoft Graph has lost the subscription {subscription_id}.",
            "Nothing to do: it is made again.",
        ) from error


async def find_all(
    client: GraphClient, subscription_ids: Sequence[str], slots: Sequence[str]
) -> list[Listed | SyncError | None]:
    """Return each of some subscriptions, None for those that are lost, and why access to one is refused."""
    requests = [one_subscription(client.sdk, one) for one in subscription_ids]
    answers = await client.batch(requests, needs=[_needs(slot) for slot in slots], keep_denied=True)
    return [
        answer if answer is None or isinstance(answer, SyncError) else _listed(answer)
        for answer in answers
    ]


async def remove(client: GraphClient, subscription_id: str, slot: str) -> None:
    """Delete a subscription; one that is gone already is deleted."""
    try:
        await client.send(removal(client.sdk, subscription_id), needs=_needs(slot))
    except GraphNotFound:
        return


async def list_all(client: GraphClient) -> list[Listed]:
    """Return what Graph lists of the application in the tenant: it has left out what lives, and told what
    was dead (microsoft-graph-docs issues 4644, 5603).
    """
    pages = client.pages(all_subscriptions(client.sdk), needs=USERS)
    return [_listed(item) async for page in pages for item in page.items]


def _needs(slot: str) -> str:
    return GROUPS if is_of_groups(slot) else USERS


def _listed(answer: Any) -> Listed:
    try:
        return Listed(
            str(answer["id"]).lower(),
            str(answer["resource"]),
            str(answer.get("notificationUrl") or ""),
            _moment(answer["expirationDateTime"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise bad_answer("a subscription that cannot be read") from error


def _moment(text: str) -> datetime:
    """Read a date of Graph's, which may have seven decimals."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@asynccontextmanager
async def _explained(client: GraphClient, slot: str) -> AsyncIterator[None]:
    """Say what a refusal means, where Graph's own code does not."""
    try:
        yield
    except Clash as error:
        raise AlreadyThere(error.message) from error
    except IncompleteReading as error:
        raise _validation(error.message) or error from error
    except FixConnection as error:
        if error.code in REFUSALS and QUOTA_WORDS.search(error.message):
            raise _quota_used_up(error.message) from error
        if error.code == "graph.accessDenied" and _needs(slot) not in (
            await client.grants.roles() or ()
        ):
            # A wider permission is granted, which counts for everything but subscriptions.
            raise PermissionMissing(_needs(slot), error.message) from error
        raise


def _quota_used_up(detail: str) -> FixConnection:
    return FixConnection(
        "subscription.quota",
        f"Microsoft Graph gives no more subscriptions: the quota is used up. ({detail})",
        "An application may have 100 subscriptions in a tenant, and all applications together 1,000. Use an "
        "app registration of its own for what else subscribes with this one, or name fewer groups.",
    )


def _validation(detail: str) -> FixConnection | None:
    """Return what Graph's refusal says of our address, or of the tenant; None where it says neither.

    The sentences: microsoftgraph/msgraph-sdk-dotnet issue 2805, pnp/Microsoft365-Analytics-Insights issue
    273 and pull request 483, splunk/azure-functions-splunk issue 26.
    """
    said = detail.lower()
    if "not supported" in said and "tenant" in said:
        return FixConnection(
            "subscription.tenantUnsupported",
            f"This kind of tenant has no change notifications: Azure AD B2C, External ID. ({detail})",
            "Set realtime to false; the schedule finds all changes.",
        )
    if "validation" not in said:
        return None
    if "timed out" in said:
        return FixConnection(
            "subscription.validationTimedOut",
            "Microsoft Graph called this app's address for notifications and had no answer within 10 "
            f"seconds. ({detail})",
            "If it goes on, let the network pass calls from Microsoft Graph (service tag "
            "MicrosoftGraphChangeNotification), or keep an instance of the app ready. It is tried again "
            "every hour.",
        )
    if "forbidden" in said or "unauthorized" in said:
        return FixConnection(
            "subscription.validationForbidden",
            "Microsoft Graph called this app's address for notifications and was turned away, although the "
            f"app itself is not. ({detail})",
            "Look for what lets only some addresses in: access restrictions of the Function App, a firewall, "
            "a gateway. Let calls from Microsoft Graph pass (service tag MicrosoftGraphChangeNotification).",
        )
    return FixConnection(
        "subscription.validationFailed",
        "Microsoft Graph called this app's address for notifications, and something else than this app "
        f"answered. ({detail})",
        "Check that PUBLIC_BASE_URL is this app's public address, and any gateway in front of it.",
    )


# --- the requests ---------------------------------------------------------------------------------


def creation(sdk: GraphServiceClient, wanted: NewSubscription) -> RequestInformation:
    document = {
        "changeType": CHANGES,
        "notificationUrl": wanted.notification_url,
        "lifecycleNotificationUrl": wanted.lifecycle_url,
        "resource": resource_of(wanted.slot),
        "expirationDateTime": _text(wanted.expires_at),
        "clientState": wanted.client_state,
    }
    builder = sdk.subscriptions
    request = RequestInformation(Method.POST, builder.url_template, builder.path_parameters)
    request.headers.add("Accept", "application/json")
    request.set_stream_content(orjson.dumps(document), "application/json")
    return request


def renewal(sdk: GraphServiceClient, subscription_id: str, until: datetime) -> RequestInformation:
    builder = sdk.subscriptions.by_subscription_id(subscription_id)
    request = RequestInformation(Method.PATCH, builder.url_template, builder.path_parameters)
    request.headers.add("Accept", "application/json")
    content = orjson.dumps({"expirationDateTime": _text(until)})
    request.set_stream_content(content, "application/json")
    return request


def one_subscription(sdk: GraphServiceClient, subscription_id: str) -> RequestInformation:
    return sdk.subscriptions.by_subscription_id(subscription_id).to_get_request_information()


def removal(sdk: GraphServiceClient, subscription_id: str) -> RequestInformation:
    return sdk.subscriptions.by_subscription_id(subscription_id).to_delete_request_information()


def all_subscriptions(sdk: GraphServiceClient) -> RequestInformation:
    return sdk.subscriptions.to_get_request_information()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""The requests the program makes, built with the SDK's builders: what is asked, and how. Pure.

Every list names its properties: what is not selected is not answered, and `accountEnabled` is not a
default property (learn.microsoft.com/graph/api/user-list).
"""

from collections.abc import Iterable, Sequence

import orjson
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.headers_collection import HeadersCollection
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.directory.deleted_items.graph_user.graph_user_request_builder import (
    GraphUserRequestBuilder as DeletedUsers,
)
from msgraph.generated.directory.deleted_items.item.directory_object_item_request_builder import (
    DirectoryObjectItemRequestBuilder,
)
from msgraph.generated.groups.delta import delta_request_builder as group_builder
from msgraph.generated.groups.item.group_item_request_builder import GroupItemRequestBuilder
from msgraph.generated.groups.item.members.graph_group.graph_group_request_builder import (
    GraphGroupRequestBuilder as MemberGroups,
)
from msgraph.generated.groups.item.members.graph_user.graph_user_request_builder import (
    GraphUserRequestBuilder as MemberUsers,
)
from msgraph.generated.groups.item.members.members_request_builder import MembersRequestBuilder
from msgraph.generated.service_principals.item.app_role_assigned_to import (
    app_role_assigned_to_request_builder as assigned,
)
from msgraph.generated.users.count.count_request_builder import CountRequestBuilder
from msgraph.generated.users.delta import delta_request_builder as user_builder
from msgraph.generated.users.item.manager.manager_request_builder import ManagerRequestBuilder
from msgraph.generated.users.item.member_of.member_of_request_builder import (
    MemberOfRequestBuilder,
)
from msgraph.generated.users.item.transitive_member_of.transitive_member_of_request_builder import (
    TransitiveMemberOfRequestBuilder,
)
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder
from msgraph.graph_service_client import GraphServiceClient

from sync_core.domain.attributes import MANAGER

UsersDelta = user_builder.DeltaRequestBuilder
GroupsDelta = group_builder.DeltaRequestBuilder

PRIORITY = "x-ms-throttle-priority"
MAX_PAGE = 999  # learn.microsoft.com/graph/api/user-list, group-list-members
# learn.microsoft.com/graph/known-issues: "in" takes so many values by default.
MAX_VALUES = 15
GROUP_PROPERTIES = [
    "id",
    "displayName",
    "groupTypes",
    "membershipRuleProcessingState",
    "visibility",
]

USERS_READ = "User.Read.All"
GROUPS_READ = "GroupMember.Read.All (or Group.Read.All)"
DIRECTORY_READ = "Directory.Read.All"
# learn.microsoft.com/graph/api/serviceprincipal-list-approleassignedto
APPLICATIONS_READ = "Application.Read.All"


def low_priority(headers: HeadersCollection | None = None) -> HeadersCollection:
    """Ask to be refused before others when the app's requests are too many: what is read in bulk can wait.

    learn.microsoft.com/graph/throttling-limits, "Identity and access service limits"
    """
    headers = headers or HeadersCollection()
    headers.add(PRIORITY, "low")
    return headers


def advanced_headers() -> HeadersCollection:
    """Ask for an advanced query; sent again with every page, as the link does not carry it.

    learn.microsoft.com/graph/aad-advanced-queries, learn.microsoft.com/graph/paging
    """
    headers = HeadersCollection()
    headers.add("ConsistencyLevel", "eventual")
    return headers


def properties(select: Iterable[str]) -> list[str]:
    """Return what to put into $select: the manager is not among it.

    A list accepts `$select=manager` and gives nothing (learn.microsoft.com/answers/questions/1395515).
    """
    return sorted(set(select) - {MANAGER})


def relationships(select: Iterable[str]) -> list[str] | None:
    """Return what to put into $expand, which does not go with advanced queries."""
    return [MANAGER] if MANAGER in set(select) else None


def all_users(
    sdk: GraphServiceClient,
    select: Iterable[str],
    condition: str | None = None,
    *,
    advanced: bool = False,
) -> RequestInformation:
    """Ask for the users for whom a `$filter` holds, or for all; an advanced one needs the pair."""
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        select=properties(select), top=MAX_PAGE, filter=condition, count=advanced or None
    )
    headers = low_priority(advanced_headers() if advanced else None)
    return sdk.users.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=headers)
    )


def users_by_id(
    sdk: GraphServiceClient, object_ids: Sequence[str], select: frozenset[str]
) -> RequestInformation:
    """Ask for up to 15 people, who come in any order; whoever does not exist is left out."""
    wanted = ",".join(f"'{object_id}'" for object_id in object_ids)
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        filter=f"id in ({wanted})",
        select=properties(select),
        expand=relationships(select),
        top=MAX_VALUES,
    )
    return sdk.users.to_get_request_information(RequestConfiguration(query_parameters=query))


def count_users(sdk: GraphServiceClient, condition: str | None = None) -> RequestInformation:
    query = CountRequestBuilder.CountRequestBuilderGetQueryParameters(filter=condition)
    return sdk.users.count.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=advanced_headers())
    )


def one_user(sdk: GraphServiceClient, object_id: str, select: frozenset[str]) -> RequestInformation:
    query = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(
        select=properties(select), expand=relationships(select)
    )
    return sdk.users.by_user_id(object_id).to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )


def manager_of_user(sdk: GraphServiceClient, object_id: str) -> RequestInformation:
    query = ManagerRequestBuilder.ManagerRequestBuilderGetQueryParameters(select=["id"])
    return sdk.users.by_user_id(object_id).manager.to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )


def users_named(sdk: GraphServiceClient, principal_name: str) -> RequestInformation:
    """Ask who has a sign-in name; a quote in it is doubled (OData), as in o'hara@contoso.com."""
    name = principal_name.replace("'", "''")
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        filter=f"userPrincipalName eq '{name}'", select=["id", "userPrincipalName"]
    )
    return sdk.users.to_get_request_information(RequestConfiguration(query_parameters=query))


def users_with_names(
    sdk: GraphServiceClient, names: Sequence[str], attribute: str = "userPrincipalName"
) -> RequestInformation:
    """Ask who has one of up to 15 sign-in names, or (`mail`) addresses."""
    wanted = ",".join("'" + name.replace("'", "''") + "'" for name in names)
    query = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(
        filter=f"{attribute} in ({wanted})",
        select=["id", "userPrincipalName", *(["mail"] if attribute == "mail" else [])],
        top=MAX_VALUES,
    )
    return sdk.users.to_get_request_information(RequestConfiguration(query_parameters=query))


def one_deleted(sdk: GraphServiceClient, object_id: str) -> RequestInformation:
    query = DirectoryObjectItemRequestBuilder.DirectoryObjectItemRequestBuilderGetQueryParameters(
        select=["id", "deletedDateTime"]
    )
    item = sdk.directory.deleted_items.by_directory_object_id(object_id)
    return item.to_get_request_information(RequestConfiguration(query_parameters=query))


def deleted_users(sdk: GraphServiceClient) -> RequestInformation:
    """Ask for the people who can be restored (learn.microsoft.com/graph/api/directory-deleteditems-list)."""
    query = DeletedUsers.GraphUserRequestBuilderGetQueryParameters(select=["id"], top=MAX_PAGE)
    return sdk.directory.deleted_items.graph_user.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=low_priority())
    )


def groups_of_user(sdk: GraphServiceClient, object_id: str, *, nested: bool) -> RequestInformation:
    """Ask what a person is in: groups, and roles and units too.

    Without a cast and without `$count`: these ask an index that lags behind
    (learn.microsoft.com/graph/api/user-list-memberof), and the same request with a cast was seen to give
    other answers from one time to the next (microsoft-graph-explorer-v4 issue 3336).
    """
    user = sdk.users.by_user_id(object_id)
    if nested:
        every = TransitiveMemberOfRequestBuilder.TransitiveMemberOfRequestBuilderGetQueryParameters(
            select=["id"], top=MAX_PAGE
        )
        return user.transitive_member_of.to_get_request_information(
            RequestConfiguration(query_parameters=every)
        )
    direct = MemberOfRequestBuilder.MemberOfRequestBuilderGetQueryParameters(
        select=["id"], top=MAX_PAGE
    )
    return user.member_of.to_get_request_information(RequestConfiguration(query_parameters=direct))


def checked_groups(
    sdk: GraphServiceClient, object_id: str, groups: Sequence[str]
) -> RequestInformation:
    """Ask in which of up to 20 groups a person is, also through nesting.

    learn.microsoft.com/graph/api/directoryobject-checkmembergroups
    """
    builder = sdk.users.by_user_id(object_id).check_member_groups
    request = RequestInformation(Method.POST, builder.url_template, builder.path_parameters)
    request.headers.add("Accept", "application/json")
    request.set_stream_content(orjson.dumps({"groupIds": list(groups)}), "application/json")
    return request


def objects_by_ids(sdk: GraphServiceClient, object_ids: Sequence[str]) -> RequestInformation:
    """Ask what up to 1,000 ids are, of whatever kind; unknown ones are left out.

    learn.microsoft.com/graph/api/directoryobject-getbyids
    """
    builder = sdk.directory_objects.get_by_ids
    request = RequestInformation(Method.POST, builder.url_template, builder.path_parameters)
    request.headers.add("Accept", "application/json")
    request.set_stream_content(orjson.dumps({"ids": list(object_ids)}), "application/json")
    return request


def one_group(sdk: GraphServiceClient, group_id: str) -> RequestInformation:
    query = GroupItemRequestBuilder.GroupItemRequestBuilderGetQueryParameters(
        select=GROUP_PROPERTIES
    )
    return sdk.groups.by_group_id(group_id).to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )


def member_users(
    sdk: GraphServiceClient, group_id: str, select: Iterable[str], top: int | None = None
) -> RequestInformation:
    query = MemberUsers.GraphUserRequestBuilderGetQueryParameters(
        select=properties(select), top=top or MAX_PAGE, count=True
    )
    headers = advanced_headers() if top else low_priority(advanced_headers())
    return sdk.groups.by_group_id(group_id).members.graph_user.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=headers)
    )


def assigned_to(sdk: GraphServiceClient, application: str) -> RequestInformation:
    """Ask who is assigned to a service principal: people, groups and other applications."""
    builder = assigned.AppRoleAssignedToRequestBuilder
    query = builder.AppRoleAssignedToRequestBuilderGetQueryParameters(
        select=["principalId", "principalType", "resourceDisplayName"], top=MAX_PAGE
    )
    item = sdk.service_principals.by_service_principal_id(application)
    return item.app_role_assigned_to.to_get_request_information(
        RequestConfiguration(query_parameters=query)
    )


def plain_members(
    sdk: GraphServiceClient, group_id: str, select: Iterable[str], top: int | None = None
) -> RequestInformation:
    """Ask for members of all types, without an advanced query."""
    query = MembersRequestBuilder.MembersRequestBuilderGetQueryParameters(
        select=properties(select), top=top or MAX_PAGE
    )
    headers = HeadersCollection() if top else low_priority()
    return sdk.groups.by_group_id(group_id).members.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=headers)
    )


def member_groups(sdk: GraphServiceClient, group_id: str) -> RequestInformation:
    query = MemberGroups.GraphGroupRequestBuilderGetQueryParameters(
        select=GROUP_PROPERTIES, top=MAX_PAGE, count=True
    )
    return sdk.groups.by_group_id(group_id).members.graph_group.to_get_request_information(
        RequestConfiguration(query_parameters=query, headers=advanced_headers())
    )


def users_delta(sdk: GraphServiceClient, select: Iterable[str]) -> RequestInformation:
    """Ask for a link from which changes of people are told from now on."""
    query = UsersDelta.DeltaRequestBuilderGetQueryParameters(select=sorted(select))
    configured = RequestConfiguration(query_parameters=query)
    return _from_now(request=sdk.users.delta.to_get_request_information(configured))


def groups_delta(sdk: GraphServiceClient, groups: Sequence[str]) -> RequestInformation:
    """Ask for a link from which changes of up to 50 groups and their members are told from now on."""
    wanted = " or ".join(f"id eq '{group}'" for group in groups)
    query = GroupsDelta.DeltaRequestBuilderGetQueryParameters(
        select=["displayName", "members"], filter=wanted
    )
    configured = RequestConfiguration(query_parameters=query)
    return _from_now(request=sdk.groups.delta.to_get_request_information(configured))


def _from_now(request: RequestInformation) -> RequestInformation:
    """Add `$deltatoken=latest`, which the SDK has no parameter for.

    learn.microsoft.com/graph/delta-query-overview ("Use a delta token to get changes since now"); with
    $select and $filter it stands on no page, and others send it so (MicrosoftDocs/MIMDocs issue 198).
    """
    request.url_template = str(request.url_template).replace("{?", "{?%24deltatoken,")
    request.query_parameters["%24deltatoken"] = "latest"
    return request

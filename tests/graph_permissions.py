"""The least application permission for each request that the program sends, and who says so."""

USERS = "User.Read.All"
MEMBERS = "GroupMember.Read.All"
GROUPS = "Group.Read.All"
APPLICATIONS = "Application.Read.All"
DIRECTORY = "Directory.Read.All"

# The "Permissions" tables of learn.microsoft.com/graph/api/…, in November 2026.
LEAST: dict[str, frozenset[str]] = {
    "GET users": frozenset({USERS}),  # user-list
    "GET users/$count": frozenset({USERS}),  # user-list
    "GET users/{id}": frozenset({USERS}),  # user-get
    "GET users/{id}/manager": frozenset({USERS}),  # user-list-manager
    # directory-deleteditems-list, of users
    "GET directory/deletedItems/graph.user": frozenset({USERS}),
    "GET directory/deletedItems/{id}": frozenset({USERS}),  # directory-deleteditems-get, of a user
    # user-list-transitivememberof: User.Read.All; the groups themselves come with limited information
    # unless they may be read as well. user-list-memberof is told as it and as Directory.Read.All.
    "GET users/{id}/memberOf": frozenset({USERS, MEMBERS}),
    "GET users/{id}/transitiveMemberOf": frozenset({USERS, MEMBERS}),
    # directoryobject-checkmembergroups, of a user
    "POST users/{id}/checkMemberGroups": frozenset({USERS, MEMBERS}),
    "GET users/delta()": frozenset({USERS}),  # user-delta
    "GET groups/delta()": frozenset({MEMBERS}),  # group-delta
    "GET groups": frozenset({MEMBERS}),  # group-list
    "GET groups/{id}": frozenset({MEMBERS}),  # group-get
    # group-list-members; without User.Read.All people come with limited information.
    "GET groups/{id}/members": frozenset({MEMBERS, USERS}),
    "GET groups/{id}/members/graph.user": frozenset({MEMBERS, USERS}),
    "GET groups/{id}/members/graph.group": frozenset({MEMBERS}),
    # serviceprincipal-list-approleassignedto
    "GET servicePrincipals/{id}/appRoleAssignedTo": frozenset({APPLICATIONS}),
    "GET applications": frozenset({APPLICATIONS}),  # application-list
    "GET applications(appId='')": frozenset({APPLICATIONS}),  # application-get
    "GET applications/{id}/extensionProperties": frozenset({APPLICATIONS}),
    # directoryobject-getavailableextensionproperties
    "POST directoryObjects/getAvailableExtensionProperties": frozenset({DIRECTORY}),
    "POST directoryObjects/getByIds": frozenset({DIRECTORY}),  # directoryobject-getbyids
    # subscription-post-subscriptions, by resource; GroupMember.Read.All is not listed, and "subscriptions
    # don't support write permissions where read is enough". The same of the other calls' pages.
    "POST subscriptions": frozenset({USERS, GROUPS}),
    "GET subscriptions": frozenset({USERS, GROUPS}),
    "GET subscriptions/{id}": frozenset({USERS, GROUPS}),
    "PATCH subscriptions/{id}": frozenset({USERS, GROUPS}),
    "DELETE subscriptions/{id}": frozenset({USERS, GROUPS}),
}

# Of some groups only: whose members are hidden (group-list-members).
HIDDEN = "Member.Read.Hidden"
# Of some attributes only, by learn.microsoft.com/graph/api/resources/user.
OF_ATTRIBUTES = frozenset(
    {
        "AuditLog.Read.All",
        "CustomSecAttributeAssignment.Read.All",
        "User-LifeCycleInfo.Read.All",
    }
)

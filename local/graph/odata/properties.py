"""What Graph knows of users and groups: property names, default sets, and how each can be filtered.

The filter table is the "User properties" table of Graph's page on advanced queries
(learn.microsoft.com/graph/aad-advanced-queries, 2025-08-29).
"""

from dataclasses import dataclass

from local.sample import COST_CENTER, SCHEMA_EXTENSION

DEFAULT = "default"
ADVANCED = "advanced"
Support = str | None

# learn.microsoft.com/graph/api/user-list: only these come without $select.
USER_DEFAULTS = (
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone",
    "officeLocation", "preferredLanguage", "surname", "userPrincipalName", "id",
)  # fmt: skip

USER_PROPERTIES = frozenset(USER_DEFAULTS) | frozenset(
    (
        "accountEnabled", "ageGroup", "assignedLicenses", "assignedPlans", "city", "companyName",
        "consentProvidedForMinor", "country", "createdDateTime", "creationType", "deletedDateTime",
        "department", "employeeHireDate", "employeeId", "employeeLeaveDateTime", "employeeOrgData",
        "employeeType",
        "externalUserState", "externalUserStateChangeDateTime", "faxNumber", "identities",
        "imAddresses", "isManagementRestricted", "isResourceAccount", "lastPasswordChangeDateTime",
        "legalAgeGroupClassification", "licenseAssignmentStates", "mailNickname",
        "onPremisesDistinguishedName", "onPremisesDomainName", "onPremisesExtensionAttributes",
        "onPremisesImmutableId", "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors",
        "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "onPremisesSyncEnabled",
        "onPremisesUserPrincipalName", "otherMails", "passwordPolicies", "passwordProfile",
        "postalCode", "preferredDataLocation", "provisionedPlans", "proxyAddresses",
        "securityIdentifier", "serviceProvisioningErrors", "showInAddressList", "signInActivity",
        "signInSessionsValidFromDateTime", "state", "streetAddress", "usageLocation", "userType",
    )
) | {COST_CENTER, SCHEMA_EXTENSION}  # fmt: skip

# Delta accepts them in $select, and their changes surface nobody. licenseAssignmentStates:
# learn.microsoft.com/graph/api/user-delta; schema extensions: graph/known-issues, "Delta query", which adds
# that $select does not bring their values.
UNTRACKED = frozenset(("licenseAssignmentStates", SCHEMA_EXTENSION))

# Kept outside the directory and readable for one user at a time: 501 on the collection.
SINGLE_USER_ONLY = frozenset(
    (
        "aboutMe", "birthday", "hireDate", "interests", "mySite", "pastProjects", "preferredName",
        "responsibilities", "schools", "skills", "mailboxSettings",
    )
)  # fmt: skip

COLLECTIONS = frozenset(("businessPhones", "imAddresses", "otherMails", "proxyAddresses"))
BOOLEANS = frozenset(("accountEnabled", "onPremisesSyncEnabled", "mailEnabled", "securityEnabled"))
DATES = frozenset(("createdDateTime", "employeeHireDate", "employeeLeaveDateTime"))

GROUP_DEFAULTS = (
    "id", "deletedDateTime", "classification", "createdDateTime", "description", "displayName",
    "groupTypes", "mail", "mailEnabled", "mailNickname", "membershipRule",
    "membershipRuleProcessingState", "onPremisesSyncEnabled", "proxyAddresses", "securityEnabled",
    "visibility",
)  # fmt: skip
GROUP_PROPERTIES = frozenset(GROUP_DEFAULTS) | frozenset(
    (
        "expirationDateTime", "isAssignableToRole", "onPremisesDomainName",
        "onPremisesLastSyncDateTime", "onPremisesSamAccountName", "onPremisesSecurityIdentifier",
        "preferredDataLocation", "preferredLanguage", "renewedDateTime", "securityIdentifier",
        "theme",
    )
)  # fmt: skip

OTHER_DEFAULTS = ("id", "displayName", "deletedDateTime")


@dataclass(frozen=True, slots=True)
class Filterable:
    """How a property can be filtered; `ne` and `not` are advanced wherever `eq` works."""

    eq: Support = None
    starts: Support = None
    ends: Support = None
    null: Support = None
    order: Support = None
    """ge and le."""


_TEXT = Filterable(eq=DEFAULT, starts=DEFAULT, null=ADVANCED)
_INDEXED = Filterable(eq=ADVANCED, starts=ADVANCED, null=ADVANCED)

USER_FILTERS: dict[str, Filterable] = {
    **dict.fromkeys(
        ("department", "displayName", "givenName", "surname", "jobTitle", "country", "city",
         "usageLocation", "state"),
        _TEXT,
    ),
    **dict.fromkeys(
        ("companyName", "officeLocation", "mobilePhone", "postalCode", "streetAddress",
         "onPremisesDistinguishedName"),
        _INDEXED,
    ),
    **{
        f"onPremisesExtensionAttributes/extensionAttribute{n}": _INDEXED for n in range(1, 16)
    },
    "id": Filterable(eq=DEFAULT),
    "accountEnabled": Filterable(eq=DEFAULT),
    "userType": Filterable(eq=DEFAULT, null=ADVANCED),
    "mail": Filterable(eq=DEFAULT, starts=DEFAULT, ends=ADVANCED, null=ADVANCED),
    "mailNickname": Filterable(eq=DEFAULT, starts=DEFAULT),
    "userPrincipalName": Filterable(eq=DEFAULT, starts=DEFAULT, ends=ADVANCED),
    "employeeId": Filterable(eq=DEFAULT, null=ADVANCED),
    "employeeType": Filterable(eq=ADVANCED),
    "employeeHireDate": Filterable(eq=ADVANCED, order=ADVANCED),
    "employeeLeaveDateTime": Filterable(eq=ADVANCED, order=ADVANCED),
    "preferredLanguage": Filterable(eq=ADVANCED, null=ADVANCED),
    "onPremisesSamAccountName": Filterable(eq=ADVANCED, starts=ADVANCED),
    "onPremisesImmutableId": Filterable(eq=DEFAULT),
    "onPremisesSyncEnabled": Filterable(eq=DEFAULT, null=ADVANCED),
    "onPremisesSecurityIdentifier": Filterable(eq=DEFAULT, null=ADVANCED),
    "createdDateTime": Filterable(eq=DEFAULT, null=ADVANCED, order=DEFAULT),
    "employeeOrgData/costCenter": Filterable(eq=ADVANCED, starts=ADVANCED),
    "employeeOrgData/division": Filterable(eq=ADVANCED, starts=ADVANCED),
    "externalUserState": Filterable(eq=DEFAULT),
    "creationType": Filterable(eq=DEFAULT),
    "businessPhones": Filterable(eq=DEFAULT, starts=DEFAULT),
    "otherMails": Filterable(eq=DEFAULT, starts=DEFAULT, ends=ADVANCED),
    "proxyAddresses": Filterable(eq=DEFAULT, starts=DEFAULT, ends=ADVANCED),
    COST_CENTER: Filterable(eq=DEFAULT, starts=ADVANCED, null=ADVANCED),
}  # fmt: skip

GROUP_FILTERS: dict[str, Filterable] = {
    "id": Filterable(eq=DEFAULT),
    "displayName": Filterable(eq=DEFAULT, starts=DEFAULT, null=ADVANCED),
    "mail": Filterable(eq=DEFAULT, starts=DEFAULT),
    "mailNickname": Filterable(eq=DEFAULT, starts=DEFAULT),
    "mailEnabled": Filterable(eq=DEFAULT),
    "securityEnabled": Filterable(eq=DEFAULT),
    "groupTypes": Filterable(eq=DEFAULT),
    "description": Filterable(eq=ADVANCED, starts=ADVANCED),
}

USER_SEARCHABLE = ("displayName", "mail", "userPrincipalName", "givenName", "surname")
GROUP_SEARCHABLE = ("displayName", "description", "mail")
USER_SORTABLE = ("displayName", "userPrincipalName")

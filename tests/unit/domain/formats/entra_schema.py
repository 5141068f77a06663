"""A provisioning schema as Entra exports it: written by hand after the documentation, not a recording.

The shape and the Salesforce part follow the example of
learn.microsoft.com/graph/api/resources/synchronization-objectmapping; SCIM targets are the defaults of
learn.microsoft.com/entra/identity/app-provisioning/customize-application-attributes, and the filters use
the operators of define-conditional-rules-for-provisioning-user-accounts.
"""

from typing import Any

Json = dict[str, Any]

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def attribute(name: str) -> Json:
    return {"expression": f"[{name}]", "name": name, "parameters": [], "type": "Attribute"}


def constant(value: str) -> Json:
    return {"expression": f'"{value}"', "name": value, "parameters": [], "type": "Constant"}


def function(expression: str) -> Json:
    """Give a function without its parameters, which say the same once more, nested."""
    name = expression.partition("(")[0]
    return {"expression": expression, "name": name, "parameters": [], "type": "Function"}


def mapped(target: str, source: Json | None, **changes: Any) -> Json:
    return {
        "defaultValue": None,
        "exportMissingReferences": False,
        "flowBehavior": "FlowWhenChanged",
        "flowType": "Always",
        "matchingPriority": 0,
        "source": source,
        "targetAttributeName": target,
        **changes,
    }


def clause(name: str, operator: str, *values: str) -> Json:
    operand = {"values": list(values)}
    return {"operatorName": operator, "sourceOperandName": name, "targetOperand": operand}


def scope(*groups: list[Json], **changes: Any) -> Json:
    return {
        "categoryFilterGroups": [],
        "groups": [{"clauses": one, "name": f"Filter {n}"} for n, one in enumerate(groups)],
        "inputFilterGroups": [],
        **changes,
    }


def users(*mappings: Json, **changes: Any) -> Json:
    """Give the object mapping of users."""
    return {
        "attributeMappings": list(mappings),
        "enabled": True,
        "flowTypes": "Add, Update, Delete",
        "metadata": [{"key": "IsCustomerDefined", "value": "false"}],
        "name": "Provision Microsoft Entra ID Users",
        "scope": None,
        "sourceObjectName": "User",
        "targetObjectName": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        **changes,
    }


GROUPS = {
    "attributeMappings": [mapped("displayName", attribute("displayName"), matchingPriority=1)],
    "enabled": True,
    "flowTypes": "Add, Update, Delete",
    "metadata": [],
    "name": "Provision Microsoft Entra ID Groups",
    "scope": None,
    "sourceObjectName": "Group",
    "targetObjectName": "urn:ietf:params:scim:schemas:core:2.0:Group",
}


def schema(*object_mappings: Json, **changes: Any) -> Json:
    return {
        "id": "customappsso.0000.1111",
        "version": "v1.0",
        "provisioningTaskIdentifier": None,
        "directories": [{"id": "66e4a8cc", "name": "Azure Active Directory", "objects": []}],
        "synchronizationRules": [
            {
                "editable": True,
                "id": "4c5ecfa1-a072-4460-b1c3-4adde3479854",
                "metadata": [],
                "name": "USER_OUTBOUND_USER",
                "objectMappings": list(object_mappings),
                "priority": 1,
                "sourceDirectoryName": "Azure Active Directory",
                "targetDirectoryName": "customappsso",
                **changes,
            }
        ],
    }


WHOLE = schema(
    GROUPS,
    users(
        mapped("userName", attribute("userPrincipalName"), matchingPriority=1),
        mapped(
            "active", function('Switch([IsSoftDeleted], , "False", "True", "True", "False")')
        ),
        mapped("displayName", attribute("displayName")),
        mapped("title", attribute("jobTitle"), defaultValue="Employee"),
        mapped(
            'emails[type eq "work"].value',
            function("Coalesce([mail], [originalUserPrincipalName])"),
            matchingPriority=2,
        ),
        mapped("name.givenName", attribute("givenName")),
        mapped("name.familyName", attribute("surname"), defaultValue=""),
        mapped("name.formatted", function('Join(" ", [givenName], [surname])')),
        mapped('phoneNumbers[type eq "work"].value', attribute("telephoneNumber")),
        mapped('phoneNumbers[type eq "mobile"].value', attribute("mobile")),
        mapped('addresses[type eq "work"].country', attribute("country")),
        mapped("externalId", attribute("objectId"), flowType="ObjectAddOnly"),
        mapped(f"{ENTERPRISE}:employeeNumber", attribute("employeeId"), flowBehavior="FlowAlways"),
        mapped(f"{ENTERPRISE}:manager", attribute("manager")),
        mapped('roles[primary eq "True"].value', function("SingleAppRoleAssignment([appRoleAssignments])")),
        mapped("timezone", None, defaultValue="Europe/Zurich"),
        mapped("source", constant("Entra")),
        scope=scope(
            [clause("department", "EQUALS", "Sales"), clause("accountEnabled", "IS TRUE")],
            [
                clause("userPrincipalName", "NOT REGEX MATCH", ".*@contoso\\.com"),
                clause("country", "NOT EQUALS", "Peru"),
                clause("employeeId", "GREATER_THAN_OR_EQUALS", "1000"),
            ],
            [clause("mail", "ENDS_WITH", "@contoso.com"), clause("jobTitle", "IS NOT NULL")],
            [clause("extensionAttribute7", "&", "6")],
        ),
    ),
)  # fmt: skip

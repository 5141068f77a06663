"""/$metadata: the emulator's own tables in, a description of users in OData CSDL out.

Shaped as Graph's: ids come from `entity`, `deletedDateTime` from `directoryObject`, relationships are
navigation properties, and properties that no list gives are described like all others
(learn.microsoft.com/graph/traverse-the-graph). Written from the tables of odata/properties.py, not copied.
"""

from functools import cache
from xml.sax.saxutils import quoteattr

from local.graph.http.messages import Answer, GraphRequest
from local.graph.odata.options import refuse_unknown
from local.graph.odata.properties import BOOLEANS, COLLECTIONS, SINGLE_USER_ONLY, USER_PROPERTIES
from local.graph.service import Service
from local.sample import COST_CENTER, SCHEMA_EXTENSION

_BOOLEANS = BOOLEANS | {"isManagementRestricted", "isResourceAccount", "showInAddressList"}
_COLLECTIONS = COLLECTIONS | {
    "interests", "pastProjects", "responsibilities", "schools", "skills",
}  # fmt: skip
_DATES = frozenset({"birthday", "hireDate", "employeeHireDate"})
_COMPLEX = {
    "employeeOrgData": "graph.employeeOrgData",
    "onPremisesExtensionAttributes": "graph.onPremisesExtensionAttributes",
    "mailboxSettings": "graph.mailboxSettings",
    "passwordProfile": "graph.passwordProfile",
    "signInActivity": "graph.signInActivity",
    "customSecurityAttributes": "graph.customSecurityAttributeValue",
    "assignedLicenses": "Collection(graph.assignedLicense)",
    "assignedPlans": "Collection(graph.assignedPlan)",
    "identities": "Collection(graph.objectIdentity)",
    "licenseAssignmentStates": "Collection(graph.licenseAssignmentState)",
    "onPremisesProvisioningErrors": "Collection(graph.onPremisesProvisioningError)",
    "provisionedPlans": "Collection(graph.provisionedPlan)",
    "serviceProvisioningErrors": "Collection(graph.serviceProvisioningError)",
}
_ELSEWHERE = frozenset({"id", "deletedDateTime", COST_CENTER, SCHEMA_EXTENSION})
# Described, and refused to this caller when a list asks for them.
_NEED_MORE = frozenset({"signInActivity", "customSecurityAttributes", "employeeLeaveDateTime"})
_COMPLEX_TYPES: dict[str, dict[str, str]] = {
    "employeeOrgData": {"costCenter": "Edm.String", "division": "Edm.String"},
    "onPremisesExtensionAttributes": {
        f"extensionAttribute{number}": "Edm.String" for number in range(1, 16)
    },
    "mailboxSettings": {"timeZone": "Edm.String", "userPurpose": "graph.userPurpose"},
    "passwordProfile": {"password": "Edm.String"},
    "signInActivity": {
        "lastNonInteractiveSignInDateTime": "Edm.DateTimeOffset",
        "lastSignInDateTime": "Edm.DateTimeOffset",
        "lastSuccessfulSignInDateTime": "Edm.DateTimeOffset",
    },
    "customSecurityAttributeValue": {},
    "assignedLicense": {"skuId": "Edm.Guid", "disabledPlans": "Collection(Edm.Guid)"},
    "assignedPlan": {
        "assignedDateTime": "Edm.DateTimeOffset",
        "capabilityStatus": "Edm.String",
        "service": "Edm.String",
        "servicePlanId": "Edm.Guid",
    },
    "objectIdentity": {
        "issuer": "Edm.String",
        "issuerAssignedId": "Edm.String",
        "signInType": "Edm.String",
    },
    "licenseAssignmentState": {
        "assignedByGroup": "Edm.String",
        "error": "Edm.String",
        "skuId": "Edm.Guid",
        "state": "Edm.String",
    },
    "onPremisesProvisioningError": {"value": "Edm.String"},
    "provisionedPlan": {
        "capabilityStatus": "Edm.String",
        "provisioningStatus": "Edm.String",
        "service": "Edm.String",
    },
    "serviceProvisioningError": {"isResolved": "Edm.Boolean"},
}
_RELATIONS = {
    "manager": "graph.directoryObject",
    "memberOf": "Collection(graph.directoryObject)",
    "transitiveMemberOf": "Collection(graph.directoryObject)",
    "directReports": "Collection(graph.directoryObject)",
    "calendar": "graph.calendar",
}


async def get_metadata(_: Service, request: GraphRequest) -> Answer:
    refuse_unknown(request.query, frozenset(("$format",)))
    return Answer(200, document(), content_type="application/xml")


@cache
def document() -> bytes:
    people = sorted((USER_PROPERTIES | SINGLE_USER_ONLY | _NEED_MORE) - _ELSEWHERE)
    user = "".join(_property(name, _type_of(name)) for name in people)
    relations = "".join(
        f"<NavigationProperty Name={quoteattr(name)} Type={quoteattr(kind)}/>"
        for name, kind in _RELATIONS.items()
    )
    complex_types = "".join(
        f'<ComplexType Name="{name}">'
        + "".join(_property(part, kind) for part, kind in parts.items())
        + "</ComplexType>"
        for name, parts in _COMPLEX_TYPES.items()
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
        '<Schema Namespace="microsoft.graph" Alias="graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        '<EnumType Name="userPurpose"><Member Name="user" Value="1"/></EnumType>'
        '<EntityType Name="entity" Abstract="true"><Key><PropertyRef Name="id"/></Key>'
        f"{_property('id', 'Edm.String')}</EntityType>"
        '<EntityType Name="directoryObject" BaseType="graph.entity" OpenType="true">'
        f"{_property('deletedDateTime', 'Edm.DateTimeOffset')}</EntityType>"
        '<EntityType Name="user" BaseType="graph.directoryObject" OpenType="true">'
        f"{user}{relations}</EntityType>"
        f"{complex_types}"
        '<EntityContainer Name="GraphService"><EntitySet Name="users" EntityType="microsoft.graph.user"/>'
        "</EntityContainer></Schema>"
        '<Schema Namespace="microsoft.graph.callRecords" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        f'<EntityType Name="session">{_property("caller", "Edm.String")}</EntityType></Schema>'
        "</edmx:DataServices></edmx:Edmx>"
    ).encode()


def _property(name: str, kind: str) -> str:
    return f"<Property Name={quoteattr(name)} Type={quoteattr(kind)}/>"


def _type_of(name: str) -> str:
    if name in _COMPLEX:
        return _COMPLEX[name]
    if name in _COLLECTIONS:
        return "Collection(Edm.String)"
    if name in _BOOLEANS:
        return "Edm.Boolean"
    is_date = name in _DATES or name.endswith("DateTime")
    return "Edm.DateTimeOffset" if is_date else "Edm.String"

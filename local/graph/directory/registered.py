"""What administrators have registered in a tenant: applications, service principals, who has which role."""

import uuid
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
# A few of Graph's application permissions, with the ids that they have in every tenant:
# learn.microsoft.com/graph/permissions-reference
GRAPH_ROLES = {
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "Member.Read.Hidden": "658aa5d8-239f-45c4-aa12-864f4fc7e490",
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
}


@dataclass(slots=True)
class Registered:
    """One tenant's; objects as Graph answers them, by object id."""

    applications: dict[str, Document] = field(default_factory=dict)
    principals: dict[str, Document] = field(default_factory=dict)
    federated: dict[str, list[Document]] = field(default_factory=dict)
    """By the object id of the application."""
    assignments: list[Document] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    """By the object id of an application or a service principal: the object id of who has made it."""
    users_may_register: bool = True
    """"Users can register applications" of the tenant's user settings."""
    lag_requests: int = 0
    """So many requests do not see yet what was just made."""
    _unseen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add_principal(
            {
                "appId": GRAPH_APP_ID,
                "displayName": "Microsoft Graph",
                "appRoles": [
                    {"id": role_id, "value": value, "allowedMemberTypes": ["Application"]}
                    for value, role_id in GRAPH_ROLES.items()
                ],
            }
        )

    def add_principal(self, document: Document) -> Document:
        made = {
            "id": str(uuid.uuid4()),
            "appRoleAssignmentRequired": False,
            "accountEnabled": True,
            "servicePrincipalType": "Application",
            "appRoles": [],
            **document,
        }
        self.principals[made["id"]] = made
        return made

    def made(self, object_id: str) -> None:
        """Note that an object is new: for some requests it cannot be found yet."""
        self._unseen[object_id] = self.lag_requests

    def is_seen(self, object_id: str) -> bool:
        """Whether a request sees an object; each question counts as one."""
        left = self._unseen.get(object_id, 0)
        self._unseen[object_id] = max(0, left - 1)
        return left == 0

    def application(self, name: str, value: str) -> Document | None:
        """Find an application by `id`, `appId` or `uniqueName`, where it is seen already."""
        found = next((one for one in self.applications.values() if one.get(name) == value), None)
        return found if found and self.is_seen(found["id"]) else None

    def principal(self, name: str, value: str) -> Document | None:
        """Find a service principal by `id` or `appId`, where it is seen already."""
        found = next((one for one in self.principals.values() if one.get(name) == value), None)
        return found if found and self.is_seen(found["id"]) else None

"""Groups to choose from: a search in and what Graph is asked out, Graph's groups in and choices out. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from sync_core.domain.documents.base import Document

GROUP_FIELDS = (
    "id",
    "displayName",
    "description",
    "groupTypes",
    "mailEnabled",
    "securityEnabled",
    "visibility",
)


class GroupKind(StrEnum):
    """What an administrator calls a group."""

    SECURITY = "security"
    MICROSOFT_365 = "microsoft365"
    MAIL_ENABLED_SECURITY = "mailEnabledSecurity"
    DISTRIBUTION = "distribution"


class GroupChoice(Document):
    """A group as a picker shows it; `members` are the people directly in it, where that was asked."""

    id: str
    display_name: str
    description: str | None
    type: GroupKind
    dynamic: bool = Field(description="Entra decides by a rule who is in it.")
    hidden_membership: bool = Field(
        description="Reading its members needs Member.Read.Hidden as well."
    )
    members: int | None = None


def to_choice(group: Mapping[str, Any], members: int | None = None) -> GroupChoice:
    """Read one group as Graph gives it; learn.microsoft.com/graph/api/resources/groups-overview."""
    types = group.get("groupTypes") or []
    return GroupChoice(
        id=str(group["id"]).lower(),
        display_name=str(group.get("displayName") or ""),
        description=group.get("description") or None,
        type=_kind(types, group),
        dynamic="DynamicMembership" in types,
        hidden_membership=group.get("visibility") == "HiddenMembership",
        members=members,
    )


def _kind(types: list[str], group: Mapping[str, Any]) -> GroupKind:
    if "Unified" in types:
        return GroupKind.MICROSOFT_365
    if not group.get("mailEnabled"):
        return GroupKind.SECURITY
    secures = group.get("securityEnabled")
    return GroupKind.MAIL_ENABLED_SECURITY if secures else GroupKind.DISTRIBUTION


def search_for(text: str) -> str:
    """Return the $search that finds the words of a text in name or description, in any order.

    The clause stands in double quotes; a quote or a backslash in it is escaped with a backslash.
    learn.microsoft.com/graph/search-query-parameter#using-search-on-directory-object-collections
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"displayName:{escaped}" OR "description:{escaped}"'


def filter_for(text: str) -> str:
    """Return the $filter that finds names which begin with a text; a quote in it is doubled (OData)."""
    escaped = text.replace("'", "''")
    return f"startsWith(displayName,'{escaped}')"


def is_searchable(text: str) -> bool:
    """Whether $search may be used: Graph has a known issue with values that hold an ampersand.

    learn.microsoft.com/graph/search-query-parameter, note on directory objects.
    """
    return "&" not in text

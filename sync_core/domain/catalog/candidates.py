"""People of the directory to pick from: a search in and what Graph is asked out; Graph's people in. Pure."""

import unicodedata
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any

from pydantic import Field

from sync_core.domain.attributes import is_agent
from sync_core.domain.documents.base import Document
from sync_core.domain.model import Origin, Status

CANDIDATE_FIELDS = (
    "id",
    "displayName",
    "userPrincipalName",
    "mail",
    "department",
    "jobTitle",
    "userType",
    "accountEnabled",
)
SEARCHED = ("displayName", "mail", "userPrincipalName")
# Where only beginnings are compared, a last name has to be looked for by itself.
COMPARED = ("displayName", "givenName", "surname", "mail", "userPrincipalName")


class ImportedBy(StrEnum):
    """By what somebody is in already: the rules, a pick by hand, or a row of the application's own."""

    SCOPE = "scope"
    MANUAL = "manual"
    MATCH = "match"


class Standing(Document):
    """What the table says of somebody who is to be picked."""

    status: Status
    origin: Origin
    linked: bool = False
    until: date | None = None

    @property
    def imported(self) -> ImportedBy | None:
        """By what somebody is in; None for who is disabled, and would come back."""
        if self.status is not Status.ACTIVE:
            return None
        if self.origin is Origin.MANUAL:
            return ImportedBy.MANUAL
        return ImportedBy.MATCH if self.linked else ImportedBy.SCOPE


class CandidatePerson(Document):
    """Somebody of the directory, as an administrator picks them; null where the directory holds nothing."""

    object_id: str
    display_name: str | None
    user_principal_name: str | None
    mail: str | None
    department: str | None
    job_title: str | None
    user_type: str | None
    blocked: bool = Field(description="The account is blocked in Entra: it is not imported.")
    agent: bool = Field(description="The account of an agent: it is not imported.")
    imported: ImportedBy | None = Field(
        description="By what the person is in already: the rules (`scope`), by hand (`manual`), or the rules "
        "with a row of the application's own (`match`); null for who is not in."
    )
    status: Status | None = Field(
        description="`disabled` for somebody who was in, and comes back with an import."
    )
    until: date | None = Field(description="By hand until this day.")


def to_person(user: Mapping[str, Any], stored: Standing | None) -> CandidatePerson:
    """Put together what the directory and the table say of one person."""
    return CandidatePerson(
        object_id=str(user["id"]).lower(),
        display_name=user.get("displayName") or None,
        user_principal_name=user.get("userPrincipalName") or None,
        mail=user.get("mail") or None,
        department=user.get("department") or None,
        job_title=user.get("jobTitle") or None,
        user_type=user.get("userType") or None,
        blocked=user.get("accountEnabled") is False,
        agent=is_agent(user),
        imported=stored.imported if stored else None,
        status=stored.status if stored else None,
        until=stored.until if stored else None,
    )


def as_typed(text: str) -> str:
    """Return a search as Graph gets it: blanks at the ends do not count, and letters are composed.

    Some keyboards send an accent as a letter of its own, and Entra holds most names composed.
    """
    return unicodedata.normalize("NFC", text.strip())


def search_for(text: str) -> str:
    """Return the $search that finds names of which each word begins with one of the text, or addresses.

    learn.microsoft.com/graph/search-query-parameter#using-search-on-directory-object-collections: display
    names are cut into words, of other properties the beginning counts; a quote or a backslash is escaped.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return " OR ".join(f'"{name}:{escaped}"' for name in SEARCHED)


def filter_for(text: str) -> str:
    """Return the $filter that finds the beginning of names and addresses, where there is no $search."""
    escaped = text.replace("'", "''")
    return " or ".join(f"startswith({name},'{escaped}')" for name in COMPARED)


def is_searchable(text: str) -> bool:
    """Whether $search may be used: Graph has a known issue with values that hold an ampersand.

    learn.microsoft.com/graph/search-query-parameter, note on directory objects.
    """
    return "&" not in text


def narrowed(department: str | None, user_type: str | None, search: str | None) -> str | None:
    """Return the $filter for what people are narrowed down to; `search` is one that is done by filter."""
    conditions = [f"({search})"] if search and (department or user_type) else [search]
    for name, value in (("department", department), ("userType", user_type)):
        if value:
            escaped = value.replace("'", "''")
            conditions.append(f"{name} eq '{escaped}'")
    return " and ".join(filter(None, conditions)) or None

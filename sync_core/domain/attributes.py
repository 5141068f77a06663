"""Names of Graph's user properties and how they are read, the manager's too. Pure.

Names may be written as in expressions: Entra's own (`mobile` for `mobilePhone`), and with a dot or a
slash for a value inside another (`employeeOrgData.division`).
"""

from collections.abc import Callable
from typing import Any

from sync_core.domain.expressions.attributes import Step, path_of, property_of
from sync_core.domain.expressions.attributes import reader as reader_of
from sync_core.domain.model import Attributes

MANAGER = "manager"
TYPE = "@odata.type"
AGENT = "#microsoft.graph.agentUser"
# What Graph tells of an expanded manager without $select: the default properties of a user. $select inside
# $expand is not to be relied on: developer.microsoft.com/graph/known-issues (13635) says "no support",
# learn.microsoft.com/graph/api/user-list-manager shows it with $levels, for one user at a time.
MANAGER_PROPERTIES = frozenset(
    {
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    }
)
# Needed of every person, whatever the scope: identity, the state of the account, guest or member.
ALWAYS_SELECTED = frozenset({"id", "userPrincipalName", "accountEnabled", "userType"})
# Kept outside the directory and given for one user at a time; a list that selects one is refused with
# 501 (learn.microsoft.com/graph/api/user-list). In lower case: another spelling reads none of them, either.
ONE_AT_A_TIME = frozenset(
    {
        "aboutme",
        "birthday",
        "hiredate",
        "interests",
        "mailboxsettings",
        "mysite",
        "pastprojects",
        "preferredname",
        "responsibilities",
        "schools",
        "skills",
    }
)


def is_agent(person: Attributes) -> bool:
    """Whether an account is an agent's: Graph tells its type, as it is derived from the user's.

    OData JSON format 4.5.3: the type of an object must be told where it is derived from the one that the
    list declares. The parent is told only where the connection asks for it, and no human has one:
    learn.microsoft.com/graph/api/resources/agentuser.
    """
    return person.get(TYPE) == AGENT or person.get("identityParentId") is not None


def dotted(attribute: str) -> str:
    """Return an attribute's name with dots only; what a list is chosen by stays as it is."""
    return attribute if "[" in attribute else attribute.replace("/", ".")


def selected(attribute: str) -> str:
    """Return the Graph property to select for an attribute."""
    return property_of(dotted(attribute))


def property_path(attribute: str) -> tuple[Step, ...]:
    """Return the way from a person to the value: property, property in it, or place in a list."""
    return path_of(dotted(attribute))


def reader(attribute: str) -> Callable[[Attributes], Any]:
    """Return a function that reads an attribute, also one inside another."""
    name = dotted(attribute)
    if path_of(name) == (name,):
        return lambda person: person.get(name)
    read = reader_of(name)
    return lambda person: read(person, None)


def attribute_problem(attribute: str) -> str | None:
    """Say why an attribute cannot be read of all people, if so."""
    name = selected(attribute)
    if name.lower() not in ONE_AT_A_TIME:
        return None
    return (
        f"{name} cannot be used: Microsoft Graph gives it for one person at a time and refuses it in lists "
        "of people; choose an attribute that is kept in the directory"
    )


def manager_of(person: Attributes) -> str | None:
    """Return the object id of a person's manager; None for a person without one."""
    manager = person.get(MANAGER)
    return str(manager["id"]) if manager else None


def with_reference(person: Attributes, reference: str | None) -> Attributes:
    """Return a person as a mapping reads it: `manager` is the reference, `manager.mail` the directory's."""
    told = person.get(MANAGER) or {}
    return {**person, **{f"{MANAGER}.{name}": value for name, value in told.items()}} | {
        MANAGER: reference
    }


def manager_name_problem(name: str) -> str | None:
    """Say what is wrong with an attribute name that reads something of the manager which Graph keeps."""
    relation, _, wanted = name.partition(".")
    if relation != MANAGER or not wanted or wanted in MANAGER_PROPERTIES:
        return None
    known = ", ".join(sorted(MANAGER_PROPERTIES))
    return f"of a manager, Graph tells only {known}; {wanted!r} is not among them"

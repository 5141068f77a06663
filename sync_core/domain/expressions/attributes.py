"""Attribute names in brackets to the Graph properties they are read from.

Entra's provisioning calls some properties otherwise than Graph does; expressions copied from there
have to keep working. A dot steps into an object: `[employeeOrgData.division]`. Of a list of objects, those
are chosen whose field has a value: `[identities[signInType eq 'emailAddress'].issuerAssignedId]`.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

# Directory extensions are `extension_{appId}_{name}`, schema extensions `{id}_{name}.{property}`.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
# A list of objects, the field that chooses, its value (a quote in it is doubled, as in OData), and what is
# read of those chosen.
CHOICE = re.compile(
    r"([A-Za-z][A-Za-z0-9_]*)\[([A-Za-z][A-Za-z0-9_]*) +eq +'((?:[^'\"\[\]]|'')*)'\]"
    r"(?:\.([A-Za-z][A-Za-z0-9_]*))?"
)
LONGEST_NAME = 256


class Choice(NamedTuple):
    """A step into a list of objects: those whose field has this value, in any case, as Graph compares."""

    field: str
    value: str


Step = str | int | Choice

# Entra's source attribute on the left, Graph's property on the right; a number picks from a list.
# learn.microsoft.com/entra/identity/app-provisioning/customize-application-attributes and
# learn.microsoft.com/graph/api/resources/user; the names are those of Azure AD Graph:
# learn.microsoft.com/graph/migrate-azure-ad-graph-property-differences
ALIASES: Mapping[str, tuple[str | int, ...]] = {
    "objectId": ("id",),
    "mobile": ("mobilePhone",),
    "telephoneNumber": ("businessPhones", 0),
    "facsimileTelephoneNumber": ("faxNumber",),
    "physicalDeliveryOfficeName": ("officeLocation",),
    "dirSyncEnabled": ("onPremisesSyncEnabled",),
    "immutableId": ("onPremisesImmutableId",),
    "originalUserPrincipalName": ("userPrincipalName",),
    "lastDirSyncTime": ("onPremisesLastSyncDateTime",),
    "refreshTokensValidFromDateTime": ("signInSessionsValidFromDateTime",),
    "sipProxyAddress": ("imAddresses", 0),
    "userState": ("externalUserState",),
    "userStateChangedOn": ("externalUserStateChangeDateTime",),
} | {
    f"extensionAttribute{number}": ("onPremisesExtensionAttributes", f"extensionAttribute{number}")
    for number in range(1, 16)
}

Attributes = Mapping[str, object]


def path_of(name: str) -> tuple[Step, ...]:
    """Return the way from the person to the value."""
    chosen = CHOICE.fullmatch(name)
    if chosen is None:
        return ALIASES.get(name) or tuple(name.split("."))
    head, field, value, part = chosen.groups()
    choice = Choice(field, value.replace("''", "'").casefold())
    return (head, choice, part) if part else (head, choice)


def is_name(name: str) -> bool:
    """Whether a text is the name of an attribute."""
    fits = NAME.fullmatch(name) or CHOICE.fullmatch(name)
    return fits is not None and len(name) <= LONGEST_NAME


def property_of(name: str) -> str:
    """Return the Graph property that has to be selected for an attribute."""
    return str(path_of(name)[0])


def reader(name: str) -> Callable[[Attributes, object], object]:
    """Return a function that reads the attribute; a value under the very name wins.

    The function takes a second argument and ignores it, so that it can stand for any other part.
    """
    path = path_of(name)
    if path == (name,):
        return lambda attributes, _context: attributes.get(name)

    def read(attributes: Attributes, _context: object) -> object:
        value = attributes.get(name)
        return _follow(attributes, path) if value is None else value

    return read


def _follow(attributes: Attributes, path: tuple[Step, ...]) -> object:
    value: object = attributes
    for step in path:
        if isinstance(step, Choice):
            return _chosen(value, step, path[-1])
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, Mapping) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value


def _chosen(value: object, choice: Choice, part: Step) -> object:
    """Return what is read of the objects that are chosen: nothing, the one, or a list of several."""
    items = value if isinstance(value, list) else []
    objects = [one for one in items if isinstance(one, Mapping) and _has(one, choice)]
    found = [one.get(part) for one in objects] if isinstance(part, str) else objects
    found = [one for one in found if one is not None]
    return found[0] if len(found) == 1 else found or None


def _has(item: Mapping[str, object], choice: Choice) -> bool:
    return str(item.get(choice.field)).casefold() == choice.value

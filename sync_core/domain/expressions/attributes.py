"""Attribute names in brackets to the Graph properties they are read from.

Entra's provisioning calls some properties otherwise than Graph does; expressions copied from there
have to keep working. A dot steps into an object: `[employeeOrgData.division]`.
"""

import re
from collections.abc import Callable, Mapping

# Directory extensions are `extension_{appId}_{name}`, schema extensions `{id}_{name}.{property}`.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
LONGEST_NAME = 256

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


def path_of(name: str) -> tuple[str | int, ...]:
    """Give the way from the person to the value."""
    return ALIASES.get(name) or tuple(name.split("."))


def property_of(name: str) -> str:
    """Give the Graph property that has to be selected for an attribute."""
    return str(path_of(name)[0])


def reader(name: str) -> Callable[[Attributes, object], object]:
    """Give a function that reads the attribute; a value under the very name wins.

    The function takes a second argument and ignores it, so that it can stand for any other part.
    """
    path = path_of(name)
    if path == (name,):
        return lambda attributes, _context: attributes.get(name)

    def read(attributes: Attributes, _context: object) -> object:
        value = attributes.get(name)
        return _follow(attributes, path) if value is None else value

    return read


def _follow(attributes: Attributes, path: tuple[str | int, ...]) -> object:
    value: object = attributes
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, Mapping) else None
        else:
            value = value[step] if isinstance(value, list) and len(value) > step else None
    return value

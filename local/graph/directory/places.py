"""Where a tenant lives, as its metadata tells everybody: regions, sub-scopes, and the hosts of a cloud."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """What /{tenant}/v2.0/.well-known/openid-configuration says beside the addresses.

    The sub-scopes are read by public programs, one of which tests them with real public tenants: GCC,
    DODCON and DOD. A field that is None is absent.
    """

    region_scope: str | None
    region_sub_scope: str | None
    cloud_instance_name: str
    msgraph_host: str
    login_host: str


GLOBAL = Place(
    "EU", None, "microsoftonline.com", "graph.microsoft.com", "login.microsoftonline.com"
)
# Lives in the global cloud.
GCC = Place("NA", "GCC", "microsoftonline.com", "graph.microsoft.com", "login.microsoftonline.com")
GCC_HIGH = Place(
    "USGov", "DODCON", "microsoftonline.us", "graph.microsoft.us", "login.microsoftonline.us"
)
# Sources differ about its Graph host; the sub-scope decides.
DOD = Place(
    "USGov", "DOD", "microsoftonline.us", "dod-graph.microsoft.us", "login.microsoftonline.us"
)
DOD_BY_ANOTHER_SOURCE = Place(
    "USGov", "DOD", "microsoftonline.us", "graph.microsoft.us", "login.microsoftonline.us"
)
CHINA = Place(
    None,
    None,
    "partner.microsoftonline.cn",
    "microsoftgraph.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
)
# A tenant whose metadata says nothing: what is absent decides nothing.
UNTOLD = Place(None, None, "", "", "login.microsoftonline.com")

PLACES = {
    "global": GLOBAL,
    "gcc": GCC,
    "gccHigh": GCC_HIGH,
    "dod": DOD,
    "dodOther": DOD_BY_ANOTHER_SOURCE,
    "china": CHINA,
    "untold": UNTOLD,
}

"""The national clouds: where their people sign in and where their Graph is.

Source: learn.microsoft.com/graph/deployments and
learn.microsoft.com/entra/identity-platform/authentication-national-cloud; of the exchange
learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity.
"""

from dataclasses import dataclass
from enum import StrEnum


class CloudName(StrEnum):
    """The `cloud` of a connection."""

    PUBLIC = "public"
    US_GOV = "usGov"
    US_GOV_DOD = "usGovDoD"
    CHINA = "china"


@dataclass(frozen=True, slots=True)
class Cloud:
    """Hosts of one cloud; `graph_url` is also the resource that tokens are asked for.

    `exchange` is the audience of a managed identity's token that stands for an app registration.
    """

    login_url: str
    graph_url: str
    exchange: str = "api://AzureADTokenExchange"

    @property
    def graph_scope(self) -> str:
        return f"{self.graph_url}/.default"


CLOUDS = {
    CloudName.PUBLIC: Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    CloudName.US_GOV: Cloud(
        "https://login.microsoftonline.us",
        "https://graph.microsoft.us",
        "api://AzureADTokenExchangeUSGov",
    ),
    CloudName.US_GOV_DOD: Cloud(
        "https://login.microsoftonline.us",
        "https://dod-graph.microsoft.us",
        "api://AzureADTokenExchangeUSGov",
    ),
    CloudName.CHINA: Cloud(
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn",
        "api://AzureADTokenExchangeChina",
    ),
}

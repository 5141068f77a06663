"""The hosts of the cloud that is deployed to: of the environment where it names them, else of `az`."""

import os
from dataclasses import dataclass

from deploy import commands

PUBLIC_GRAPH = "https://graph.microsoft.com"
PUBLIC_LOGIN = "https://login.microsoftonline.com"
# What an identity's token has as its audience where it stands for an application:
# learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
AUDIENCES = {
    "https://login.microsoftonline.us": "api://AzureADTokenExchangeUSGov",
    "https://login.partner.microsoftonline.cn": "api://AzureADTokenExchangeChina",
}
PUBLIC_AUDIENCE = "api://AzureADTokenExchange"
# The Azure CLI's name for the login host of China; tokens name the other one as their issuer.
OLD_NAMES = {"https://login.chinacloudapi.cn": "https://login.partner.microsoftonline.cn"}


@dataclass(frozen=True, slots=True)
class Cloud:
    """Addresses without a slash at the end."""

    graph_url: str
    login_url: str

    @property
    def audience(self) -> str:
        return AUDIENCES.get(self.login_url, PUBLIC_AUDIENCE)


def current() -> Cloud:
    """Return the cloud of the deployment."""
    graph, login = os.environ.get("GRAPH_ENDPOINT"), os.environ.get("AZURE_AUTHORITY_HOST")
    if not (graph and login) and commands.has("az"):
        told = commands.ask_json("az", "cloud", "show", "--query", "endpoints") or {}
        graph = graph or told.get("microsoftGraphResourceId")
        login = login or told.get("activeDirectory")
    login = (login or PUBLIC_LOGIN).rstrip("/")
    return Cloud((graph or PUBLIC_GRAPH).rstrip("/"), OLD_NAMES.get(login, login))

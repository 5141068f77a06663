"""Every cloud has its own hosts, and tokens are asked for that cloud's Graph."""

import pytest

from sync_core.domain.clouds import CLOUDS, CloudName


@pytest.mark.parametrize(
    ("name", "login", "graph"),
    [
        pytest.param("public", "login.microsoftonline.com", "graph.microsoft.com", id="public"),
        pytest.param("usGov", "login.microsoftonline.us", "graph.microsoft.us", id="L4"),
        pytest.param("usGovDoD", "login.microsoftonline.us", "dod-graph.microsoft.us", id="L5"),
        pytest.param(
            "china",
            "login.partner.microsoftonline.cn",
            "microsoftgraph.chinacloudapi.cn",
            id="China",
        ),
    ],
)
def test_hosts_of_a_cloud(name: str, login: str, graph: str) -> None:
    """From learn.microsoft.com/graph/deployments."""
    cloud = CLOUDS[CloudName(name)]

    assert cloud.login_url == f"https://{login}"
    assert cloud.graph_url == f"https://{graph}"
    assert cloud.graph_scope == f"https://{graph}/.default"


def test_every_name_has_its_cloud() -> None:
    assert set(CLOUDS) == set(CloudName)


@pytest.mark.parametrize(
    ("name", "audience"),
    [
        ("public", "api://AzureADTokenExchange"),
        ("usGov", "api://AzureADTokenExchangeUSGov"),
        ("usGovDoD", "api://AzureADTokenExchangeUSGov"),
        ("china", "api://AzureADTokenExchangeChina"),
    ],
)
def test_audience_of_the_token_exchange(name: str, audience: str) -> None:
    """A wrong one is accepted at set-up and fails only at the exchange."""
    assert CLOUDS[CloudName(name)].exchange == audience

"""Graph's description of itself, open to everybody."""

import httpx
import pytest

from local.graph import GraphEmulator
from tests.rig.graph.conftest import Application


def test_the_schema_is_open_to_everybody(emulator: GraphEmulator, tls_client: httpx.Client) -> None:
    answer = tls_client.get(f"{emulator.graph_url}/v1.0/$metadata")
    other = tls_client.get(f"{emulator.graph_url}/v1.0/users")

    assert (answer.status_code, other.status_code) == (200, 401)
    assert answer.headers["content-type"].startswith("application/xml")
    assert b'<EntityType Name="user" BaseType="graph.directoryObject"' in answer.content
    assert emulator.requests[0].path == "/v1.0/$metadata"


def test_the_schema_describes_what_a_list_refuses_as_well(application: Application) -> None:
    schema = application.ask("/$metadata").text

    assert '<Property Name="skills" Type="Collection(Edm.String)"/>' in schema
    assert '<NavigationProperty Name="manager"' in schema
    assert application.ask("/users?$select=skills").status_code == 501


@pytest.fixture
def tls_client(application: Application) -> httpx.Client:
    """A client that has not signed in."""
    application.emulator.control.reset_requests()
    return application.http

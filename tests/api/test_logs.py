"""What reaches the log when everything is let through: events of ours, and nobody's name."""

import logging

import httpx
import pytest

from local.graph import GraphEmulator
from sync_core.services import Services
from tests.api.conftest import Create
from tests.system import run_now

WORD = "Zyzzyva"


async def test_no_client_writes_names_or_what_was_searched_for(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The host's root logger is at INFO, where clients write the address of every request."""
    caplog.set_level(logging.INFO)
    person = emulator.control.create_person({"displayName": f"Ann {WORD}"})
    name = person["userPrincipalName"]
    await create()
    await run_now(services, connection_id)
    url = f"/api/connections/{connection_id}"
    for method, path, query in (
        ("GET", f"why/{name}", {}),
        ("GET", "groups", {"search": WORD}),
        ("GET", "users", {"search": WORD}),
        ("POST", f"users/{person['id']}/sync", {}),
        ("POST", "preview", {}),
    ):
        answer = await admin.request(method, f"{url}/{path}", params=query)
        assert answer.status_code == 200, answer.text

    assert "run.finished" in caplog.text
    assert {record.name.partition(".")[0] for record in caplog.records} == {"entra_user_sync"}
    assert [one for one in (name, name.partition("@")[0], WORD) if one in caplog.text] == []

"""What a connection answers about real time: what came by notification, how fast, whether it is silent."""

from datetime import timedelta

import httpx

from sync_core.domain.incidents import SILENT, Finding
from sync_core.health import journal
from sync_core.services import Services, utc_now
from tests.api.conftest import Create
from tests.system import run_now

NOTHING = {"p50Seconds": None, "p95Seconds": None, "sample": 0}


async def test_who_is_to_be_told_of_changes_sees_counts_the_clock_and_silence(
    create: Create, admin: httpx.AsyncClient, services: Services, connection_id: str
) -> None:
    await create(realtime=True)
    await run_now(services, connection_id)
    since = utc_now() - timedelta(hours=3)
    finding = Finding(SILENT, "Nothing came.", "Look at the address.")
    await journal.fell_silent(services, connection_id, finding, since)

    one = (await admin.get(f"/api/connections/{connection_id}")).json()
    listed = (await admin.get("/api/connections")).json()["items"]

    status = one["realtimeStatus"]
    assert listed == [one]
    assert status["changes"] | {"since": None} == {
        "since": None,
        "byNotification": 0,
        "byPolling": 0,
    }
    assert status["changes"]["since"] is not None
    assert status["latency"] == NOTHING | {
        "byCause": {"notification": NOTHING, "polling": NOTHING},
        "byKind": {"joined": NOTHING, "left": NOTHING, "changed": NOTHING},
    }
    assert status["silentSince"] == since.isoformat().replace("+00:00", "Z")
    assert [said for said in one["warnings"] if said["code"] == SILENT] == [
        {"code": SILENT, "message": "Nothing came. Look at the address."}
    ]

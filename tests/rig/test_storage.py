"""Storage that ends or stands still under a running rig: told, started again, and nothing is lost."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from azure.data.tables import TableServiceClient

from local import loopback
from local.processes import ChildError
from local.storage import MOST_RESTARTS, Storage
from tests.rig.up import Running, running


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("rig")) as started:
        yield started


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def pid_of_storage(rig: Running) -> int:
    pids: dict[str, int] = json.loads((rig.data / "ready.json").read_text())["pids"]
    return pids["azurite"]


def get(rig: Running, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {rig.ready['adminToken']}"}
    return httpx.get(f"{rig.ready['url']}{path}", headers=headers, timeout=60)


def names_in_table(rig: Running) -> list[str]:
    items = get(rig, "/api/connections/contoso/users?top=999").json()["items"]
    return sorted(item["userPrincipalName"] for item in items)


def finished_runs(rig: Running) -> int:
    runs = get(rig, "/api/connections/contoso/runs").json()["items"]
    return sum(run["status"] == "succeeded" for run in runs)


def sync(rig: Running) -> httpx.Response:
    key = {"x-functions-key": rig.ready["functionKey"]}
    return httpx.post(f"{rig.ready['url']}/api/sync", headers=key, timeout=60)


def test_storage_that_is_killed_is_there_again_with_all_it_had(rig: Running) -> None:
    names, runs, killed = names_in_table(rig), finished_runs(rig), pid_of_storage(rig)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: pid_of_storage(rig) != killed)
    wait_until(lambda: "azurite was ended by SIGKILL. It was started again" in rig.up.tail())

    assert sync(rig).json() == {"requested": ["contoso"]}
    wait_until(lambda: finished_runs(rig) == runs + 1)
    assert names_in_table(rig) == names
    assert rig.up.returncode is None


def test_storage_that_stands_still_is_told_and_waited_for(rig: Running) -> None:
    runs, frozen = finished_runs(rig), pid_of_storage(rig)
    os.kill(frozen, signal.SIGSTOP)
    try:
        wait_until(lambda: f"kill -CONT {frozen}" in rig.up.tail())
        time.sleep(5)  # longer than several looks at the queue
    finally:
        os.kill(frozen, signal.SIGCONT)
    wait_until(lambda: "azurite goes on." in rig.up.tail())

    assert sync(rig).json() == {"requested": ["contoso"]}
    wait_until(lambda: finished_runs(rig) == runs + 1)
    assert pid_of_storage(rig) == frozen


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Storage]:
    """Storage without a rig, whose checks are made by hand."""
    started = Storage(tmp_path, lambda _: None)
    yield started
    started.child.stop()


def kill(killed: Storage) -> None:
    os.kill(killed.child.pid, signal.SIGKILL)
    wait_until(lambda: killed.child.returncode is not None)


def test_what_was_written_a_moment_before_a_kill_is_kept(alone: Storage) -> None:
    """Azurite by itself would write it up to five seconds later."""
    with TableServiceClient.from_connection_string(alone.connection_string) as tables:
        tables.create_table("People").upsert_entity({"PartitionKey": "p", "RowKey": "r"})
        time.sleep(1)
        kill(alone)
        told = alone.check()

        found = [row["RowKey"] for row in tables.get_table_client("People").list_entities()]
    assert told is not None
    assert "with the same data" in told
    assert found == ["r"]


def test_a_port_that_another_program_took_is_named_once_and_waited_for(alone: Storage) -> None:
    port = int(alone.connection_string.split("TableEndpoint=http://127.0.0.1:")[1].split("/")[0])
    kill(alone)
    with loopback.listen(port):
        told = [alone.check(), alone.check()]

    assert told[0] is not None
    assert f"Port {port} has been taken" in told[0]
    assert told[1] is None
    assert "started again" in (alone.check() or "")


def test_storage_that_ends_again_and_again_is_given_up(alone: Storage) -> None:
    for _ in range(MOST_RESTARTS):
        kill(alone)
        assert alone.check() is not None
    kill(alone)

    with pytest.raises(ChildError, match="again and again"):
        alone.check()

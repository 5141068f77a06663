"""``python -m local up``, as somebody at a terminal and as a script that waits for it."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from local import __main__ as program
from local.graph import GraphEmulator
from local.graph.http.recorder import Recorded
from local.identity import IDENTITY_OBJECT_ID
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, SAMPLE_TENANT_ID
from local.tls import issue
from tests.graph_requests import is_meant, problems, shape_of
from tests.rig.conftest import REPOSITORY
from tests.rig.up import Running, running, start

KEYS = {
    *("url", "storage", "vaultUrl", "graphUrl", "authorityUrl", "caFile"),
    *("adminToken", "readerToken", "functionKey", "masterKey", "pids", "appSettings"),
}


def api(ready: dict[str, Any], path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {ready['adminToken']}"}
    return httpx.get(f"{ready['url']}{path}", headers=headers, timeout=60)


def names_in_table(ready: dict[str, Any]) -> list[str]:
    items = api(ready, "/api/connections/contoso/users?top=999").json()["items"]
    return sorted(item["userPrincipalName"] for item in items)


def undescribed_requests(ready: dict[str, Any]) -> list[str]:
    """Return what is wrong with the requests to the rig's Graph, which is a process of its own."""
    context = ssl.create_default_context(cafile=ready["caFile"])
    answer = httpx.get(f"{ready['graphUrl']}/_control/requests", verify=context)
    heard = [Recorded(**one) for one in answer.json()]
    assert any(one.by_sdk for one in heard)
    return [told for one in heard if is_meant(one) for told in problems(shape_of(one))]


def wait_for_end(pids: list[int], timeout_s: float = 60) -> list[int]:
    """Those that still run after a while; a zombie that nobody has fetched has ended too."""
    deadline = time.monotonic() + timeout_s
    alive = pids
    while alive and time.monotonic() < deadline:
        time.sleep(0.1)
        alive = [pid for pid in alive if psutil.pid_exists(pid) and not is_zombie(pid)]
    return alive


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("empty")
    with running(data, "--empty", "--workers", "2") as rig:
        yield rig


def test_it_syncs_and_stops_without_a_trace_and_goes_on_after_a_restart(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(tmp_path) as rig:
        before = names_in_table(rig.ready)
        # The small commands find the rig by its data folder.
        where = ["--data", str(tmp_path)]
        assert program.main(["set", before[0], "jobTitle=Head of Something", *where]) == 0
        assert program.main(["preview", *where]) == 0
        assert program.main(["why", before[0], *where]) == 0
        assert undescribed_requests(rig.ready) == []
        assert program.main(["sync", *where]) == 0
        assert program.main(["users", before[0], *where]) == 0
        assert program.main(["users", "--json", *where]) == 0
        assert program.main(["settings", *where]) == 0
        rig.up.terminate()
        left = wait_for_end([rig.up.pid, *rig.ready["pids"].values()])
    said = capfd.readouterr().out
    log = (tmp_path / "rig.log").read_text()
    files_left = [name for name in ("for-scripts.json", "ready.json") if (tmp_path / name).exists()]

    assert (rig.up.returncode, left, files_left) == (0, [], [])
    assert set(rig.ready) == KEYS
    assert len(before) > 10
    assert "1 updated" in said
    assert "update" in said.partition("is in: the filter matches")[0], (
        "previewed before it was asked"
    )
    assert '-> "Head of Something"' in said
    assert "next run: The person is updated: jobTitle." in said
    assert f'{before[0]}: jobTitle is "Head of Something"' in said
    assert '"jobTitle": "Head of Something"' in said
    assert f"export KEY_VAULT_URL={rig.ready['vaultUrl']}" in said
    assert rig.ready["adminToken"] not in log
    assert SAMPLE_CLIENT_SECRET not in log + rig.up.tail()

    with running(tmp_path) as again:
        assert names_in_table(again.ready) == before
        for kept in ("adminToken", "masterKey", "vaultUrl", "graphUrl", "authorityUrl"):
            assert again.ready[kept] == rig.ready[kept]


def test_empty_configures_nothing(empty: Running) -> None:
    assert api(empty.ready, "/api/connections").json()["items"] == []


def test_the_identity_is_a_federated_credential_of_the_sample_app(empty: Running) -> None:
    """A connection without any secret can be tried out."""
    context = ssl.create_default_context(cafile=empty.ready["caFile"])
    answer = httpx.get(f"{empty.ready['graphUrl']}/_control/apps", verify=context)

    app = next(app for app in answer.json() if app["appId"] == SAMPLE_CLIENT_ID)
    assert [one["subject"] for one in app["federatedCredentials"]] == [IDENTITY_OBJECT_ID]


def test_what_is_taken_is_said_and_left_alone(empty: Running, tmp_path: Path) -> None:
    port = int(empty.ready["url"].rsplit(":", 1)[1])
    with start(tmp_path, port=port) as same_port, start(empty.data) as same_data:
        wait_for_end([same_port.pid, same_data.pid])

        assert (same_port.returncode, same_data.returncode) == (1, 1)
        assert f"Port {port} is in use" in same_port.tail()
        assert "Another rig is running" in same_data.tail()
    assert (empty.data / "for-scripts.json").exists()
    assert (empty.data / "ready.json").exists()


def test_a_killed_worker_is_replaced_while_another_goes_on(empty: Running) -> None:
    killed = empty.ready["pids"]["worker-2"]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 60
    pid = killed
    while pid == killed and time.monotonic() < deadline:
        time.sleep(0.1)
        pid = json.loads((empty.data / "for-scripts.json").read_text())["pids"]["worker-2"]

    assert pid != killed
    assert psutil.pid_exists(pid)
    assert api(empty.ready, "/api/health").status_code == 200
    assert empty.up.returncode is None


def test_somebody_elses_directory_takes_the_place_of_the_emulator(tmp_path: Path) -> None:
    tls = issue(tmp_path / "tls")  # a root that the rig knows only by --ca-file
    with GraphEmulator(people=40, groups=4, tls=tls) as emulator:
        theirs = ["--graph-url", emulator.graph_url, "--authority-url", emulator.authority_url]
        with running(tmp_path / "data", *theirs, "--ca-file", str(tls.ca_file)) as rig:
            assert "graph" not in rig.ready["pids"]
            assert rig.ready["graphUrl"] == emulator.graph_url
            assert names_in_table(rig.ready)


def test_every_child_ends_when_the_rig_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "--empty") as rig:
        os.kill(rig.up.pid, signal.SIGKILL)

        assert wait_for_end(list(rig.ready["pids"].values())) == []


@pytest.mark.parametrize("name", ["vault", "worker-1"])
def test_a_rig_that_cannot_go_on_says_so(tmp_path: Path, name: str) -> None:
    with running(tmp_path, "--empty") as rig:
        os.kill(rig.ready["pids"][name], signal.SIGKILL)

        assert wait_for_end([rig.up.pid, *rig.ready["pids"].values()]) == []
        assert rig.up.returncode == 1
        assert f"{name} was ended by SIGKILL" in rig.up.tail()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--graph-url", "https://localhost:1"], "belong together", id="half a pair"),
        pytest.param(["--workers", "0"], "at least 1", id="no worker"),
        pytest.param(["--ca-file", "none.pem"], "no file", id="no such root"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, options: list[str], message: str) -> None:
    with start(tmp_path, *options) as up:
        wait_for_end([up.pid])

        assert up.returncode not in {0, None}
        assert message in up.tail()


def test_commands_without_a_rig_say_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["status", "--data", str(tmp_path)]) == 1
    assert "make run" in capsys.readouterr().err


def test_a_command_whose_reader_has_gone_ends_in_silence(empty: Running) -> None:
    """As `people | head` does."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "local", "people", "--data", str(empty.data)]
    with os.fdopen(writer, "w") as gone:
        ended = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, check=False)

    assert (ended.returncode, ended.stderr) == (1, b"")


def told_connection(group: str) -> dict[str, Any]:
    clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [group]}
    return {
        "id": "told",
        "displayName": "Told",
        "tenantId": SAMPLE_TENANT_ID,
        "clientId": SAMPLE_CLIENT_ID,
        "credential": {"clientSecret": SAMPLE_CLIENT_SECRET},
        "scope": {"filters": [{"clauses": [clause]}]},
        "schedule": {"automatic": False},
        "realtime": True,
    }


def test_a_connection_with_realtime_is_subscribed_told_and_unsubscribed(empty: Running) -> None:
    """All of it through the host: the queue, both webhooks, and the handshakes of the emulator's Graph."""
    ready, url = empty.ready, "/api/connections/told"
    headers = {"Authorization": f"Bearer {ready['adminToken']}"}
    context = ssl.create_default_context(cafile=ready["caFile"])
    with (
        httpx.Client(base_url=ready["url"], headers=headers, timeout=60) as http,
        httpx.Client(base_url=f"{ready['graphUrl']}/_control", verify=context) as graph,
    ):
        person = graph.get("/people").json()[0]["id"]
        group = graph.post("/groups", json={"displayName": "Told"}).json()["id"]
        answer = http.post("/api/connections", json=told_connection(group))
        assert answer.status_code == 201, answer.text

        def states() -> list[str]:
            status = http.get(url).json()["realtimeStatus"]
            return [one["state"] for one in status["subscriptions"]]

        def ran(trigger: str) -> bool:
            runs = http.get(f"{url}/runs").json()["items"]
            return any(run["trigger"] == trigger and run["finishedAt"] for run in runs)

        wait_until(lambda: states() == ["active", "active"])
        graph.request("POST", f"/groups/{group}/members", json={"members": [person]})
        wait_until(lambda: ran("webhook"))
        sent = graph.post("/lifecycle", json={"event": "subscriptionRemoved"}).json()["sent"]
        wait_until(lambda: ran("lifecycle") and len(graph.get("/subscriptions").json()) == sent)
        # A run that a notification asked for may be under way still.
        wait_until(lambda: http.delete(url, params={"users": "keep"}).status_code == 204)
        left = graph.get("/subscriptions").json()

    assert sent == 2
    assert left == []


def wait_until(is_so: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_assumptions_about_graph_can_be_asked_of_a_rig(tmp_path: Path) -> None:
    """As docs/rig.md says; all hold, or it says why that cannot be told."""
    with running(tmp_path) as rig:
        done = subprocess.run(
            [sys.executable, "-m", "deploy", "probe", "--graph", "contoso"],
            cwd=REPOSITORY,
            env={"PATH": os.defpath, **rig.ready["appSettings"]},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " holds " in done.stdout
    assert "0 DIFFERS" in done.stdout
    open_ones = [line for line in done.stdout.splitlines() if "  cannot be told  " in line]
    assert all("people are on one page" in line for line in open_ones), open_ones

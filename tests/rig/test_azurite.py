"""Azurite as the rig runs it: the real one, on free ports, ended with us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local import azurite as module
from local.azurite import Azurite, AzuriteError, main
from local.processes import ChildError
from tests.rig.conftest import REPOSITORY


def test_two_run_side_by_side(azurite: Azurite) -> None:
    with (
        Azurite() as second,
        QueueServiceClient.from_connection_string(azurite.connection_string) as ours,
        QueueServiceClient.from_connection_string(second.connection_string) as theirs,
    ):
        ours.create_queue("side-by-side")

        assert list(theirs.list_queues()) == []


def test_the_pid_is_the_process_that_answers() -> None:
    with Azurite() as azurite:
        assert "node" in Path(psutil.Process(azurite.pid).exe()).name


def test_data_in_a_folder_is_there_again(tmp_path: Path) -> None:
    found: set[str] = set()
    for attempt in ("first", "second"):
        with (
            Azurite(tmp_path) as azurite,
            TableServiceClient.from_connection_string(azurite.connection_string) as tables,
        ):
            people = tables.create_table_if_not_exists("People")
            people.upsert_entity({"PartitionKey": "p", "RowKey": attempt})
            found = {entity["RowKey"] for entity in people.list_entities()}

    assert found == {"first", "second"}


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Nothing may be left running on the machine of somebody who tries the rig."""
    pid_file = tmp_path / "pid"
    program = (
        "import pathlib, time\n"
        "from local.azurite import Azurite\n"
        f"with Azurite() as azurite:\n"
        f"    pathlib.Path({str(pid_file)!r}).write_text(str(azurite.pid))\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY) as parent:
        deadline = time.monotonic() + 60
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        child = psutil.Process(int(pid_file.read_text()))
        os.kill(parent.pid, signal.SIGKILL)

    child.wait(timeout=60)  # TimeoutExpired if it lives on


def test_a_port_in_use_is_named(azurite: Azurite) -> None:
    port = int(azurite.connection_string.split("QueueEndpoint=http://127.0.0.1:")[1].split("/")[0])

    with pytest.raises(ChildError, match=str(port)):
        Azurite(queue_port=port)


def test_without_node_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_node", lambda: None)

    with pytest.raises(AzuriteError, match=r"python -m local\.azurite install"):
        Azurite()


@pytest.mark.parametrize(
    ("version", "usable"),
    [
        pytest.param("v18.20.4", False, id="too old"),
        pytest.param("v20.0.0", True, id="oldest"),
        pytest.param("v24.19.0", True, id="newer"),
        pytest.param("", False, id="says nothing"),
    ],
)
def test_node_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, usable: bool
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    found = module.find_node()

    assert (found is not None and found.node == tmp_path / "node") is usable


def test_an_installation_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "node").write_text("#!/bin/sh\necho v22.0.0\n")
    (tmp_path / "npm").write_text("#!/bin/sh\necho no network >&2; exit 1\n")
    for name in ("node", "npm"):
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")

    assert main(["install"]) == 1
    assert "Could not install Azurite from npm" in (told := capsys.readouterr().err)
    assert "no network" in told

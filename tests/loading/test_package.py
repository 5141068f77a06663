"""The built package: what is in it, how fast it starts, and that every call finds what it imports."""

import os
import time
from pathlib import Path

import pytest

from deploy import package
from deploy.package import SHIPPED, SITE
from sync_core.api.app import ROUTES, Route
from tests.api.test_roles import VALUES
from tests.loading import interpreters
from tests.loading.conftest import LoadedApp
from tests.loading.driver import WorkerProcess

ADMIN = {"Authorization": "Bearer admin-token"}
HANDSHAKE = "/api/graph/notifications?validationToken=abc"
MIB = 1024 * 1024


def test_the_package_holds_the_app_and_its_wheels_and_nothing_else() -> None:
    folder = interpreters.own().package

    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {*SHIPPED, SITE.parts[0]}
    # Programs of wheels name the Python of the machine that built them.
    assert not (folder / SITE / "bin").exists()


def test_building_again_keeps_the_wheels_and_replaces_the_source(tmp_path: Path) -> None:
    folder, site = tmp_path / "app", tmp_path / "app" / SITE
    site.mkdir(parents=True)
    (site / "wheel").touch()
    (folder / "of_an_older_release.py").touch()
    note = package.note_of(folder)
    note.write_text(package.digest_of_wheels(package.DEPLOYED))

    package.build(folder)

    assert (site / "wheel").exists()
    assert not (folder / "of_an_older_release.py").exists()
    assert (folder / "sync_core" / "triggers.py").is_file()


def test_the_package_is_of_the_size_that_is_told() -> None:
    """Flex has 0.8 GB for all that an instance unpacks; docs/speed.md tells what was measured."""
    size = package.measure(interpreters.own().package)

    assert size.size_bytes < 250 * MIB
    assert size.files < 25_000


def test_a_cold_start_answers_graph_in_time(tmp_path: Path) -> None:
    """Graph waits for 10 seconds, and some of them are Azure's; a process of its own each time."""
    began = time.perf_counter()
    with WorkerProcess(interpreters.own(), os.environ, tmp_path / "log.txt") as worker:
        loaded = worker.load()
        answer = worker.http("graph_notifications", "POST", HANDSHAKE)
        seconds, memory = time.perf_counter() - began, worker.memory_bytes()

    assert (answer.status, answer.body) == (200, "abc")
    assert loaded.seconds < 1
    assert seconds < 3
    assert memory < 150 * MIB


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_call_of_the_api_finds_what_it_imports(app: LoadedApp, route: Route) -> None:
    """Much is imported at the first use only; a package that is missing would be a 500 here."""
    path = route.path.format(**VALUES)

    answer = app.worker.http(
        "admin",
        route.method,
        path,
        headers={**ADMIN, "Content-Type": "application/json"},
        body="{}" if route.method in {"POST", "PUT", "PATCH"} else "",
        route={"rest": path.removeprefix("/api/")},
    )

    assert answer.status < 500, answer.body
    assert '"route.notFound"' not in answer.body

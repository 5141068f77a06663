"""The commands of README and docs/rig.md for `make run`, as they stand there, in a shell."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from azure.data.tables import TableClient

from tests.rig.conftest import REPOSITORY
from tests.rig.up import Running, running

BLOCK = re.compile(r"(?:^ {4}.*\n|^\n(?= {4}))+", re.MULTILINE)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
# What the pages say of a rig with the usual data folder.
FOR_THE_RIG = ("python -m local ", ".local/", "localhost:7071")
# The rig is started by the fixture.
NOT_HERE = ("make run",)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("rig"), "--people", "300") as started:
        yield started


def commands(name: str) -> list[str]:
    """Return the blocks of a page that are for a rig that runs, each as a script."""
    blocks = (found[0] for found in BLOCK.finditer((REPOSITORY / name).read_text("utf-8")))
    meant = (block for block in blocks if any(word in block for word in FOR_THE_RIG))
    return [dedent(block) for block in meant if not any(word in block for word in NOT_HERE)]


def as_here(script: str, ready: dict[str, Any], data: Path) -> str:
    """Return a script for a rig with another data folder and port."""
    script = re.sub(r"(python -m local \w+)", rf"\1 --data {data}", script)
    script = script.replace("<masterKey of the ready file>", ready["masterKey"])
    return script.replace(".local/", f"{data}/").replace("http://localhost:7071", ready["url"])


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages' commands use curl")
@pytest.mark.parametrize("page", ["README.md", "docs/rig.md"])
def test_the_commands_for_the_rig_work(rig: Running, page: str) -> None:
    scripts = commands(page)
    assert scripts
    for script in scripts:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", as_here(script, rig.ready, rig.data)],  # noqa: S607
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def test_the_sign_in_of_the_page_lets_in_who_is_in_the_table(rig: Running) -> None:
    [source] = PYTHON.findall((REPOSITORY / "docs/users-table.md").read_text("utf-8"))
    page: dict[str, Any] = {}
    exec(source, page)  # noqa: S102 -- our own page
    with TableClient.from_connection_string(rig.ready["storage"], "Users") as users:
        row = next(iter(users.query_entities("Status eq 'active'")))
        object_id = row["RowKey"]

        assert page["may_sign_in"](users, "contoso", object_id)
        assert not page["may_sign_in"](users, "contoso", "00000000-0000-0000-0000-000000000000")
        users.update_entity(row | {"Status": "disabled"})
        assert not page["may_sign_in"](users, "contoso", object_id)

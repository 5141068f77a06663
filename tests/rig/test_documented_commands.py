"""The commands of the pages for `make run`, as they stand there, in a shell."""

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
# Words of the blocks that are for a rig with the usual data folder. README's calls have placeholders, and
# stand in tests/api/test_documented_calls.py.
FOR_THE_RIG = {
    "README.md": ("python -m local users",),
    "docs/rig.md": ("$", ".local/"),
    "docs/emulator.md": ("$", ".local/"),
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("rig"), "--people", "300") as started:
        yield started


def commands(name: str) -> list[str]:
    """Return the blocks of a page that are for a rig that runs, each as a script."""
    blocks = (found[0] for found in BLOCK.finditer((REPOSITORY / name).read_text("utf-8")))
    return [dedent(block) for block in blocks if any(word in block for word in FOR_THE_RIG[name])]


def as_here(script: str, data: Path) -> str:
    """Return a script for a rig with another data folder."""
    script = re.sub(r"(python -m local \w+)", rf"\1 --data {data}", script)
    return script.replace(".local/", f"{data}/")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages' commands use curl")
@pytest.mark.parametrize("page", FOR_THE_RIG)
def test_the_commands_for_the_rig_work(rig: Running, page: str) -> None:
    script = "\n".join(commands(page))
    assert script
    done = subprocess.run(
        ["bash", "-exuo", "pipefail", "-c", as_here(script, rig.data)],  # noqa: S607
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert '{"error"' not in done.stdout, "the emulator refused something"
    assert '"type":"about:blank"' not in done.stdout, "the API refused something"


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

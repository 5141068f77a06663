"""The environment is read when the services are opened: an import depends on no setting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.sources import ROOT, shipped


def read_on_import(paths: list[Path], modules: list[str]) -> list[str]:
    """Return the lines below some paths that read the environment while modules are imported."""
    below = os.pathsep.join(map(str, paths))
    done = subprocess.run(
        [sys.executable, "-m", "tests.infra.environment_reads", below, *modules],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": below},
        capture_output=True,
        text=True,
        check=True,
    )
    lines: list[str] = json.loads(done.stdout)
    return lines


def test_no_module_reads_the_environment_on_import() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in shipped()
    ]

    assert {"function_app", "sync_core.services", "sync_core.api.app"} <= set(modules)
    assert read_on_import([ROOT / "function_app.py", ROOT / "sync_core"], modules) == []


@pytest.mark.parametrize(
    "line",
    [
        "EVERYTHING = dict(os.environ)",
        "COPY = os.environ.copy()",
        "HOME = os.environ['PATH']",
        "HOME = os.getenv('NO_SUCH_SETTING')",
        "HAS_HOME = 'PATH' in os.environ",
        "NAMES = sorted(environ)",
        "def home() -> str:\n    return environ.get('PATH', '')\n\nHOME = home()",
    ],
)
def test_a_module_that_reads_it_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "curious.py").write_text(f"import os\nfrom os import environ\n{line}\n")

    found = read_on_import([tmp_path], ["curious"])

    assert [line.rpartition(":")[0] for line in found] == [str(tmp_path / "curious.py")]

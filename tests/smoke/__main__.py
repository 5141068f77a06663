"""Loads a built package in Microsoft's own host, in the workflow: `python -m tests.smoke build/app`.

Core Tools start it over Azurite, with the settings that a start needs. Every function of `function_app.py`
has to be listed, a webhook has to answer Graph's handshake, and the API has to refuse a stranger with words.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from local.azurite import Azurite, install_packages, installed_node
from tests.ports import free_port

FOLDER = Path(__file__).parent
FUNC = FOLDER / "node_modules" / "azure-functions-core-tools" / "lib" / "main.js"
START_S = 180
NAMED = re.compile(r'@app\.function_name\("(\w+)"\)')


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.smoke", description=__doc__)
    parser.add_argument("package", type=Path)
    package: Path = parser.parse_args(arguments).package
    install_packages(FOLDER, "Azure Functions Core Tools from npm")
    url = f"http://127.0.0.1:{free_port()}"
    with Azurite() as azurite:
        settings = {
            "AzureWebJobsStorage": azurite.connection_string,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "KEY_VAULT_URL": "https://localhost:1",
            "SYNC_SCHEDULE": "0 */5 * * * *",
        }
        command = [str(installed_node().node), str(FUNC), "start", "--port", url.rpartition(":")[2]]
        host = subprocess.Popen(command, cwd=package, env=os.environ | settings)
        try:
            _check(url, package)
        finally:
            host.terminate()
            host.wait(timeout=30)
    return 0


def _check(url: str, package: Path) -> None:
    expected = set(NAMED.findall((package / "function_app.py").read_text("utf-8")))
    found = {one["name"] for one in json.loads(_waited(f"{url}/admin/functions"))}
    _is_so(found == expected, f"functions: {sorted(found)}")
    token = _asked("POST", f"{url}/api/graph/notifications?validationToken=a%20b")
    _is_so(token == (200, "a b"), f"handshake: {token}")
    stranger = _asked("GET", f"{url}/api/connections")
    _is_so(stranger[0] == 401 and "remedy" in stranger[1], f"a stranger: {stranger}")


def _is_so(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"Not as it should be: {what}")
    sys.stdout.write(f"ok: {what}\n")


def _waited(url: str) -> str:
    """Ask until the host has started."""
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(OSError):
            status, text = _asked("GET", url)
            if status == 200:
                return text
        time.sleep(1)
    sys.exit(f"The host has not started within {START_S} seconds.")


def _asked(method: str, url: str) -> tuple[int, str]:
    request = urllib.request.Request(url, method=method)  # noqa: S310 -- our own host
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

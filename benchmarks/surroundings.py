"""Everything around a measured process, in processes of its own: their work is not counted.

Storage (Azurite, in memory; for its tables a service of our own where there are too many rows for it), Key
Vault, managed identity, and a sample tenant of the wanted size; a Functions host where one is measured.
"""

import os
import re
import ssl
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import httpx

from benchmarks.tables import UNKNOWN_LINE
from local import identity
from local.azurite import ACCOUNT, Azurite
from local.host.__main__ import FUNCTION_KEY, MASTER_KEY
from local.processes import Child
from local.rig import GRAPH_READY_LINE, READY_LINE, SCHEDULE
from local.tls import issue

REPOSITORY = Path(__file__).resolve().parents[1]
# A tenant of a million people takes a while to make up.
START_TIMEOUT_S = 300.0
HEADER = "benchmark"
INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")


class Surroundings:
    """Runs while the `with` block does; `environment` is what a measured process is given.

    `own_tables`: tables are those of `benchmarks/tables.py`, not Azurite's.
    """

    def __init__(self, *, people: int, groups: int = 12, own_tables: bool = False) -> None:
        self._stack = ExitStack()
        self._people, self._groups, self._own_tables = people, groups, own_tables
        self._unknown: list[str] = []
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Change the tenant, or ask what was asked of it."""
        answer = self._http.request(method, f"/_control{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def graph_requests(self) -> int:
        """Count the requests to Graph since the last `forget_requests`; tokens are not counted."""
        counts: dict[str, int] = self.control("GET", "/requests/counts")
        return sum(
            number
            for what, number in counts.items()
            if "(batch item)" not in what and "/oauth2/" not in what and ".well-known" not in what
        )

    def forget_requests(self) -> None:
        self.control("DELETE", "/requests")

    def check_tables(self) -> None:
        """Raise if our table service was asked for what it does not know: its answers prove nothing then."""
        if self._unknown:
            raise RuntimeError("\n".join(self._unknown))

    def host(self, root: Path, on_line: Callable[[str], None] | None = None) -> str:
        """Start a Functions host for the app in `root` and give its address."""
        command = ("local.host", "--port", "0", "--root", str(root))
        keys = {FUNCTION_KEY: "function-key", MASTER_KEY: "master-key"}
        env = self.environment | keys | {"SYNC_SCHEDULE": SCHEDULE}
        host = self._python(self._stack, "host", *command, env=env, on_line=on_line)
        return host.wait_for_lines(READY_LINE, timeout_s=START_TIMEOUT_S)[0][1]

    def _start(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        tls = issue(folder / "tls")
        certificates = ("--cert", str(tls.cert_file), "--key", str(tls.key_file))
        size = ("--people", str(self._people), "--groups", str(self._groups))
        graph = self._python(stack, "graph", "local.graph", *certificates, *size)
        vault = self._python(stack, "vault", "local.vault", "--tls", str(folder / "tls"))
        identities = self._python(
            stack,
            "identity",
            *("local.identity", "--key", str(folder / "identity.pem")),
            env=dict(os.environ) | {"IDENTITY_HEADER": HEADER},
        )
        storage = stack.enter_context(Azurite()).connection_string
        if self._own_tables:
            storage = with_tables(storage, self._tables(stack))
        told = graph.wait_for_lines(GRAPH_READY_LINE, timeout_s=START_TIMEOUT_S)[0]
        trust = ssl.create_default_context(cafile=tls.ca_file)
        self._http = stack.enter_context(
            httpx.Client(base_url=told[1], verify=trust, timeout=START_TIMEOUT_S)
        )
        identity_url = identities.wait_for_lines(READY_LINE, timeout_s=START_TIMEOUT_S)[0][1]
        # Only what a program needs to run: a container may set names by which Azure is recognised.
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.environment = inherited | {
            "AzureWebJobsStorage": storage,
            "KEY_VAULT_URL": vault.wait_for_lines(READY_LINE, timeout_s=START_TIMEOUT_S)[0][1],
            "PUBLIC_BASE_URL": "http://localhost:7071",
            "GRAPH_ENDPOINT": told[1],
            "AZURE_AUTHORITY_HOST": told[2],
            "SSL_CERT_FILE": str(tls.bundle_file),
            "REQUESTS_CA_BUNDLE": str(tls.bundle_file),
            **identity.environment(identity_url, HEADER),
        }

    def _tables(self, stack: ExitStack) -> str:
        def note(line: str) -> None:
            if line.startswith(UNKNOWN_LINE):
                self._unknown.append(line)

        tables = self._python(stack, "tables", "benchmarks.tables", on_line=note)
        return tables.wait_for_lines(READY_LINE, timeout_s=START_TIMEOUT_S)[0][1]

    def _python(
        self,
        stack: ExitStack,
        name: str,
        *arguments: str,
        env: dict[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Child:
        command = [sys.executable, "-m", *arguments]
        child = Child(name, command, env=env, cwd=REPOSITORY, on_line=on_line)
        return stack.enter_context(child)


def with_tables(connection_string: str, url: str) -> str:
    """Return a connection string whose tables are those of another service."""
    endpoint = f"TableEndpoint={url}/{ACCOUNT};"
    return re.sub(r"TableEndpoint=[^;]+;", endpoint, connection_string)

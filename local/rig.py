"""The children of the rig: options in, running processes and their addresses out.

Storage (Azurite), directory and tokens (the Graph emulator), Key Vault, managed identity, and one
or more Functions hosts over them.
"""

import os
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from local import identity, loopback
from local.data_folder import DEFAULT_DATA, REPOSITORY, Ports, keep_keys, keep_ports
from local.host.__main__ import FUNCTION_KEY, MASTER_KEY
from local.logs import Log
from local.processes import Child, ChildError
from local.sample import VENDOR_TENANT_ID
from local.storage import Storage
from local.tls import TlsFiles, issue

SCHEDULE = "0 */5 * * * *"
START_TIMEOUT_S = 60.0
READY_LINE = r"ready at (https?://\S+)"
GRAPH_READY_LINE = r"ready: (https://\S+) \(login (https://[^)]+)\)"
POLL_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Options:
    """Of ``python -m local up``."""

    port: int = 7071
    graph_url: str | None = None
    authority_url: str | None = None
    ca_file: Path | None = None
    people: int = 300
    groups: int = 12
    seed: int = 1
    empty: bool = False
    data: Path = DEFAULT_DATA
    workers: int = 1
    ready_file: Path | None = None


class RigError(RuntimeError):
    """The rig cannot start or go on; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    storage: str
    vault_url: str
    graph_url: str
    authority_url: str
    identity_url: str


@dataclass
class Worker:
    """One Functions host; number 1 has the port that everybody knows."""

    name: str
    port: int
    child: Child


class Rig:
    """Children between ``start`` and the end of the ``with`` block."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.keys = keep_keys(options.data)
        self.tls = issue(options.data / "tls", options.ca_file)
        self.log = Log(options.data / "rig.log")
        self.url = f"http://localhost:{options.port}"
        self._emulators: dict[str, Child] = {}
        self._storage: Storage | None = None
        self._workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The hosts first: they still want to write down what they were doing.
        _stop_together([worker.child for worker in self._workers])
        self.log.hide()
        _stop_together(list(self._stand_ins.values()))
        self.log.close()

    @property
    def pids(self) -> dict[str, int]:
        children = self._stand_ins | {worker.name: worker.child for worker in self._workers}
        return {"rig": os.getpid()} | {name: child.pid for name, child in children.items()}

    @property
    def _stand_ins(self) -> dict[str, Child]:
        """What stands in for Azure and Entra; storage is another child after each restart."""
        storage = {"azurite": self._storage.child} if self._storage else {}
        return self._emulators | storage

    def start(self) -> None:
        """Until everything answers."""
        # Asked now, before a minute of work is done in vain; the first worker takes it for good.
        loopback.listen(self.options.port).close()
        self.addresses = self._start_emulators()
        for number in range(1, self.options.workers + 1):
            port = self.options.port if number == 1 else 0
            name = f"worker-{number}"
            self._workers.append(Worker(name, port, self._start_worker(name, port)))
        for worker in self._workers:
            _wait_for_health(worker.child)

    def check(self) -> str | None:
        """None, or a sentence if storage or a worker was replaced; RigError if the rig cannot go on."""
        for child in self._emulators.values():
            if child.returncode is not None:
                raise RigError(f"{child.obituary()}\nThe rig cannot go on without it; start again.")
        if self._storage and (told := self._storage.check()):
            return told
        for worker in self._workers:
            if worker.child.returncode is not None:
                return self._replace(worker)
        return None

    def _replace(self, worker: Worker) -> str:
        """As Azure does with a host that was killed, if there are others to go on meanwhile."""
        obituary = worker.child.obituary()
        was_killed = (worker.child.returncode or 0) < 0
        if not was_killed or len(self._workers) == 1:
            raise RigError(f"{obituary}\nThe rig cannot go on without it; start again.")
        worker.child.stop()
        worker.child = self._start_worker(worker.name, worker.port)
        _wait_for_health(worker.child)
        return f"{obituary.splitlines()[0]} It was started again, as Azure would do."

    def _start_emulators(self) -> Addresses:
        options, data, ports = self.options, self.options.data, keep_ports(self.options.data)
        is_foreign = options.graph_url is not None and options.authority_url is not None
        graph = None if is_foreign else self._start_graph(ports)
        vault = self._emulator(
            "vault",
            *("local.vault", "--port", str(ports.vault), "--tls", str(data / "tls")),
            *("--file", str(data / "vault.json")),
        )
        identities = self._emulator(
            "identity",
            *("local.identity", "--key", str(data / "identity.pem")),
            env={"IDENTITY_HEADER": self.keys.identity_header},
        )
        self._storage = Storage(data / "azurite", self.log.writer("azurite"))
        identity_url = _address_told_by(identities)
        if graph:
            told = graph.wait_for_lines(GRAPH_READY_LINE, timeout_s=START_TIMEOUT_S)[0]
            graph_url, authority_url = told[1], told[2]
            _introduce(self.tls, graph_url, identity_url)
        else:
            graph_url, authority_url = options.graph_url or "", options.authority_url or ""
        return Addresses(
            storage=self._storage.connection_string,
            vault_url=_address_told_by(vault),
            graph_url=graph_url.rstrip("/"),
            authority_url=authority_url.rstrip("/"),
            identity_url=identity_url,
        )

    def _start_graph(self, ports: Ports) -> Child:
        return self._emulator(
            "graph",
            *("local.graph", "--graph-port", str(ports.graph)),
            *("--authority-port", str(ports.authority), "--ca-file", str(self.tls.ca_file)),
            *("--cert", str(self.tls.cert_file), "--key", str(self.tls.key_file)),
            *("--people", str(self.options.people), "--groups", str(self.options.groups)),
            *("--seed", str(self.options.seed)),
        )

    def _emulator(self, name: str, *arguments: str, env: Mapping[str, str] | None = None) -> Child:
        child = self._python(name, *arguments, env=env or {})
        self._emulators[name] = child
        return child

    def _start_worker(self, name: str, port: int) -> Child:
        command = ("local.host", "--port", str(port), "--root", str(REPOSITORY))
        return self._python(name, *command, env=self.app_settings())

    def _python(self, name: str, *arguments: str, env: Mapping[str, str]) -> Child:
        return Child(
            name,
            [sys.executable, "-m", *arguments],
            env=_base_environment() | dict(env),
            cwd=REPOSITORY,
            on_line=self.log.writer(name),
        )

    def app_settings(self) -> dict[str, str]:
        """Return what the hosts have in their environment."""
        bundle = str(self.tls.bundle_file.resolve())
        settings = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AzureWebJobsStorage": self.addresses.storage,
            "KEY_VAULT_URL": self.addresses.vault_url,
            "PUBLIC_BASE_URL": self.url,
            "SYNC_SCHEDULE": SCHEDULE,
            "GRAPH_ENDPOINT": self.addresses.graph_url,
            "AZURE_AUTHORITY_HOST": self.addresses.authority_url,
            "AZURE_CLIENT_ID": identity.IDENTITY_CLIENT_ID,
            # The first for asynchronous clients, the second for those built on requests.
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            # Litware runs the app that customers consent to.
            "ADMIN_TENANT_IDS": VENDOR_TENANT_ID,
            "SYNC_LOCAL_ADMIN_TOKEN": self.keys.admin_token,
            "SYNC_LOCAL_READER_TOKEN": self.keys.reader_token,
            # The host lets nobody say from outside who has signed in.
            "SYNC_LOCAL_SIGN_IN": "true",
            FUNCTION_KEY: self.keys.function_key,
            MASTER_KEY: self.keys.master_key,
        }
        header = self.keys.identity_header
        return settings | identity.environment(self.addresses.identity_url, header)


def _base_environment() -> dict[str, str]:
    """Ours, without what would lead the children to a real cloud or through a proxy."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.upper().startswith(("AZURE_", "SYNC_"))
    }
    around = ",".join(filter(None, (os.environ.get("NO_PROXY"), "localhost,127.0.0.1")))
    return inherited | {"NO_PROXY": around, "no_proxy": around, "PYTHONUNBUFFERED": "1"}


def _address_told_by(child: Child) -> str:
    return child.wait_for_lines(READY_LINE, timeout_s=START_TIMEOUT_S)[0][1]


def _introduce(tls: TlsFiles, graph_url: str, identity_url: str) -> None:
    """The identity may read its own tenant, and is a federated credential of the sample app."""
    context = ssl.create_default_context(cafile=str(tls.bundle_file))
    with httpx.Client(trust_env=False, verify=context, timeout=START_TIMEOUT_S) as http:
        key = http.get(f"{identity_url}/public-key").raise_for_status().text
        control = f"{graph_url}/_control"
        http.post(f"{control}/identities", json={"publicKey": key}).raise_for_status()
        trusted = {
            "issuer": identity.ISSUER,
            "subject": identity.IDENTITY_OBJECT_ID,
            "audience": identity.EXCHANGE,
            "publicKey": key,
        }
        http.post(f"{control}/apps/sample/federated", json=trusted).raise_for_status()


def _wait_for_health(child: Child) -> None:
    """The host listens before the app has answered anything; the app has to be well too."""
    url = f"{_address_told_by(child)}/api/health"
    with httpx.Client(trust_env=False) as http:
        for _ in _attempts(child):
            with suppress(httpx.TransportError):
                if http.get(url, timeout=START_TIMEOUT_S).is_success:
                    return


def _attempts(child: Child) -> Iterator[None]:
    """A moment between attempts; ChildError when there is no more hope."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if child.returncode is not None:
            raise ChildError(child.obituary())
        yield
        time.sleep(POLL_S)
    raise ChildError(f"{child.name} is not well after {START_TIMEOUT_S:.0f} s.\n{child.tail()}")


def _stop_together(children: list[Child]) -> None:
    for child in children:
        child.terminate()
    for child in children:
        child.stop()

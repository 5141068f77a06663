"""``python -m local up``: starts everything, makes the first sync, shows one log until Ctrl-C."""

import json
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NoReturn

from local import loopback, sample
from local.azurite import AzuriteError
from local.client import READY_FILE, Api, ApiError, Json, describe_run
from local.data_folder import DEFAULT_DATA, DataLock, InUseError
from local.processes import ChildError
from local.rig import Options, Rig, RigError
from local.tls import write_private

CONNECTION = "contoso"
WATCH_S = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Each of them is a sentence for whoever sits at the terminal.
TOLD = (
    *(RigError, ChildError, AzuriteError, InUseError, ApiError),
    loopback.PortInUseError,
)


class _Stopped(BaseException):
    """Ctrl-C, or SIGTERM."""


def run(options: Options) -> int:
    """Until stopped; the exit code. Signals are taken for good: the process ends afterwards."""
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        with DataLock(options.data):
            _run(options)
    except _Stopped:
        print("Stopped.")
        return 0
    except TOLD as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def _stop(*_: object) -> NoReturn:
    # Once is enough: a second Ctrl-C must not leave half of the children behind.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    print("\nStopping …", flush=True)
    raise _Stopped


def _run(options: Options) -> NoReturn:
    if (options.graph_url is None) != (options.authority_url is None):
        raise RigError("--graph-url and --authority-url belong together: give both or none.")
    with _ready_files(options) as files, Rig(options) as rig:
        print("Starting storage, directory, vault and Functions host …", flush=True)
        rig.start()
        told = _welcome_to_nothing(rig) if options.empty else _welcome(rig)
        _write(files, rig)
        print(told, flush=True)
        rig.log.show()
        while True:
            event = rig.check()
            if event:
                print(event, flush=True)
                _write(files, rig)
            time.sleep(WATCH_S)


def _sample_connection() -> Json:
    clause = {
        "attribute": "groups",
        "operator": "ARRAYCONTAINS",
        "value": [sample.SAMPLE_GROUP_ID],
    }
    return {
        "id": CONNECTION,
        "displayName": "Contoso",
        "tenantId": sample.SAMPLE_TENANT_ID,
        "clientId": sample.SAMPLE_CLIENT_ID,
        "credential": {"kind": "clientSecret", "clientSecret": sample.SAMPLE_CLIENT_SECRET},
        "scope": {
            "filters": [{"clauses": [clause]}],
            "nestedGroups": True,
            "guests": "exclude",
            "everyone": False,
        },
    }


def _show_progress(run: Json) -> None:
    read = (run.get("counts") or {}).get("read", 0)
    print(f" {read} read …" if read else ".", end="", flush=True)


def _welcome(rig: Rig) -> str:
    """After the first sync: who is in the table, and what to try."""
    with Api(rig.url, rig.keys.admin_token) as api:
        if not api.exists(f"/api/connections/{CONNECTION}"):
            api.request("POST", "/api/connections", json=_sample_connection())
        print("First sync …", end="", flush=True)
        run = api.sync(CONNECTION, _show_progress)
        print(f" {describe_run(run)}", flush=True)
        rows = list(islice(api.users(CONNECTION), 1))
    counts = run.get("counts") or {}
    active = sum(counts.get(name, 0) for name in ("created", "updated", "reenabled", "unchanged"))
    connection = f"{rig.url}/api/connections/{CONNECTION}"
    tries = [f'{_curl(rig)} "{connection}/users?top=5"']
    if rows and rig.options.graph_url is None:
        person = f"{rig.addresses.graph_url}/_control/people/{rows[0]['userPrincipalName']}"
        ca_file = shlex.quote(str(rig.tls.ca_file))
        change = """-X PATCH -d '{"department": "Sales"}'"""
        tries.append(f"curl --cacert {ca_file} {change} {shlex.quote(person)}")
    tries.append(f"{_curl(rig)} -X POST {connection}/sync")
    summary = f"{active} people of the sample tenant are in the table."
    if run["status"] in {"failed", "rejected"}:
        summary = "The sync did not get through; whoever came in before is still in the table."
    return _page(rig, summary, tries)


def _welcome_to_nothing(rig: Rig) -> str:
    return _page(
        rig,
        "Nothing is configured yet: POST a connection to /api/connections.",
        [f"{_curl(rig)} {rig.url}/api/connections"],
    )


def _page(rig: Rig, summary: str, tries: list[str]) -> str:
    data = rig.options.data
    where = "" if data == DEFAULT_DATA else f" --data {shlex.quote(str(data))}"
    lines = "\n".join(f"  {line}" for line in tries)
    return f"""
{summary}

  API               {rig.url}/api/ (all of it: /api/openapi.json)
  Admin token       {rig.keys.admin_token}
  Everything said   {data / "rig.log"}

Try in another terminal:

{lines}

Or shorter:  .venv/bin/python -m local people|set|preview|sync|users|why|status{where}
For the commands of README and docs/:  eval "$(.venv/bin/python -m local variables{where})"
Ctrl-C stops everything.
"""


def _curl(rig: Rig) -> str:
    return f'curl -H "Authorization: Bearer {rig.keys.admin_token}"'


@contextmanager
def _ready_files(options: Options) -> Iterator[list[Path]]:
    """Gone while nothing is ready: whoever waits for such a file must not meet an old one."""
    given = [options.ready_file] if options.ready_file else []
    files = [options.data / READY_FILE, *given]

    def remove() -> None:
        for file in files:
            file.unlink(missing_ok=True)

    remove()
    try:
        yield files
    finally:
        remove()


def _write(files: list[Path], rig: Rig) -> None:
    content = {
        "url": rig.url,
        "storage": rig.addresses.storage,
        "vaultUrl": rig.addresses.vault_url,
        "graphUrl": rig.addresses.graph_url,
        "authorityUrl": rig.addresses.authority_url,
        "caFile": str(rig.tls.bundle_file.resolve()),
        "adminToken": rig.keys.admin_token,
        "readerToken": rig.keys.reader_token,
        "functionKey": rig.keys.function_key,
        "masterKey": rig.keys.master_key,
        "appSettings": rig.app_settings(),
        "pids": rig.pids,
    }
    for file in files:
        write_private(file, json.dumps(content, indent=1).encode())

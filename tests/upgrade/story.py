"""What has happened to two tenants before an upgrade, played over the public interfaces.

North is synced, with people in every state, matches that wait and are decided, a run that is held and
settings that wait for Entra. South's application has lost its permissions; a consent is on its way, and a
save that moves many people was confirmed for the next run. East was deleted.
"""

import json
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from azure.data.tables import TableServiceClient

from local.rig import Rig
from local.sample import (
    FABRIKAM_CLIENT_ID,
    FABRIKAM_CLIENT_SECRET,
    FABRIKAM_DOMAIN,
    FABRIKAM_TENANT_ID,
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_DOMAIN,
    SAMPLE_TENANT_ID,
    sample_group_id,
)

Json = dict[str, Any]

SIZE: dict[str, Any] = {"people": 28, "groups": 12, "seed": 5}
NORTH, SOUTH, EAST = "north", "south", "east"
EMPLOYEES = sample_group_id(9)
# One that Entra does not know at the time of the dump.
NEW_SECRET = "smp8Q~contoso-sample-secret-value-new1"
SECRETS = {
    "SAMPLE_CLIENT_SECRET": SAMPLE_CLIENT_SECRET,
    "FABRIKAM_CLIENT_SECRET": FABRIKAM_CLIENT_SECRET,
    "NEW_SECRET": NEW_SECRET,
}
# Whom matching concerns; the ids are chosen, as those that the emulator makes up differ each time.
NEWCOMERS = {
    name: f"{digit}e570000-0000-4000-8000-00000000000{digit}"
    for digit, name in enumerate(["linked", "several", "decided", "ignored"], start=1)
}
NO_LIMITS = {"maxRemovals": None, "maxRemovalPercent": None}
WAIT_S = 120


class Teller:
    """One who administers the app and the directory, and notes every change of the directory."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.changes: list[list[Any]] = []
        self.tls = ssl.create_default_context(cafile=str(rig.tls.bundle_file))
        self.http = httpx.Client(timeout=WAIT_S + 60, trust_env=False, verify=self.tls)

    def api(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {self._rig.keys.admin_token}"}
        headers |= {"Prefer": f"wait={WAIT_S}"} if path.endswith("/sync") else {}
        url = f"{self._rig.url}/api/{path}"
        answer = self.http.request(method, url, json=body, headers=headers)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def directory(self, method: str, path: str, body: Json | None = None) -> None:
        """Change people or groups of a tenant; a dump holds the list of these changes."""
        self.changes.append([method, path, body])
        change_directory(self.http, self._rig.addresses.graph_url, method, path, body)

    def settings(self, **values: int) -> None:
        """Change how Entra behaves; that is no part of the directory."""
        url = f"{self._rig.addresses.graph_url}/_control/settings"
        self.http.patch(url, json=values).raise_for_status()

    def remove_app(self, app_id: str, tenant: str) -> None:
        """Delete the application from a tenant, as its administrator can; nor is that kept."""
        url = f"{self._rig.addresses.graph_url}/_control/apps/{app_id}?tenant={tenant}"
        self.http.delete(url).raise_for_status()

    def fire(self, function: str) -> None:
        """Run a timer function now, as an administrator of the host can."""
        headers = {"x-functions-key": self._rig.keys.master_key}
        url = f"{self._rig.url}/admin/functions/{function}"
        self.http.post(url, json={"input": ""}, headers=headers).raise_for_status()

    def sync(self, connection_id: str, status: str) -> Json:
        run: Json = self.api("POST", f"connections/{connection_id}/sync", {"mode": "full"})
        assert run["status"] == status, run
        return run

    def active(self, connection_id: str) -> list[str]:
        users = self.api("GET", f"connections/{connection_id}/users?top=999&status=active")
        return sorted(user["objectId"] for user in users["items"])

    def wait_until_run(self, connection_id: str) -> None:
        """Wait for the end of the run that the timer asked for."""
        until, path = time.monotonic() + WAIT_S, f"connections/{connection_id}/runs"
        while not any(run["finishedAt"] for run in self.api("GET", path)["items"]):
            assert time.monotonic() < until, "the timer starts no run"
            time.sleep(0.2)

    def wait_until_warned(self, connection_id: str) -> None:
        """Wait for what the maintenance notes of an expiring credential; the host only begins it."""
        with TableServiceClient.from_connection_string(self._rig.addresses.storage) as service:
            health, mine = service.get_table_client("Health"), f"RowKey eq '{connection_id}'"
            until = time.monotonic() + WAIT_S
            while '"warned":{' not in str(list(health.query_entities(mine))):
                assert time.monotonic() < until, "the maintenance does not warn"
                time.sleep(0.2)

    def application_row(self, object_id: str, number: int, email: str) -> None:
        """Write a row as an application has it that knew the person before."""
        key = f"app-{number}"
        row = {"PartitionKey": f"{NORTH}-{object_id[0]}", "RowKey": key, "email": email}
        with TableServiceClient.from_connection_string(self._rig.addresses.storage) as service:
            service.get_table_client("Users").create_entity(
                row | {"theme": "dark", "logins": number}
            )


def change_directory(
    http: httpx.Client, graph_url: str, method: str, path: str, body: Json | None
) -> None:
    """Make one change of the directory, when the story is told or when a dump is loaded."""
    http.request(method, f"{graph_url}/_control{path}", json=body or {}).raise_for_status()


def tell(rig: Rig) -> tuple[list[list[Any]], list[Json]]:
    """Play the whole story. Returns the changes of the directory, and which secret is which."""
    teller = Teller(rig)
    with teller.http:
        _people_in_every_state(teller)
        _matches(teller)
        _held_run(teller)
        _south(teller)
        _settings_that_wait(teller)
        _deleted_connection(teller)
    return teller.changes, _secrets(rig.options.data / "vault.json")


def _people_in_every_state(teller: Teller) -> None:
    teller.api("POST", "connections?reason=the+story+of+the+dump", _north(), expect=201)
    teller.sync(NORTH, "succeeded")
    gone, blocked, soft, hard, back, changed, *_ = teller.active(NORTH)
    teller.directory("DELETE", f"/groups/{EMPLOYEES}/members", {"members": [gone]})
    teller.directory("PATCH", f"/people/{blocked}", {"accountEnabled": False})
    teller.directory("DELETE", f"/people/{soft}")
    teller.directory("DELETE", f"/people/{hard}")
    teller.directory("DELETE", f"/people/{hard}?permanent=true")
    teller.directory("PATCH", f"/people/{back}", {"accountEnabled": False})
    assert teller.sync(NORTH, "succeeded")["counts"]["disabled"] == 5
    teller.directory("PATCH", f"/people/{back}", {"accountEnabled": True})
    teller.directory("PATCH", f"/people/{changed}", {"jobTitle": "Renamed", "department": None})
    counts = teller.sync(NORTH, "succeeded")["counts"]
    assert (counts["reenabled"], counts["updated"]) == (1, 1), counts


def _matches(teller: Teller) -> None:
    for number, (name, object_id) in enumerate(NEWCOMERS.items()):
        mail = f"{name}@{SAMPLE_DOMAIN}"
        person = {"id": object_id, "displayName": f"{name.title()} Person", "mail": mail}
        teller.directory("POST", "/people", person | {"userPrincipalName": mail})
        teller.directory("POST", f"/groups/{EMPLOYEES}/members", {"members": [object_id]})
        for row in range(1 if name == "linked" else 2):
            teller.application_row(object_id, 10 * number + row, mail)
    run = teller.sync(NORTH, "partial")
    assert run["counts"]["linked"] == 1, run
    matches = f"connections/{NORTH}/matches"
    teller.api("POST", f"{matches}/{NEWCOMERS['ignored']}", {"decision": "ignore"})


def _held_run(teller: Teller) -> None:
    guard = {"maxRemovals": 2, "maxRemovalPercent": 50}
    teller.api("PATCH", f"connections/{NORTH}", {"policy": {"guard": guard}})
    leavers = [person for person in teller.active(NORTH) if person not in NEWCOMERS.values()]
    for leaver in leavers[-3:]:
        teller.directory("DELETE", f"/people/{leaver}")
    assert teller.sync(NORTH, "held")["counts"]["held"] == 3
    decided = NEWCOMERS["decided"]
    decision = {"decision": "link", "row": f"{NORTH}-{decided[0]}|app-20"}
    teller.api("POST", f"connections/{NORTH}/matches/{decided}", decision)


def _south(teller: Teller) -> None:
    teller.api("POST", "connections", _south_document(), expect=201)
    teller.fire("scheduled_sync")
    teller.wait_until_run(SOUTH)
    narrow = {"scope": _departments("Sales")}
    refused = teller.api("PATCH", f"connections/{SOUTH}", narrow, expect=409)
    teller.api("PATCH", f"connections/{SOUTH}?confirm={refused['planHash']}", narrow)
    teller.remove_app(FABRIKAM_CLIENT_ID, FABRIKAM_TENANT_ID)
    teller.sync(SOUTH, "failed")
    teller.settings(consent_delay_requests=10_000)
    _consent(teller, finish=True)
    _consent(teller, finish=False)


def _consent(teller: Teller, *, finish: bool) -> None:
    """Begin a consent; finished, it waits for Entra to know of it."""
    url = f"{teller._rig.url}/api/consent/start?connection={SOUTH}"
    headers = {"Authorization": f"Bearer {teller._rig.keys.admin_token}"}
    address = teller.http.get(url, headers=headers).headers["Location"]
    if finish:
        fields = dict(parse_qsl(urlsplit(address).query)) | {"account": f"admin@{FABRIKAM_DOMAIN}"}
        answer = teller.http.post(address.partition("?")[0], data=fields | {"decision": "accept"})
        back = urlsplit(answer.headers["Location"])
        query = urlencode(parse_qsl(back.query))
        ended = teller.http.get(f"{teller._rig.url}{back.path}?{query}").headers["Location"]
        assert "consent.pending" in ended, ended


def _settings_that_wait(teller: Teller) -> None:
    soon = (datetime.now(UTC) + timedelta(days=20)).date().isoformat()
    teller.api("PATCH", f"connections/{NORTH}", {"credential": {"expiresOn": soon}})
    teller.fire("maintenance")
    teller.wait_until_warned(NORTH)
    wanted = {"displayName": "North by north-west", "policy": {"leftScope": "keep"}}
    credential = {"clientSecret": NEW_SECRET}
    teller.api("PATCH", f"connections/{NORTH}", wanted | {"credential": credential}, expect=422)


def _deleted_connection(teller: Teller) -> None:
    """Delete a connection; its people stay, disabled, and who deleted it is told for good."""
    teller.api("POST", "connections", _south_document() | _east(), expect=201)
    assert teller.sync(EAST, "succeeded")["counts"]["created"]
    refused = teller.api("DELETE", f"connections/{EAST}", expect=409)
    teller.api("DELETE", f"connections/{EAST}?confirm={refused['planHash']}", expect=204)


def _east() -> Json:
    return {
        "id": EAST,
        "displayName": "East",
        "tenantId": SAMPLE_TENANT_ID,
        "clientId": SAMPLE_CLIENT_ID,
        "credential": {"clientSecret": SAMPLE_CLIENT_SECRET},
    }


def _north() -> Json:
    clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [EMPLOYEES]}
    return {
        "id": NORTH,
        "displayName": "North",
        "tenantId": SAMPLE_TENANT_ID,
        "clientId": SAMPLE_CLIENT_ID,
        "credential": {"clientSecret": SAMPLE_CLIENT_SECRET},
        "scope": {"filters": [{"clauses": [clause]}], "exclude": [f"nobody@{SAMPLE_DOMAIN}"]},
        "mapping": [
            {"target": "email", "expression": "Coalesce([mail], [userPrincipalName])"},
            {"target": "displayName", "source": "displayName"},
            {"target": "department", "source": "department", "whenNull": "keep"},
            {"target": "jobTitle", "source": "jobTitle"},
            {"target": "manager", "source": "manager"},
            {"target": "site", "constant": 5_000_000_000, "apply": "create"},
            {"target": "share", "constant": 0.5},
            {"target": "synced", "constant": True},
        ],
        "matching": ["email"],
        "policy": {"guard": NO_LIMITS},
        "assertions": [
            {"never": f"admin@{SAMPLE_DOMAIN}"},
            {"atLeast": 1},
            {"atMost": 100, "where": {"department": "Sales", "synced": True}},
        ],
        "schedule": {"everyMinutes": 10_080},
    }


def _south_document() -> Json:
    return {
        "id": SOUTH,
        "displayName": "South",
        "tenantId": FABRIKAM_TENANT_ID,
        "clientId": FABRIKAM_CLIENT_ID,
        "credential": {"clientSecret": FABRIKAM_CLIENT_SECRET},
        "scope": _departments("Sales", "Finance"),
        "policy": {"guard": {"maxRemovals": 0}},
        "schedule": {"everyMinutes": 10_080},
    }


def _departments(*names: str) -> Json:
    clause = {"attribute": "department", "operator": "IN", "value": list(names)}
    return {"filters": [{"clauses": [clause]}]}


def _secrets(vault: Path) -> list[Json]:
    known: Mapping[str, str] = {value: name for name, value in SECRETS.items()}
    return [
        {"name": secret["name"], "version": version["version"], "holds": known[version["value"]]}
        for secret in json.loads(vault.read_text())
        for version in secret["versions"]
        if version["value"] in known
    ]

"""Small commands for a rig that runs: who is there, change somebody, sync, what is in the table, and why."""

import json
import os
import shlex
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import httpx

from local.client import Api, ApiError, Json, describe_run, read_ready_file, tls_context
from local.screen import print_changes, print_table

PEOPLE = ("userPrincipalName", "displayName", "department", "accountEnabled")
ROWS = ("userPrincipalName", "displayName", "department", "status")
CANDIDATES = ("objectId", "displayName", "userPrincipalName", "department", "imported", "note")
RESULTS = ("who", "result", "code", "action", "message")
RELEASED = ("userPrincipalName", "status", "origin", "disabledReason")
SHOWN_OF_A_RUN = 20
SHOWN_CANDIDATES = 50


def status(data: Path) -> int:
    """Where everything answers, and which processes run."""
    ready = read_ready_file(data)
    for name in ("url", "graphUrl", "authorityUrl", "vaultUrl"):
        print(f"{name:<14} {ready[name]}")
    for name, pid in ready["pids"].items():
        print(f"{name:<14} {'running' if _runs(pid) else 'ended'} (pid {pid})")
    return 0


def variables(data: Path) -> int:
    """The shell variables that the commands of the pages use, to be read with ``eval``."""
    ready = read_ready_file(data)
    shown = {
        "URL": ready["url"],
        "TOKEN": ready["adminToken"],
        "AUTH": f"Authorization: Bearer {ready['adminToken']}",
        "JSON": "Content-Type: application/json",
        "GRAPH": ready["graphUrl"],
        "VAULT": ready["vaultUrl"],
        "MASTER_KEY": ready["masterKey"],
        "FUNCTION_KEY": ready["functionKey"],
    }
    for name, value in shown.items():
        print(f"{name}={shlex.quote(value)}")
    return 0


def settings(data: Path) -> int:
    """The settings of the app: who has them reads storage, vault and directory as the app does."""
    for name, value in read_ready_file(data)["appSettings"].items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def people(data: Path, search: str) -> int:
    """People of the sample tenant."""
    found = _control(read_ready_file(data), "GET", "/people", params={"search": search})
    print_table(found if isinstance(found, list) else [found], PEOPLE)
    return 0


def change(data: Path, person: str, changes: list[str]) -> int:
    """Change somebody in the sample tenant: ``department=Sales accountEnabled=false jobTitle=``."""
    values = dict(_assignment(change) for change in changes)
    changed = _control(read_ready_file(data), "PATCH", f"/people/{person}", values=values)
    rows = changed if isinstance(changed, list) else [changed]
    for name in values:
        shown = json.dumps(rows[0].get(name), ensure_ascii=False)
        print(f"{rows[0].get('userPrincipalName', person)}: {name} is {shown}")
    return 0


def sync(data: Path, connection: str) -> int:
    """One run, and what it did."""
    with _api(data) as api:
        run = api.sync(connection, lambda _: None)
        path = f"/api/connections/{connection}/runs/{run['id']}/changes"
        query = {"top": str(SHOWN_OF_A_RUN)}
        found = api.request("GET", path, params=query).json()
    print(f"{describe_run(run)} (run {run['id']})")
    print_changes(found["items"])
    if found["next"]:
        print(f"All of them: GET {path}")
    return 0 if run["status"] in {"succeeded", "held"} else 1


def preview(data: Path, connection: str) -> int:
    """What a run would do now, without doing it."""
    with _api(data) as api:
        found = api.request("POST", f"/api/connections/{connection}/preview", json={}).json()
    print(found["reading"]["sentence"])
    print(", ".join(f"{count} {name}" for name, count in found["counts"].items() if count))
    for warning in found["warnings"]:
        print(f"{warning['code']}: {warning['message']}")
    print(f"planHash: {found['planHash']}")
    print_changes(found["changes"])
    if found["planUrl"]:
        print(f"All of them: GET {found['planUrl']}")
    return 0


def why(data: Path, person: str, connection: str) -> int:
    """Why somebody is in or out, clause by clause, and what the next run would do."""
    path = f"/api/connections/{connection}/why/{quote(person, safe='')}"
    with _api(data) as api:
        found = api.request("GET", path).json()
    print(found["verdict"])
    for number, one in enumerate((found["scope"] or {"filters": []})["filters"], start=1):
        for clause in one["clauses"]:
            seen = json.dumps(clause["seen"], ensure_ascii=False)
            verdict = "yes" if clause["ok"] else "no "
            print(
                f"  filter {number}  {verdict}  {clause['attribute']} {clause['operator']}: {seen}"
            )
    for group in found["groups"]:
        if group["path"]:
            print(f"  in by {group['path']}")
    print(f"  match: {found['match']['message']}")
    print(f"  next run: {found['nextRun']['message']}")
    return 0


def users(data: Path, search: str, connection: str, **how: bool) -> int:
    """The rows that an application would read: a table, or with ``--json`` all of each."""
    with _api(data) as api:
        if how["json"]:
            for row in api.users(connection, search):
                print(json.dumps(row, ensure_ascii=False))
        else:
            print_table((row | row["attributes"] for row in api.users(connection, search)), ROWS)
    return 0


def candidates(data: Path, search: str, connection: str, *, imported: str | None) -> int:
    """People of the directory to pick from, and by what they are in already."""
    path = f"/api/connections/{connection}/candidates"
    query = {"search": search} if search else {}
    # By what people are in, a page may be short, or empty, and have a next one.
    query |= {"imported": imported, "top": "999"} if imported else {}
    with _api(data) as api:
        found = list(islice(api.items(path, query), SHOWN_CANDIDATES + 1))
    print_table(map(_candidate, found[:SHOWN_CANDIDATES]), CANDIDATES)
    if len(found) > SHOWN_CANDIDATES:
        print(f"There are more: narrow the search, or GET {path}")
    return 0


def _candidate(person: Json) -> Json:
    shown = person | {"imported": person["imported"] or "-"}
    return shown | {"note": "blocked" if person["blocked"] else "agent" if person["agent"] else ""}


def import_people(
    data: Path, people: list[str], connection: str, until: str | None, note: str | None
) -> int:
    """Bring people in by hand, and say of each what came of it."""
    body: Json = {"objectIds": people} | ({"until": until} if until else {})
    body |= {"note": note} if note else {}
    with _api(data) as api:
        run = api.run_to_end(f"/api/connections/{connection}/import", body, lambda _: None)
    return _print_results(run)


def sync_people(data: Path, who: list[str], connection: str) -> int:
    """Bring a few people in line now, and say of each how they stand."""
    with _api(data) as api:
        run = api.run_to_end(
            f"/api/connections/{connection}/users/sync", {"who": who}, lambda _: None
        )
    return _print_results(run)


def _print_results(run: Json) -> int:
    results = [one | {"who": one["who"] or one["objectId"]} for one in run["results"] or []]
    print(f"{describe_run(run)} (run {run['id']})")
    print_table(results, RESULTS)
    return 0 if run["status"] == "succeeded" else 1


def release(data: Path, person: str, connection: str, *, confirm: str | None) -> int:
    """Give somebody brought in by hand back to the rules; who leaves by it has to be confirmed."""
    path = f"/api/connections/{connection}/users/{person}/release"
    query = {"confirm": confirm} if confirm else {}
    with _api(data) as api:
        found = api.request("POST", path, params=query, json={}).json()
    print(f"{found['outcome']}: {found['message']}")
    print_table([found["person"]] if found["person"] else [], RELEASED)
    return 0


def _api(data: Path) -> Api:
    ready = read_ready_file(data)
    return Api(ready["url"], ready["adminToken"])


def _control(
    ready: Json, method: str, path: str, *, params: Json | None = None, values: Json | None = None
) -> Json | list[Json]:
    url = f"{ready['graphUrl']}/_control{path}"
    with httpx.Client(verify=tls_context(ready), trust_env=False) as http:
        try:
            answer = http.request(method, url, params=params, json=values)
        except httpx.TransportError as error:
            raise ApiError(f"{url} does not answer: {error}") from error
    if answer.is_error:
        raise ApiError(answer.json()["error"])
    content: Json | list[Json] = answer.json() if answer.content else {}
    return content


def _assignment(text: str) -> tuple[str, object]:
    """``name=value``: JSON if it is some (true, null, 7, ["a"]), text else; nothing means null."""
    name, is_one, value = text.partition("=")
    if not is_one or not name:
        raise ApiError(f"{text!r} is not like property=value.")
    try:
        return name, json.loads(value) if value else None
    except ValueError:
        return name, value


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

"""Config as code: a file goes out, comes back as a plan, and is applied as exactly that plan."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import yaml

from local.sample import SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, SAMPLE_TENANT_ID
from sync_core.domain.documents.connection import Connection
from sync_core.domain.errors import FixConnection, RetryLater
from sync_core.domain.formats.config_file import MAX_BYTES
from sync_core.services import Services
from sync_core.store.connections import StoredConnection, changed_meanwhile
from tests.api.conftest import Create, Json, document, paths, scope_of
from tests.api.description import description, mismatches

CONFIG = "/api/config"
PLAN = f"{CONFIG}/plan"
APPLY = f"{CONFIG}/apply"
YAML = {"Content-Type": "application/yaml"}


def entry(connection_id: str, **changes: Any) -> Json:
    """Give a connection as a file holds it."""
    return {
        "id": connection_id,
        "displayName": "Contoso",
        "tenantId": SAMPLE_TENANT_ID,
        "clientId": SAMPLE_CLIENT_ID,
        "scope": scope_of(connection_id),
    } | changes


def file_of(*entries: Any, **changes: Any) -> Json:
    return {"apiVersion": "entra-user-sync/v1", "connections": list(entries)} | changes


Call = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def plan(admin: httpx.AsyncClient) -> Call:
    async def planned(file: Json, **query: Any) -> httpx.Response:
        return await admin.post(PLAN, json=file, params=query)

    return planned


@pytest.fixture
def apply(admin: httpx.AsyncClient, plan: Call) -> Call:
    """Plan a file and apply that plan."""

    async def applied(file: Json, **query: Any) -> httpx.Response:
        planned = await plan(file, **query)
        assert planned.status_code == 200, planned.text
        query |= {"planHash": planned.json()["planHash"]}
        return await admin.post(APPLY, json=file, params=query)

    return applied


def fields(change: Json) -> dict[str, tuple[Any, Any]]:
    return {one["path"]: (one["old"], one["new"]) for one in change["fields"]}


async def etags(admin: httpx.AsyncClient) -> dict[str, str]:
    items = (await admin.get("/api/connections")).json()["items"]
    return {
        one["id"]: (await admin.get(f"/api/connections/{one['id']}")).headers["ETag"]
        for one in items
    }


# --- export ---------------------------------------------------------------------------------------


async def test_an_export_holds_every_connection_and_no_secret(
    *, reader: httpx.AsyncClient, admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    await admin.post("/api/connections", json=document(f"{connection_id}-a"))
    answer = await reader.get(CONFIG, params={"format": "yaml"})
    exported = yaml.safe_load(answer.text)

    assert answer.headers["Content-Type"] == "application/yaml; charset=utf-8"
    assert answer.text.startswith("# ")
    assert "Secrets are not in this file" in answer.text
    assert [one["id"] for one in exported["connections"]] == [connection_id, f"{connection_id}-a"]
    assert exported["connections"][0]["credential"] == {
        "kind": "clientSecret",
        "secretName": f"{connection_id}-client-secret",
    }
    assert "warnings" not in exported["connections"][0]
    assert SAMPLE_CLIENT_SECRET not in answer.text


async def test_chosen_connections_are_exported_once_each(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    for letter in "ab":
        await admin.post("/api/connections", json=document(f"{connection_id}-{letter}"))
    chosen = [f"{connection_id}-b", connection_id, f"{connection_id}-b"]
    answer = await admin.get(CONFIG, params={"connection": chosen})

    found = [one["id"] for one in answer.json()["connections"]]
    assert found == [connection_id, f"{connection_id}-b"]


async def test_one_connection_is_exported_as_a_file_of_its_own(
    reader: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    one = await reader.get(f"/api/connections/{connection_id}/export")
    chosen = await reader.get(CONFIG, params={"connection": connection_id})

    assert one.status_code == 200
    assert one.json() == chosen.json()


@pytest.mark.parametrize("missing", ["nothing", "No Id!"])
async def test_what_is_not_there_cannot_be_exported(
    reader: httpx.AsyncClient, missing: str
) -> None:
    answer = await reader.get(CONFIG, params={"connection": missing})

    assert (answer.status_code, answer.json()["code"]) == (404, "connection.notFound")


@pytest.mark.parametrize(
    ("query", "accept", "expected"),
    [
        pytest.param("", "*/*", "json", id="nothing said"),
        pytest.param("", "application/json", "json", id="JSON accepted"),
        pytest.param("", "application/yaml", "yaml", id="YAML accepted"),
        pytest.param("", "text/yaml, */*;q=0.1", "yaml", id="an older name"),
        pytest.param("", "application/yaml;q=0.5, application/json", "json", id="JSON preferred"),
        pytest.param("", "application/yaml, application/json;q=0.5", "yaml", id="YAML preferred"),
        pytest.param("", "application/yaml;q=0", "json", id="YAML refused"),
        pytest.param("", "application/yaml;q=much", "json", id="no weight"),
        pytest.param("yaml", "application/json", "yaml", id="format wins"),
        pytest.param("json", "application/yaml", "json", id="format wins, too"),
    ],
)
async def test_the_format_is_chosen(
    reader: httpx.AsyncClient, query: str, accept: str, expected: str
) -> None:
    params = {"format": query} if query else {}
    answer = await reader.get(CONFIG, params=params, headers={"Accept": accept})

    assert answer.headers["Content-Type"].startswith(f"application/{expected}")


async def test_a_format_that_does_not_exist(reader: httpx.AsyncClient) -> None:
    answer = await reader.get(CONFIG, params={"format": "toml"})

    assert answer.status_code == 422
    assert paths(answer) == ["format"]


async def test_what_goes_out_and_in_is_described(
    reader: httpx.AsyncClient, plan: Call, apply: Call, connection_id: str
) -> None:
    file = file_of(entry(connection_id))
    answers = {"ConfigPlan": await plan(file), "ConfigApplied": await apply(file)}
    answers["ConfigFile"] = await reader.get(CONFIG)
    described = description()

    for name, answer in answers.items():
        assert mismatches(answer.json(), name) == []
    for method, path in (("get", CONFIG), ("get", "/api/connections/{id}/export")):
        content = described["paths"][path][method]["responses"]["200"]["content"]
        assert set(content) == {"application/json", "application/yaml"}
    for path in (PLAN, APPLY):
        body = described["paths"][path]["post"]["requestBody"]["content"]
        assert set(body) == {"application/json", "application/yaml"}


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("notation", ["yaml", "json"])
async def test_what_was_exported_changes_nothing(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, notation: str
) -> None:
    await create(
        displayName="NO: 007",
        credential={"clientSecret": SAMPLE_CLIENT_SECRET, "expiresOn": "2031-01-31"},
        mapping=[{"target": "a", "expression": 'Join(" ",\n  [givenName], [surname])'}],
        policy={"guard": {"maxRemovals": 7}, "protected": ["ann@contoso.com "]},
    )
    before = await etags(admin)
    exported = (await admin.get(CONFIG, params={"format": notation})).content
    headers = {"Content-Type": f"application/{notation}"}
    planned = await admin.post(PLAN, content=exported, headers=headers)
    query = {"planHash": planned.json()["planHash"]}
    applied = await admin.post(APPLY, content=exported, headers=headers, params=query)

    assert planned.json()["summary"] == {
        "create": 0,
        "update": 0,
        "disable": 0,
        "unchanged": 1,
        "notInFile": 0,
    }
    assert (planned.json()["changes"], planned.json()["problems"]) == ([], [])
    assert (applied.status_code, applied.json()["results"]) == (200, [])
    assert await etags(admin) == before


async def test_the_same_file_as_yaml_and_as_json_has_the_same_plan(
    admin: httpx.AsyncClient, plan: Call, connection_id: str
) -> None:
    file = file_of(entry(connection_id, displayName="NO"), entry(f"{connection_id}-2"))
    as_json = await plan(file)
    as_yaml = await admin.post(PLAN, content=yaml.safe_dump(file).encode(), headers=YAML)

    assert as_json.json() == as_yaml.json()


async def test_an_update_is_planned_field_by_field_and_applied(
    *, admin: httpx.AsyncClient, create: Create, plan: Call, apply: Call, connection_id: str
) -> None:
    created = (await create()).json()
    file = (await admin.get(CONFIG)).json()
    file["connections"][0]["schedule"]["everyMinutes"] = 5
    file["connections"][0]["scope"] = {"everyone": True}
    (change,) = (await plan(file)).json()["changes"]
    unplanned = (await admin.get(f"/api/connections/{connection_id}")).json()
    applied = await apply(file)
    after = await admin.get(f"/api/connections/{connection_id}")

    assert (change["connection"], change["action"]) == (connection_id, "update")
    assert fields(change).keys() == {"schedule.everyMinutes", "scope.filters[0]", "scope.everyone"}
    assert fields(change)["schedule.everyMinutes"] == (60, 5)
    assert [one["code"] for one in change["warnings"]] == ["scope.everyone"]
    assert unplanned == created, "a plan writes nothing"
    assert applied.json()["results"] == [
        {"connection": connection_id, "action": "update", "etag": after.headers["ETag"]}
    ]
    assert after.json()["schedule"]["everyMinutes"] == 5
    assert after.json()["credential"] == created["credential"], "the secret is kept"
    assert (await plan(file)).json()["changes"] == []


async def test_a_tenant_that_was_learnt_from_consent_stays(
    *, admin: httpx.AsyncClient, create: Create, plan: Call, connection_id: str
) -> None:
    """The file was written before anybody had consented."""
    await create()
    file = (await admin.get(CONFIG)).json()
    del file["connections"][0]["tenantId"]

    assert (await plan(file)).json()["changes"] == []


async def test_who_applied_what_is_in_the_log(
    apply: Call, connection_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await apply(file_of(entry(connection_id)))

    line = f'config.applied connection={connection_id} action=create by="local Sync.Admin"'
    assert line in [record.getMessage() for record in caplog.records]


# --- secrets --------------------------------------------------------------------------------------


async def test_a_new_connection_waits_disabled_for_its_secret(
    *, admin: httpx.AsyncClient, plan: Call, apply: Call, connection_id: str
) -> None:
    file = file_of(entry(connection_id, enabled=True))
    planned = (await plan(file)).json()
    applied = await apply(file)
    before = await etags(admin)
    again = (await plan(file)).json()

    assert fields(planned["changes"][0])["enabled"] == (None, False)
    for answer in (planned, applied.json(), again):
        (told,) = answer["problems"]
        assert told["connection"] == connection_id
        assert told["path"] == "connections[0].credential.clientSecret"
        assert "disabled" in told["message"]
        assert f"PATCH /api/connections/{connection_id}" in told["remedy"]
    assert (await admin.get(f"/api/connections/{connection_id}")).json()["enabled"] is False
    assert (again["changes"], await etags(admin)) == ([], before)


async def test_a_new_connection_waits_disabled_for_its_tenant(
    plan: Call, connection_id: str, services: Services
) -> None:
    name = f"shared-{connection_id}"
    await services.vault.set(name, SAMPLE_CLIENT_SECRET, content_type="text/plain")
    file = file_of(entry(connection_id, tenantId=None, credential={"secretName": name}))
    (told,) = (await plan(file)).json()["problems"]

    assert told["path"] == "connections[0].tenantId"
    assert "/api/consent/start" in told["message"]
    assert "plan and apply the file again" in told["remedy"]


@pytest.mark.parametrize(
    ("enabled", "expected"),
    [
        pytest.param("yes", [], id="a word of YAML 1.1"),
        pytest.param("maybe", ["connections[0].enabled"], id="no boolean"),
    ],
)
async def test_whether_it_is_enabled_is_read_as_everywhere(
    plan: Call, connection_id: str, enabled: str, expected: list[str]
) -> None:
    answer = await plan(file_of(entry(connection_id, enabled=enabled)))

    assert [one["path"] for one in answer.json().get("errors", [])] == expected


async def test_once_it_has_its_secret_the_same_file_enables_it(
    *, admin: httpx.AsyncClient, plan: Call, apply: Call, connection_id: str
) -> None:
    file = file_of(entry(connection_id))
    await apply(file)
    secret = {"credential": {"clientSecret": SAMPLE_CLIENT_SECRET}}
    await admin.patch(f"/api/connections/{connection_id}", json=secret)
    planned = (await plan(file)).json()
    await apply(file)

    assert fields(planned["changes"][0]) == {"enabled": (False, True)}
    assert planned["problems"] == []
    assert (await admin.get(f"/api/connections/{connection_id}")).json()["enabled"] is True


async def test_a_new_connection_uses_the_named_secret_of_key_vault(
    *, admin: httpx.AsyncClient, apply: Call, connection_id: str, services: Services
) -> None:
    name = f"shared-{connection_id}"
    await services.vault.set(name, SAMPLE_CLIENT_SECRET, content_type="text/plain")
    applied = await apply(file_of(entry(connection_id, credential={"secretName": name})))

    assert applied.json()["problems"] == []
    stored = (await admin.get(f"/api/connections/{connection_id}")).json()
    assert (stored["enabled"], stored["credential"]["secretName"]) == (True, name)


async def test_a_named_secret_that_is_not_there_keeps_a_new_connection_disabled(
    apply: Call, connection_id: str
) -> None:
    credential = {"secretName": f"none-{connection_id}"}
    applied = await apply(file_of(entry(connection_id, credential=credential)))

    (told,) = applied.json()["problems"]
    assert told["path"] == "connections[0].credential.secretName"
    assert "Key Vault has no secret" in told["message"]


async def test_a_key_vault_that_refuses_is_no_missing_secret(
    plan: Call, connection_id: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that took it for one would disable what only cannot be looked for."""

    async def forbidden(name: str, _: str | None) -> str:
        raise FixConnection("vault.forbidden", f"No access to {name}.", "Give the role.")

    monkeypatch.setattr(services.vault, "get", forbidden)
    answer = await plan(file_of(entry(connection_id, credential={"secretName": "x"})))

    assert (answer.status_code, answer.json()["code"]) == (502, "vault.forbidden")


async def test_a_slip_in_a_file_does_not_switch_off_what_runs(
    create: Create, plan: Call, connection_id: str
) -> None:
    await create()
    credential = {"secretName": f"none-{connection_id}"}
    answer = await plan(file_of(entry(connection_id, credential=credential)))

    assert answer.status_code == 422
    assert paths(answer) == ["connections[0].credential.secretName"]


async def test_a_secret_in_a_file_is_refused_and_not_repeated(
    *, admin: httpx.AsyncClient, plan: Call, connection_id: str, services: Services
) -> None:
    secret = "Kq8~the-very-secret-value"
    answer = await plan(file_of(entry(connection_id, credential={"clientSecret": secret})))

    assert answer.status_code == 422
    assert paths(answer) == ["connections[0].credential.clientSecret"]
    assert "PATCH" in answer.json()["errors"][0]["message"]
    assert secret not in answer.text
    assert await services.vault.find(f"{connection_id}-client-secret") is None


# --- bad files ------------------------------------------------------------------------------------


async def test_everything_wrong_is_told_at_once_and_nothing_is_saved(
    *, admin: httpx.AsyncClient, connection_id: str
) -> None:
    pattern = {"attribute": "department", "operator": "REGEX MATCH", "value": "("}
    file = file_of(
        entry(connection_id),
        entry(f"{connection_id}-2", clientId="x", nonsense=1, scope={"filters": [{"clauses": []}]}),
        entry(f"{connection_id}-3", scope={"filters": [{"clauses": [pattern]}]}),
        "no connection",
        entry(connection_id),
        kind="Config",
    )
    for url, query in ((PLAN, {}), (APPLY, {"planHash": "x"})):
        answer = await admin.post(url, json=file, params=query)

        assert answer.status_code == 422
        assert set(paths(answer)) == {
            "kind",
            "connections[1].clientId",
            "connections[1].nonsense",
            "connections[1].scope.filters[0].clauses",
            "connections[2].scope.filters[0].clauses[0].value",
            "connections[3]",
            "connections[4].id",
        }
        assert all(one["message"] for one in answer.json()["errors"])
    assert await etags(admin) == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"apiVersion: entra-user-sync/v1\n", ["connections"], id="no connections"),
        pytest.param(b"", [""], id="empty"),
        pytest.param(b"- id: contoso\n", [""], id="a list"),
        pytest.param(
            b"apiVersion: entra-user-sync/v1\nconnections: [{}]\n",
            [f"connections[0].{name}" for name in ("id", "displayName", "clientId")],
            id="nothing in it",
        ),
        pytest.param(
            b"apiVersion: entra-user-sync/v1\nconnections:\n- id: [a]\n",
            [f"connections[0].{name}" for name in ("id", "displayName", "clientId")],
            id="an id that is none",
        ),
    ],
)
async def test_files_that_are_not_valid(
    admin: httpx.AsyncClient, body: bytes, expected: list[str]
) -> None:
    answer = await admin.post(PLAN, content=body, headers=YAML)

    assert answer.status_code == 422
    assert paths(answer) == expected


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        pytest.param("application/yaml", b"a: 1\na: 2\n", 400, "config.invalidYaml", id="YAML"),
        pytest.param("text/x-yaml; charset=utf-8", b"a: [\n", 400, "config.invalidYaml", id="old"),
        pytest.param("application/json", b"{", 400, "config.invalidJson", id="JSON"),
        pytest.param("text/plain", b"a: 1\n", 415, "request.mediaType", id="plain text"),
        pytest.param(
            "application/yaml", b"#" * (MAX_BYTES + 1), 413, "request.tooLarge", id="too large"
        ),
    ],
)
async def test_bodies_that_are_no_file(
    *, admin: httpx.AsyncClient, kind: str, body: bytes, status: int, code: str
) -> None:
    answer = await admin.post(PLAN, content=body, headers={"Content-Type": kind})

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["remedy"]


async def test_yaml_that_cannot_be_read_is_told_with_line_and_column(
    admin: httpx.AsyncClient,
) -> None:
    answer = await admin.post(PLAN, content=b"connections:\n- id: a\n  id: b\n", headers=YAML)

    assert "'id' stands twice" in answer.json()["detail"]
    assert "line 3, column 3" in answer.json()["detail"]


async def test_what_the_media_type_may_be_is_said(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(PLAN, content=b"a: 1", headers={"Content-Type": "text/plain"})

    assert "has to be YAML or JSON" in answer.json()["detail"]
    assert "Content-Type: application/yaml" in answer.json()["remedy"]


async def test_two_for_the_same_people_are_refused(
    *, create: Create, plan: Call, connection_id: str
) -> None:
    scope = (await create()).json()["scope"]
    within = await plan(file_of(entry("a"), entry("b"), entry("c", scope=scope_of("a"))))
    beside = await plan(file_of(entry("a", scope=scope)))

    assert (within.status_code, beside.status_code) == (422, 422)
    assert paths(within) == ["connections[0].scope", "connections[2].scope"]
    assert paths(beside) == ["connections[0].scope"]
    assert repr(connection_id) in beside.json()["errors"][0]["message"]


async def test_two_connections_may_exchange_their_people(
    *, admin: httpx.AsyncClient, apply: Call, connection_id: str
) -> None:
    """Saved one after the other they are doubles in between, and in the end they are not."""
    one, other = connection_id, f"{connection_id}-2"
    await apply(file_of(entry(one), entry(other)))
    exchanged = file_of(entry(one, scope=scope_of(other)), entry(other, scope=scope_of(one)))
    applied = await apply(exchanged)

    assert applied.status_code == 200, applied.text
    stored = (await admin.get(f"/api/connections/{one}")).json()
    assert stored["scope"]["filters"] == scope_of(other)["filters"]


async def test_doubles_from_before_are_no_reason_to_refuse_a_file(
    *, admin: httpx.AsyncClient, create: Create, plan: Call, connection_id: str, services: Services
) -> None:
    first = (await services.store.connections.get((await create()).json()["id"])).connection
    double = first.model_copy(update={"id": f"{connection_id}-2"})
    await services.store.connections.create(double)
    file = (await admin.get(CONFIG)).json()
    file["connections"][0]["realtime"] = True

    assert (await plan(file)).json()["summary"]["update"] == 1


# --- prune ----------------------------------------------------------------------------------------


async def test_connections_that_a_file_does_not_name_are_left_alone(
    *, create: Create, plan: Call, apply: Call, connection_id: str, admin: httpx.AsyncClient
) -> None:
    await create()
    file = file_of(entry(f"{connection_id}-2"))
    planned = (await plan(file)).json()
    await apply(file)

    assert planned["notInFile"] == [connection_id]
    assert planned["summary"]["notInFile"] == 1
    assert (await admin.get(f"/api/connections/{connection_id}")).json()["enabled"] is True


async def test_prune_disables_them_and_deletes_nothing(
    *, create: Create, plan: Call, apply: Call, connection_id: str, admin: httpx.AsyncClient
) -> None:
    created = (await create()).json()
    file = file_of(entry(f"{connection_id}-2", enabled=False))
    (change, _) = (await plan(file, prune=True)).json()["changes"]
    applied = (await apply(file, prune=True)).json()
    again = (await plan(file, prune=True)).json()

    assert (change["connection"], change["action"]) == (connection_id, "disable")
    assert fields(change) == {"enabled": (True, False)}
    assert applied["summary"]["disable"] == 1
    stored = (await admin.get(f"/api/connections/{connection_id}")).json()
    assert stored == created | {"enabled": False}
    assert (again["changes"], again["notInFile"]) == ([], [connection_id])


async def test_a_file_without_connections_does_not_disable_all(create: Create, plan: Call) -> None:
    """An empty list is more often a mistake than a wish."""
    await create()
    pruned = await plan(file_of(), prune=True)
    plain = await plan(file_of())

    assert (pruned.status_code, paths(pruned)) == (422, ["connections"])
    assert (plain.status_code, plain.json()["changes"]) == (200, [])


# --- apply ----------------------------------------------------------------------------------------


async def test_a_plan_that_is_no_longer_true_is_not_applied(
    *, admin: httpx.AsyncClient, create: Create, plan: Call, connection_id: str
) -> None:
    await create()
    file = (await admin.get(CONFIG)).json()
    file["connections"][0]["realtime"] = True
    planned = (await plan(file)).json()
    await admin.patch(f"/api/connections/{connection_id}", json={"displayName": "Meanwhile"})
    before = await etags(admin)
    answer = await admin.post(APPLY, json=file, params={"planHash": planned["planHash"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "config.planOutdated")
    assert await etags(admin) == before


async def test_a_plan_without_prune_is_not_applied_with_it(
    admin: httpx.AsyncClient, create: Create, plan: Call, connection_id: str
) -> None:
    await create()
    file = file_of(entry(f"{connection_id}-2"))
    planned = (await plan(file)).json()
    query = {"planHash": planned["planHash"], "prune": True}
    answer = await admin.post(APPLY, json=file, params=query)

    assert (answer.status_code, answer.json()["code"]) == (409, "config.planOutdated")


async def test_apply_needs_the_hash_of_a_plan(admin: httpx.AsyncClient) -> None:
    answer = await admin.post(APPLY, json=file_of())

    assert answer.status_code == 422
    assert paths(answer) == ["planHash"]


async def test_a_connection_that_changes_while_the_file_is_applied_is_left_and_told(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    apply: Call,
    connection_id: str,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first save takes its time, and somebody renames the second connection in between."""
    await create()
    await admin.post("/api/connections", json=document(f"{connection_id}-2"))
    file = (await admin.get(CONFIG)).json()
    for one in file["connections"]:
        one["realtime"] = True
    replace = services.store.connections.replace

    async def replaced(connection: Connection, *before: Any) -> StoredConnection:
        monkeypatch.undo()
        patch = {"displayName": "Meanwhile"}
        await admin.patch(f"/api/connections/{connection_id}-2", json=patch)
        return await replace(connection, *before)

    monkeypatch.setattr(services.store.connections, "replace", replaced)
    answer = await apply(file)
    first = (await admin.get(f"/api/connections/{connection_id}")).json()
    second = (await admin.get(f"/api/connections/{connection_id}-2")).json()

    assert (answer.status_code, answer.json()["code"]) == (409, "config.partlyApplied")
    assert answer.json()["detail"].startswith("1 of 2 changes")
    assert paths(answer) == ["connections[1]"]
    assert "changed by somebody else" in answer.json()["errors"][0]["message"]
    assert (first["realtime"], second["realtime"], second["displayName"]) == (
        True,
        False,
        "Meanwhile",
    )


async def test_one_that_is_refused_does_not_stop_the_others(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    apply: Call,
    connection_id: str,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await create()
    replace = services.store.connections.replace

    async def too_late(connection: Connection, *before: Any) -> StoredConnection:
        if not connection.enabled:
            raise changed_meanwhile(connection.id)
        return await replace(connection, *before)

    monkeypatch.setattr(services.store.connections, "replace", too_late)
    answer = await apply(file_of(entry(f"{connection_id}-2")), prune=True)

    assert answer.status_code == 409
    assert paths(answer) == ["prune"]
    assert connection_id in answer.json()["errors"][0]["message"]
    assert (await admin.get(f"/api/connections/{connection_id}-2")).status_code == 200


async def test_one_that_has_grown_too_large_is_told_with_what_is_wrong(
    apply: Call, connection_id: str
) -> None:
    protected = [f"{number:0390}" for number in range(1000)]
    answer = await apply(file_of(entry(connection_id, policy={"protected": protected})))

    assert answer.json()["code"] == "config.partlyApplied"
    assert "characters; at most" in answer.json()["errors"][0]["message"]


async def test_when_storage_does_not_answer_the_rest_waits(
    *,
    apply: Call,
    connection_id: str,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    async def unavailable(connection: Connection) -> str:
        tried.append(connection.id)
        raise RetryLater("store.unavailable", "Storage does not answer.", "Try again.")

    monkeypatch.setattr(services.store.connections, "create", unavailable)
    answer = await apply(file_of(entry(connection_id), entry(f"{connection_id}-2")))

    assert (answer.status_code, answer.json()["code"]) == (409, "config.partlyApplied")
    assert answer.json()["detail"].startswith("0 of 2 changes")
    assert tried == [connection_id]

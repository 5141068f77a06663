"""Settings that wait beside those in use, where they meet confirmations, files and other connections."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_SECRET, SAMPLE_ROLES
from sync_core.connections import impact, verify
from sync_core.connections.impact import SaveGuard
from sync_core.domain.errors import FixConnection, RetryLater
from sync_core.services import Services, utc_now
from tests.api.conftest import Create, Json, document, paths, retried
from tests.system import run_now, set_clock

CODE = "connection.needsConfirmation"


@pytest.fixture
def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


@pytest.fixture
def not_known_yet(connection_id: str) -> str:
    """A secret that was made a minute ago, until the emulator is told of it."""
    return f"made-a-minute-ago-for-{connection_id}"


@pytest.fixture
async def imported(create: Create, services: Services, connection_id: str, wide: Json) -> Json:
    """The test's connection, with its ten people in the table."""
    created: Json = (await create(scope=wide)).json()
    await run_now(services, connection_id)
    return created


async def pending(admin: httpx.AsyncClient, url: str) -> Json:
    found: Json | None = (await admin.get(url)).json()["verification"]["pending"]
    return found or {}


async def make_scope_wait(
    admin: httpx.AsyncClient, url: str, narrow: Json, emulator: GraphEmulator
) -> None:
    """Leave a scope beside the one in use that somebody has to confirm."""
    emulator.control.add_fault("unavailable", path="/v1.0/**")
    await admin.patch(url, json={"scope": narrow})
    emulator.control.clear_faults()
    await admin.post(f"{url}/check")
    assert sorted(await pending(admin, url)) == ["scope"]


async def apply_file(admin: httpx.AsyncClient, file: Json, **query: Any) -> httpx.Response:
    planned = (await admin.post("/api/config/plan", json=file, params=query)).json()
    query |= {"planHash": planned["planHash"]}
    return await admin.post("/api/config/apply", json=file, params=query)


# --- what has to be confirmed -----------------------------------------------------------------------


@pytest.mark.usefixtures("imported")
async def test_what_waits_for_a_confirmation_stops_no_other_edit(
    *, admin: httpx.AsyncClient, url: str, narrow: Json, emulator: GraphEmulator
) -> None:
    """A secret that ends today must not wait for somebody who confirms a scope."""
    await make_scope_wait(admin, url, narrow, emulator)
    renamed = await admin.patch(url, json={"displayName": "Another"})
    rotated = await admin.patch(
        url, json={"credential": {"clientSecret": emulator.control.add_secret()}}
    )

    assert (renamed.status_code, renamed.json()["displayName"]) == (200, "Another")
    assert rotated.status_code == 200, rotated.text
    assert rotated.json()["scope"]["filters"] != narrow["filters"]
    assert sorted(await pending(admin, url)) == ["scope"]


@pytest.mark.usefixtures("imported")
async def test_a_second_mistake_is_judged_though_the_first_still_waits(
    *, admin: httpx.AsyncClient, url: str, not_known_yet: str
) -> None:
    """Without a token nothing else of the newest settings can be looked at."""
    await admin.patch(url, json={"credential": {"clientSecret": not_known_yet}})
    unknown = "99999999-9999-4999-8999-999999999999"
    clause = {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [unknown]}
    refused = await admin.patch(url, json={"scope": {"filters": [{"clauses": [clause]}]}})

    codes = [check["code"] for check in refused.json()["checks"] if not check["ok"]]
    assert (refused.status_code, codes) == (
        422,
        ["scope.groupNotFound", "credential.secretInvalid"],
    )
    assert unknown in refused.json()["detail"]
    assert "Nothing to do" not in refused.json()["remedy"]


@pytest.mark.usefixtures("imported")
async def test_what_waits_is_confirmed_by_any_edit_that_names_its_plan(
    *, admin: httpx.AsyncClient, url: str, narrow: Json, emulator: GraphEmulator
) -> None:
    await make_scope_wait(admin, url, narrow, emulator)
    confirm = (await admin.post(f"{url}/preview", json={"scope": narrow})).json()["planHash"]
    confirmed = await admin.patch(url, json={}, params={"confirm": confirm})

    assert confirmed.status_code == 200, confirmed.text
    assert confirmed.json()["scope"]["filters"] == narrow["filters"]
    assert await pending(admin, url) == {}


@pytest.mark.usefixtures("imported")
async def test_an_own_change_of_too_many_is_refused_though_other_settings_wait(
    *, admin: httpx.AsyncClient, url: str, narrow: Json, emulator: GraphEmulator
) -> None:
    await make_scope_wait(admin, url, narrow, emulator)
    everybody_out = await admin.patch(url, json={"scope": {"filters": []}})

    assert (everybody_out.status_code, everybody_out.json()["code"]) == (409, CODE)
    assert (await pending(admin, url))["scope"]["filters"] == narrow["filters"]


async def test_a_wish_to_be_enabled_that_waits_for_a_confirmation_stops_no_edit(
    *, admin: httpx.AsyncClient, url: str, narrow: Json, imported: Json, emulator: GraphEmulator
) -> None:
    assert imported["enabled"]
    await admin.patch(url, json={"enabled": False, "scope": narrow})
    emulator.control.set_roles([])
    await admin.patch(url, json={"enabled": True})
    emulator.control.set_roles(SAMPLE_ROLES)
    await admin.patch(url, json={"displayName": "Another"})
    asked = await admin.patch(url, json={"enabled": True})
    found = (await admin.get(url)).json()

    assert (found["displayName"], found["enabled"]) == ("Another", False)
    assert (asked.status_code, asked.json()["code"]) == (409, CODE)


@pytest.mark.usefixtures("imported")
async def test_an_edit_beside_what_waits_is_kept_when_graph_does_not_answer(
    *, admin: httpx.AsyncClient, url: str, narrow: Json, emulator: GraphEmulator
) -> None:
    await make_scope_wait(admin, url, narrow, emulator)
    emulator.control.add_fault("unavailable", path="/v1.0/**")
    try:
        answer = await admin.patch(url, json={"policy": {"guard": {"maxRemovalPercent": 90}}})
    finally:
        emulator.control.clear_faults()

    assert (answer.status_code, answer.json()["code"]) == (422, "connection.notVerified")
    assert sorted(await pending(admin, url)) == ["policy", "scope"]


@pytest.mark.usefixtures("imported")
async def test_what_waits_and_cannot_be_planned_goes_on_waiting(
    *,
    admin: httpx.AsyncClient,
    url: str,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
    not_known_yet: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A try that raised would be a message that comes back, and ends in the poison queue."""

    async def refused(*_: Any, **__: Any) -> None:
        raise FixConnection("graph.permissionMissing", "Graph refused access.")

    policy = {"guard": {"maxRemovalPercent": 90}}
    await admin.patch(url, json={"credential": {"clientSecret": not_known_yet}, "policy": policy})
    emulator.control.add_secret(value=not_known_yet)
    monkeypatch.setattr(impact, "preview", refused)
    set_clock(services, lambda: utc_now() + timedelta(minutes=1))
    tried = await retried(services, connection_id)

    assert tried is not None
    assert [one.code for one in tried.failing] == ["graph.permissionMissing"]
    assert tried.status == "waiting"
    assert sorted(tried.pending or {}) == ["credential", "policy"]


# --- other connections ------------------------------------------------------------------------------


async def test_what_waits_does_not_bring_in_the_people_of_another_connection(
    *, admin: httpx.AsyncClient, url: str, create: Create, connection_id: str, wide: Json,
    emulator: GraphEmulator, not_known_yet: str,
) -> None:  # fmt: skip
    """They were free when it was saved."""
    await create()
    await admin.patch(url, json={"credential": {"clientSecret": not_known_yet}, "scope": wide})
    taken = await admin.post(
        "/api/connections", json=document(f"{connection_id}-2", scope=wide, enabled=False)
    )
    emulator.control.add_secret(value=not_known_yet)
    checked = (await admin.post(f"{url}/check")).json()
    told = [one for one in checked["checks"] if not one["ok"]]

    assert taken.status_code == 201, taken.text
    assert [one["code"] for one in told] == ["scope.samePeople"]
    assert f"{connection_id}-2" in told[0]["message"]
    assert sorted(await pending(admin, url)) == ["credential", "scope"]


@pytest.mark.parametrize("theirs", [False, True])
async def test_a_secret_in_use_in_its_current_version_is_not_stored_over(
    *, admin: httpx.AsyncClient, url: str, create: Create, services: Services,
    connection_id: str, theirs: bool,
) -> None:  # fmt: skip
    """The new value would be in use before it was tried, also by others who name the secret."""
    await create()
    name = f"rotated-{connection_id}"
    await services.vault.set(name, SAMPLE_CLIENT_SECRET, content_type="text/plain")
    await admin.patch(url, json={"credential": {"secretName": name}})
    new = {"clientSecret": "not-a-secret-of-the-app", "secretName": name}
    body = document(f"{connection_id}-2", credential=new)
    refused = (
        await admin.post("/api/connections", json=body)
        if theirs
        else await admin.patch(url, json={"credential": new})
    )
    elsewhere = await admin.patch(
        url,
        json={"credential": {"clientSecret": SAMPLE_CLIENT_SECRET, "secretName": f"{name}-new"}},
    )

    assert (refused.status_code, paths(refused)) == (422, ["credential.secretName"])
    assert await services.vault.get(name) == SAMPLE_CLIENT_SECRET
    assert elsewhere.status_code == 200, elsewhere.text
    assert elsewhere.json()["credential"]["secretVersion"]


# --- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prune", [False, True])
async def test_a_file_does_not_take_back_a_secret_that_waits(
    *, admin: httpx.AsyncClient, url: str, create: Create, services: Services,
    connection_id: str, emulator: GraphEmulator, not_known_yet: str, prune: bool,
) -> None:  # fmt: skip
    """A pipeline that applies a schedule knows nothing of it."""
    await create()
    await admin.patch(url, json={"credential": {"clientSecret": not_known_yet}})
    waiting = (await pending(admin, url))["credential"]
    file = (await admin.get("/api/config")).json()
    file["connections"][0]["schedule"]["everyMinutes"] = 30
    if prune:
        file["connections"] = [{**document(f"{connection_id}-2"), "credential": {}}]
    applied = await apply_file(admin, file, prune=prune)
    between = (await admin.get(url)).json()
    emulator.control.add_secret(value=not_known_yet)
    await admin.post(f"{url}/check")
    after = (await admin.get(url)).json()

    assert applied.status_code == 200, applied.text
    assert (between["enabled"], between["schedule"]["everyMinutes"]) == (
        (False, 60) if prune else (True, 30)
    )
    assert after["credential"] == waiting
    assert await services.vault.get(waiting["secretName"], waiting["secretVersion"])


@pytest.mark.parametrize("passing", [False, True])
async def test_a_tenant_that_cannot_be_planned_does_not_stop_the_file(
    *, admin: httpx.AsyncClient, url: str, create: Create, connection_id: str, imported: Json,
    emulator: GraphEmulator, passing: bool,
) -> None:  # fmt: skip
    """Its raised limits need a plan; the others do not, and are told about and saved."""
    other = f"{connection_id}-2"
    await admin.post("/api/connections", json=document(other, enabled=False))
    file = (await admin.get("/api/config", params={"connection": [connection_id, other]})).json()
    file["connections"][0]["policy"]["guard"]["maxRemovalPercent"] = 90
    file["connections"][1]["displayName"] = "Another"
    if passing:
        emulator.control.add_fault("unavailable", path="/v1.0/**")
    else:
        emulator.control.set_roles([])
    try:
        planned = await admin.post("/api/config/plan", json=file)
        applied = await apply_file(admin, file)
    finally:
        emulator.control.clear_faults()
        emulator.control.set_roles(SAMPLE_ROLES)
    (told,) = planned.json()["problems"]
    found = (await admin.get(url)).json()
    renamed = (await admin.get(f"/api/connections/{other}")).json()

    assert planned.status_code == 200, planned.text
    assert (told["connection"], told["path"]) == (connection_id, "connections[0]")
    assert "Graph" in told["message"]
    assert found["policy"] == imported["policy"], "the limits were raised unseen"
    assert renamed["displayName"] == "Another"
    if passing:
        assert (applied.status_code, sorted(await pending(admin, url))) == (200, ["policy"])
    else:
        assert (applied.status_code, paths(applied)) == (409, ["connections[0]"])


# --- at the same time -------------------------------------------------------------------------------


async def test_a_check_that_is_late_does_not_judge_newer_settings(
    *,
    admin: httpx.AsyncClient,
    url: str,
    create: Create,
    services: Services,
    connection_id: str,
    emulator: GraphEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await create()
    tried = verify._try

    async def interrupted(*args: Any) -> Any:
        monkeypatch.setattr(verify, "_try", tried)
        emulator.control.set_roles([])
        result = await tried(*args)
        emulator.control.set_roles(SAMPLE_ROLES)
        await admin.patch(url, json={"displayName": "Consented meanwhile"})
        return result

    monkeypatch.setattr(verify, "_try", interrupted)
    await verify.check(services, connection_id, SaveGuard(services).check_waiting)

    assert (await admin.get(url)).json()["verification"]["status"] == "verified"


@pytest.mark.parametrize("works", [True, False])
async def test_what_waited_does_not_replace_what_was_saved_after_it(
    *,
    admin: httpx.AsyncClient,
    url: str,
    create: Create,
    services: Services,
    emulator: GraphEmulator,
    not_known_yet: str,
    works: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process ended after the newer secret was stored, and before that was noted."""

    async def killed(*_: Any) -> None:
        raise RetryLater("store.unavailable", "The process ends here.")

    await create()
    await admin.patch(url, json={"credential": {"clientSecret": not_known_yet}})
    newer = emulator.control.add_secret()
    with monkeypatch.context() as context:
        context.setattr(services.store.verifications, "change", killed)
        ended = await admin.patch(url, json={"credential": {"clientSecret": newer}})
    saved = (await admin.get(url)).json()["credential"]
    emulator.control.add_secret(value=not_known_yet)
    emulator.control.set_roles(SAMPLE_ROLES if works else [])
    await admin.post(f"{url}/check")
    emulator.control.set_roles(SAMPLE_ROLES)
    found = (await admin.get(url)).json()

    assert ended.status_code == 503
    assert await services.vault.get(saved["secretName"], saved["secretVersion"]) == newer
    assert found["credential"] == saved
    assert found["verification"]["pending"] is None
    assert found["verification"]["status"] == ("verified" if works else "waiting")

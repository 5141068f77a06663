"""What a save does with settings that do not work (yet): kept, not in use, tried again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from local.sample import SAMPLE_CLIENT_SECRET, SAMPLE_GROUP_ID, SAMPLE_ROLES, SAMPLE_TENANT_ID
from sync_core import services as wiring
from sync_core import triggers
from sync_core.connections import verify
from sync_core.connections.impact import SaveGuard
from sync_core.domain.documents.request import SyncRequest
from sync_core.domain.documents.run import Run, RunStatus, Trigger
from sync_core.domain.errors import FixConnection, RetryLater
from sync_core.domain.health import Cause
from sync_core.health import journal
from sync_core.services import Services, utc_now
from tests.api.conftest import Create, Json, document, retried
from tests.system import Rig, connection, group_scope, run_now, set_clock

WRONG = {"credential": {"clientSecret": "not-the-secret-of-the-app"}}
NO_GROUP = "99999999-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def whole_tenant(emulator: GraphEmulator) -> Iterator[None]:
    yield
    emulator.control.set_roles(SAMPLE_ROLES)


class Clock:
    """The app's clock, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture
def clock(services: Services) -> Clock:
    clock = Clock()
    set_clock(services, clock)
    return clock


def url(connection_id: str) -> str:
    return f"/api/connections/{connection_id}"


async def loaded(admin: httpx.AsyncClient, connection_id: str) -> Json:
    answer = await admin.get(url(connection_id))
    assert answer.status_code == 200
    found: Json = answer.json()
    return found


async def remembered(services: Services) -> set[str]:
    return {one.connection_id async for one in services.store.verifications.all()}


def failing(answer: httpx.Response) -> list[str]:
    return [check["code"] for check in answer.json()["checks"] if not check["ok"]]


async def version_in_use(admin: httpx.AsyncClient, connection_id: str) -> str:
    return str((await loaded(admin, connection_id))["credential"]["secretVersion"])


# --- a connection that is not enabled yet -----------------------------------------------------------


async def test_settings_that_work_are_verified_by_the_save(
    create: Create, connection_id: str
) -> None:
    verification = (await create()).json()["verification"]

    assert verification["status"] == "verified"
    assert verification["checkedAt"]
    assert (verification["failing"], verification["pending"]) == ([], None)


async def test_enabling_what_does_not_work_is_refused_and_nothing_is_lost(
    admin: httpx.AsyncClient, connection_id: str, services: Services
) -> None:
    answer = await admin.post("/api/connections", json=document(connection_id, **WRONG))
    found = await loaded(admin, connection_id)
    version = found["credential"]["secretVersion"]

    assert (answer.status_code, answer.json()["code"]) == (422, "connection.notVerified")
    assert failing(answer) == ["credential.secretInvalid"]
    assert "AADSTS7000215" in answer.json()["detail"]
    assert answer.json()["remedy"]
    assert answer.headers["Location"] == url(connection_id)
    assert (found["enabled"], found["verification"]["status"]) == (False, "waiting")
    assert [one["code"] for one in found["warnings"]] == ["connection.notVerified"]
    assert (
        await services.vault.get(f"{connection_id}-client-secret", version)
        == (WRONG["credential"]["clientSecret"])
    )


async def test_what_is_not_to_be_enabled_is_stored_and_says_that_it_does_not_work(
    create: Create, connection_id: str
) -> None:
    created = (await create(enabled=False, scope=group_scope(NO_GROUP))).json()

    assert created["verification"]["status"] == "notVerified"
    assert [one["code"] for one in created["verification"]["failing"]] == ["scope.groupNotFound"]
    assert created["verification"]["nextTryAt"] is None


async def test_without_a_tenant_there_is_nothing_to_ask_yet(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    body = document(connection_id, enabled=False, tenantId=None)
    created = await admin.post("/api/connections", json=body)

    assert created.status_code == 201
    assert created.json()["verification"]["failing"][0]["code"] == "connection.noTenant"


async def test_enabling_later_is_refused_with_the_checks(
    admin: httpx.AsyncClient, create: Create, connection_id: str, emulator: GraphEmulator
) -> None:
    await create(enabled=False)
    emulator.control.set_roles(["Group.Read.All"])
    refused = await admin.patch(url(connection_id), json={"enabled": True})
    found = await loaded(admin, connection_id)

    assert refused.status_code == 422
    assert failing(refused) == ["permission.missing"]
    assert [one["path"] for one in refused.json()["errors"]] == ["enabled"]
    assert found["enabled"] is False
    assert found["verification"]["pending"] == {"enabled": True}


# --- waiting for Entra ------------------------------------------------------------------------------


async def test_a_connection_verifies_and_enables_itself_when_entra_is_ready(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    clock: Clock,
) -> None:
    emulator.control.set_roles([])
    refused = await admin.post("/api/connections", json=document(connection_id))
    too_early = await retried(services, connection_id)
    clock.ahead += timedelta(seconds=11)
    second = await retried(services, connection_id)
    emulator.control.set_roles(SAMPLE_ROLES)
    clock.ahead += timedelta(seconds=21)
    third = await retried(services, connection_id)
    found = await loaded(admin, connection_id)

    assert "Waiting for Entra, next try in 10 s." in refused.json()["detail"]
    assert too_early is None
    assert second is not None
    assert (second.status, second.attempts) == ("waiting", 2)
    assert third is not None
    assert third.status == "verified"
    assert (found["enabled"], found["verification"]["pending"]) == (True, None)
    assert found["warnings"] == []
    assert await retried(services, connection_id) is None


async def test_disabling_takes_the_waiting_wish_back(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    clock: Clock,
) -> None:
    emulator.control.set_roles([])
    await admin.post("/api/connections", json=document(connection_id))
    answer = await admin.patch(url(connection_id), json={"enabled": False})
    emulator.control.set_roles(SAMPLE_ROLES)
    clock.ahead += timedelta(minutes=1)
    await retried(services, connection_id)

    assert answer.status_code == 200
    assert (await loaded(admin, connection_id))["enabled"] is False


async def test_a_check_by_hand_brings_into_use_what_waits(
    admin: httpx.AsyncClient, connection_id: str, emulator: GraphEmulator
) -> None:
    await admin.post("/api/connections", json=document(connection_id, scope=group_scope(NO_GROUP)))
    stays = (await admin.post(f"{url(connection_id)}/check")).json()
    await admin.patch(url(connection_id), json={"scope": group_scope(SAMPLE_GROUP_ID)})
    found = await loaded(admin, connection_id)

    assert (stays["ok"], stays["verification"]["status"]) == (False, "notVerified")
    assert (found["enabled"], found["verification"]["status"]) == (True, "verified")


async def test_a_try_whose_message_was_lost_is_asked_for_by_the_timer(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[SyncRequest, int]] = []

    async def down(request: SyncRequest, *, delay_s: int = 0) -> None:
        raise RetryLater("queue.unavailable", "down")

    async def send(request: SyncRequest, *, delay_s: int = 0) -> None:
        sent.append((request, delay_s))

    emulator.control.set_roles([])
    monkeypatch.setattr(services.queue, "send", down)
    await admin.post("/api/connections", json=document(connection_id))
    monkeypatch.setattr(services.queue, "send", send)
    early = await verify.request_due(services)
    clock.ahead += timedelta(minutes=1)

    asked = await verify.request_due(services)
    ours = [(one.purpose, delay) for one, delay in sent if one.connection_id == connection_id]

    assert early < asked
    assert ours == [("verify", 0)]


async def test_a_message_with_this_purpose_tries_and_runs_nothing(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ours() -> Services:
        return services

    monkeypatch.setattr(wiring.process, "services", ours)
    emulator.control.set_roles([])
    await admin.post("/api/connections", json=document(connection_id))
    emulator.control.set_roles(SAMPLE_ROLES)
    clock.ahead += timedelta(minutes=1)
    body = f'{{"connectionId": "{connection_id}", "trigger": "timer", "purpose": "verify"}}'
    await triggers.requested(body.encode())

    assert (await loaded(admin, connection_id))["enabled"] is True
    assert await services.store.runs.page(connection_id, top=1, after=None) == []


async def test_waiting_settings_of_a_connection_that_is_gone_are_forgotten(
    *,
    admin: httpx.AsyncClient,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    clock: Clock,
) -> None:
    emulator.control.set_roles([])
    await admin.post("/api/connections", json=document(connection_id))
    stored = await services.store.connections.get(connection_id)
    await services.store.connections.delete(connection_id, stored.etag)
    clock.ahead += timedelta(minutes=1)

    assert await retried(services, connection_id) is None
    assert connection_id not in await remembered(services)


async def test_deleting_a_connection_forgets_what_waits(
    admin: httpx.AsyncClient, connection_id: str, services: Services, emulator: GraphEmulator
) -> None:
    emulator.control.set_roles([])
    for users in ("keep", "delete"):
        await admin.post("/api/connections", json=document(connection_id))
        await admin.delete(url(connection_id), params={"users": users})

        assert connection_id not in await remembered(services)


# --- a connection that runs -------------------------------------------------------------------------


async def test_a_wrong_secret_waits_beside_the_one_in_use_and_no_run_fails(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    clock: Clock,
) -> None:
    """The new one is not known everywhere in Entra yet, as happens for minutes after it was made."""
    await create()
    old = await version_in_use(admin, connection_id)
    new = "made-a-minute-ago-and-not-known-yet"
    refused = await admin.patch(url(connection_id), json={"credential": {"clientSecret": new}})
    run = await run_now(services, connection_id)
    beside = await loaded(admin, connection_id)
    emulator.control.add_secret(value=new)
    clock.ahead += timedelta(minutes=1)
    await retried(services, connection_id)
    after = await loaded(admin, connection_id)

    assert (refused.status_code, failing(refused)) == (422, ["credential.secretInvalid"])
    assert run.status is RunStatus.SUCCEEDED
    assert (beside["enabled"], beside["credential"]["secretVersion"]) == (True, old)
    assert beside["verification"]["pending"]["credential"]["secretVersion"] != old
    assert new not in refused.text
    assert after["credential"]["secretVersion"] != old
    assert (after["verification"]["status"], after["verification"]["pending"]) == ("verified", None)
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED
    with pytest.raises(FixConnection, match="disabled"):
        await services.vault.get(f"{connection_id}-client-secret", old)


async def test_a_secret_that_works_replaces_the_old_one_which_is_disabled(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
) -> None:
    await create()
    old = await version_in_use(admin, connection_id)
    new = emulator.control.add_secret()
    answer = await admin.patch(url(connection_id), json={"credential": {"clientSecret": new}})

    assert answer.status_code == 200
    assert await services.vault.get(
        f"{connection_id}-client-secret", answer.json()["credential"]["secretVersion"]
    ) == (new)
    with pytest.raises(FixConnection) as refused:
        await services.vault.get(f"{connection_id}-client-secret", old)
    assert refused.value.code == "vault.secretDisabled"


async def test_a_secret_stays_usable_until_a_later_one_was_seen_to_work(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
) -> None:
    """Of a connection that does not run, the newest secret is stored in its place at once."""
    versions = [(await create(enabled=False)).json()["credential"]["secretVersion"]]
    await admin.patch(url(connection_id), json=WRONG)
    versions.append(await version_in_use(admin, connection_id))
    name = f"{connection_id}-client-secret"
    still = await services.vault.get(name, versions[0])
    new = {"clientSecret": emulator.control.add_secret()}
    await admin.patch(url(connection_id), json={"credential": new})

    assert still == SAMPLE_CLIENT_SECRET
    for version in versions:
        with pytest.raises(FixConnection, match="disabled"):
            await services.vault.get(name, version)
    assert await services.vault.get(name) == new["clientSecret"]


async def test_a_run_that_began_with_the_old_secret_goes_on_with_the_new_one(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It read the connection before the secret was replaced, and asks Key Vault afterwards."""
    await create()
    before = await services.store.connections.get(connection_id)
    new = emulator.control.add_secret()
    await admin.patch(url(connection_id), json={"credential": {"clientSecret": new}})
    find, answers = services.store.connections.find, [before]

    async def found_late(name: str) -> Any:
        return answers.pop() if answers else await find(name)

    monkeypatch.setattr(services.store.connections, "find", found_late)
    run = await run_now(services, connection_id)

    assert (run.status, answers) == (RunStatus.SUCCEEDED, [])


async def test_a_secret_that_somebody_disabled_fails_the_run_in_words(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    await create()
    version = await version_in_use(admin, connection_id)
    await services.vault.disable(f"{connection_id}-client-secret", version)
    run = await run_now(services, connection_id)

    assert run.error is not None
    assert (run.status, run.error.code) == (RunStatus.FAILED, "vault.secretDisabled")


async def test_a_version_that_another_connection_pins_is_not_disabled(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
) -> None:
    """Connections from before each had a secret of its own may share one, spelt in any way."""
    name = f"shared-{connection_id}"
    shared = {"clientSecret": SAMPLE_CLIENT_SECRET, "secretName": name}
    old = (await create(credential=shared)).json()["credential"]["secretVersion"]
    pinned = {"secretName": name.upper(), "secretVersion": old}
    await services.store.connections.create(
        connection(f"{connection_id}-b", credential=pinned, enabled=False)
    )
    new = emulator.control.add_secret()
    await admin.patch(url(connection_id), json={"credential": {"clientSecret": new}})

    assert await services.vault.get(name, old) == SAMPLE_CLIENT_SECRET


async def test_a_scope_that_cannot_be_read_waits_and_an_unrelated_edit_goes_through(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    before = (await create()).json()
    refused = await admin.patch(url(connection_id), json={"scope": group_scope(NO_GROUP)})
    edited = await admin.patch(url(connection_id), json={"displayName": "Edited"})
    after = await loaded(admin, connection_id)

    assert (refused.status_code, failing(refused)) == (422, ["scope.groupNotFound"])
    assert [one["path"] for one in refused.json()["errors"]] == ["scope"]
    assert edited.status_code == 200
    assert (after["displayName"], after["scope"]) == ("Edited", before["scope"])
    waiting = after["verification"]["pending"]
    assert waiting["scope"]["filters"][0]["clauses"][0]["value"] == [NO_GROUP]
    assert sorted(waiting) == ["scope"]


async def test_an_edit_that_is_valid_only_with_what_waits_waits_as_well(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    mapping = [{"target": "badge", "source": "employeeId"}, {"target": "who", "source": "mail"}]
    patch = {"scope": group_scope(NO_GROUP), "mapping": mapping}
    await admin.patch(url(connection_id), json=patch)
    refused = await admin.patch(url(connection_id), json={"matching": ["badge"]})
    after = await loaded(admin, connection_id)

    assert refused.status_code == 422
    assert sorted(after["verification"]["pending"]) == ["mapping", "matching", "scope"]
    assert after["matching"] == []


async def test_what_waits_can_be_forgotten(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services, clock: Clock
) -> None:
    await create()
    await admin.patch(url(connection_id), json={"scope": group_scope(NO_GROUP)})
    dropped = await admin.delete(f"{url(connection_id)}/pending")
    again = await admin.delete(f"{url(connection_id)}/pending")
    await retried(services, connection_id)
    found = (await loaded(admin, connection_id))["verification"]

    assert (dropped.status_code, again.status_code) == (204, 204)
    assert (found["pending"], found["status"]) == (None, "verified")


async def test_the_secret_that_was_dropped_with_what_waited_is_disabled(
    admin: httpx.AsyncClient, create: Create, connection_id: str, services: Services
) -> None:
    await create()
    await admin.patch(url(connection_id), json=WRONG)
    waiting = (await loaded(admin, connection_id))["verification"]["pending"]["credential"]
    await admin.delete(f"{url(connection_id)}/pending")
    await retried(services, connection_id)

    with pytest.raises(FixConnection, match="disabled"):
        await services.vault.get(waiting["secretName"], waiting["secretVersion"])
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED


async def test_a_connection_in_trouble_can_be_edited(
    *, admin: httpx.AsyncClient, create: Create, connection_id: str, emulator: GraphEmulator
) -> None:
    """Nothing about its settings gets worse by a new name, or by a step towards the cure."""
    await create()
    emulator.control.set_roles(["User.Read.All"])
    renamed = await admin.patch(url(connection_id), json={"displayName": "In trouble"})
    narrower = await admin.patch(
        url(connection_id), json={"mapping": [{"target": "email", "source": "mail"}]}
    )

    assert (renamed.status_code, narrower.status_code) == (200, 200)
    assert renamed.json()["verification"]["status"] == "waiting"
    assert renamed.json()["enabled"] is True


async def test_disabling_asks_nobody(
    admin: httpx.AsyncClient, create: Create, connection_id: str, emulator: GraphEmulator
) -> None:
    await create()
    emulator.control.reset_requests()
    answer = await admin.patch(url(connection_id), json={"enabled": False})

    assert (answer.status_code, answer.json()["enabled"]) == (200, False)
    assert emulator.requests == []


async def test_a_save_that_works_ends_the_quarantine(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
) -> None:
    await create()
    run = Run.model_validate(
        {
            "id": "r1",
            "connectionId": connection_id,
            "trigger": Trigger.TIMER,
            "status": RunStatus.FAILED,
            "requestedAt": utc_now(),
            "error": {"code": "credential.secretExpired", "message": "It has expired."},
        }
    )
    await journal.run_ended(services, run, Cause.ADMINISTRATOR)
    new = emulator.control.add_secret()
    await admin.patch(url(connection_id), json={"credential": {"clientSecret": new}})

    assert (await journal.read(services, connection_id)).quarantine is None


async def test_a_check_tells_of_what_waits_and_of_what_is_in_use(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    await create()
    await admin.patch(url(connection_id), json={"scope": group_scope(NO_GROUP)})
    found = (await admin.post(f"{url(connection_id)}/check")).json()

    assert (found["ok"], found["inUse"]["ok"]) == (False, True)
    assert sorted(found["verification"]["pending"]) == ["scope"]


async def test_a_check_and_a_save_at_once_lose_nothing(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The save comes while Entra answers the check, and what it keeps aside stays."""
    await create()
    tried, saves = verify._try, [{"scope": group_scope(NO_GROUP)}]

    async def interrupted(*args: Any) -> Any:
        result = await tried(*args)
        if saves:
            await admin.patch(url(connection_id), json=saves.pop())
        return result

    monkeypatch.setattr(verify, "_try", interrupted)
    await verify.check(services, connection_id, SaveGuard(services).check)
    found = (await loaded(admin, connection_id))["verification"]

    assert (sorted(found["pending"]), found["status"]) == (["scope"], "notVerified")


async def test_what_waits_comes_into_use_over_a_change_made_meanwhile(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await create()
    new = "known-a-little-later"
    await admin.patch(url(connection_id), json={"credential": {"clientSecret": new}})
    emulator.control.add_secret(value=new)
    tried, edits = verify._try, ["Edited meanwhile"]

    async def interrupted(*args: Any) -> Any:
        result = await tried(*args)
        if edits:
            stored = await services.store.connections.get(connection_id)
            changed = stored.connection.model_copy(update={"display_name": edits.pop()})
            await services.store.connections.replace(changed, stored)
        return result

    monkeypatch.setattr(verify, "_try", interrupted)
    checked = await verify.check(services, connection_id, SaveGuard(services).check)
    found = await loaded(admin, connection_id)

    assert checked.verification.status == "verified"
    assert (found["displayName"], found["verification"]["pending"]) == ("Edited meanwhile", None)


async def test_key_vault_that_does_not_disable_the_old_version_stops_nothing(
    *,
    admin: httpx.AsyncClient,
    create: Create,
    connection_id: str,
    services: Services,
    emulator: GraphEmulator,
    rig: Rig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refused(name: str, version: str) -> None:
        raise FixConnection("vault.forbidden", f"{name} {version}")

    await create()
    monkeypatch.setattr(services.vault, "disable", refused)
    new = emulator.control.add_secret()
    answer = await admin.patch(url(connection_id), json={"credential": {"clientSecret": new}})

    assert answer.status_code == 200


# --- files ------------------------------------------------------------------------------------------


async def test_a_file_keeps_what_does_not_pass_and_says_so(
    admin: httpx.AsyncClient, create: Create, connection_id: str
) -> None:
    created = (await create()).json()
    entry = {
        name: value for name, value in created.items() if name not in {"warnings", "verification"}
    }
    entry["credential"].pop("secretVersion")
    file = {
        "apiVersion": "entra-user-sync/v1",
        "connections": [entry | {"scope": group_scope(NO_GROUP)}],
    }
    plan = (await admin.post("/api/config/plan", json=file)).json()
    applied = await admin.post(
        "/api/config/apply", json=file, params={"planHash": plan["planHash"]}
    )
    (told,) = applied.json()["problems"]
    found = await loaded(admin, connection_id)

    assert applied.status_code == 200
    assert "did not pass" in told["message"]
    assert found["scope"] == created["scope"]
    assert sorted(found["verification"]["pending"]) == ["scope"]


async def test_the_tenant_s_domain_is_checked_like_its_id(
    admin: httpx.AsyncClient, connection_id: str
) -> None:
    body = document(connection_id, tenantId="contoso.com")
    answer = await admin.post("/api/connections", json=body)

    assert answer.status_code == 201, answer.text
    assert SAMPLE_TENANT_ID in str((await admin.post(f"{url(connection_id)}/check")).json())

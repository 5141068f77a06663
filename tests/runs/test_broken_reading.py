"""Absence is never evidence: a reading that breaks, or lies, removes nobody and blanks nothing."""

from collections.abc import Mapping
from typing import Any

import pytest
from kiota_abstractions.headers_collection import HeadersCollection

from local.graph import GraphEmulator
from local.sample import SAMPLE_GROUP_ID
from sync_core.directory import client, requests
from sync_core.domain.documents.run import Run, RunError, RunStatus
from sync_core.domain.errors import FixConnection
from sync_core.people.sync_now import sync_person
from sync_core.people.why import explain
from sync_core.runs.preview import preview
from sync_core.services import Services
from sync_core.store.wire import Entity
from tests.switches import either_way
from tests.system import BY_HAND, active, group_scope, rows_of, run_now, stored_connection


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty people are three pages of twenty."""
    monkeypatch.setattr(requests, "MAX_PAGE", 20)


async def imported(services: Services, connection_id: str, **scope: Any) -> Mapping[str, Entity]:
    """Import everybody, without a guard: only the reading itself protects them here."""
    await stored_connection(
        services,
        connection_id,
        scope=scope or {"everyone": True},
        policy={"guard": {"maxRemovals": None, "maxRemovalPercent": None}},
    )
    assert (await run_now(services, connection_id)).status is RunStatus.SUCCEEDED
    return await rows_of(services, connection_id)


async def assert_untouched(services: Services, run: Run, before: Mapping[str, Entity]) -> None:
    assert await rows_of(services, run.connection_id) == before
    assert (run.counts.disabled, run.counts.deleted, run.counts.updated) == (0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("unavailable", "graph.unavailable"),
        ("gatewayTimeout", "graph.unavailable"),
        ("serverError", "graph.unavailable"),
        ("throttled", "graph.throttled"),
        ("reset", "graph.unreachable"),
        ("truncated", "graph.unreachable"),
        ("html", "graph.badAnswer"),
        ("loopingLink", "graph.pageLoop"),
        ("foreignLink", "graph.linkHostRefused"),
        ("expiredToken", "graph.tokenRefused"),
    ],
)
async def test_a_later_page_that_fails_for_good_removes_nobody(
    services: Services, emulator: GraphEmulator, connection_id: str, kind: str, code: str
) -> None:
    before = await imported(services, connection_id)
    emulator.control.change_many("softDelete", keys=sorted(before)[:3])
    emulator.control.add_fault(kind, path="/v1.0/users", page=2)

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.code == code
    assert run.error.remedy or code == "graph.pageLoop"
    await assert_untouched(services, run, before)


@pytest.mark.parametrize(
    "kind",
    [
        "unavailable",
        "gatewayTimeout",
        "serverError",
        "throttled",
        "reset",
        "truncated",
        "html",
        "emptyPage",
        "repeatedPage",
    ],
)
async def test_a_passing_trouble_changes_nothing_about_the_outcome(
    services: Services, emulator: GraphEmulator, connection_id: str, kind: str
) -> None:
    before = await imported(services, connection_id)
    [leaver] = emulator.control.change_many("softDelete", keys=[min(before)])
    emulator.control.add_fault(kind, path="/v1.0/users", page=2, times=2)

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED
    assert active(await rows_of(services, connection_id)) == before.keys() - {leaver}


async def test_a_token_that_ends_in_the_middle_of_a_list_is_replaced_for_the_rest(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The SDK leaves a request with the token it was sent with, and a page has the headers of the first."""
    await imported(services, connection_id)
    emulator.control.add_fault("expiredToken", path="/v1.0/users", page=2, times=1)

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.SUCCEEDED, run.error


async def test_pages_without_end_fail_the_run(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = await imported(services, connection_id)
    monkeypatch.setattr(client, "MOST_FRUITLESS_PAGES", 10)
    emulator.control.add_fault("emptyPages", path="/v1.0/users", count=8)
    some = await run_now(services, connection_id, mode="full")
    emulator.control.clear_faults()
    emulator.control.add_fault("emptyPage", path="/v1.0/users")

    run = await run_now(services, connection_id, mode="full")

    assert some.status is RunStatus.SUCCEEDED

    assert run.error is not None
    assert run.error.code == "graph.pagesWithoutEnd"
    await assert_untouched(services, run, before)


async def test_a_list_that_ends_early_without_an_error_removes_nobody(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """Graph's own count gives it away; what was read still flows."""
    before = await imported(services, connection_id)
    first = emulator.control.people(top=15)
    changed = next(one["id"] for one in first if one["id"] in before)
    emulator.control.patch_person(changed, {"jobTitle": "On the first page"})
    emulator.control.add_fault("lostRest", path="/v1.0/users", page=2)

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.status is RunStatus.PARTIAL
    assert [error.code for error in run.errors] == ["graph.shortList"]
    assert run.counts.disabled == 0
    assert active(rows) == before.keys()
    assert rows[changed]["jobTitle"] == "On the first page"


@pytest.mark.parametrize("role", ["User.Read.All", "Group.Read.All"])
async def test_a_lost_permission_is_named_and_nothing_is_blanked(
    services: Services, emulator: GraphEmulator, connection_id: str, role: str
) -> None:
    """Without User.Read.All members come with null attributes: the trap of promise 1."""
    before = await imported(services, connection_id, **group_scope(SAMPLE_GROUP_ID))
    emulator.control.set_roles([one for one in ("User.Read.All", "Group.Read.All") if one != role])

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert role in run.error.message
    assert role in run.error.remedy
    await assert_untouched(services, run, before)


async def test_all_permissions_that_are_missing_are_named_at_once(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    before = await imported(services, connection_id, **group_scope(SAMPLE_GROUP_ID))
    emulator.control.set_roles([])

    run = await run_now(services, connection_id)

    assert run.error is not None
    for role in ("User.Read.All", "GroupMember.Read.All"):
        assert role in run.error.message
        assert role in run.error.remedy
    await assert_untouched(services, run, before)


async def test_previews_and_looks_at_one_person_name_them_all_as_well(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    person = min(await imported(services, connection_id, **group_scope(SAMPLE_GROUP_ID)))
    connection = (await services.store.connections.get(connection_id)).connection
    emulator.control.set_roles([])
    told = [(await sync_person(services, connection_id, person, BY_HAND)).run.error]
    for asked in (
        preview(services, connection),
        explain(services, connection, person, values_of_outsiders=True),
    ):
        with pytest.raises(FixConnection) as refused:
            await asked
        told.append(RunError.of(refused.value))

    for error in told:
        assert error is not None
        assert "User.Read.All and GroupMember.Read.All" in error.message
        assert "User.Read.All and GroupMember.Read.All" in error.remedy


async def test_a_permission_lost_in_the_middle_of_a_run_removes_nobody(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    before = await imported(services, connection_id, **group_scope(SAMPLE_GROUP_ID))
    emulator.control.remove_members(SAMPLE_GROUP_ID, count=3)
    emulator.control.add_fault("lostPermission", roles=["User.Read.All"])

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.FAILED
    await assert_untouched(services, run, before)


@either_way("security_groups")
async def test_a_group_that_is_gone_removes_nobody_and_is_named(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    control = emulator.control
    ids = [one["id"] for one in control.people(top=20) if one.get("accountEnabled")]
    one = control.create_group("One", members=ids[:5])["id"]
    two = control.create_group("Two", members=ids[5:10])["id"]
    before = await imported(services, connection_id, **group_scope(one, two, guests="include"))
    control.delete_group(two)
    control.patch_person(ids[0], {"jobTitle": "In the group that is left"})

    run = await run_now(services, connection_id)

    rows = await rows_of(services, connection_id)
    assert run.status is RunStatus.PARTIAL
    assert [(error.object_id, error.code) for error in run.errors] == [(two, "scope.groupNotFound")]
    assert active(rows) == before.keys()
    assert rows[ids[0]]["jobTitle"] == "In the group that is left"


async def test_a_removal_that_cannot_be_proven_is_not_done(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    """The list is complete, but the question by id fails: nobody is removed on the list alone."""
    before = await imported(services, connection_id)
    emulator.control.change_many("softDelete", keys=sorted(before)[:3])
    emulator.control.add_fault("unavailable", path="/v1.0/users/*", where="batch")

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.FAILED
    await assert_untouched(services, run, before)


async def test_a_wrong_secret_is_a_sentence_for_the_administrator(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    before = await imported(services, connection_id)
    emulator.control.remove_secrets()

    run = await run_now(services, connection_id)

    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.code == "credential.secretInvalid"
    assert "value" in run.error.remedy
    await assert_untouched(services, run, before)


async def test_a_dead_key_vault_fails_the_run_and_touches_nobody(
    services: Services, rig: Any, connection_id: str
) -> None:
    before = await imported(services, connection_id)
    rig.vault.faults.down = True
    try:
        run = await run_now(services, connection_id)
    finally:
        rig.vault.faults.down = False

    assert run.error is not None
    assert run.error.code == "vault.unavailable"
    await assert_untouched(services, run, before)


@either_way("throttled_batch")
async def test_throttled_items_of_a_batch_are_asked_again(
    services: Services, emulator: GraphEmulator, connection_id: str
) -> None:
    before = await imported(services, connection_id)
    gone = sorted(before)[:5]
    emulator.control.change_many("softDelete", keys=gone)
    emulator.control.add_fault(
        "throttled", path="/v1.0/users/*", where="batch", times=3, retryAfter=0.25
    )

    run = await run_now(services, connection_id)

    assert run.counts.disabled == 5
    assert run.graph.throttled >= 1
    assert run.graph.retried >= 1
    assert run.graph.waited_seconds > 0


async def test_a_tenant_that_cannot_be_counted_is_read_all_the_same(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A count without the advanced-query header is refused, as everywhere in a B2C tenant."""
    monkeypatch.setattr(requests, "advanced_headers", HeadersCollection)

    before = await imported(services, connection_id)

    counted = [asked for asked in emulator.requests if asked.path == "/v1.0/users/$count"]
    assert [asked.status for asked in counted] == [400]
    assert len(before) > 20

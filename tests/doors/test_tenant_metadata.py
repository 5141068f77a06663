"""What a tenant tells everybody is asked without a credential, kept for an hour, and never needed."""

from datetime import UTC, datetime, timedelta

import pytest

from local.graph import GraphEmulator
from local.sample import DOD_TENANT_ID, SAMPLE_DOMAIN, SAMPLE_TENANT_ID
from sync_core.directory.tenant_metadata import KEPT, TenantMetadata
from sync_core.domain.clouds import CloudName
from sync_core.domain.tenants import UNKNOWN, TenantFacts

NOBODYS = "99999999-9999-4999-8999-999999999999"


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 29, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tenants(emulator: GraphEmulator, clock: Clock) -> TenantMetadata:
    return TenantMetadata(emulator.authority_url, clock)


async def test_a_domain_is_told_by_its_id_and_asked_for_once_an_hour(
    tenants: TenantMetadata, emulator: GraphEmulator, clock: Clock
) -> None:
    first = await tenants.find(SAMPLE_DOMAIN)
    clock.time += KEPT - timedelta(seconds=1)
    second = await tenants.find(SAMPLE_DOMAIN)
    asked = len(emulator.requests)
    clock.time += timedelta(seconds=1)
    await tenants.find(SAMPLE_DOMAIN)

    assert first == second
    assert first == TenantFacts(SAMPLE_TENANT_ID, frozenset({CloudName.PUBLIC}))
    assert (asked, len(emulator.requests)) == (1, 2)


async def test_a_tenant_of_another_cloud_is_told_by_the_global_one(
    tenants: TenantMetadata,
) -> None:
    told = await tenants.find(DOD_TENANT_ID)

    assert told == TenantFacts(DOD_TENANT_ID, frozenset({CloudName.US_GOV_DOD}))


@pytest.mark.parametrize("tenant", [NOBODYS, "nobodys.example", "no~name"])
async def test_of_a_tenant_that_does_not_exist_nothing_is_known(
    tenants: TenantMetadata, tenant: str
) -> None:
    assert await tenants.find(tenant) == UNKNOWN


@pytest.mark.parametrize("fault", ["unavailable", "html", "reset", "truncated"])
async def test_who_does_not_answer_has_said_nothing_and_is_asked_again(
    tenants: TenantMetadata, emulator: GraphEmulator, fault: str
) -> None:
    emulator.control.add_fault(fault)
    assert await tenants.find(SAMPLE_DOMAIN) is None
    emulator.control.clear_faults()

    assert await tenants.find(SAMPLE_DOMAIN) is not None

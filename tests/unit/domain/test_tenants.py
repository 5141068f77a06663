"""Where a tenant lives, by its metadata; what it does not say decides nothing."""

from typing import Any

import pytest

from sync_core.domain.clouds import CloudName
from sync_core.domain.tenants import UNKNOWN, read_metadata

TENANT = "c0570500-5a3e-4d1f-9b7a-0d6a5c1e7a01"
US = {CloudName.US_GOV, CloudName.US_GOV_DOD}


@pytest.mark.parametrize(
    ("told", "clouds"),
    [
        pytest.param(("EU", None, "microsoftonline.com"), {CloudName.PUBLIC}, id="global"),
        pytest.param(("NA", "GCC", "microsoftonline.com"), {CloudName.PUBLIC}, id="GCC"),
        pytest.param(("USGov", "DODCON", "microsoftonline.us"), {CloudName.US_GOV}, id="GCC High"),
        pytest.param(("USGov", "DOD", "microsoftonline.us"), {CloudName.US_GOV_DOD}, id="DoD"),
        pytest.param(("USGov", None, "microsoftonline.us"), US, id="either of the US"),
        pytest.param((None, None, "partner.microsoftonline.cn"), {CloudName.CHINA}, id="China"),
        pytest.param((None, "NEW", "microsoftonline.example"), set(), id="unheard of"),
        pytest.param((None, None, None), set(), id="nothing"),
    ],
)
def test_the_metadata_name_the_cloud(
    told: tuple[str | None, str | None, str | None], clouds: set[CloudName]
) -> None:
    region, sub_scope, instance = told
    facts = read_metadata(
        {
            "tenant_region_scope": region,
            "tenant_region_sub_scope": sub_scope,
            "cloud_instance_name": instance,
        }
    )

    assert facts.clouds == clouds
    for cloud in CloudName:
        assert facts.may_live_in(cloud) == (not clouds or cloud in clouds)


@pytest.mark.parametrize(
    ("issuer", "tenant_id"),
    [
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", TENANT),
        (f"https://login.partner.microsoftonline.cn/{TENANT.upper()}/v2.0", TENANT),
        (f"https://sts.windows.net/{TENANT}/", TENANT),
        ("https://login.microsoftonline.com/{tenantid}/v2.0", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_the_issuer_names_the_tenant(issuer: Any, tenant_id: str | None) -> None:
    assert read_metadata({"issuer": issuer}).tenant_id == tenant_id


def test_of_what_is_unknown_every_cloud_may_be_right() -> None:
    assert all(UNKNOWN.may_live_in(cloud) for cloud in CloudName)

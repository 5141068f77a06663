"""What a tenant is: its licence, what its kind can do, where it lives."""

from typing import Any

import pytest

from local.graph.control.base import ControlError
from local.sample import (
    CHINA_TENANT_ID,
    DOD_TENANT_ID,
    OTHER_CLOUD_TENANT_ID,
    SAMPLE_DOMAIN,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
)
from tests.rig.graph.conftest import Application, error_code

ACTIVITY = "/users?$select=id,signInActivity"
READS = ["User.Read.All", "Group.Read.All"]


def with_roles(application: Application, *roles: str) -> Application:
    application.emulator.control.set_roles([*READS, *roles])
    application.sign_in()
    return application


@pytest.mark.parametrize("path", [ACTIVITY, "/users/{}?$select=signInActivity"])
def test_sign_in_activity_needs_a_permission_and_a_licence(
    application: Application, path: str
) -> None:
    path = path.format(application.items("/users?$top=1")[0]["id"])
    missing = application.ask(path)
    with_roles(application, "AuditLog.Read.All")
    given = application.ask(path)
    application.emulator.control.set_tenant(premium=False)
    unlicensed = application.ask(path)

    assert error_code(missing) == "Authentication_MSGraphPermissionMissing"
    assert "AuditLog.Read.All" in missing.json()["error"]["message"]
    assert given.status_code == 200
    assert error_code(unlicensed) == "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
    assert (missing.status_code, unlicensed.status_code) == (403, 403)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        pytest.param("/users/$count", "Request_BadRequest", id="count"),
        pytest.param("/users?$count=true", "Request_BadRequest", id="counted list"),
        pytest.param('/users?$search="displayName:a"', "Request_BadRequest", id="search"),
        pytest.param(
            f"/groups/{SAMPLE_GROUP_ID}/members/microsoft.graph.user?$count=true",
            "Request_BadRequest",
            id="cast",
        ),
        pytest.param("/users/delta", "Request_UnsupportedQuery", id="delta"),
    ],
)
def test_a_tenant_without_advanced_queries(application: Application, path: str, code: str) -> None:
    before = application.eventual(path).status_code
    application.emulator.control.set_tenant(advanced_queries=False)

    answer = application.eventual(path)

    assert before == 200
    assert (answer.status_code, error_code(answer)) == (400, code)
    assert application.ask(f"/groups/{SAMPLE_GROUP_ID}/members").status_code == 200
    assert application.eventual("/users").status_code == 200


def metadata(application: Application, tenant: str) -> dict[str, Any]:
    url = f"{application.emulator.authority_url}/{tenant}/v2.0/.well-known/openid-configuration"
    answer = application.http.get(url)
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize(
    ("tenant", "place", "told"),
    [
        pytest.param(
            SAMPLE_TENANT_ID,
            "global",
            ("EU", None, "microsoftonline.com", "graph.microsoft.com"),
            id="global",
        ),
        pytest.param(
            SAMPLE_DOMAIN,
            "gcc",
            ("NA", "GCC", "microsoftonline.com", "graph.microsoft.com"),
            id="GCC, by domain",
        ),
        pytest.param(
            OTHER_CLOUD_TENANT_ID,
            None,
            ("USGov", "DODCON", "microsoftonline.us", "graph.microsoft.us"),
            id="GCC High",
        ),
        pytest.param(
            DOD_TENANT_ID,
            None,
            ("USGov", "DOD", "microsoftonline.us", "dod-graph.microsoft.us"),
            id="DoD",
        ),
        pytest.param(
            SAMPLE_TENANT_ID,
            "dodOther",
            ("USGov", "DOD", "microsoftonline.us", "graph.microsoft.us"),
            id="DoD, as another source has it",
        ),
        pytest.param(
            CHINA_TENANT_ID,
            None,
            (None, None, "partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"),
            id="China",
        ),
        pytest.param(SAMPLE_TENANT_ID, "untold", (None, None, None, None), id="nothing told"),
    ],
)
def test_the_metadata_say_where_a_tenant_lives(
    application: Application, tenant: str, place: str | None, told: tuple[str | None, ...]
) -> None:
    if place is not None:
        application.emulator.control.set_tenant(place=place)

    document = metadata(application, tenant)

    names = (
        "tenant_region_scope",
        "tenant_region_sub_scope",
        "cloud_instance_name",
        "msgraph_host",
    )
    assert tuple(document.get(name) for name in names) == told
    assert None not in document.values()


def test_a_tenant_that_no_cloud_knows_has_no_metadata(application: Application) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    url = f"{application.emulator.authority_url}/{unknown}/v2.0/.well-known/openid-configuration"

    assert application.http.get(url).json()["error_codes"] == [90002]


@pytest.mark.parametrize("code", [900432, 900439, 900440])
def test_errors_of_the_wrong_cloud(application: Application, code: int) -> None:
    application.emulator.control.add_fault("tokenError", code=code)

    answer = application.sign_in()

    assert (answer.status_code, answer.json()["error_codes"]) == (400, [code])


def test_a_place_that_does_not_exist_is_refused(application: Application) -> None:
    with pytest.raises(ControlError, match="place must be one of"):
        application.emulator.control.set_tenant(place="moon")


def test_over_http_as_well(application: Application) -> None:
    url = f"{application.emulator.graph_url}/_control/tenant"
    body = {"premium": False, "advancedQueries": False, "place": "gccHigh"}

    changed = application.http.patch(url, json=body).json()

    assert changed | body == changed
    assert application.http.get(url).json() == changed

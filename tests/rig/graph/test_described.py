"""Every request of the suite is held against Microsoft's description; this says that it can fail."""

from typing import Any

import pytest

from local.graph.http.recorder import Recorded
from tests.graph_requests import Witness, problems, shape_of

ID = "11111111-2222-4333-8444-555555555555"
SUBSCRIPTION = {
    "changeType": "text",
    "notificationUrl": "text",
    "lifecycleNotificationUrl": "text",
    "resource": "text",
    "expirationDateTime": "text",
    "clientState": "text",
}


def asked(method: str, path: str, body: Any = None, *, status: int = 200) -> Recorded:
    address, _, query = path.partition("?")
    return Recorded(method, f"/v1.0/{address}", query, status, by_sdk=True, body=body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "users?$select=id,employeeOrgData&$top=5&$count=true&$expand=manager", None),
        ("GET", "users?$filter=onPremisesExtensionAttributes/extensionAttribute1 eq 'x'", None),
        ("GET", "users?$filter=identities/any(i:i/issuer eq 'x') or startsWith(mail,'a')", None),
        (
            "GET",
            "users?$filter=employeeHireDate ge 2020-01-01T00:00:00Z and not(city eq null)",
            None,
        ),
        ("GET", f"users?$select=extension_{'0' * 32}_costCenter", None),
        ("GET", "users/$count?$filter=accountEnabled eq true", None),
        ("GET", "users/delta?$deltatoken=abc", None),
        ("GET", "groups/delta?$select=displayName,members", None),
        ("GET", f"users/{ID}/transitiveMemberOf/graph.group?$select=id", None),
        ("GET", f"groups/{ID}/members/microsoft.graph.user?$count=true", None),
        ("GET", f"groups/{ID}/members?$select=userPrincipalName", None),
        ("GET", f"applications(appId='{ID}')?$select=passwordCredentials", None),
        ("GET", "applications?$filter=extensionProperties/$count ne 0", None),
        ("GET", f"servicePrincipals/{ID}/appRoleAssignedTo?$select=principalId", None),
        ("GET", "directory/deletedItems/microsoft.graph.user?$select=deletedDateTime", None),
        ("POST", "$batch", {"requests": "list"}),
        ("POST", f"users/{ID}/checkMemberGroups", {"groupIds": "list"}),
        ("POST", "subscriptions", SUBSCRIPTION),
        ("PATCH", f"subscriptions/{ID}", {"expirationDateTime": "text"}),
    ],
)
def test_what_microsoft_describes_passes(method: str, path: str, body: Any) -> None:
    assert problems(shape_of(asked(method, path, body))) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("GET", "people", None, "no segment people"),
        ("GET", f"users/{ID}/boss", None, "no segment boss"),
        ("GET", "users/anna", None, "no segment anna"),
        ("GET", f"users/{ID}/TransitiveMemberOf", None, "no segment TransitiveMemberOf"),
        ("GET", f"groups/{ID}/members/graph.toaster", None, "no segment graph.toaster"),
        ("GET", f"groups/{ID}/members/toaster.graph.user", None, "no segment toaster.graph.user"),
        ("GET", f"applications(name='{ID}')", None, "no segment applications(name='')"),
        ("GET", "users?$skip=3", None, "no parameter $skip"),
        ("GET", "users/$count?$top=3", None, "no parameter $top"),
        ("GET", "users?$select=id,departement", None, "no property departement of user ($select"),
        ("GET", "users?$expand=boss", None, "no property boss of user ($expand"),
        ("GET", "users?$orderby=shoeSize desc", None, "no property shoeSize of user ($orderby"),
        ("GET", 'users?$search="nick:anna"', None, "no property nick of user ($search"),
        ("GET", "users?$filter=endsWith(maill,'x')", None, "no property maill of user ($filter"),
        (
            "GET",
            "users?$filter=employeeOrgData/team eq 'x'",
            None,
            "no property employeeOrgData/team",
        ),
        (
            "GET",
            "users?$filter=identities/any(i:i/kind eq 'x')",
            None,
            "no property identities/kind",
        ),
        ("GET", "users?$filter=mail/$count eq 0", None, "no property mail/$count"),
        ("GET", f"groups/{ID}/members?$select=shoeSize", None, "no property shoeSize"),
        (
            "GET",
            f"groups/{ID}/members/graph.user?$select=members",
            None,
            "no property members of user",
        ),
        ("PUT", f"users/{ID}", None, "no PUT at users/{id}"),
        ("DELETE", "users", None, "no DELETE at users"),
        ("POST", "subscriptions", {"colour": "text"}, "no property colour in the body"),
        ("POST", "subscriptions", {"resource": "list"}, "resource is get_str_value, not list"),
        (
            "POST",
            f"users/{ID}/checkMemberGroups",
            {"groupIds": "text"},
            "groupIds is get_collection",
        ),
        ("POST", f"subscriptions/{ID}/reauthorize", {"id": "text"}, "no property id in the body"),
    ],
)
def test_what_microsoft_does_not_describe_is_found(
    method: str, path: str, body: Any, told: str
) -> None:
    found = problems(shape_of(asked(method, path, body)))

    assert any(problem.startswith(told) for problem in found), found


def test_a_kind_of_request_is_looked_at_once() -> None:
    witness = Witness()
    witness.hear(asked("GET", f"users/{ID}?$select=id"))
    witness.hear(asked("GET", f"users/{ID.replace('1', '2')}?$select=id"))
    first = witness.fresh()
    witness.hear(asked("GET", f"users/{ID}?$select=id"))
    witness.hear(asked("GET", f"users/{ID}?$select=mail"))

    assert [str(shape) for shape in first] == ["GET users/{id}?$select=id"]
    assert [str(shape) for shape in witness.fresh()] == ["GET users/{id}?$select=mail"]


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_what_a_test_writes_badly_counts_for_the_program_only(status: int) -> None:
    witness = Witness()
    witness.hear(Recorded("GET", "/v1.0/people", "", status))
    witness.hear(asked("GET", "robots", status=status))

    assert [shape.path for shape in witness.fresh()] == ["robots"]


def test_a_request_of_the_login_service_is_no_request_of_graph() -> None:
    witness = Witness()
    witness.hear(Recorded("POST", "/contoso.com/oauth2/v2.0/token", "", 200))

    assert witness.fresh() == set()

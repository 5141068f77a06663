"""Which permissions are needed, and whether roles have them."""

import pytest

from sync_core.domain.connections.permissions import (
    Needs,
    has_all,
    permission_names,
    permissions,
)
from sync_core.domain.documents.connection import CredentialKind


@pytest.mark.parametrize(
    ("needs", "roles", "granted"),
    [
        ("User.Read.All", ["User.Read.All"], True),
        ("User.Read.All", ["Directory.Read.All"], True),
        ("User.Read.All", ["User.Read"], False),
        ("GroupMember.Read.All (or Group.Read.All)", ["Group.Read.All"], True),
        ("GroupMember.Read.All and Member.Read.Hidden", ["GroupMember.Read.All"], False),
        (
            "GroupMember.Read.All and Member.Read.Hidden",
            ["Group.ReadWrite.All", "Member.Read.Hidden"],
            True,
        ),
        ("", ["User.Read.All"], False),
    ],
)
def test_roles_have_what_a_request_needs(needs: str, roles: list[str], granted: bool) -> None:
    assert has_all(needs, frozenset(roles)) is granted


def test_permissions_are_found_in_a_sentence() -> None:
    text = "Lacks User-LifeCycleInfo.Read.All, and AuditLog.Read.All. Graph answered. See v1.0"

    assert permission_names(text) == ["User-LifeCycleInfo.Read.All", "AuditLog.Read.All"]


@pytest.mark.parametrize(
    ("attributes", "asked"),
    [
        (["mail"], []),
        (["employeeLeaveDateTime"], ["User-LifeCycleInfo.Read.All"]),
        (["employeeHireDate", "employeeLeaveDateTime"], ["User-LifeCycleInfo.Read.All"]),
        (["signInActivity"], ["AuditLog.Read.All"]),
        (["customSecurityAttributes"], ["CustomSecAttributeAssignment.Read.All"]),
    ],
)
def test_attributes_ask_for_their_own_permission(attributes: list[str], asked: list[str]) -> None:
    needs = Needs(CredentialKind.CLIENT_SECRET, frozenset(attributes), frozenset(), realtime=False)

    found = permissions(needs)

    assert [one.names[0] for one in found] == ["User.Read.All", *asked]
    assert all(name in one.purpose for one in found[1:] for name in attributes)

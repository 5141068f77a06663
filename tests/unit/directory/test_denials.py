"""A refusal of Graph is advised by its code: only some are about a permission that is not granted."""

import pytest

from sync_core.directory.answers import to_error
from sync_core.directory.denials import PermissionMissing, denied_all_the_same
from sync_core.domain.connections.checks import failed
from sync_core.domain.errors import SyncError

NO_LICENCE = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
OTHER = "Authentication_MSGraphPermissionMissing"
LACKS = "Calling principal does not have required MSGraph permissions AuditLog.Read.All"


def refused(code: str, message: str = "Insufficient privileges.", status: int = 403) -> SyncError:
    return to_error(status, code, message, {}, "User.Read.All")


def test_a_missing_licence_is_no_missing_permission() -> None:
    """The permission is granted, and nobody has to wait for anything."""
    error = refused(NO_LICENCE, "Neither tenant is B2C or tenant doesn't have premium license")

    assert error.code == "graph.licenceMissing"
    assert "User.Read.All" not in error.message + error.remedy
    assert not failed("read a user", error).retryable


def test_the_permission_that_graph_names_is_the_one_to_grant() -> None:
    error = refused(OTHER, LACKS)

    assert error.code == "graph.permissionMissing"
    assert "AuditLog.Read.All" in error.remedy
    assert "User.Read.All" not in error.message + error.remedy
    assert failed("read a user", error).retryable


def test_a_sentence_without_a_permission_leaves_the_one_that_the_request_needs() -> None:
    assert "User.Read.All" in refused(OTHER, "Something is missing").remedy


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "AADSTS53003: Access has been blocked by Conditional Access policies."),
        (
            401,
            "Continuous access evaluation resulted in challenge with result: InteractionRequired",
        ),
        (403, "Code: LocationConditionEvaluationSatisfied"),
    ],
)
def test_a_policy_is_named(status: int, message: str) -> None:
    error = refused("AccessDenied", message, status)

    assert error.code == "graph.blockedByPolicy"
    assert "exempt the app" in error.remedy
    assert not failed("read a user", error).retryable


def test_nobody_is_told_to_grant_what_a_new_token_has() -> None:
    error = denied_all_the_same(PermissionMissing("User.Read.All", "Graph answered 403"))

    assert error.code == "graph.accessDenied"
    assert "does not help" in error.remedy
    assert not failed("read a user", error).retryable

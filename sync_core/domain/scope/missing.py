"""Groups and enterprise applications that a scope names and the tenant does not have. Pure."""

from collections.abc import Iterable

from sync_core.domain.documents.run import RecordError
from sync_core.domain.documents.scope import ASSIGNED_TO, GROUPS, Scope
from sync_core.domain.scope.compile import keeps_out

GROUP_MISSING = "scope.groupNotFound"
APPLICATION_MISSING = "scope.applicationNotFound"


def missing_group(group: str) -> RecordError:
    return RecordError(
        object_id=group,
        code=GROUP_MISSING,
        message="A group that the scope names does not exist in the tenant. Nobody is "
        "removed until it is taken out of the scope, or restored.",
    )


def missing_application(application: str) -> RecordError:
    return RecordError(
        object_id=application,
        code=APPLICATION_MISSING,
        message="An enterprise application that the scope names (assignedTo) does not exist in "
        "the tenant. It takes the object id of the enterprise application, not the application "
        "(client) id. Nobody is removed until it is there.",
    )


def keepers_of(scope: Scope) -> frozenset[str]:
    """Return the groups and applications that keep people out."""
    return keeps_out(scope, GROUPS) | keeps_out(scope, ASSIGNED_TO)


def keepers_among(problems: Iterable[RecordError], scope: Scope) -> list[str]:
    """Return what is missing and would keep people out: of whom, nobody can tell any more."""
    missing = {
        one.object_id for one in problems if one.code in {GROUP_MISSING, APPLICATION_MISSING}
    }
    return sorted(missing & keepers_of(scope))

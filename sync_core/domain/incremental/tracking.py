"""Which properties of a person a delta query tells changes of. Pure.

Three classes: tracked; untracked (accepted in $select, and changes never surface); refused (400).
"""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from enum import StrEnum

from sync_core.domain.attributes import MANAGER, MANAGER_PROPERTIES

# learn.microsoft.com/graph/api/user-delta: changes to licenseAssignmentStates are not tracked. The others
# are named nowhere; until a tenant shows that they are told, a change of theirs may be missed.
UNTRACKED_NAMES = frozenset(
    {
        "customSecurityAttributes",
        "employeeHireDate",
        "employeeLeaveDateTime",
        "identities",
        "licenseAssignmentStates",
    }
)
# github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/3189; microsoft-graph-docs issues 14141, 4746
REFUSED_NAMES = frozenset({"signInActivity", "deviceEnrollmentLimit"})
# Kept in the directory, and told with all of its data type (learn.microsoft.com/graph/delta-query-overview).
DIRECTORY_EXTENSION = re.compile(r"extension_[0-9a-fA-F]{32}_\w+")


class Tracking(StrEnum):
    """What a delta query does with a property."""

    TRACKED = "tracked"
    UNTRACKED = "untracked"
    REFUSED = "refused"


def tracking_of(name: str, refused: Iterable[str] = ()) -> Tracking:
    """Return the class of a property; `refused` are those that the tenant was seen to refuse."""
    if name in REFUSED_NAMES or name in set(refused):
        return Tracking.REFUSED
    if name in UNTRACKED_NAMES or _is_schema_extension(name):
        return Tracking.UNTRACKED
    return Tracking.TRACKED


def names_to_track(asked: AbstractSet[str]) -> list[str]:
    """Return the properties to track where `asked` are read of each person: those of managers are, too."""
    return sorted(asked | MANAGER_PROPERTIES if MANAGER in asked else asked)


def not_tracked(names: Iterable[str], refused: Iterable[str] = ()) -> list[str]:
    """Return those of the properties whose changes a delta query does not tell."""
    refused = set(refused)
    return sorted(name for name in names if tracking_of(name, refused) is not Tracking.TRACKED)


def delta_select(names: Iterable[str], refused: Iterable[str] = ()) -> list[str]:
    """Return what a delta query is asked to track: all but what it refuses."""
    refused = set(refused)
    return sorted(name for name in names if tracking_of(name, refused) is not Tracking.REFUSED)


def _is_schema_extension(name: str) -> bool:
    """Whether a name is that of a schema extension, such as `contoso_badge` or `extkmpdyld2_badge`.

    No property of Graph's own has an underscore. Known issues of Graph: changes of open and schema
    extensions are not tracked (learn.microsoft.com/graph/known-issues).
    """
    return "_" in name and not DIRECTORY_EXTENSION.fullmatch(name)

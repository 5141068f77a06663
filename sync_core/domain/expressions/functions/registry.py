"""Every function by its name, and the ones of Entra that are refused, with the reason."""

from collections.abc import Mapping
from types import MappingProxyType

from sync_core.domain.expressions.functions.conversion import CONVERSION_FUNCTIONS
from sync_core.domain.expressions.functions.dates import DATE_FUNCTIONS
from sync_core.domain.expressions.functions.decisions import DECISION_FUNCTIONS
from sync_core.domain.expressions.functions.function import Function
from sync_core.domain.expressions.functions.generated import GENERATED_FUNCTIONS
from sync_core.domain.expressions.functions.lists import LIST_FUNCTIONS
from sync_core.domain.expressions.functions.replace import REPLACE
from sync_core.domain.expressions.functions.text import TEXT_FUNCTIONS

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        function.name: function
        for function in sorted(
            (
                *CONVERSION_FUNCTIONS,
                *DATE_FUNCTIONS,
                *DECISION_FUNCTIONS,
                *GENERATED_FUNCTIONS,
                *LIST_FUNCTIONS,
                *TEXT_FUNCTIONS,
                REPLACE,
            ),
            key=lambda function: function.name.lower(),
        )
    }
)

_ROLES = (
    "It needs the app roles assigned to a person in Entra's provisioning service; this program "
    'does not read them. Map groups to roles instead: IIF(InGroup("..."), "admin", "user").'
)
REFUSED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        (
            "AppRoleAssignments",
            "AppRoleAssignmentsComplex",
            "AssertiveAppRoleAssignmentsComplex",
            "SingleAppRoleAssignment",
        ),
        _ROLES,
    )
)

CONSTANTS: Mapping[str, bool | None] = MappingProxyType(
    {"True": True, "False": False, "Null": None}
)
SIGNALS = frozenset({"IgnoreAttributeFlow", "IgnoreObjectFlow"})
# Words that mean something only as an argument of the functions that take them.
ARGUMENT_WORDS = frozenset(
    word for function in FUNCTIONS.values() for words in function.words.values() for word in words
)

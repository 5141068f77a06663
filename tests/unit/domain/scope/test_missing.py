"""What a scope names and the tenant does not have, and what waits where it would keep people out."""

import pytest

from sync_core.domain.documents.run import RecordError
from sync_core.domain.documents.scope import Scope
from sync_core.domain.model import Action, Inventory
from sync_core.domain.plan.guard import check_keepers, tally_of
from sync_core.domain.plan.plan import ALLOWED
from sync_core.domain.scope.missing import keepers_among, missing_application, missing_group

TEAM, OUT, PORTAL = (f"{number}0000000-0000-4000-8000-000000000000" for number in "123")
SCOPE = Scope.model_validate(
    {
        "filters": [
            {
                "clauses": [
                    {"attribute": "groups", "operator": "ARRAYCONTAINS", "value": [TEAM]},
                    {"attribute": "groups", "operator": "NOT ARRAYCONTAINS", "value": [OUT]},
                    {"attribute": "assignedTo", "operator": "NOT ARRAYCONTAINS", "value": [PORTAL]},
                ]
            }
        ]
    }
)
REASON = (
    f"what keeps people out is gone ({OUT}): 3 people would be created or enabled again, and nobody can "
    "tell which of them it has kept out"
)


@pytest.mark.parametrize(
    ("problem", "keepers"),
    [
        (missing_group(TEAM), []),
        (missing_group(OUT), [OUT]),
        (missing_application(PORTAL), [PORTAL]),
        (RecordError(object_id=OUT, code="scope.membersHidden", message=""), []),
    ],
)
def test_what_is_missing_keeps_people_out_or_not(problem: RecordError, keepers: list[str]) -> None:
    assert keepers_among([problem], SCOPE) == keepers


@pytest.mark.parametrize(
    ("gone", "actions", "held"),
    [
        ([OUT], {Action.CREATE: 2, Action.REENABLE: 1}, True),
        ([OUT], {Action.UPDATE: 2, Action.DISABLE: 1}, False),
        ([], {Action.CREATE: 2}, False),
    ],
)
def test_whoever_comes_in_waits_where_nobody_can_tell_who_was_kept_out(
    gone: list[str], actions: dict[Action, int], *, held: bool
) -> None:
    verdict = check_keepers(ALLOWED, tally_of(Inventory(100, {}), actions), gone)

    assert (verdict.hold_creates, verdict.hold_removals) == (held, False)
    assert verdict.reasons == ((REASON,) if held else ())

"""Two witnesses for every removal: the look, and what agrees with it. Pure.

One answer of Graph is not enough: reads may be stale, an object that exists may answer 404, and a list of
memberships may lack some. So the look has to agree with the delta's hint, or with a look of five minutes ago.
"""

from sync_core.domain.incremental.hints import GONE_FOR_GOOD, Hint
from sync_core.domain.model import Attributes, Evidence, Reason
from sync_core.domain.scope.compile import CompiledScope


def agrees(hint: Hint | None, evidence: Evidence, scope: CompiledScope) -> bool:
    """Whether what the delta told confirms why a person is to be removed."""
    if hint is None or evidence.is_unclear:
        return False
    if evidence.person is None:
        wanted = {GONE_FOR_GOOD} if evidence.reason is Reason.HARD_DELETED else {hint.removed}
        return hint.removed is not None and hint.removed in wanted
    if hint.removed is not None:
        return False
    if evidence.reason is Reason.ACCOUNT_DISABLED:
        return (hint.values or {}).get("accountEnabled") is False
    if is_out_by_attributes(scope, evidence.person):
        return hint.values is not None or hint.told_manager
    return bool(hint.left or hint.joined or hint.concerned)


def is_out_by_attributes(scope: CompiledScope, person: Attributes) -> bool:
    """Whether a person would be out of scope in the best of groups, too."""
    return not any(scope.matches(person, groups) for groups in scope.best_groups)

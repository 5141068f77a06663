"""Two witnesses for every removal: the look, and what agrees with it. Pure.

One answer of Graph is not enough: reads may be stale, an object that exists may answer 404, and a list of
memberships may lack some. So the look has to agree with the delta's hint, or with a look of five minutes ago.
"""

from collections.abc import Mapping

from sync_core.domain.incremental.hints import GONE_FOR_GOOD, Hint
from sync_core.domain.model import Attributes, Evidence, Reason
from sync_core.domain.scope.compile import CompiledScope

# For each group of a tree, the named groups that it is under.
Above = Mapping[str, frozenset[str]]
NONE: frozenset[str] = frozenset()


def agrees(
    hint: Hint | None, evidence: Evidence, scope: CompiledScope, before: frozenset[str]
) -> bool:
    """Whether what the delta told confirms why a person is to be removed.

    `before` are the groups by `groups_before`. Leaving the scope is confirmed where the person was in scope
    in these: some other group that was left or joined says nothing about one that the look only lacks.
    """
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
    return scope.matches(evidence.person, before)


def told_reason(hint: Hint | None) -> Reason | None:
    """Return why a person is to be removed by what the delta told of the account, if it told that."""
    if hint is None:
        return None
    if hint.removed is not None:
        return Reason.HARD_DELETED if hint.removed == GONE_FOR_GOOD else Reason.SOFT_DELETED
    is_blocked = (hint.values or {}).get("accountEnabled") is False
    return Reason.ACCOUNT_DISABLED if is_blocked else None


def groups_before(
    hint: Hint | None, groups: frozenset[str], old: Above, new: Above
) -> frozenset[str]:
    """Return the named groups that a person was in, if all is true that was told since the last run.

    `groups` are those of the look; `old` and `new` are the trees of the last run and of this one. A group
    that is where it was, and whose members were only listed again, tells of nobody that they left.
    """
    if hint is None:
        return groups
    took, brought = set[str](), set[str]()
    for group in hint.left:
        took |= old.get(group, NONE) | new.get(group, NONE)
    for group in hint.joined:
        brought |= new.get(group, NONE)
    for group in hint.concerned:
        took |= old.get(group, NONE) - new.get(group, NONE)
        brought |= new.get(group, NONE) - old.get(group, NONE)
    return (groups - brought) | took


def is_out_by_attributes(scope: CompiledScope, person: Attributes) -> bool:
    """Whether a person would be out of scope in the best of groups, too."""
    return not any(scope.matches(person, groups) for groups in scope.best_groups)

"""What the policy does with one person: present or gone, and what is stored in, a `Change` out. Pure.

Functions of plain values, for the judge and for what asks without one (who is protected, who may be
deleted at all).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from sync_core.domain.documents.policy import Policy, RemovalAction
from sync_core.domain.model import Action, Attributes, Change, Mapped, Reason, Status, StoredPerson


def is_turned_away(person: Attributes, policy: Policy) -> bool:
    """Whether a blocked account keeps a person out who is in scope otherwise."""
    return is_blocked(person) and policy.account_disabled is not RemovalAction.KEEP


def is_blocked(person: Attributes) -> bool:
    """Whether the account is blocked in Entra."""
    # A missing flag is not a blocked account: only an explicit false says so. A program that took
    # the unselected property for "disabled" is a known accident (FIELD.md, Casdoor).
    return person.get("accountEnabled") is False


def plan_present(person: Attributes, mapped: Mapped, stored: StoredPerson | None) -> Change | None:
    """Decide about a person in scope; None when nothing has to be written."""
    if stored is None:
        return _write(Action.CREATE, person, mapped)
    if stored.status is Status.DISABLED:
        return replace(_write(Action.REENABLE, person, mapped), returns=stored.returns)
    if mapped.is_stored_as(stored.digest):
        return None
    return written_again(person, mapped)


def written_again(person: Attributes, mapped: Mapped) -> Change:
    """Return the update of an active person, whether their values differ or not."""
    return _write(Action.UPDATE, person, mapped)


def ids_in_order(
    remaining: Mapping[str, StoredPerson], wanted: Callable[[StoredPerson], bool]
) -> list[str]:
    """Return the ids of the stored people who are `wanted`, in their order."""
    by_digit: defaultdict[str, list[str]] = defaultdict(list)
    for object_id, known in remaining.items():
        if wanted(known):
            by_digit[object_id[0]].append(object_id)
    # Sixteen short sorts: no other thread of the process goes on during a sort.
    return [object_id for digit in sorted(by_digit) for object_id in sorted(by_digit[digit])]


def plan_removal(object_id: str, reason: Reason | None, policy: Policy) -> Change | None:
    """Return the removal that the policy wants for a reason, if any; no reason yet means disable."""
    action = removal_action(policy, reason) if reason else RemovalAction.DISABLE
    if action is RemovalAction.KEEP:
        return None
    delete = action is RemovalAction.DELETE
    return Change(Action.DELETE if delete else Action.DISABLE, object_id, reason=reason)


def is_protected(change: Change, policy: Policy) -> bool:
    """Whether the policy protects this person, named by object id or sign-in name, from removal."""
    if not change.action.is_removal:
        return False
    names = {name.casefold() for name in policy.protected}
    return bool(names & {change.object_id.casefold(), change.user_principal_name.casefold()})


def may_delete(policy: Policy) -> bool:
    """Whether a run may ever delete a row."""
    return RemovalAction.DELETE in _actions(policy).values()


def removal_action(policy: Policy, reason: Reason) -> RemovalAction:
    """Return what the policy does for a reason that a run can find."""
    return _actions(policy)[reason]


def _actions(policy: Policy) -> dict[Reason, RemovalAction]:
    return {
        Reason.LEFT_SCOPE: policy.left_scope,
        Reason.ACCOUNT_DISABLED: policy.account_disabled,
        Reason.SOFT_DELETED: policy.soft_deleted,
        Reason.HARD_DELETED: policy.hard_deleted,
    }


def _write(action: Action, person: Attributes, mapped: Mapped) -> Change:
    kept = mapped.kept
    values = dict(mapped.values)
    if action is not Action.CREATE and mapped.on_create:
        kept |= mapped.on_create
        values = {name: value for name, value in values.items() if name not in kept}
    return Change(
        action,
        str(person["id"]),
        str(person.get("userPrincipalName") or ""),
        digest=mapped.digest,
        values=values,
        kept=tuple(sorted(kept)),
    )

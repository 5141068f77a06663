"""The groups of a sample tenant: a directory without groups in, the same one with groups out.

The first twelve have a part each: a chain, a cycle, a diamond, a big one, a hidden one, an empty
one.
"""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from local.graph.directory.directory import Directory
from local.graph.directory.members import PersonSet
from local.graph.directory.objects import Group, OtherObject
from local.graph.directory.people import Kind, People, department_of, kind_of
from local.sample import sample_group_id

Chooser = Callable[[People, int], bool]
_OBJECTS = uuid.UUID("2f6c1f0a-8e0d-4a9d-8f4e-0c7a5b9d3e21")


def _department(*names: str | None) -> Chooser:
    return lambda people, number: (
        kind_of(number) is Kind.EMPLOYEE and department_of(people, number) in names
    )


def _part_of_department(name: str, share: int) -> Chooser:
    return lambda people, number: (
        department_of(people, number) == name and (people.fact(number) >> 48) % share == 0
    )


def _app_users(people: People, number: int) -> bool:
    """Everybody whose department has no group of its own below this one, and one guest in three."""
    if kind_of(number) is Kind.GUEST:
        return number % 3 == 2
    direct = ("Human Resources", "Marketing", "Legal", "Support")
    return kind_of(number) is Kind.EMPLOYEE and department_of(people, number) in direct


def _nobody(_: People, __: int) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    chooser: Chooser
    nested: tuple[int, ...] = ()
    description: str | None = None
    microsoft_365: bool = False
    hidden: bool = False
    holds_others: bool = False


_PLANS = (
    _Plan("App users", _app_users, (1, 4, 6), "Everybody who works with the sample application"),
    _Plan("Engineering", _part_of_department("Engineering", 2), (2,)),
    _Plan("Platform Engineering", _part_of_department("Engineering", 3), (3,)),
    _Plan("Site Reliability", _part_of_department("Engineering", 5), holds_others=True),
    _Plan("Sales", _department("Sales"), (5, 7)),
    # Field Sales holds Sales, and Sales holds Field Sales: a cycle.
    _Plan("Field Sales", _part_of_department("Sales", 3), (4,)),
    # Shared Services is reached through Finance and through Sales: a diamond.
    _Plan("Finance & Controlling", _department("Finance"), (7,)),
    _Plan("Shared Services", _department("Operations")),
    _Plan(
        "Company News",
        lambda people, number: people.fact(number) % 3 == 0,
        description="Microsoft 365 group",
        microsoft_365=True,
    ),
    _Plan("All employees", lambda _, number: kind_of(number) is Kind.EMPLOYEE),
    _Plan(
        "Project Aurora",
        lambda people, number: people.fact(number) % 17 == 0,
        microsoft_365=True,
        hidden=True,
    ),
    _Plan("Alumni", _nobody, description="Nobody is in here"),
)


def add_sample_groups(directory: Directory, *, tenant_id: str, count: int, seed: int) -> None:
    """The first ``count`` sample groups, with the first people of the directory as members."""
    for number in range(count):
        plan = _PLANS[number] if number < len(_PLANS) else None
        if plan is None:
            group = _team(directory, tenant_id, number, seed)
        else:
            group = _planned(directory, tenant_id, plan, number, count)
        directory.groups[group.id] = group


def _planned(directory: Directory, tenant_id: str, plan: _Plan, number: int, count: int) -> Group:
    people = directory.people
    group = Group(
        sample_group_id(number, tenant_id),
        group_properties(
            plan.name,
            description=plan.description,
            domain=people.domain,
            microsoft_365=plan.microsoft_365,
            hidden=plan.hidden,
        ),
        PersonSet(n for n in range(people.count) if plan.chooser(people, n)),
        {sample_group_id(n, tenant_id): None for n in plan.nested if n < count},
    )
    if plan.holds_others:
        for kind in ("device", "servicePrincipal", "orgContact"):
            other = OtherObject(str(uuid.uuid5(_OBJECTS, tenant_id + kind)), kind, f"Sample {kind}")
            directory.others[other.id] = other
            group.others[other.id] = None
    return group


def _team(directory: Directory, tenant_id: str, number: int, seed: int) -> Group:
    """A team of 3 to 40 people; every fourth team is nested in the one before it."""
    people = directory.people
    choose = random.Random(f"{tenant_id}/{seed}/{number}")
    size = min(people.count, choose.randint(3, 40))
    nested = {sample_group_id(number - 1, tenant_id): None} if number % 4 == 1 else {}
    return Group(
        sample_group_id(number, tenant_id),
        group_properties(f"Team {number:05d}", domain=people.domain),
        PersonSet(choose.sample(range(people.count), size)),
        nested,
    )


def group_properties(
    name: str,
    *,
    domain: str,
    description: str | None = None,
    microsoft_365: bool = False,
    hidden: bool = False,
    membership_rule: str | None = None,
) -> dict[str, object]:
    """Of a dynamic group, too: learn.microsoft.com/graph/api/resources/group, `groupTypes`."""
    dynamic = ["DynamicMembership"] if membership_rule is not None else []
    nickname = "".join(c for c in name.lower() if c.isalnum())
    return {
        "displayName": name,
        "description": description,
        "mail": f"{nickname}@{domain}" if microsoft_365 else None,
        "mailEnabled": microsoft_365,
        "mailNickname": nickname,
        "securityEnabled": not microsoft_365,
        "groupTypes": [*dynamic, *(["Unified"] if microsoft_365 else [])],
        "membershipRule": membership_rule,
        "membershipRuleProcessingState": "On" if membership_rule is not None else None,
        "visibility": "HiddenMembership" if hidden else "Private" if microsoft_365 else None,
        "createdDateTime": "2019-03-01T09:00:00Z",
        "proxyAddresses": [f"SMTP:{nickname}@{domain}"] if microsoft_365 else [],
    }

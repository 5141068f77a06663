"""A directory as it was: whatever happened since, each version can be seen again."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from local.graph.directory.directory import Directory
from local.graph.directory.objects import Group
from local.graph.directory.people import People
from local.graph.directory.view import View
from local.sample import COST_CENTER

NAMES = ("id", "displayName", "department", "userPrincipalName", "identityParentId")
START = datetime(2026, 11, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(clock: Clock) -> Directory:
    people = People(
        count=8, seed=1, domain="a.example", initial_domain="b.example", cost_center=COST_CENTER
    )
    made = Directory(people, clock.now)
    for name in ("sales", "field", "news"):
        made.add_group(Group(name, {"displayName": name}))
    return made


def seen(view: View) -> object:
    """Everything that an answer can tell of a directory."""
    people = [
        (
            [view.value(number, name) for name in NAMES],
            view.object_id(number),
            view.find(view.object_id(number)),
            view.is_live(number),
            view.soft_deleted.get(number),
            view.manager_of(number),
            view.is_agent(number),
            view.was_ever_set(number, "department"),
            sorted(group.id for group in view.groups_above(number)),
        )
        for number in range(view.end)
    ]
    groups = [
        (g.id, dict(g.properties), list(g.people), sorted(g.nested), g.deleted_at, g.gone)
        for g in view.groups.values()
    ]
    names = [view.find(f"{name}@a.example") for name in ("one", "two", "three")]
    return people, groups, names, view.live_count(), sorted(view.gone)


class Administrator:
    """Does one thing after the other, at random."""

    def __init__(self, directory: Directory, seed: int) -> None:
        self.directory = directory
        self.choose = random.Random(seed)

    def do_something(self) -> None:
        deeds: list[Callable[[], object]] = [
            self.rename, self.create, self.set_manager, self.delete, self.restore, self.delete_for_good,
            self.add_member, self.remove_member, self.rename_group, self.delete_group,
            self.restore_group, self.nest, self.create_group,
        ]  # fmt: skip
        self.choose.choice(deeds)()

    def anybody(self) -> int:
        there = [n for n in range(self.directory.end) if n not in self.directory.gone]
        return self.choose.choice(there)

    def any_group(self) -> str:
        return self.choose.choice([group.id for group in self.directory.live_groups()])

    def rename(self) -> None:
        name = self.choose.choice(("one", "two", "three"))
        values = {"department": name, "userPrincipalName": f"{name}@a.example"}
        self.directory.change_person(self.anybody(), values)

    def create(self) -> None:
        self.directory.create_person({"displayName": "New", "department": None})

    def set_manager(self) -> None:
        self.directory.set_manager(self.anybody(), self.choose.choice((None, self.anybody())))

    def delete(self) -> None:
        self.directory.soft_delete(self.anybody())

    def restore(self) -> None:
        self.directory.restore(self.anybody())

    def delete_for_good(self) -> None:
        if self.directory.end - len(self.directory.gone) > 3:
            self.directory.hard_delete(self.anybody())

    def add_member(self) -> None:
        self.directory.add_member(self.any_group(), self.anybody())

    def remove_member(self) -> None:
        group = self.directory.group(self.any_group())
        for member in [*group.people, *group.nested][:2]:
            self.directory.remove_member(group.id, member)

    def rename_group(self) -> None:
        name = str(self.choose.random())
        self.directory.change_group(self.any_group(), {"displayName": name})

    def delete_group(self) -> None:
        if len(self.directory.live_groups()) > 2:
            for_good = self.choose.random() < 0.3
            self.directory.delete_group(self.any_group(), for_good=for_good)

    def restore_group(self) -> None:
        for group in self.directory.groups.values():
            if group.deleted_at is not None and not group.gone:
                self.directory.restore_group(group.id)
                return

    def nest(self) -> None:
        self.directory.add_member(self.any_group(), self.any_group())

    def create_group(self) -> None:
        name = f"g{len(self.directory.groups)}"
        self.directory.add_group(Group(name, {"displayName": name}))


@pytest.mark.parametrize("seed", range(10))
def test_every_version_can_be_seen_again(directory: Directory, clock: Clock, seed: int) -> None:
    administrator = Administrator(directory, seed)
    versions = {directory.version: seen(directory)}
    for _ in range(120):
        administrator.do_something()
        clock.forward(60)
        versions[directory.version] = seen(directory)
        if administrator.choose.random() < 0.05:
            directory.purge(clock.now() - timedelta(hours=1))
            versions[directory.version] = seen(directory)

    assert {v: seen(directory.as_of(v)) for v in versions} == versions


def test_a_moment_has_the_version_of_the_changes_until_then(
    directory: Directory, clock: Clock
) -> None:
    at_start = directory.version
    clock.forward(100)
    directory.soft_delete(1)
    clock.forward(100)
    directory.soft_delete(2)

    moments = [0, 99, 100, 150, 200, 300]
    versions = [directory.version_at(START + timedelta(seconds=s)) - at_start for s in moments]
    assert versions == [0, 0, 1, 1, 2, 2]


def test_a_clock_that_is_put_back_reorders_nothing(directory: Directory, clock: Clock) -> None:
    clock.forward(100)
    directory.soft_delete(1)
    clock.forward(-50)
    directory.soft_delete(2)

    assert directory.version_at(START + timedelta(seconds=99)) == directory.version - 2
    assert directory.version_at(START + timedelta(seconds=100)) == directory.version

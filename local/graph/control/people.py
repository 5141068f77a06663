"""Changing people, as an administrator of the tenant would: for tests, demos and curious hands."""

from collections.abc import Iterator, Mapping
from itertools import islice

from local.graph.control.base import ControlBase, ControlError, Document
from local.graph.control.loop import on_loop
from local.graph.directory.directory import Directory
from local.graph.directory.people import Value, timestamp
from local.graph.odata.properties import USER_PROPERTIES


class PeopleControl(ControlBase):
    @on_loop
    def people(
        self,
        search: str = "",
        *,
        state: str = "live",
        top: int = 100,
        skip: int = 0,
        tenant: str | None = None,
    ) -> list[Document]:
        """People whose name, mail or principal name holds the text; state: live, deleted, all."""
        directory = self.directory(tenant)
        found = (n for n in _in_state(directory, state) if _says(directory, n, search.casefold()))
        return [describe(directory, n) for n in islice(found, skip, skip + top)]

    @on_loop
    def person(self, key: str, *, tenant: str | None = None) -> Document:
        directory = self.directory(tenant)
        number = directory.person(key)
        return {
            **describe(directory, number),
            "manager": _id_or_none(directory, directory.manager_of(number)),
            "memberOf": [group.id for group in directory.groups_of(number)],
        }

    @on_loop
    def patch_person(
        self, key: str, values: Mapping[str, Value], *, tenant: str | None = None
    ) -> Document:
        """Set properties; None clears one. `manager` takes an object id, a name or None."""
        directory = self.directory(tenant)
        number = directory.person(key)
        given = dict(values)
        if "manager" in given:
            manager = given.pop("manager")
            directory.set_manager(
                number, None if manager is None else directory.person(str(manager))
            )
        directory.change_person(number, checked(given, with_id=False))
        return describe(directory, number)

    @on_loop
    def create_person(
        self, values: Mapping[str, Value] | None = None, *, tenant: str | None = None
    ) -> Document:
        directory = self.directory(tenant)
        given = checked(dict(values or {}), with_id=True)
        object_id = given.pop("id", None)
        place = directory.end
        domain = directory.people.domain
        name = str(given.get("displayName") or f"New Person {place}")
        first, _, last = name.partition(" ")
        defaults: dict[str, Value] = {
            "displayName": name,
            "givenName": first,
            "surname": last or None,
            "userPrincipalName": f"new.person{place}@{domain}",
            "mailNickname": f"new.person{place}",
            "accountEnabled": True,
            "userType": "Member",
            "businessPhones": [],
            "proxyAddresses": [],
        }
        if object_id is not None and directory.find(str(object_id)) is not None:
            raise ControlError(f"{object_id} is taken")
        principal_name = str(given.get("userPrincipalName") or defaults["userPrincipalName"])
        taken = directory.find(principal_name)
        if taken is not None and directory.is_live(taken):
            raise ControlError(f"{principal_name} is taken")
        number = directory.create_person(
            defaults | given, None if object_id is None else str(object_id)
        )
        return describe(directory, number)

    @on_loop
    def soft_delete(self, *keys: str, tenant: str | None = None) -> int:
        directory = self.directory(tenant)
        for key in keys:
            directory.soft_delete(directory.person(key))
        return len(keys)

    @on_loop
    def restore(self, *keys: str, tenant: str | None = None) -> int:
        directory = self.directory(tenant)
        for key in keys:
            directory.restore(directory.person(key))
        return len(keys)

    @on_loop
    def hard_delete(self, *keys: str, tenant: str | None = None) -> int:
        directory = self.directory(tenant)
        for key in keys:
            directory.hard_delete(directory.person(key))
        return len(keys)

    @on_loop
    def change_many(
        self,
        action: str,
        *,
        keys: list[str] | None = None,
        count: int | None = None,
        group: str | None = None,
        values: Mapping[str, Value] | None = None,
        tenant: str | None = None,
    ) -> list[str]:
        """block, unblock, patch, softDelete, restore or hardDelete several people at once.

        They are named by ``keys``, or they are the first ``count`` live ones, of a group if given.
        """
        directory = self.directory(tenant)
        numbers = self._several(directory, action, keys, count, group)
        patch = {"block": {"accountEnabled": False}, "unblock": {"accountEnabled": True}}.get(
            action, checked(dict(values or {}), with_id=False)
        )
        actions = {
            "block": lambda n: directory.change_person(n, patch),
            "unblock": lambda n: directory.change_person(n, patch),
            "patch": lambda n: directory.change_person(n, patch),
            "softDelete": directory.soft_delete,
            "restore": directory.restore,
            "hardDelete": directory.hard_delete,
        }
        if action not in actions:
            raise ControlError(f"action must be one of {', '.join(actions)}, not {action!r}")
        for number in numbers:
            actions[action](number)
        return [directory.object_id(number) for number in numbers]

    def _several(
        self,
        directory: Directory,
        action: str,
        keys: list[str] | None,
        count: int | None,
        group: str | None,
    ) -> list[int]:
        if keys is not None:
            return [directory.person(key) for key in keys]
        if group is not None:
            candidates: Iterator[int] = iter(directory.group(group).people)
            candidates = (n for n in candidates if directory.is_live(n))
        else:
            candidates = directory.live()
        if action == "restore":
            candidates = iter(sorted(directory.soft_deleted))
        if action == "block":
            candidates = (n for n in candidates if directory.value(n, "accountEnabled"))
        return list(islice(candidates, count))


def describe(directory: Directory, number: int) -> Document:
    """Everything that is set, the state, and the id."""
    document: Document = {"id": directory.object_id(number)}
    for name in sorted(USER_PROPERTIES | {"identityParentId"}):
        value = directory.value(number, name)
        if value is not None:
            document[name] = value
    deleted_at = directory.soft_deleted.get(number)
    if deleted_at is not None:
        document["deletedDateTime"] = timestamp(deleted_at)
    return document


def checked(values: dict[str, Value], *, with_id: bool) -> dict[str, Value]:
    # An account with an agent identity as its parent is an agent's: resources/agentuser.
    unknown = values.keys() - USER_PROPERTIES - {"manager", "identityParentId"}
    if unknown or ("id" in values and not with_id):
        raise ControlError(f"cannot be set: {', '.join(sorted(unknown or {'id'}))}")
    return values


def _in_state(directory: Directory, state: str) -> Iterator[int]:
    if state == "live":
        return directory.live()
    if state == "deleted":
        return iter(sorted(directory.soft_deleted))
    if state != "all":
        raise ControlError(f"state must be live, deleted or all, not {state!r}")
    return (n for n in range(directory.end) if n not in directory.gone)


def _says(directory: Directory, number: int, wanted: str) -> bool:
    names = ("displayName", "mail", "userPrincipalName", "id")
    return not wanted or any(
        wanted in str(directory.value(number, name) or "").casefold() for name in names
    )


def _id_or_none(directory: Directory, number: int | None) -> str | None:
    return None if number is None else directory.object_id(number)

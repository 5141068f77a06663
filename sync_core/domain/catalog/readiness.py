"""How well the attributes of a tenant are filled: a sample of people in, a report out. Pure.

The report holds counts only: what a value was is forgotten as soon as it was counted.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import Field

from sync_core.domain.attributes import is_agent, reader
from sync_core.domain.catalog.attributes import DEFAULT, FILTERS, Candidate, Source
from sync_core.domain.catalog.schema import Kind
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.scope import Guests
from sync_core.domain.letters import comparable_text
from sync_core.domain.model import Attributes

# Of the values, at least this share is different where doubled ones are worth a remark: a number given
# twice by mistake, and not a department.
NEARLY_UNIQUE = 0.9
NUMBERS = re.compile(r"([0-9]+)")
# Names and places happen to be different for all in a sample, and are the same for the next two people
# who share one; and what a part of the people have in common is no key, either.
WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
NO_KEY = frozenset(
    {
        "name",
        "nickname",
        "surname",
        "alias",
        "initials",
        "title",
        "department",
        "division",
        "company",
    }
    | {
        "center",
        "centre",
        "manager",
        "type",
        "city",
        "town",
        "country",
        "state",
        "region",
        "location",
    }
    | {
        "street",
        "postal",
        "zip",
        "office",
        "building",
        "floor",
        "room",
        "site",
        "place",
        "language",
    }
    | {"locale", "timezone", "status", "domain", "plan", "age", "birthday", "gender", "policies"}
)
# They have such a word in their name and name one person only.
NAMES_OF_ONE = frozenset(
    {"userPrincipalName", "onPremisesUserPrincipalName", "onPremisesSamAccountName"}
)


@dataclass(slots=True)
class _Tally:
    filled: int = 0
    seen: set[int] = field(default_factory=set)
    doubled: set[int] = field(default_factory=set)

    def add(self, value: Any) -> None:
        if value is None or value in ("", [], {}):
            return
        self.filled += 1
        # One person may hold a value twice; it is doubled when another one has it, too.
        for one in {_fingerprint(item) for item in (value if isinstance(value, list) else [value])}:
            (self.doubled if one in self.seen else self.seen).add(one)


def _fingerprint(value: Any) -> int:
    """Tell values apart as a matching key does: neither case nor what cannot be seen counts."""
    if isinstance(value, str):
        return hash(comparable_text(value))
    return hash(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


@dataclass(slots=True)
class Sample:
    """People who were looked at; `guests` says which of them count. Blocked accounts and agents never do.

    Rooms, shared mailboxes and people who have left are blocked and lack most attributes; they would
    make every attribute look worse than it is for those who come in.
    """

    guests_policy: Guests
    found: list[Candidate]
    read: int = 0
    people: int = 0
    guests: int = 0
    blocked: int = 0
    _tallies: list[tuple[Callable[[Attributes], Any], _Tally]] = field(init=False)

    def __post_init__(self) -> None:
        self._tallies = [(reader(one.name), _Tally()) for one in self.found]

    def add(self, person: Attributes) -> None:
        self.read += 1
        guest, blocked = person.get("userType") == "Guest", person.get("accountEnabled") is False
        self.guests += guest
        self.blocked += blocked
        left_out = Guests.EXCLUDE if guest else Guests.ONLY
        if blocked or is_agent(person) or self.guests_policy is left_out:
            return
        self.people += 1
        for read, tally in self._tallies:
            tally.add(read(person))

    def reports(self, used: Collection[str]) -> list["AttributeReport"]:
        return [
            _report(one, tally, self.people, used)
            for one, (_, tally) in zip(self.found, self._tallies, strict=True)
        ]


class SampleSize(Document):
    """Who was looked at: the first people that Graph lists, which is no random choice."""

    read: int
    people: int = Field(description="Those who count: not blocked, guests as the scope says.")
    guests: int
    blocked: int
    total: int | None = Field(
        description="Everybody in the tenant; null where it cannot be counted."
    )


class AttributeReport(Document):
    """One attribute: what it is, what it can be used for, and how it is filled in the sample.

    Lists of objects, such as licences, are not counted: they are large, and no key.
    """

    name: str = Field(description="As scope, mapping and expressions take it.")
    property: str = Field(description="The property of Graph that is read for it.")
    type: Kind
    multi_valued: bool
    source: Source
    app: str | None = Field(description="The application that registered the extension.")
    usable: bool = Field(description="In scope and mapping.")
    refused: str | None = Field(description="Why it is not usable.")
    filter: str | None = Field(
        description="Whether Graph can filter on it: `default`, `advanced`, or null for no."
    )
    used: bool = Field(description="Whether this connection reads it.")
    fields: list[str] = Field(
        default_factory=list,
        description="Of a list of objects, what each has: `name[field eq 'value'].field` can be read, too.",
    )
    filled: int | None = None
    empty_percent: float | None = None
    distinct: int | None = None
    doubled: int | None = Field(default=None, description="Values that several people have.")
    matching_key: bool = Field(
        default=False,
        description="Filled for everybody in the sample, different for each, and neither a name nor a "
        "place.",
    )
    remarks: list[str] = Field(default_factory=list)


class AttributeNote(Document):
    """Something that could not be looked at, and what to do about it."""

    code: str
    message: str
    remedy: str


def unmeasured(
    one: Candidate, used: Collection[str], refused: str | None = None
) -> AttributeReport:
    """Report an attribute of which nothing was counted, because it cannot be used or is too large."""
    return AttributeReport(
        name=one.name,
        property=one.selected,
        type=one.kind,
        multi_valued=one.is_list,
        source=one.source,
        app=one.app,
        usable=refused is None,
        refused=refused,
        filter=None if refused else _filter(one),
        used=one.selected in used,
        fields=[] if refused else list(one.parts),
    )


def _filter(one: Candidate) -> str | None:
    return DEFAULT if one.source is Source.EXTENSION else FILTERS.get(one.selected)


def _report(one: Candidate, tally: _Tally, people: int, used: Collection[str]) -> AttributeReport:
    distinct, doubled = len(tally.seen), len(tally.doubled)
    everybody = people > 0 and tally.filled == people
    comparable = one.kind in {Kind.TEXT, Kind.NUMBER} and not one.is_list and _tells_apart(one.name)
    return AttributeReport(
        name=one.name,
        property=one.selected,
        type=one.kind,
        multi_valued=one.is_list,
        source=one.source,
        app=one.app,
        usable=True,
        refused=None,
        filter=_filter(one),
        used=one.selected in used,
        filled=tally.filled,
        empty_percent=round(100 * (people - tally.filled) / people, 1) if people else None,
        distinct=distinct,
        doubled=doubled,
        matching_key=comparable and everybody and not doubled,
        remarks=list(_remarks(one.name, tally, people)),
    )


def _tells_apart(name: str) -> bool:
    """Whether an attribute can be meant to tell people apart, by the words of its name."""
    if name in NAMES_OF_ONE:
        return True
    # Of a directory extension the name that was given to it, not the application's id.
    own = name.removeprefix("extension_").rpartition("_")[2]
    return NO_KEY.isdisjoint(word.lower() for word in WORDS.findall(own))


def _remarks(name: str, tally: _Tally, people: int) -> Iterator[str]:
    empty = people - tally.filled
    if people and not tally.filled:
        yield f"{name} is empty for everybody in the sample"
    elif empty:
        percent = round(100 * empty / people)
        share = f"{percent} %" if percent else "less than 1 %"
        yield f"{name} is empty for {share}"
    if tally.doubled and len(tally.seen) >= NEARLY_UNIQUE * tally.filled:
        count = len(tally.doubled)
        yield f"{name} is doubled {'once' if count == 1 else f'{count} times'}"


def in_order(reports: Iterable[AttributeReport]) -> list[AttributeReport]:
    """Sort by name, as people look for one: extensionAttribute2 before extensionAttribute10."""
    return sorted(reports, key=lambda one: _sortable(one.name))


def _sortable(name: str) -> list[str | int]:
    # Texts and numbers in turn, so that like is compared with like.
    parts = NUMBERS.split(name.casefold())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]

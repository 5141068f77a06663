"""Which people are on a page: a source of people and the list options in, person numbers out."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

from local.graph.directory.members import PersonSet
from local.graph.directory.people import Value
from local.graph.directory.recent import Recent
from local.graph.directory.view import View
from local.graph.http.errors import bad_request, unsupported_query
from local.graph.odata.filters import Filter, Getter, Test, parse_filter
from local.graph.odata.options import ListOptions, need_eventual_for_search
from local.graph.odata.properties import (
    USER_FILTERS,
    USER_PROPERTIES,
    USER_SEARCHABLE,
    USER_SORTABLE,
)
from local.graph.odata.search import parse_search


class Source(Protocol):
    """People in the order of their numbers, without the deleted ones."""

    @property
    def name(self) -> str: ...
    @property
    def directory(self) -> View: ...

    def start_at(self, number: int) -> Iterator[int]: ...
    def count(self) -> int: ...
    def holds(self, number: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Everybody:
    directory: View
    name: str

    def start_at(self, number: int) -> Iterator[int]:
        return self.directory.live(number)

    def count(self) -> int:
        return self.directory.live_count()

    def holds(self, number: int) -> bool:
        return self.directory.is_live(number)


@dataclass(frozen=True, slots=True)
class Members:
    directory: View
    people: PersonSet
    name: str

    def start_at(self, number: int) -> Iterator[int]:
        is_live = self.directory.is_live
        return (n for n in self.people.start_at(number) if is_live(n))

    def count(self) -> int:
        dead = sum(number in self.people for number in self.directory.soft_deleted)
        return len(self.people) - dead

    def holds(self, number: int) -> bool:
        return number in self.people and self.directory.is_live(number)


@dataclass(frozen=True, slots=True)
class Selected:
    numbers: list[int]
    onward: int | None
    """Where the next page begins."""
    count: int | None


class Matches:
    """Remembers the last few filtered lists, so that their further pages cost nothing."""

    def __init__(self) -> None:
        self._recent: Recent[Sequence[int]] = Recent(8)

    def people(self, options: ListOptions, source: Source) -> Sequence[int]:
        # Soft-deletions, restores and all other changes move the version.
        version = source.directory.version
        key = (source.name, options.filter, options.search, options.orderby,
               options.advanced, options.hidden, version)  # fmt: skip
        return self._recent.get(key, lambda: _match(options, source))


def select_people(options: ListOptions, source: Source, matches: Matches) -> Selected:
    need_eventual_for_search(options)
    if options.orderby and (options.filter or options.search) and not options.advanced:
        raise unsupported_query("Sorting not supported for current query.")
    wants_count = options.advanced and options.page == 1
    if not (options.filter or options.search or options.orderby):
        numbers = _take(source.start_at(options.position or 0), options.top + 1)
        onward = numbers.pop() if len(numbers) > options.top else None
        return Selected(numbers, onward, source.count() if wants_count else None)
    found = matches.people(options, source)
    # A sorted list is paged by place, any other by number: changes in between shift nothing.
    place = options.position or 0
    if not options.orderby:
        place = bisect_left(found, place)
    numbers = list(found[place : place + options.top])
    end = place + options.top
    onward = (end if options.orderby else found[end]) if end < len(found) else None
    return Selected(numbers, onward, len(found) if wants_count else None)


def _take(numbers: Iterator[int], most: int) -> list[int]:
    return list(islice(numbers, most))


def user_filter(text: str, *, advanced: bool) -> Filter:
    return parse_filter(
        text, resource="User", filterable=USER_FILTERS, known=USER_PROPERTIES, advanced=advanced
    )


def _match(options: ListOptions, source: Source) -> Sequence[int]:
    directory = source.directory
    tests: list[Test] = []
    candidates: Iterator[int] = source.start_at(0)
    if options.filter:
        parsed = user_filter(options.filter, advanced=options.advanced)
        tests.append(parsed.test)
        if parsed.ids is not None:
            found = {directory.find(i) for i in parsed.ids}
            candidates = iter(sorted(n for n in found if n is not None and source.holds(n)))
    if options.search:
        tests.append(parse_search(options.search, USER_SEARCHABLE, "User"))
    # Parsed before the scan: a bad $orderby must not cost one.
    order = _order(options.orderby) if options.orderby else None
    value, hidden = directory.value, options.hidden

    def passes(number: int) -> bool:
        get: Getter = partial(_seen, value, hidden, number)
        return all(test(get) for test in tests)

    matching = [number for number in candidates if passes(number)]
    if order is not None:
        name, descending = order

        def sort_key(number: int) -> str:
            return str(value(number, name) or "").casefold()

        matching.sort(key=sort_key, reverse=descending)
    return matching


def _seen(
    value: Callable[[int, str], Value], hidden: frozenset[str], number: int, name: str
) -> Value:
    """What is null for the caller is null for the caller's filter."""
    return None if name in hidden else value(number, name)


def _order(text: str) -> tuple[str, bool]:
    name, _, direction = text.strip().partition(" ")
    if name not in USER_SORTABLE:
        raise unsupported_query(f"Sorting by '{name}' is not supported for resource 'User'.")
    if direction not in ("", "asc", "desc"):
        raise bad_request(f"Syntax error in '$orderby': '{direction}'.")
    return name, direction == "desc"

"""The last few results of something costly, by what they depend on."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._kept: dict[Hashable, T] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        if key in self._kept:
            return self._kept[key]
        while len(self._kept) >= self._most:
            self._kept.pop(next(iter(self._kept)))
        made = self._kept[key] = make()
        return made

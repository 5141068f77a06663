"""Documents that another release of the app may have written: how they are read, and written back. Pure.

An upgrade reads what older releases stored, and a rollback what a newer one did. So a reader ignores the
fields that it does not know, at every depth, and a writer keeps them: whatever this release did not
understand, or did not change, is stored again as it was found.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError, ValidationInfo, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

# The form of a connection's row as this release writes it. A release that changes the form so that older
# rows have to be read in another way writes the next number; fields that are merely new need none.
SCHEMA = 1
# Rows of the releases before the number was introduced.
FIRST_SCHEMA = 0

# Told to validators while something stored is read; what callers send is read without it.
STORED: Final = "stored"

Model = TypeVar("Model", bound=BaseModel)
Word = TypeVar("Word", bound=StrEnum)


# --- reading ----------------------------------------------------------------------------------------


def read(model: type[Model], stored: str | bytes | Mapping[str, Any]) -> Model:
    """Read what is stored, ignoring fields that this release does not know.

    Raises `ValidationError` for values that it does not understand.
    """
    if isinstance(stored, Mapping):
        return model.model_validate(stored, extra="ignore", context=STORED)
    return model.model_validate_json(stored, extra="ignore", context=STORED)


def read_partly(model: type[Model], stored: str | bytes) -> Model:
    """Read what is stored, as if fields whose value this release does not understand were not there.

    Only for what may be forgotten without harm, such as a state that the next run or check finds again.
    """
    try:
        return read(model, stored)
    except ValidationError as error:
        strange = {problem["loc"][0] for problem in error.errors() if problem["loc"]}
        if not strange:
            raise
        document = orjson.loads(stored)
        return read(model, {name: document[name] for name in document.keys() - strange})


def strange_paths(error: ValidationError) -> str:
    """Name the fields of a stored document that could not be read, without their values."""
    return ", ".join(sorted({".".join(map(str, problem["loc"])) for problem in error.errors()}))


def word(kind: type[Word], value: str) -> Word:
    """Return the member of that value, or for a word of another release one that stands for it.

    Such a word is shown and written back as it is, and is equal to no word of this release.
    """
    if value in {known.value for known in kind}:
        return kind(value)
    foreign = str.__new__(kind, value)
    foreign._name_ = foreign._value_ = value
    return foreign


def open_to_words(kind: type[Word]) -> WrapValidator:
    """Accept words of other releases where something stored is read; callers may use known ones only."""

    def validate(value: Any, known: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Word:
        if info.context == STORED and isinstance(value, str):
            return word(kind, value)
        understood: Word = known(value)
        return understood

    return WrapValidator(validate)


# --- writing ----------------------------------------------------------------------------------------


def schema_after(found: object) -> int:
    """Return the number to be written with a row that had the number `found`.

    A higher one stays: the row still holds what the newer release wrote, and that release must not
    take it for an old row after the next upgrade.
    """
    return max(SCHEMA, found) if isinstance(found, int) else SCHEMA


def kept(raw: Any, known: Any, new: Any) -> Any:
    """Return `new` as it is stored in place of `raw`, of which this release understood `known`.

    Fields that are in `raw` alone stay. Items of a list are told apart by what is known of them, or by
    what they are about (`_subject`); an item that is new has nothing to be kept.
    """
    if isinstance(raw, dict) and isinstance(known, dict) and isinstance(new, dict):
        merged = dict(new)
        for name, value in raw.items():
            if name not in known:
                merged.setdefault(name, value)
            elif name in new:
                merged[name] = kept(value, known[name], new[name])
        return merged
    if isinstance(raw, list) and isinstance(known, list) and isinstance(new, list):
        return _kept_items(raw, known, new)
    return raw if _text(known) == _text(new) else new


def _kept_items(raw: list[Any], known: list[Any], new: list[Any]) -> list[Any]:
    if len(raw) != len(known):  # nothing of it was understood
        return raw if _text(known) == _text(new) else new
    counterparts = _counterparts(known, new)
    return [
        kept(raw[counterparts[number]], known[counterparts[number]], item)
        if number in counterparts
        else item
        for number, item in enumerate(new)
    ]


def _counterparts(known: list[Any], new: list[Any]) -> dict[int, int]:
    """Find for items of `new` the place that they had in `known`."""
    found: dict[int, int] = {}
    before, after = _grouped(enumerate(known), _text), _grouped(enumerate(new), _text)
    for text, places in after.items():
        found |= dict(zip(places, before.get(text, []), strict=False))
    left_before = [(at, item) for at, item in enumerate(known) if at not in set(found.values())]
    left_after = [(at, item) for at, item in enumerate(new) if at not in found]
    changed_before, changed_after = _grouped(left_before, _subject), _grouped(left_after, _subject)
    for subject, places in changed_after.items():
        same = changed_before.get(subject, [])
        # Of two clauses about a department, one of which was deleted, it cannot be told which is left.
        if subject is not None and len(same) == len(places):
            found |= dict(zip(places, same, strict=True))
    return found


def _grouped(items: Iterable[tuple[int, Any]], key: Any) -> dict[Hashable, list[int]]:
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, item in items:
        groups[key(item)].append(place)
    return groups


def _subject(item: Any) -> Hashable:
    """Say what an item of a list is about: a rule its target, a clause its attribute, a filter no more."""
    if not isinstance(item, dict):
        return None
    for name in ("target", "attribute"):
        if name in item:
            return (name, item[name])
    return "filter" if "clauses" in item else None


def _text(value: Any) -> str:
    """Compare as JSON does: in Python true, 1 and 1.0 are equal."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

"""What is copied: a person's attributes in, the values of the Users table and their digest out. Pure.

Compiled once a run. The digest covers what an update would write, so equal digests mean nothing to do;
lists count as sets in it.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import orjson

from sync_core.domain.attributes import (
    MANAGER,
    attribute_problem,
    dotted,
    manager_name_problem,
    reader,
    selected,
)
from sync_core.domain.documents.mapping import Apply, MappingRule, WhenNull
from sync_core.domain.errors import FieldProblem, FixConnection, RecordRejected
from sync_core.domain.expressions import (
    IGNORE_ATTRIBUTE,
    IGNORE_OBJECT,
    Context,
    EvaluationError,
    ExpressionError,
    parse,
)
from sync_core.domain.expressions.context import InTime, unlimited
from sync_core.domain.model import Attributes, Mapped, Value, as_sets, utf16_length

# Table Storage holds strings of up to 64 KiB in UTF-16, that is 32 Ki characters.
# learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
MAX_CHARACTERS = 32_000
SORTED = orjson.OPT_SORT_KEYS
INT64 = 2**63

COLLECTIONS = frozenset({list, dict})

Read = Callable[[Attributes, Context], Any]
Patience = Callable[[], InTime]


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping ready to run; `attributes` has to be selected, `groups` are asked with InGroup.

    With `refers`, a person's `manager` is a reference to a stored person (`references.with_reference`).
    `depends_on_time`: what it gives tomorrow may be another value, though nothing changes.
    """

    attributes: frozenset[str]
    groups: frozenset[str]
    refers: bool
    depends_on_time: bool
    _columns: Sequence["_Column"]
    _on_create: frozenset[str]
    _patience: Patience

    def to_mapped(
        self, person: Attributes, groups: AbstractSet[str], now: datetime
    ) -> Mapped | None:
        """Map one person; None where an expression says to skip the person.

        Raises `RecordRejected` when a value cannot be computed or stored.
        """
        context = Context(now=now, groups=groups, in_time=self._patience())
        values: dict[str, Value] = {}
        sets: dict[str, Value] = {}
        kept: list[str] = []
        for column in self._columns:
            value = column.read(person, context)
            if value is IGNORE_OBJECT:
                return None
            if value is IGNORE_ATTRIBUTE:
                kept.append(column.target)
                continue
            found, value = value, column.stored(value)
            if type(found) in COLLECTIONS and value is not None:
                sets[column.target] = _json(as_sets(found)).decode()
            if value is None and column.when_null is WhenNull.KEEP:
                kept.append(column.target)
                continue
            if value is None and column.when_null is WhenNull.DEFAULT:
                value = column.stored(column.default)
            values[column.target] = value
        return Mapped(
            values,
            self._digest(person, values | sets, kept),
            frozenset(kept),
            self._on_create,
            former_digest=self._digest(person, values, kept) if sets else None,
        )

    def _digest(self, person: Attributes, values: dict[str, Value], kept: list[str]) -> str:
        lasting, stays = values, kept
        if self._on_create:
            lasting = {name: value for name, value in values.items() if name not in self._on_create}
            stays = [name for name in kept if name not in self._on_create]
        # The sign-in name is stored beside the mapped values, so a rename alone is a change too.
        content = _json([person.get("userPrincipalName"), lasting, sorted(stays)])
        return hashlib.blake2b(content, digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class _Column:
    target: str
    read: Read
    when_null: WhenNull
    default: Value

    def stored(self, value: Any) -> Value:
        """Return the value as a column can hold it; lists and objects become JSON, empty text is null."""
        if value is None or value in ("", []):
            return None
        if isinstance(value, (list, dict)):
            value = _json(value).decode()
        if isinstance(value, str):
            self._check_length(value)
        elif isinstance(value, int) and not -INT64 <= value < INT64:
            self._reject("is a number too large for Table Storage (64 bits)")
        elif isinstance(value, float) and not math.isfinite(value):
            self._reject("is not a finite number")
        result: Value = value
        return result

    def _check_length(self, text: str) -> None:
        try:
            length = utf16_length(text)
        except UnicodeEncodeError:
            self._reject("is not valid text: half of a character is missing")
        if length > MAX_CHARACTERS:
            self._reject(f"has {length} characters; Table Storage holds {MAX_CHARACTERS}")

    def _reject(self, why: str) -> NoReturn:
        raise RecordRejected(
            "record.valueTooLarge",
            f"The value for {self.target} {why}.",
            "Correct it in the directory, or map this target with an expression such as Left(...).",
        )


def stored_form(value: Any) -> Value:
    """Return any value as a column would hold it; raises `RecordRejected` where none can."""
    column = _Column("value", lambda _person, _context: None, WhenNull.CLEAR, None)
    return column.stored(value)


def compile_mapping(
    rules: Sequence[MappingRule], *, patience: Patience = lambda: unlimited
) -> CompiledMapping:
    """Turn checked mapping rules into something that maps people.

    `patience` is asked anew for each person, and what it gives is asked before each expression.
    """
    attributes: set[str] = set()
    groups: set[str] = set()
    columns = []
    for number, rule in enumerate(rules):
        try:
            read, needed, asked = _read(rule)
        except ExpressionError as error:
            raise _unusable(number, error) from error
        attributes.update(map(selected, needed))
        groups.update(asked)
        columns.append(_Column(rule.target, read, rule.when_null, rule.default))
    return CompiledMapping(
        attributes=frozenset(attributes),
        groups=frozenset(groups),
        refers=any(MANAGER in names_of(rule) for rule in rules),
        depends_on_time=any(
            rule.expression is not None and parse(rule.expression).uses_time for rule in rules
        ),
        _columns=tuple(columns),
        _on_create=frozenset(rule.target for rule in rules if rule.apply is Apply.CREATE),
        _patience=patience,
    )


def _unusable(number: int, error: ExpressionError) -> FixConnection:
    """Say which stored expression this release does not take, such as one with a larger pattern."""
    return FixConnection(
        "mapping.unusable",
        f"The mapping cannot be used: mapping[{number}].expression: {error}",
        "Correct the expression and save the connection. Nobody was changed.",
    )


def mapping_problems(rules: Sequence[MappingRule]) -> list[FieldProblem]:
    """Name what is wrong in sources and expressions, each with its path and position."""
    problems = []
    for number, rule in enumerate(rules):
        path = f"mapping[{number}].{'expression' if rule.source is None else 'source'}"
        try:
            problems += [FieldProblem(path, message) for message in _rule_problems(rule)]
        except ExpressionError as error:
            problems.append(FieldProblem(path, str(error)))
    return problems


def _rule_problems(rule: MappingRule) -> list[str]:
    names = sorted(names_of(rule))
    told = [*map(manager_name_problem, names), *map(attribute_problem, names)]
    problems = [message for message in told if message]
    if rule.expression is not None and parse(rule.expression).uses_taken:
        problems.append(
            "SelectUniqueValue needs to know the values of everybody else, which this version "
            "does not; use an attribute that is unique in the directory"
        )
    return problems


def names_of(rule: MappingRule) -> frozenset[str]:
    """Return the names of the attributes that a rule reads, with what they read inside of objects."""
    if rule.source is not None:
        return frozenset({dotted(rule.source)})
    return frozenset() if rule.expression is None else parse(rule.expression).names


def _read(rule: MappingRule) -> tuple[Read, frozenset[str], frozenset[str]]:
    if rule.source is not None:
        read = reader(rule.source)
        return lambda person, _: read(person), frozenset({rule.source}), frozenset()
    if rule.expression is None:
        constant = rule.constant
        return lambda _person, _context: constant, frozenset(), frozenset()
    expression = parse(rule.expression)
    return _guarded(rule.target, expression.compile()), expression.attributes, expression.groups


def _guarded(target: str, evaluate: Read) -> Read:
    def read(person: Attributes, context: Context) -> Any:
        try:
            context.in_time()
            return evaluate(person, context)
        except EvaluationError as error:
            # The message alone: the error as text also quotes the person's value, and a run's errors
            # are kept.
            raise RecordRejected(
                "record.expressionFailed",
                f"The expression for {target} failed: {error.message}.",
                "Correct the expression or the person's attributes; the others were not touched.",
            ) from error

    return read


def _json(value: object) -> bytes:
    """Write a value the same way whatever the order of its keys: Graph does not promise one."""
    try:
        return orjson.dumps(value, option=SORTED)
    except orjson.JSONEncodeError as error:
        raise RecordRejected(
            "record.valueInvalid",
            f"A value cannot be stored ({error}).",
            "Correct it in the directory, or map its target with another expression.",
        ) from error

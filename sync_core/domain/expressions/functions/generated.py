"""Functions that make values up. The same person gets the same value in every run.

Entra draws a new value at each evaluation; here that would be a change at every run. So what looks
random is computed from the person's object id and the expression. It is no secret: whoever knows
both can compute it, so it must not become a password.
"""

import hashlib
from collections.abc import Iterator, Mapping
from uuid import UUID, uuid5

from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.errors import EvaluationError
from sync_core.domain.expressions.functions.function import (
    Arguments,
    Evaluate,
    Example,
    Function,
    Topic,
)
from sync_core.domain.expressions.values import Signal, to_text, to_text_or_empty, to_whole

NAMESPACE = UUID("6f0d4c52-7a2e-5d0b-9d55-2b1a3f6c8e71")
LONGEST = 256
DIGITS = "0123456789"
# learn.microsoft.com/windows/security/threat-protection/security-policy-settings/
# password-must-meet-complexity-requirements
SPECIAL = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER_CASE = CAPITALS.lower()

Attributes = Mapping[str, object]


def _seed(attributes: Attributes, salt: str) -> str:
    object_id = to_text_or_empty(attributes.get("id"))
    if not object_id:
        raise EvaluationError(
            "evaluation.noObjectId", "Guid and RandomString need the person's object id ([id])"
        )
    return f"{object_id}\n{salt}".encode("utf-8", "backslashreplace").decode()


def guid(arguments: Arguments) -> Evaluate:
    salt = arguments.salt
    return lambda attributes, _context: str(uuid5(NAMESPACE, _seed(attributes, salt)))


def random_string(arguments: Arguments) -> Evaluate:
    numbers, avoided = arguments.evaluate[:5], arguments.evaluate[5:]
    salt = arguments.salt

    def make(attributes: Attributes, context: Context) -> str:
        length, *minima = [to_whole(number(attributes, context)) or 0 for number in numbers]
        banned = "".join(to_text_or_empty(one(attributes, context)) for one in avoided)
        kinds = [
            "".join(one for one in kind if one not in banned)
            for kind in (DIGITS, SPECIAL, CAPITALS, LOWER_CASE)
        ]
        return _drawn(length, list(zip(kinds, minima, strict=True)), _seed(attributes, salt))

    return make


def _drawn(length: int, wanted: list[tuple[str, int]], seed: str) -> str:
    least = [minimum for _, minimum in wanted]
    if not 0 <= sum(least) <= length <= LONGEST or min(least) < 0:
        raise EvaluationError(
            "evaluation.outOfBounds",
            f"RandomString takes minima of 0 or more and a length of their sum to {LONGEST}",
        )
    # What is not asked for is not used, unless nothing is asked for.
    filling = "".join(kind for kind, minimum in wanted if minimum or not any(least))
    kinds = [kind for kind, minimum in wanted for _ in range(minimum)]
    kinds += [filling] * (length - len(kinds))
    if not all(kinds):
        raise EvaluationError(
            "evaluation.outOfBounds", "RandomString may use none of the characters it needs"
        )
    draws = _draws(seed)
    keyed = [(next(draws), kind[next(draws) % len(kind)]) for kind in kinds]
    return "".join(character for _, character in sorted(keyed))


def _draws(seed: str) -> Iterator[int]:
    number = 0
    while True:
        digest = hashlib.sha256(f"{seed}\n{number}".encode()).digest()
        yield from (int.from_bytes(digest[at : at + 4], "big") for at in range(0, 32, 4))
        number += 1


def select_unique_value(arguments: Arguments) -> Evaluate:
    rules = arguments.evaluate

    def choose(attributes: Attributes, context: Context) -> object:
        for rule in rules:
            value = rule(attributes, context)
            if isinstance(value, Signal):
                return value
            text = to_text(value)
            if text and text not in context.taken:
                return text
        raise EvaluationError(
            "evaluation.noUniqueValue", "Every rule gives no value or one that is taken"
        )

    return choose


def _every(_index: int) -> bool:
    return True


PERSON = {"id": "d05e47b1-3909-445a-ba5e-ca60cbc0e4b4"}

GENERATED_FUNCTIONS = (
    Function(
        name="Guid",
        topic=Topic.GENERATED,
        signature="Guid()",
        summary="Gives a GUID, the same for this person and expression in every run. No secret.",
        example=Example("Guid()", PERSON, "3c1a4fc9-1348-53ac-bdb7-ad137d1a47fd"),
        least=0,
        most=0,
        build=guid,
        pure=False,
        reads=frozenset({"id"}),
    ),
    Function(
        name="RandomString",
        topic=Topic.GENERATED,
        signature="RandomString(length, minNumbers, minSpecial, minCapital, minLower "
        "[, charsToAvoid])",
        summary="Gives characters of the kinds whose minimum is not 0, the same for this person "
        f"and expression in every run; at most {LONGEST}. No secret, so never a password.",
        example=Example("RandomString(6, 3, 0, 0, 3)", PERSON, "75uv2m"),
        least=5,
        most=6,
        build=random_string,
        pure=False,
        reads=frozenset({"id"}),
    ),
    Function(
        name="SelectUniqueValue",
        topic=Topic.GENERATED,
        signature="SelectUniqueValue(rule1, rule2, ...)",
        summary="Gives the first value that nobody else has in this target; when all are taken the "
        "person is refused. Only as the outermost function, and only with apply: create.",
        example=Example(
            'SelectUniqueValue([mailNickname], Append([mailNickname], "2"))',
            {"mailNickname": "john"},
            "john",
        ),
        least=2,
        most=None,
        build=select_unique_value,
        results=_every,
        pure=False,
        outermost_only=True,
    ),
)

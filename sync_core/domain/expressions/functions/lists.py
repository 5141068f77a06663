"""Functions on multi-valued attributes. A single value counts as a list of one, null as none."""

from sync_core.domain.expressions.errors import EvaluationError
from sync_core.domain.expressions.functions.function import Example, Function, Topic
from sync_core.domain.expressions.values import (
    is_null,
    to_list,
    to_text,
    to_text_or_empty,
    to_whole,
)


def contains(values: object, sought: object) -> int:
    piece = to_text_or_empty(sought)
    found = (
        number for number, one in enumerate(to_list(values), 1) if piece in to_text_or_empty(one)
    )
    return next(found, 0)


def count(values: object) -> int:
    return len(to_list(values))


def item(values: object, number: object) -> object:
    if is_null(values):
        return None
    found, index = to_list(values), to_whole(number) or 0
    if not 1 <= index <= len(found):
        raise EvaluationError(
            "evaluation.outOfBounds", f"There is no value number {index} in a list of {len(found)}"
        )
    return found[index - 1]


def remove_duplicates(values: object) -> list[object] | None:
    if is_null(values):
        return None
    unique: dict[str | None, object] = {}
    for one in to_list(values):
        unique.setdefault(to_text(one), one)
    return list(unique.values())


def sort(values: object) -> list[object] | None:
    """Put values in one order; what is no text goes by how it is printed."""
    return None if is_null(values) else sorted(to_list(values), key=to_text_or_empty)


def split(source: object, delimiter: object) -> list[str] | None:
    text, separator = to_text(source), to_text_or_empty(delimiter)
    if text is None:
        return None
    pieces = text.split(separator) if separator else [text]
    return [piece.strip() for piece in pieces if piece.strip()]


ADDRESSES = {"proxyAddresses": ["SMTP:ada@x.com", "smtp:a.doe@x.com", "SMTP:ada@x.com"]}

LIST_FUNCTIONS = (
    Function(
        name="Contains",
        topic=Topic.LISTS,
        signature="Contains(attribute, text)",
        summary="Gives the number of the first value that holds the text, case-sensitive; 0 when "
        "none does. Meant for Item.",
        example=Example('Contains([proxyAddresses], "smtp:")', ADDRESSES, 2),
        least=2,
        most=2,
        call=contains,
    ),
    Function(
        name="Count",
        topic=Topic.LISTS,
        signature="Count(attribute)",
        summary="Gives the number of values.",
        example=Example("Count([proxyAddresses])", ADDRESSES, 3),
        least=1,
        most=1,
        call=count,
    ),
    Function(
        name="Item",
        topic=Topic.LISTS,
        signature="Item(attribute, index)",
        summary="Gives one value, counted from 1. A number that is not there is an error of this "
        "person; null gives null.",
        example=Example("Item([proxyAddresses], 1)", ADDRESSES, "SMTP:ada@x.com"),
        least=2,
        most=2,
        call=item,
    ),
    Function(
        name="RemoveDuplicates",
        topic=Topic.LISTS,
        signature="RemoveDuplicates(attribute)",
        summary="Gives each value once, where it stood first.",
        example=Example(
            "RemoveDuplicates([proxyAddresses])", ADDRESSES, ["SMTP:ada@x.com", "smtp:a.doe@x.com"]
        ),
        least=1,
        most=1,
        call=remove_duplicates,
    ),
    Function(
        name="Sort",
        topic=Topic.LISTS,
        signature="Sort(attribute)",
        summary="Gives the values in the order of their characters. Graph promises no order, so what Join "
        "or Item make of a list may change although the list did not. Our addition.",
        example=Example(
            'Join(";", Sort([otherMails]))',
            {"otherMails": ["b@x.com", "a@x.com"]},
            "a@x.com;b@x.com",
        ),
        least=1,
        most=1,
        call=sort,
    ),
    Function(
        name="Split",
        topic=Topic.LISTS,
        signature="Split(source, delimiter)",
        summary="Cuts a text into a list. Blanks around the values and empty values are dropped.",
        example=Example(
            'Split([extensionAttribute5], ",")',
            {"extensionAttribute5": "PermissionSetOne, PermissionSetTwo"},
            ["PermissionSetOne", "PermissionSetTwo"],
        ),
        least=2,
        most=2,
        call=split,
    ),
)

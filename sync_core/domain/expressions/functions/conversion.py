"""Functions from one kind of value to another. Null in, null out, unless a line says otherwise."""

import binascii
from base64 import b64decode, b64encode

from sync_core.domain.expressions.errors import ArgumentProblem
from sync_core.domain.expressions.functions.function import Example, Function, Topic
from sync_core.domain.expressions.nodes import Node, Text
from sync_core.domain.expressions.values import to_text, to_whole, unfit, unwrapped, within_limit

# "Unicode" is .NET's name for UTF-16, little-endian.
ENCODINGS = {"Unicode": "utf-16-le", "UTF8": "utf-8", "ASCII": "ascii"}


def bit_and(first: object, second: object) -> int | None:
    one, other = to_whole(first), to_whole(second)
    return None if one is None or other is None else one & other


def from_base64(source: object, encoding: object = None) -> str | None:
    text, name = to_text(source), to_text(encoding) or "Unicode"
    if text is None:
        return None
    if name not in ENCODINGS:
        raise unfit("argumentExpected", "Unicode, UTF8 or ASCII is expected", name)
    return _bytes_of(text).decode(ENCODINGS[name], "replace")


def _bytes_of(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise unfit("base64Expected", "Base64 is expected", text) from None


def check_encoding(nodes: tuple[Node, ...]) -> None:
    if len(nodes) > 1 and isinstance(nodes[1], Text) and nodes[1].value not in ENCODINGS:
        raise ArgumentProblem(
            1, f'"{nodes[1].value}" is not an encoding', "Write Unicode, UTF8 or ASCII."
        )


def to_base64(source: object) -> str | None:
    text = to_text(source)
    if text is None:
        return None
    return within_limit(b64encode(text.encode("utf-16-le", "surrogatepass")).decode())


def to_utf8_hex(source: object) -> str | None:
    text = to_text(source)
    if text is None:
        return None
    # UTF-8 has no half characters; as in .NET they become the replacement character.
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return within_limit(whole.encode().hex().upper())


def is_string(value: object) -> bool:
    value = unwrapped(value)
    return value is not None and not isinstance(value, list | dict)


def string_from_sid(value: object) -> str | None:
    if isinstance(value, list) and all(type(one) is int and 0 <= one < 256 for one in value):
        return _printed_sid(bytes(value)) if value else None
    text = to_text(value)
    if text is None or text.startswith("S-1-"):
        return text
    return _printed_sid(_bytes_of(text))


def _printed_sid(sid: bytes) -> str:
    # Revision, count, six bytes of authority, then four bytes each, the small end first.
    # learn.microsoft.com/openspecs/windows_protocols/ms-dtyp
    if len(sid) < 8 or len(sid) != 8 + 4 * sid[1]:
        raise unfit("sidExpected", "A security identifier is expected", sid.hex())
    authority = int.from_bytes(sid[2:8], "big")
    parts = (int.from_bytes(sid[at : at + 4], "little") for at in range(8, len(sid), 4))
    return "-".join(map(str, ("S", sid[0], authority, *parts)))


HELLO = "SABlAGwAbABvACAAdwBvAHIAbABkACEA"

CONVERSION_FUNCTIONS = (
    Function(
        name="BitAnd",
        topic=Topic.CONVERSION,
        signature="BitAnd(value1, value2)",
        summary="Gives the bits set in both numbers. Hexadecimal numbers are written &HF7.",
        example=Example("BitAnd(&HF, &HF7)", {}, 7),
        least=2,
        most=2,
        call=bit_and,
    ),
    Function(
        name="ConvertFromBase64",
        topic=Topic.CONVERSION,
        signature="ConvertFromBase64(source [, encoding])",
        summary="Decodes base64. The encoding of the text is Unicode (UTF-16, the default), UTF8 "
        "or ASCII.",
        example=Example(f'ConvertFromBase64("{HELLO}")', {}, "Hello world!"),
        least=1,
        most=2,
        call=from_base64,
        words={1: frozenset(ENCODINGS)},
        check=check_encoding,
    ),
    Function(
        name="ConvertToBase64",
        topic=Topic.CONVERSION,
        signature="ConvertToBase64(source)",
        summary="Encodes the text (UTF-16) as base64.",
        example=Example('ConvertToBase64("Hello world!")', {}, HELLO),
        least=1,
        most=1,
        call=to_base64,
    ),
    Function(
        name="ConvertToUTF8Hex",
        topic=Topic.CONVERSION,
        signature="ConvertToUTF8Hex(source)",
        summary="Gives the bytes of the text (UTF-8) in hexadecimal.",
        example=Example('ConvertToUTF8Hex("Hello world!")', {}, "48656C6C6F20776F726C6421"),
        least=1,
        most=1,
        call=to_utf8_hex,
    ),
    Function(
        name="CRef",
        topic=Topic.CONVERSION,
        signature="CRef(dn)",
        summary="Gives the text as it is. It is here for expressions from cloud sync.",
        example=Example(
            "DNComponent(CRef([onPremisesDistinguishedName]), 1)",
            {"onPremisesDistinguishedName": "CN=Joe,OU=Sales,DC=contoso,DC=com"},
            "Joe",
        ),
        least=1,
        most=1,
        call=to_text,
    ),
    Function(
        name="CStr",
        topic=Topic.CONVERSION,
        signature="CStr(value)",
        summary="Gives a number, True, False or a date as text.",
        example=Example("CStr([accountEnabled])", {"accountEnabled": True}, "True"),
        least=1,
        most=1,
        call=to_text,
    ),
    Function(
        name="IsString",
        topic=Topic.CONVERSION,
        signature="IsString(value)",
        summary="Tells whether CStr can take the value: not null, not a list, not an object.",
        example=Example("IsString([proxyAddresses])", {"proxyAddresses": ["a", "b"]}, False),
        least=1,
        most=1,
        call=is_string,
        gives_condition=True,
    ),
    Function(
        name="StringFromSid",
        topic=Topic.CONVERSION,
        signature="StringFromSid(sid)",
        summary="Prints a security identifier given as base64 or as a list of bytes; one that is "
        "printed already stays.",
        example=Example("StringFromSid([sid])", {"sid": "AQEAAAAAAAUSAAAA"}, "S-1-5-18"),
        least=1,
        most=1,
        call=string_from_sid,
    ),
)

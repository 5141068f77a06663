"""Names of target attributes in Entra's provisioning to names of our columns. Pure.

Most targets are SCIM paths (RFC 7643 and RFC 7644, section 3.10): `userName`, `name.givenName`,
`emails[type eq "work"].value`, `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager`.
Others are an application's own names, such as `IsActive`.
"""

import re
from collections.abc import Container

COLUMN = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
LONGEST = 64
# `emails[type eq "work"].value`: the attribute, what is picked from its values, and a part of it.
PICKED = re.compile(r'(?P<name>\w+)\[(?P<by>\w+) eq "?(?P<kind>[^"\]]*)"?\](?:\.(?P<part>\w+))?')
WORDS = re.compile(r"[A-Za-z0-9]+")
CAPITALS = re.compile(r"[A-Z]+(?=[A-Z][a-z]|[0-9]|$)|[A-Z]")
SINGULAR = {"emails": "email", "phonenumbers": "phone", "addresses": "address", "ims": "im"}
# The one that is meant when nobody says which.
USUAL_KINDS = ("work", "true")
UNNAMED = "column"


def column_for(target: str, taken: Container[str]) -> str:
    """Return a column's name that fits and is free; the target's own wherever it is both."""
    name = target if COLUMN.fullmatch(target) else _natural(target)
    if name not in taken:
        return name
    number = 2
    while (numbered := f"{name[: LONGEST - len(str(number))]}{number}") in taken:
        number += 1
    return numbered


def _natural(target: str) -> str:
    # The schema's own id ends before the last colon; a colon inside quotes belongs to a value.
    path = re.sub(r'^urn:[^"\[\]]*:', "", target, flags=re.IGNORECASE)
    picked = PICKED.fullmatch(path)
    words = _picked(picked) if picked else _steps(path)
    return _camel(words)


def _picked(path: "re.Match[str]") -> list[str]:
    name = path["name"].lower()
    noun = SINGULAR.get(name, path["name"].removesuffix("s"))
    kind = [] if path["kind"].lower() in USUAL_KINDS else [path["kind"]]
    part = path["part"]
    if part is None or part == "value":
        # Whose phone it is has to be said: there are several in every address book.
        return [path["kind"] if noun == "phone" else "", noun] if not kind else [*kind, noun]
    if name == "addresses" and part != "formatted":
        return [*kind, part]
    return [*kind, noun, *([] if part == "formatted" else [part])]


def _steps(path: str) -> list[str]:
    first, *rest = path.split(".")
    if first.lower() == "name" and rest == ["formatted"]:
        return ["formatted", "name"]
    if (first.lower() == "name" and rest) or rest == ["value"]:
        return rest if rest != ["value"] else [first]
    return [first, *rest]


def _camel(parts: list[str]) -> str:
    words = [word for part in parts for word in WORDS.findall(part)]
    if not words:
        return UNNAMED
    first, *rest = words
    name = _lowered(first) + "".join(word[0].upper() + word[1:] for word in rest)
    return (name if name[0].isalpha() else UNNAMED + name)[:LONGEST]


def _lowered(word: str) -> str:
    """Put the beginning into lower case, a whole abbreviation where there is one: SSOId, ssoId."""
    begin = CAPITALS.match(word)
    return word[: begin.end()].lower() + word[begin.end() :] if begin else word

"""A user filter of Bitwarden's Directory Connector to our scope, mapping and matching, with notes. Pure.

How the Directory Connector reads a filter for Entra ID, from its own source (github.com/bitwarden/
directory-connector, libs/services/directory-services/entra-id-directory.service.ts; in short also
bitwarden.com/help/microsoft-entra-id, "Specify sync filters", and `userFilter` in its data.json):

- Clauses are separated by `|`. Each is a keyword, one colon and values separated by commas. Blanks around
  and upper and lower case do not count. What it cannot read is no filter to it: **everybody comes in**.
- `include` and `exclude` name addresses, `includeGroup` and `excludeGroup` object ids of groups, whose
  members count through groups in groups (`transitiveMembers`).
- After `includeGroup`, clauses `excludeGroup` and `exclude` take people out again, since July 2026
  (github.com/bitwarden/directory-connector/pull/1088); it reads no other clause but the first.
- A person's address is `mail`; where that is empty or has "onmicrosoft.com" in it, the sign-in name
  (`buildUser`). Nobody comes in whose address has a `#`, such as a guest without a mailbox known
  (`isInvalidUser`), or more than 256 characters (`filterUnsupportedUsers` in sync.service.ts).
- A group filter names groups, by display name or by administrative unit, and leaves only their direct
  members (`createAadCustomSet`, `filterUsersFromGroupsSet` in baseDirectory.service.ts).
- Bitwarden knows people by `externalId`, and a member without one by the address; only `overwriteExisting`
  removes who is not in the filter any more (github.com/bitwarden/server, src/Core/AdminConsole/
  OrganizationFeatures/Import/ImportOrganizationUsersAndGroupsCommand.cs).

What cannot be taken over leaves nobody in, and a note says why; no filter is wider than the one it was.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from sync_core.domain.documents.base import GUID
from sync_core.domain.documents.scope import GROUPS, Operator
from sync_core.domain.errors import FieldProblem, Invalid
from sync_core.domain.formats.parts import Imported, Json

USER_FILTER = "userFilter"
GROUP_FILTER = "groupFilter"
# With the usual case of letters only, as the Directory Connector looks for it.
PLACEHOLDER = "onmicrosoft.com"
# An address of somebody who comes in.
USABLE = "^[^#]{1,256}$"
FIND = "GET /api/connections/{id}/groups?search="
DIRECT_MEMBERS = (
    "People come into Bitwarden only as direct members of these groups, or of others than these:"
)
WITHOUT_GROUPS = (
    "add the groups that are left to every filter by their ids (groups ARRAYCONTAINS), or leave the group "
    'filter out if "Sync groups" is off. Groups themselves are not kept here'
)

MAPPING: list[Json] = [
    {"target": "userName", "source": "userPrincipalName"},
    {
        "target": "email",
        "expression": f'ToLower(Trim(IIF(IsNullOrEmpty([mail]) OR InStr([mail], "{PLACEHOLDER}") > 0, '
        "[userPrincipalName], [mail])))",
    },
    {"target": "displayName", "source": "displayName"},
    {"target": "externalId", "source": "id"},
]

# What no filter says, and what differs whatever it says.
WHATEVER_IT_SAYS = (
    'guests who have an address of their own come into Bitwarden; "guests": "include" does the same',
    (
        "who is not in the filter any more stays in Bitwarden unless overwriteExisting is on; here they are "
        'disabled; policy "leftScope": "keep" does the same'
    ),
    (
        "accounts that are blocked in Entra come into Bitwarden unless removeDisabled is on; here they do "
        'not, and later are disabled; policy "accountDisabled": "keep" does the same'
    ),
    (
        "Bitwarden knows people by externalId, the object id, and so does matching here. Members without one "
        'are found there by address; "email" after it in matching does the same, but whoever gets an address '
        "then gets the row that carries it"
    ),
)


class Keyword(StrEnum):
    """What a clause may begin with, as Bitwarden's help spells it."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    INCLUDE_GROUP = "includeGroup"
    EXCLUDE_GROUP = "excludeGroup"
    INCLUDE_UNIT = "includeadministrativeunit"
    EXCLUDE_UNIT = "excludeadministrativeunit"


KEYWORDS = {one.lower(): one for one in Keyword}
INCLUDES = {Keyword.INCLUDE, Keyword.INCLUDE_GROUP}
ON_GROUPS = {
    Keyword.INCLUDE_GROUP: Operator.ARRAYCONTAINS,
    Keyword.EXCLUDE_GROUP: Operator.NOT_ARRAYCONTAINS,
}
ON_ADDRESSES = {
    Keyword.INCLUDE: Operator.REGEX_MATCH,
    Keyword.EXCLUDE: Operator.NOT_REGEX_MATCH,
}
ON_UNITS = {Keyword.INCLUDE_UNIT, Keyword.EXCLUDE_UNIT}


@dataclass(frozen=True, slots=True)
class _Part:
    """One clause of a filter; `position` counts characters from 1, the values are in lower case."""

    position: int
    keyword: Keyword
    values: tuple[str, ...]

    def note(self, message: str, path: str = USER_FILTER) -> FieldProblem:
        return FieldProblem(path, f"character {self.position}, {self.keyword}: {message}")


def import_filters(user_filter: str, group_filter: str = "") -> Imported:
    """Translate the filters; raises `Invalid` for what the Directory Connector could not read."""
    users = list(_parts(USER_FILTER, user_filter))
    groups = list(_parts(GROUP_FILTER, group_filter))
    result = Imported(mapping=[dict(rule) for rule in MAPPING], matching=["externalId"])
    lost = [*_lost(users), *_lost_groups(groups)]
    result.notes += lost
    if lost:
        result.note(
            USER_FILTER, "no filter was taken, or more people would come in; nobody is chosen"
        )
    elif not users:
        message = (
            "an empty filter lets everybody into Bitwarden; nobody is chosen here until you add filters, or "
            'set "everyone": true'
        )
        result.note(USER_FILTER, message)
    else:
        result.scope["filters"] = _filters(users)
        result.notes += _reading_notes(users)
    result.notes += [FieldProblem(USER_FILTER, message) for message in WHATEVER_IT_SAYS]
    return result


# --- reading --------------------------------------------------------------------------------------


def _parts(path: str, text: str) -> Iterator[_Part]:
    """Return the clauses; none of a filter that is empty."""
    if not text.strip():
        return
    position = 1
    for number, piece in enumerate(text.split("|")):
        start = position + len(piece) - len(piece.lstrip())
        if piece.strip():
            yield _part(path, start, piece)
        elif number == 0:
            raise _invalid(path, start, "there is no clause before the first |")
        position += len(piece) + 1


def _part(path: str, position: int, piece: str) -> _Part:
    word, *listed = piece.split(":")
    name = word.strip()
    keyword = KEYWORDS.get(name.lower())
    if keyword is None:
        raise _invalid(path, position, f"{name[:40]!r} is no keyword; {_hint(name)}")
    if len(listed) != 1:
        message = f"{keyword} has {len(listed)} colons; it takes one, and no value has one in it"
        raise _invalid(path, position, message)
    # An empty value, as from a comma at the end, names nobody.
    values = dict.fromkeys(value.strip().lower() for value in listed[0].split(","))
    values.pop("", None)
    if not values:
        raise _invalid(path, position, f"{keyword} has no values")
    return _Part(position, keyword, tuple(values))


def _hint(name: str) -> str:
    near = get_close_matches(name.lower(), KEYWORDS, n=1)
    if near:
        return f"did you mean {KEYWORDS[near[0]]}?"
    return f"a clause begins with one of {', '.join(Keyword)}, and a colon"


def _invalid(path: str, position: int, message: str) -> Invalid:
    return Invalid(
        "This is no filter of Bitwarden's Directory Connector for Entra ID.",
        [FieldProblem(path, f"character {position}: {message}")],
        "Correct it at the character named. The Directory Connector says nothing of a filter that it "
        "cannot read, or reads in part, and lets more people in than the filter seems to say.",
    )


# --- what cannot be taken over --------------------------------------------------------------------


def _lost(users: list[_Part]) -> Iterator[FieldProblem]:
    for number, part in enumerate(users):
        if part.keyword in ON_UNITS:
            message = (
                "there are no administrative units here, and the Directory Connector knows them in a group "
                "filter only"
            )
            yield part.note(message)
        elif number > 0 and part.keyword in INCLUDES:
            message = (
                "the Directory Connector reads it as the first clause only and passes over this one; take it "
                "out, or put all that is included into the first clause"
            )
            yield part.note(message)
        elif part.keyword in ON_GROUPS and (names := _no_ids(part)):
            message = (
                f"a group is named by its object id, a GUID, and {names} is none; "
                f"{FIND} finds the id"
            )
            yield part.note(message)


def _no_ids(part: _Part) -> str:
    return ", ".join(repr(value) for value in part.values if not GUID.fullmatch(value))


def _lost_groups(groups: list[_Part]) -> Iterator[FieldProblem]:
    """Name why a group filter cannot be taken: what it limits people to is in none of our terms."""
    for part in groups:
        if part.keyword in ON_GROUPS:
            message = (
                "belongs into the user filter; the Directory Connector takes no notice of it here"
            )
        elif part.keyword in ON_UNITS:
            message = f"there are no administrative units here. {DIRECT_MEMBERS} {WITHOUT_GROUPS}"
        else:
            message = (
                f"names are no ids. {DIRECT_MEMBERS} find the ids with {FIND} and {WITHOUT_GROUPS}"
            )
        yield part.note(message, GROUP_FILTER)


# --- scope ----------------------------------------------------------------------------------------


def _filters(users: list[_Part]) -> list[Json]:
    """Return one filter for each way to an address: one of them is true of each person."""
    in_groups = [
        {"attribute": GROUPS, "operator": operator.value, "value": values}
        for keyword, operator in ON_GROUPS.items()
        if (values := _values(users, keyword))
    ]
    ways = [
        (_clause("mail", Operator.NOT_REGEX_MATCH, re.escape(PLACEHOLDER)), "mail"),
        ({"attribute": "mail", "operator": Operator.IS_NULL.value}, "userPrincipalName"),
        (_clause("mail", Operator.INCLUDES, PLACEHOLDER), "userPrincipalName"),
    ]
    return [
        {"clauses": [*in_groups, way, *_address_clauses(users, attribute)]}
        for way, attribute in ways
    ]


def _address_clauses(users: list[_Part], attribute: str) -> Iterator[Json]:
    for keyword, operator in ON_ADDRESSES.items():
        if values := _values(users, keyword):
            yield _clause(attribute, operator, f"(?i)^({'|'.join(map(re.escape, values))})$")
    yield _clause(attribute, Operator.REGEX_MATCH, USABLE)


def _clause(attribute: str, operator: Operator, value: str) -> Json:
    clause: Json = {"attribute": attribute, "operator": operator.value, "value": value}
    return clause | ({"nullMatches": False} if operator is Operator.NOT_REGEX_MATCH else {})


def _values(users: list[_Part], keyword: Keyword) -> list[str]:
    return list(dict.fromkeys(v for part in users if part.keyword is keyword for v in part.values))


# --- notes ----------------------------------------------------------------------------------------


def _reading_notes(users: list[_Part]) -> Iterator[FieldProblem]:
    first, *later = users
    for part in later:
        message = (
            "counts here. The Directory Connector reads a later clause after includeGroup only, and not at "
            "all before July 2026; then fewer people come in here than into Bitwarden"
        )
        yield part.note(message)
    for part in users:
        if part.keyword in ON_ADDRESSES and (names := _no_addresses(part)):
            yield part.note(f"{names} is no address and fits nobody, there and here")
    message = (
        "became three filters, by where Bitwarden takes the address from: mail, or the sign-in name where "
        f"mail is empty or has {PLACEHOLDER} in it; change all three together"
    )
    yield first.note(message)


def _no_addresses(part: _Part) -> str:
    return ", ".join(repr(value) for value in part.values if "@" not in value)

"""Whom an administrator may pick: people of the directory beside what the table says of them, page by page.

A walk of the cursor shows everybody once. Graph's own link says where it goes on, so the cursor is that link,
with marks of the page before, as Graph may give a page twice.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum

from sync_core.directory.candidates import Found, Wanted, find_people, more_people
from sync_core.directory.client import GraphClient
from sync_core.domain.catalog.candidates import CandidatePerson, ImportedBy, to_person
from sync_core.services import Services

# A mark in the cursor: that two people of two pages have the same is less than one in a billion.
MARK_BYTES = 6
# With so many marks the cursor stays below the 8 KiB that a web server takes for an address; so a page has no
# more people than can be known again.
MOST_MARKED = 400
# A filter of the table looks at so many pages of the directory at most, while somebody waits.
PAGES_A_CALL = 10
WORDS, BEGINNING = "words", "beginning"


class Imported(StrEnum):
    """Who is listed, by what they are in: `none` for who is not in, `any` for who is."""

    NONE = "none"
    ANY = "any"
    SCOPE = "scope"
    MANUAL = "manual"
    MATCH = "match"

    def fits(self, person: CandidatePerson) -> bool:
        if self is Imported.NONE:
            return person.imported is None
        if self is Imported.ANY:
            return person.imported is not None
        return person.imported is ImportedBy(self.value)


@dataclass(frozen=True, slots=True)
class Candidates:
    """One page: the people, where it goes on, and whether each word of a name was searched."""

    people: list[CandidatePerson]
    position: str | None
    by_words: bool


async def candidates(
    services: Services,
    client: GraphClient,
    connection_id: str,
    wanted: Wanted,
    imported: Imported | None,
    *,
    top: int,
    position: str | None,
) -> Candidates:
    """Return up to `top` people, and at most `MOST_MARKED`.

    With `imported` a page may be short, or empty, and have a next one.
    """
    before: frozenset[bytes] = frozenset()
    if position is None:
        found = await find_people(client, wanted, min(top, MOST_MARKED))
    else:
        how, marks, link = position.split(" ", 2)
        before = _marked(marks)
        found = await more_people(client, link, by_words=how == WORDS)
    people = await _people(services, connection_id, found, before)
    kept = [one for one in people if imported is None or imported.fits(one)]
    for _ in range(PAGES_A_CALL):
        if kept or found.link is None:
            break
        before = frozenset(_marks(found))
        found = await more_people(client, found.link, by_words=found.by_words)
        people = await _people(services, connection_id, found, before)
        kept = [one for one in people if imported is None or imported.fits(one)]
    return Candidates(kept, _position(found), found.by_words)


async def _people(
    services: Services, connection_id: str, found: Found, before: frozenset[bytes]
) -> list[CandidatePerson]:
    """Return the people of a page, without those who stood on the page before, each once."""
    by_id = {str(user["id"]): user for user in found.people}
    new = {oid: user for oid, user in by_id.items() if _mark(oid) not in before}
    stored = await services.store.people(connection_id).standings(list(new))
    return [to_person(user, stored.get(object_id)) for object_id, user in new.items()]


def _position(found: Found) -> str | None:
    if found.link is None:
        return None
    how = WORDS if found.by_words else BEGINNING
    marks = urlsafe_b64encode(b"".join(_marks(found)[-MOST_MARKED:])).decode()
    return f"{how} {marks} {found.link}"


def _marks(found: Found) -> list[bytes]:
    return [_mark(str(user["id"])) for user in found.people]


def _mark(object_id: str) -> bytes:
    return hashlib.blake2b(object_id.encode(), digest_size=MARK_BYTES).digest()


def _marked(text: str) -> frozenset[bytes]:
    content = urlsafe_b64decode(text)
    starts = range(0, len(content), MARK_BYTES)
    return frozenset(content[start : start + MARK_BYTES] for start in starts)

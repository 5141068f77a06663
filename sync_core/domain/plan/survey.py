"""What a preview says beside the changes: people by kind, blank columns, doubled keys. Pure.

A `Survey` looks on while a plan is made, and says afterwards what an administrator should see. It keeps
counts, and eight bytes for each value that ought to be unique, so it stays small in a large directory.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby

from sync_core.domain.attributes import is_agent
from sync_core.domain.documents.base import Document
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.run import Counts, RecordError
from sync_core.domain.documents.scope import Agents, Guests
from sync_core.domain.letters import comparable_text
from sync_core.domain.model import Attributes, Mapped
from sync_core.domain.plan.clause_observer import ClauseObserver
from sync_core.domain.plan.guard import Verdict
from sync_core.domain.scope.look_alikes import LookAlike, look_alikes
from sync_core.domain.scope.other_letters import OTHER_LETTERS

# Targets that name a person even where `matching` does not say so: email, workMail, userName, upn.
NAMES_A_PERSON = re.compile(r".*mail.*|username|userprincipalname|upn", re.IGNORECASE)
# Below this share, a blank column is what directories look like.
NOTABLE_SHARE = 0.1
MEMBER, GUEST, UNKNOWN, AGENT = "member", "guest", "unknown", "agent"


class PreviewWarning(Document):
    """Something that would happen and may surprise; `people` counts those it is about."""

    code: str
    message: str
    target: str | None = None
    people: int | None = None


@dataclass(slots=True)
class Survey:
    """Counts while a run decides; an `Observer` of the judge."""

    connection: Connection
    by_user_type: Counter[str] = field(
        default_factory=lambda: Counter({MEMBER: 0, GUEST: 0, UNKNOWN: 0, AGENT: 0})
    )
    guests_out: int = 0
    others_out: int = 0
    agents_out: set[str] = field(default_factory=set)
    _mapped: int = 0
    _blank: Counter[str] = field(default_factory=Counter)
    _keys: dict[str, "array[int]"] = field(default_factory=dict)
    _targets: tuple[str, ...] = field(init=False)
    _look_alikes: list[LookAlike] = field(init=False)
    _clauses: ClauseObserver = field(init=False)

    def __post_init__(self) -> None:
        self._look_alikes = look_alikes(self.connection.scope)
        self._clauses = ClauseObserver(self.connection.scope)
        self._targets = tuple(rule.target for rule in self.connection.mapping)
        self._keys = {target: array("Q") for target in key_targets(self.connection)}

    def on_judged(self, person: Attributes, *, inside: bool) -> None:
        """Count a person who was read: each once where all users are read, else once a group."""
        kind = user_type(person)
        for look_alike in self._look_alikes:
            look_alike.see(person)
        self._clauses.on_judged(person, inside=inside)
        if not inside:
            self._left_out(kind, person)
            return
        self.by_user_type[kind] += 1

    def _left_out(self, kind: str, person: Attributes) -> None:
        if kind == AGENT:
            self.agents_out.add(person["id"])
        self.guests_out += kind == GUEST
        self.others_out += kind in {MEMBER, UNKNOWN}

    def on_mapped(self, mapped: Mapped) -> None:
        """Count the blank targets of a person in scope, and remember the values that name a person."""
        self._mapped += 1
        values = mapped.values
        for target in self._targets:
            if values.get(target) is None:
                self._blank[target] += 1
        for target, seen in self._keys.items():
            value = values.get(target)
            if value is not None and (text := comparable_text(str(value))):
                seen.append(_fingerprint(text))

    def warnings(self, *, everybody_read: bool, complete: bool) -> list[PreviewWarning]:
        """Say what surprises about who is in and what would be stored of them."""
        return [
            *self._about_scope(everybody_read=everybody_read, complete=complete),
            *self._about_look_alikes(),
            *self._about_agents(),
            *self._about_letters(),
            *self._about_blanks(),
            *self._about_doubles(),
        ]

    def _about_scope(self, *, everybody_read: bool, complete: bool) -> Iterator[PreviewWarning]:
        inside = self.by_user_type.total()
        if not inside:
            after = (
                ": everybody who came in before would leave it"
                if complete
                else ", as far as was read"
            )
            yield PreviewWarning(
                code="scope.nobody", message=f"Nobody is in scope{after}.", people=0
            )
        elif everybody_read and not self.others_out:
            guests = "" if self.connection.scope.guests is Guests.EXCLUDE else " with the guests"
            yield PreviewWarning(
                code="scope.everyone",
                message=f"Everybody in the directory is in scope{guests}: {_people(inside)}.",
                people=inside,
            )

    def _about_look_alikes(self) -> Iterator[PreviewWarning]:
        for look_alike in self._look_alikes:
            if look_alike.people:
                yield PreviewWarning(
                    code="scope.lookAlike",
                    message=f"{_people(look_alike.people)} {look_alike.sentence}",
                    people=look_alike.people,
                )

    def _about_agents(self) -> Iterator[PreviewWarning]:
        count = len(self.agents_out)
        if count and self.connection.scope.agents is Agents.EXCLUDE:
            accounts = (
                "1 account of an agent stays"
                if count == 1
                else f"{count:,} accounts of agents stay"
            )
            yield PreviewWarning(
                code="scope.agents",
                message=f'{accounts} out; "agents": "include" in the scope judges them like people.',
                people=count,
            )

    def _about_letters(self) -> Iterator[PreviewWarning]:
        for found in self._clauses.found:
            yield PreviewWarning(code=OTHER_LETTERS, message=found.sentence, people=found.people)

    def _about_blanks(self) -> Iterator[PreviewWarning]:
        for target in self._targets:
            blank = self._blank[target]
            if blank and (target in self._keys or blank >= NOTABLE_SHARE * self._mapped):
                share = _percent(blank, self._mapped)
                yield PreviewWarning(
                    code="mapping.empty",
                    message=f"{target} is empty for {share} of the people in scope ({blank} of "
                    f"{self._mapped}).",
                    target=target,
                    people=blank,
                )

    def _about_doubles(self) -> Iterator[PreviewWarning]:
        for target, seen in self._keys.items():
            values, people = _doubled(seen)
            if values:
                yield PreviewWarning(
                    code="matching.doubled",
                    message=f"{target} is doubled {values} {'time' if values == 1 else 'times'}: "
                    f"{people} people share a value with somebody else.",
                    target=target,
                    people=people,
                )


def user_type(person: Attributes) -> str:
    """Return the kind of an account; the oldest have none (learn.microsoft.com/graph/api/resources/user)."""
    if is_agent(person):
        return AGENT
    found = person.get("userType")
    if found is None:
        return UNKNOWN
    return GUEST if found == "Guest" else MEMBER


def key_targets(connection: Connection) -> tuple[str, ...]:
    """Name the targets that should tell people apart: the match keys, or those called like one."""
    if connection.matching:
        return tuple(connection.matching)
    targets = (rule.target for rule in connection.mapping)
    return tuple(target for target in targets if NAMES_A_PERSON.fullmatch(target))


def warnings_of_plan(
    verdict: Verdict,
    counts: Counts,
    errors: Sequence[RecordError],
    *,
    unconfirmed: int,
    confirmed_by: str | None = None,
) -> list[PreviewWarning]:
    """Say what the guard holds, or who has confirmed it, and who cannot be mapped."""
    found = [
        *_about_assertions(verdict.broken, "create, re-enable and remove nobody"),
        *_about_assertions(
            verdict.breaches, "leave who is named as stored, and go on with the others"
        ),
    ]
    if verdict.reasons or verdict.may_be_confirmed:
        reasons = "; ".join(verdict.reasons) or "too many people would be removed"
        what = f"{counts.held} changes would wait for approval."
        if confirmed_by is not None:
            what = f"{confirmed_by} has confirmed this very plan, so the next run carries it out."
        found.append(
            PreviewWarning(
                code="guard.held" if confirmed_by is None else "guard.confirmed",
                message=f"{_sentence(reasons)} {what}",
                people=counts.held if confirmed_by is None else None,
            )
        )
    if unconfirmed:
        found.append(
            PreviewWarning(
                code="removals.unasked",
                message=f"{_people(unconfirmed)} who would be removed were not asked for by id, because "
                "there are so many; a run asks for each of them before anybody is removed.",
                people=unconfirmed,
            )
        )
    if counts.failed:
        example = errors[0].message if errors else "see the errors"
        found.append(
            PreviewWarning(
                code="records.failed",
                message=f"{_people(counts.failed)} cannot be written and would be left as they are. "
                f"The first error: {example}",
                people=counts.failed,
            )
        )
    return found


def _about_assertions(broken: Iterable[str], effect: str) -> list[PreviewWarning]:
    return [
        PreviewWarning(
            code="assertion.failed",
            message=f"An assertion would be broken: {one}. A run would {effect}.",
        )
        for one in broken
    ]


def warnings_of_reading(problems: Iterable[RecordError]) -> list[PreviewWarning]:
    """Say why the reading proves no absence."""
    return [
        PreviewWarning(
            code="reading.incomplete",
            message=f"Nobody would be removed. {problem.message}"
            + (f" ({problem.object_id})" if problem.object_id else ""),
        )
        for problem in problems
    ]


def reading_sentence(
    names: Sequence[str],
    nested: int,
    members: int,
    *,
    everybody: bool,
    where: str | None,
    asked: int,
) -> str:
    """Say in words what is read of the directory, for how many people."""
    if everybody:
        whom = f"the users where {where}" if where else "all users of the tenant"
        text = f"Reads {whom}, about {members:,}"
        return f"{text}, and the members of {_groups(asked)}." if asked else f"{text}."
    if not names:
        return "Reads nobody: the scope chooses nobody."
    inner = f" and {nested} nested in {'it' if len(names) == 1 else 'them'}" if nested else ""
    return f"Reads {_groups(len(names))}{inner}, about {members:,} members."


def leavers_by_reason(causes: Mapping[str | None, int]) -> dict[str, int]:
    """Return the counts by cause; `unasked` are those who were not asked for by id yet."""
    found = {cause: count for cause, count in causes.items() if cause is not None}
    unconfirmed = causes.get(None, 0)
    return dict(sorted(found.items())) | ({"unasked": unconfirmed} if unconfirmed else {})


def _fingerprint(text: str) -> int:
    """Return 64 bits of a value as match keys compare it."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _doubled(seen: "array[int]") -> tuple[int, int]:
    """Count the values that several people have, and those people."""
    counts = [count for _, same in groupby(sorted(seen)) if (count := len(list(same))) > 1]
    return len(counts), sum(counts)


def _percent(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 1 else "less than 1 %"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count} groups"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."

"""What is allowed and may surprise: a connection in, warnings out."""

import asyncio
from collections.abc import Iterable, Sequence

from pydantic.alias_generators import to_camel

from sync_core.directory.lookup import count_people
from sync_core.domain.connections.changes import refused_by
from sync_core.domain.connections.consent import refusal_words
from sync_core.domain.connections.deletion import Deletion, being_deleted
from sync_core.domain.connections.limits import CAUSES, deletes, has_old_limits
from sync_core.domain.connections.verification import Verification, VerificationStatus, state_words
from sync_core.domain.connections.warnings import Warning  # noqa: A004 -- the word of the contract
from sync_core.domain.documents.connection import Connection
from sync_core.domain.documents.scope import Agents, Guests, Scope
from sync_core.domain.errors import IncompleteReading, SyncError
from sync_core.domain.health import Health, connection_warnings
from sync_core.domain.incremental.untracked import untracked_by
from sync_core.domain.letters import hidden_letters
from sync_core.domain.scope.patterns import changed_patterns
from sync_core.domain.subscriptions import Subscription, has_realtime
from sync_core.health import journal
from sync_core.services import Services
from sync_core.store.consents import PendingConsent

# Somebody waits for the answer to a save; the save itself does not depend on the count.
COUNT_PATIENCE_S = 5.0
# So many resources are named in a warning.
NAMED = 3


def warnings_about(connection: Connection, refused: Iterable[str] = ()) -> list[Warning]:
    """Return what can be said without asking anybody.

    `refused` are the properties of which the tenant was seen to tell no changes.
    """
    scope = connection.scope
    found = []
    if scope.everyone and scope.filters:
        text = (
            "everyone is true and has no effect: there are filters, and they decide who comes in."
        )
        found.append(Warning(code="scope.everyoneIgnored", message=text))
    elif scope.everyone:
        text = f"{_who(scope)} in the directory comes in; the preview counts and names them."
        found.append(Warning(code="scope.everyone", message=text))
    elif not scope.filters:
        text = (
            "Nobody comes in: the scope has no filters. Name groups or attributes in scope.filters."
        )
        found.append(Warning(code="scope.nobody", message=text))
    if scope.reads_as_before:
        where = ", ".join(f"scope.{path}" for path in changed_patterns(scope))
        text = (
            f"The pattern at {where} is still read as the release did that stored it: \\w, \\d, \\s and \\b "
            "know ASCII letters only there. Everywhere else they know all scripts, as in .NET, and so will "
            "this one once the connection is saved. Send the scope to the preview: it says who would come "
            "and go. A save that moves more people than the guard allows needs a confirmation."
        )
        found.append(Warning(code="scope.patternsAsBefore", message=text))
    found += _hidden_in_scope(scope)
    found += _not_told(connection, refused)
    return found + _about_deletions(connection)


def realtime_warnings(
    connection: Connection, rows: Sequence[Subscription], known: Health | None
) -> list[Warning]:
    """Say which subscriptions could not be had and why; what fails the runs as well is told once, by them."""
    if not has_realtime(connection):
        return []
    said = {known.quarantine.incident.code} if known is not None and known.quarantine else set()
    failing = [row for row in rows if row.failure is not None and row.failure.code not in said]
    found = [_unsubscribed(some) for some in _by_failure(failing)]
    if not any(row.subscription_id is not None for row in rows):
        text = (
            "There is no subscription yet: Graph tells of nothing, and the schedule finds changes."
        )
        found.append(Warning(code="realtime.polling", message=text))
    return found


def _by_failure(rows: Iterable[Subscription]) -> list[list[Subscription]]:
    by_code: dict[str, list[Subscription]] = {}
    for row in rows:
        by_code.setdefault(row.failure.code if row.failure else "", []).append(row)
    return list(by_code.values())


def _unsubscribed(rows: Sequence[Subscription]) -> Warning:
    """Say of subscriptions that fail for the same reason what they are about, and what to do."""
    failure = rows[0].failure
    assert failure is not None  # noqa: S101 -- only such rows come here
    others = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    named = ", ".join(row.resource for row in rows[:NAMED])
    gone = not any(row.subscription_id is not None for row in rows)
    what = "There is no subscription" if gone else "A subscription was not renewed"
    text = (
        f"{what} to changes of {named}{others}. {failure.message} {failure.remedy} Meanwhile the schedule "
        "finds changes."
    )
    return Warning(code=failure.code, message=text)


def _not_told(connection: Connection, refused: Iterable[str]) -> list[Warning]:
    """Name the attributes whose changes Graph does not tell, and what follows for the runs."""
    untracked = untracked_by(connection, refused)
    if untracked.code is None:
        return []
    return [Warning(code=untracked.code, message=untracked.message)]


def _hidden_in_scope(scope: Scope) -> list[Warning]:
    """Name the clauses whose value holds what no screen shows: pasted with it, mostly, and not meant."""
    found = []
    for number, each in enumerate(scope.filters):
        for place, clause in enumerate(each.clauses):
            if letters := hidden_letters(clause.values):
                message = (
                    f"The value of scope.filters[{number}].clauses[{place}] holds what cannot be seen "
                    f"({', '.join(letters)}), and only values that hold it, too, are the same. Type it "
                    "again if that is not meant."
                )
                found.append(Warning(code="scope.hiddenLetters", message=message))
    return found


async def warnings_now(
    services: Services, connection: Connection, state: Verification
) -> list[Warning]:
    """Return the same, and what has happened to the connection: trouble, and what expires."""
    known = await journal.read(services, connection.id)
    found = warnings_about(connection, refused_by(state.checks))
    found += warnings_from(known, state, connection, services)
    rows = await services.store.subscriptions.of(connection.id) if connection.realtime else []
    found += realtime_warnings(connection, rows, known)
    deletion = await services.store.deletions.find(connection.id)
    found += [_being_deleted(deletion)] if deletion else []
    return found + await _consent_warnings(services, connection)


async def _consent_warnings(services: Services, connection: Connection) -> list[Warning]:
    """Say that a consent waits for Entra, or how the last one was refused."""
    consents = services.store.consents
    if not connection.tenant_id and (pending := await consents.pending(connection.id)):
        return [_unconfirmed(pending)]
    refusal = await consents.refusal(connection.id, services.clock())
    if refusal is None:
        return []
    return [Warning(code=refusal.outcome.value, message=refusal_words(refusal))]


def _being_deleted(deletion: Deletion) -> Warning:
    error = being_deleted(deletion)
    return Warning(code=error.code, message=f"{error.message} {error.remedy}")


def _unconfirmed(pending: PendingConsent) -> Warning:
    return Warning(
        code="consent.pending",
        message=f"An administrator of the tenant {pending.tenant_id} has consented, and Entra has not "
        "confirmed it yet. It is asked again by itself; nobody has to consent a second time.",
    )


def warnings_from(
    known: Health | None, state: Verification, connection: Connection, services: Services
) -> list[Warning]:
    now = services.clock()
    found = [Warning.model_validate(one) for one in connection_warnings(known, connection, now)]
    found += _about_limits(connection)
    if state.status in {VerificationStatus.WAITING, VerificationStatus.NOT_VERIFIED}:
        found.append(Warning(code="connection.notVerified", message=state_words(state, now)))
    return found


def _about_limits(connection: Connection) -> list[Warning]:
    """Say what the guard will do that it did not do before."""
    guard = connection.policy.guard
    if not has_old_limits(connection):
        return []
    text = (
        "This release counts over a window of hours and has new limits; the connection was stored "
        f"before and takes their defaults: at most {guard.max_creates} people and "
        f"{guard.max_create_percent:g} % come in within {guard.window_hours} hours without "
        f"approval, at most {guard.max_deletes} are deleted. Saving the connection keeps them."
    )
    return [Warning(code="guard.newLimits", message=text)]


def _about_deletions(connection: Connection) -> list[Warning]:
    """Say what runs will do that cannot be undone."""
    causes = [to_camel(name) for name in CAUSES if deletes(connection.policy, name)]
    limit = connection.policy.guard.max_deletes
    return [Warning(code="policy.deletes", message=_deletion(causes, limit))] if causes else []


def _deletion(causes: list[str], limit: int | None) -> str:
    most = "any number" if limit is None else f"up to {limit} of them in the window"
    return (
        f"policy {' and '.join(causes)} deletes: the row and all that the application wrote into it are "
        f"gone for good, {most} without a question. With disable they stay, and can come back."
    )


async def warnings_with_count(
    services: Services, connection: Connection, state: Verification
) -> list[Warning]:
    """Return the same, and how many people "everyone" is."""
    found = await warnings_now(services, connection, state)
    return [
        await _counted(services, connection) if one.code == "scope.everyone" else one
        for one in found
    ]


async def _counted(services: Services, connection: Connection) -> Warning:
    who = _who(connection.scope)
    try:
        users, guests = await _count(services, connection)
    except TimeoutError:
        why = f"Microsoft Graph did not answer within {COUNT_PATIENCE_S:g} seconds."
    except SyncError as error:
        why = error.message
    else:
        text = f"{who} in the directory comes in: {_numbers(connection.scope, users, guests)}"
        return Warning(code="scope.everyone", message=text, users=users, guests=guests)
    text = f"{who} in the directory comes in; how many they are could not be counted: {why}"
    return Warning(code="scope.everyone", message=text)


async def _count(services: Services, connection: Connection) -> tuple[int, int]:
    """Ask Graph for the number of users, and of guests among them.

    Raises `IncompleteReading` where the tenant does not count.
    """
    async with asyncio.timeout(COUNT_PATIENCE_S), services.directory.open(connection) as graph:
        users = await count_people(graph)
        guests = await count_people(graph, "userType eq 'Guest'")
    if users is None or guests is None:
        raise IncompleteReading(
            "graph.uncounted",
            "This tenant does not count its users.",
            "Nothing to do: the preview counts them.",
        )
    return users, guests


def _who(scope: Scope) -> str:
    who = {
        Guests.EXCLUDE: "Everybody but guests",
        Guests.INCLUDE: "Everybody, guests too,",
        Guests.ONLY: "Every guest, and nobody else,",
    }[scope.guests]
    only = " that is an agent's account" if scope.agents is Agents.ONLY else ""
    return f"{who}{only}"


def _numbers(scope: Scope, users: int, guests: int) -> str:
    numbers = {
        Guests.EXCLUDE: f"{users - guests} people; {guests} guests stay out",
        Guests.INCLUDE: f"{users} people, {guests} of them guests",
        Guests.ONLY: f"{guests} guests; {users - guests} others stay out",
    }[scope.guests]
    # Graph counts users; how many of them are agents, the preview says.
    agents = {
        Agents.EXCLUDE: "Accounts of agents among them stay out.",
        Agents.INCLUDE: "Accounts of agents are among them.",
        Agents.ONLY: "Of these, only the accounts of agents come in.",
    }[scope.agents]
    return f"{numbers}. {agents}"

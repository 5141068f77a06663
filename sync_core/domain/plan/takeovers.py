"""What a preview says of rows that deleted connections to the same tenant have left. Pure."""

from collections.abc import Collection, Mapping

from sync_core.domain.documents.base import Document
from sync_core.domain.matching.takeover import Leftover, Standing
from sync_core.domain.model import Status, StoredPerson
from sync_core.domain.plan.survey import PreviewWarning

NAMED = 5
OF_DELETED, TAKEOVER_CONFIRMED = "people.ofDeletedConnection", "takeover.confirmed"


class LeftPerson(Document):
    """One person with a row of a deleted connection."""

    object_id: str
    user_principal_name: str
    status: Status


class PreviewTakeover(Document):
    """The rows of one deleted connection: `people` in all, `active` of them.

    `coming` would be created here, and `here` have a row here already: these have two rows, unless the
    takeover is confirmed. `sample` names a few, those first who are `coming` or `here`.
    """

    connection: str
    standing: Standing
    people: int
    active: int
    coming: int
    here: int
    sample: list[LeftPerson]


def takeover_of(
    leftover: Leftover,
    taker: str,
    people: Mapping[str, StoredPerson],
    names: Mapping[str, str],
    *,
    coming: Collection[str],
    here: Collection[str],
) -> PreviewTakeover:
    """Return what there is of a deleted connection; `coming` and `here` are people of the `taker`."""
    concerned = {oid for oid in people if oid in coming or oid in here}
    first = sorted(people, key=lambda oid: (oid not in concerned, oid))[:NAMED]
    return PreviewTakeover(
        connection=leftover.connection_id,
        standing=leftover.standing(taker),
        people=len(people),
        active=sum(known.status is Status.ACTIVE for known in people.values()),
        coming=sum(oid in coming for oid in people),
        here=sum(oid in here for oid in people),
        sample=[
            LeftPerson(
                object_id=oid, user_principal_name=names.get(oid, ""), status=people[oid].status
            )
            for oid in first
        ],
    )


def warning_of(found: PreviewTakeover, taker: str) -> PreviewWarning | None:
    """Say in words what becomes of the rows, and what to do; None where there is nothing to decide."""
    other, number = found.connection, found.coming + found.here
    if found.standing is Standing.CONFIRMED:
        return PreviewWarning(
            code=TAKEOVER_CONFIRMED,
            message=f"{_rows(found.people)} of the deleted connection {other!r} would move here, as was "
            "confirmed; the plan counts these people as stored.",
            people=found.people,
        )
    if found.standing is Standing.ELSEWHERE or not number:
        return None
    stand = "stands" if number == 1 else "stand"
    return PreviewWarning(
        code=OF_DELETED,
        message=f"{_people(number)} of this connection {stand} in the table already, by rows of the deleted "
        f"connection {other!r}; {_doubled(found)}. To link them by their object ids, with all that your "
        f"application keeps in those rows: POST /api/connections/{taker}/takeovers/{other}?reason=<why>, and "
        f"preview again. Or make the connection with the id {other!r} again: then it has its rows.",
        people=number,
    )


def _doubled(found: PreviewTakeover) -> str:
    said = []
    if found.coming:
        said.append(f"{_people(found.coming)} would get a second row")
    if found.here:
        said.append(f"{_people(found.here)} {'has' if found.here == 1 else 'have'} a second row")
    return " and ".join(said)


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"

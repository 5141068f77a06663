"""People brought in by hand, as a caller of the API asks for it and the queue does it."""

from collections.abc import Sequence
from datetime import date

from sync_core.domain.documents.run import Run
from sync_core.people.by_hand import ask_for_import, ask_for_sync
from sync_core.people.release import Released, release
from sync_core.runs import worker
from sync_core.runs.by_name import message_for
from sync_core.services import Services
from tests.system import ADMINISTRATOR


async def asked_for(
    services: Services,
    connection_id: str,
    people: Sequence[str],
    until: date | None = None,
) -> Run:
    """Ask for an import, and leave it to the queue."""
    connection = (await services.store.connections.get(connection_id)).connection
    return await ask_for_import(
        services, connection, people, until=until, note="picked", by=ADMINISTRATOR
    )


async def done(services: Services, run: Run) -> Run:
    """Hand the messages for a run to a worker, and give its record."""
    for named in await services.store.named.waiting(run.connection_id):
        if named.run_id == run.id:
            await worker.handle(services, message_for(named))
    return await services.store.runs.get(run.connection_id, run.id)


async def imported(
    services: Services,
    connection_id: str,
    people: Sequence[str],
    until: date | None = None,
) -> Run:
    return await done(services, await asked_for(services, connection_id, people, until))


async def synced(services: Services, connection_id: str, who: Sequence[str]) -> Run:
    connection = (await services.store.connections.get(connection_id)).connection
    run = await ask_for_sync(services, connection, who, ADMINISTRATOR)
    return await done(services, run)


async def released(
    services: Services, connection_id: str, person: str, *confirmed: str
) -> Released:
    return await release(
        services, connection_id, person, note=None, confirmed=confirmed, by=ADMINISTRATOR
    )


def results(run: Run) -> dict[str, str]:
    """Give what a run answers for each person, by id."""
    assert run.results is not None, run.error
    return {str(one.object_id): one.result for one in run.results}


def result(run: Run, person: str) -> tuple[str, str | None]:
    """Give what a run answers for one person, with its code."""
    assert run.results is not None, run.error
    [found] = [one for one in run.results if one.object_id == person]
    return found.result, found.code

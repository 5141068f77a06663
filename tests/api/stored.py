"""People, runs and plans as a worker leaves them, for tests in which none runs."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sync_core.domain.documents.run import Run, RunStatus, Trigger
from sync_core.domain.errors import RecordRejected, RetryLater
from sync_core.domain.model import Action, Change, Reason, Value
from sync_core.runs.hold import held
from sync_core.services import Services
from sync_core.store.rows import Stamp
from sync_core.store.runs import new_run_id
from sync_core.store.users import UserStore

BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TENANT = "11111111-2222-3333-4444-555555555555"
RUN = "8228000000000-1f2e3d4c"


def object_id(digit: str, number: int = 0) -> str:
    """Give an object id that begins with a digit, the same every time."""
    return digit + str(uuid.uuid5(uuid.NAMESPACE_OID, f"{digit}{number}"))[1:]


def creation(person: str, upn: str = "", **values: Value) -> Change:
    upn = upn or f"{person[:8]}@contoso.com"
    return Change(Action.CREATE, person, upn, digest="1", values={"userName": upn, **values})


async def apply(
    services: Services, connection_id: str, *changes: Change, minutes: int = 0, run_id: str = RUN
) -> None:
    """Write changes as a run does, all of them `minutes` after the first moment."""
    store = services.store.users(connection_id)
    stamp = Stamp(connection_id, TENANT, run_id, BEGIN + timedelta(minutes=minutes))

    async with held(services, connection_id, budget=None) as hold:
        for digit in sorted({change.object_id[0] for change in changes}):
            mine = [change for change in changes if change.object_id[0] == digit]
            rows = await store.load_rows(digit, mine, len(mine))
            for change in mine:
                if row := rows.get(change.object_id):
                    known = change.user_principal_name
                    change.user_principal_name = known or row["UserPrincipalName"]
            async for _, error in store.apply(mine, rows, stamp, hold.fence):
                assert error is None, error


def lose_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let people be written, and the answer of the storage never come."""
    write = UserStore.apply

    async def unheard(
        self: UserStore, *given: Any
    ) -> AsyncIterator[tuple[Change, RecordRejected | None]]:
        async for done in write(self, *given):
            if done:
                raise RetryLater("storage.unavailable", "Table Storage did not answer.")
            yield done

    monkeypatch.setattr(UserStore, "apply", unheard)


async def people(services: Services, connection_id: str, count: int) -> list[str]:
    """Create people in every partition; gives their object ids in the order of the list."""
    ids = [object_id("0123456789abcdef"[number % 16], number) for number in range(count)]
    await apply(services, connection_id, *(creation(one) for one in ids))
    return sorted(ids)


def disabling(person: str, reason: Reason = Reason.LEFT_SCOPE, **more: Any) -> Change:
    return Change(Action.DISABLE, person, reason=reason, **more)


async def saved_run(
    services: Services, connection_id: str, *, minutes: int = 0, **changes: Any
) -> Run:
    """Save the record of a run that began `minutes` after the first moment."""
    began = BEGIN + timedelta(minutes=minutes)
    run = Run(
        id=new_run_id(began),
        connection_id=connection_id,
        trigger=Trigger.TIMER,
        requested_at=began,
        started_at=began,
        finished_at=began + timedelta(seconds=3),
        status=RunStatus.SUCCEEDED,
    ).replaced(**changes)
    await services.store.runs.save(run)
    return run


def planned(person: str, **changes: Any) -> dict[str, object]:
    """Give a change as a plan holds it."""
    return {
        "action": "update",
        "objectId": person,
        "userPrincipalName": "ann@contoso.com",
        "reason": None,
        "held": False,
        "fields": {"department": ["Sales", None]},
        "evidence": None,
    } | changes

"""What the webhook takes: whose notifications count, what is written before the answer, and how often."""

import asyncio
import logging
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from sync_core import triggers
from sync_core.domain.errors import Invalid, RetryLater
from sync_core.domain.incremental.open_people import Cause, OpenCase, Word
from sync_core.domain.secret_names import CLIENT_STATE_KEY
from sync_core.domain.subscriptions import Subscription
from sync_core.runs import known_subscriptions, notifications
from sync_core.runs.notifications import Deliveries
from sync_core.services import Services, process
from sync_core.store.checkpoints import CheckpointStore
from sync_core.store.queue import RequestQueue
from sync_core.store.subscriptions import SubscriptionStore
from sync_core.store.wire import storage_unavailable
from tests.notified import Item, post, subscribed
from tests.runs.events import stop_clock

ANN = "aaaaaaaa-0000-4000-8000-00000000000a"
GROUP = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"


async def kept(services: Services, connection_id: str) -> list[OpenCase]:
    return list((await services.store.checkpoints.load(connection_id)).cases.values())


async def take(services: Services, *items: Item, deliveries: Deliveries | None = None) -> None:
    await (deliveries or Deliveries()).take(services, post(*items))


async def test_what_several_posts_say_of_a_person_adds_up(
    services: Services, connection_id: str
) -> None:
    """Each is written when it comes; columns of other groups stay, and the last arrival counts."""
    clock = stop_clock(services)
    told, began = await subscribed(services, connection_id), clock.now
    await take(services, told.members(GROUP, {ANN: True}, began))
    clock.skip(seconds=1)
    await take(services, told.members(OTHER, {ANN: False}))
    await take(services, told.user(ANN))
    [case] = await kept(services, connection_id)

    assert (case.object_id, case.cause, case.itself) == (ANN, Cause.NOTIFIED, True)
    assert set(case.words) == {Word(GROUP, True, began), Word(OTHER, False, None)}
    assert case.since == clock.now


@pytest.mark.parametrize(
    ("said", "has_times", "last"),
    [((False, True), True, False), ((True, False), True, True), ((True, False), False, None)],
    ids=["left before", "came before", "without times"],
)
async def test_an_old_word_that_comes_last_takes_no_place(
    services: Services,
    connection_id: str,
    *,
    said: tuple[bool, bool],
    has_times: bool,
    last: bool | None,
) -> None:
    """What was said last comes first; of what has no time nobody knows which that was."""
    clock, told = stop_clock(services), await subscribed(services, connection_id)
    times = [clock.now, clock.now - timedelta(seconds=5)] if has_times else [None, None]
    for left, at in zip(said, times, strict=True):
        await take(services, told.members(GROUP, {ANN: left}, at))
    [case] = await kept(services, connection_id)

    assert case.words == (Word(GROUP, last, times[0]),)


async def test_one_subscription_serves_the_connections_that_share_it(
    services: Services, connection_id: str
) -> None:
    told = await subscribed(services, connection_id, "users", f"{connection_id}-b")
    await take(services, told.user(ANN))

    for one in (connection_id, f"{connection_id}-b"):
        assert [case.object_id for case in await kept(services, one)] == [ANN]


async def test_a_subscription_that_is_being_made_is_known_by_its_nonce(
    services: Services, connection_id: str
) -> None:
    told = await subscribed(services, connection_id, is_made=False)
    await take(services, told.user(ANN))

    assert len(await kept(services, connection_id)) == 1


async def test_what_was_replaced_or_forged_counts_for_nothing(
    services: Services, connection_id: str
) -> None:
    old = await subscribed(services, connection_id)
    forged = old.user(ANN) | {
        "clientState": old.state[:-4] + "0000",
        "subscriptionId": str(uuid4()),
    }
    [row] = await services.store.subscriptions.of(connection_id)
    await services.store.subscriptions.delete(row)
    await subscribed(services, connection_id)
    await take(services, old.user(ANN), forged)

    assert await kept(services, connection_id) == []


async def test_the_state_of_one_subscription_is_no_proof_of_another(
    services: Services, connection_id: str
) -> None:
    told = await subscribed(services, connection_id)
    await take(services, told.user(ANN) | {"subscriptionId": str(uuid4())})

    assert await kept(services, connection_id) == []


async def test_a_key_that_is_replaced_while_notifications_come_stops_none(
    services: Services, connection_id: str
) -> None:
    """Made with the key of before, or by a process that has the new one: the stored row knows its nonce."""
    told = await subscribed(services, connection_id)
    await services.vault.set(CLIENT_STATE_KEY, "another key", content_type="text/plain")
    services.vault._own_keys.clear()
    try:
        await take(services, told.user(ANN))
        new = await subscribed(services, connection_id, "groups")
        await take(services, new.members(GROUP, {OTHER: True}))
    finally:
        services.vault._own_keys.clear()

    assert {case.object_id for case in await kept(services, connection_id)} == {ANN, OTHER}


async def test_what_nobody_has_signed_makes_the_table_be_read_once_a_second(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, read, asked = stop_clock(services), SubscriptionStore.of, list[str]()
    told, deliveries = await subscribed(services, connection_id), Deliveries()

    async def counted(self: SubscriptionStore, one: str) -> list[Subscription]:
        asked.append(one)
        return await read(self, one)

    monkeypatch.setattr(SubscriptionStore, "of", counted)
    forged = [
        told.user(ANN) | {"clientState": told.state.replace(connection_id, f"c{number}")}
        for number in range(500)
    ]
    await deliveries.take(services, post(*forged))
    of_forged = len(asked)
    await deliveries.take(services, post(told.user(ANN), told.user(OTHER)))
    clock.skip(seconds=1)
    await deliveries.take(services, post(*forged))

    assert (of_forged, asked) == (1, ["c0", connection_id, "c1"])
    assert len(await kept(services, connection_id)) == 2


async def test_where_the_rows_are_not_read_in_time_nobody_waits_with_what_is_unsigned(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, reading, goes_on = stop_clock(services), asyncio.Event(), asyncio.Event()
    told, deliveries = await subscribed(services, connection_id), Deliveries()

    async def hanging(*_: object) -> list[Subscription]:
        reading.set()
        await goes_on.wait()
        return []

    monkeypatch.setattr(SubscriptionStore, "of", hanging)
    forged = post(told.user(ANN) | {"clientState": told.state[:-4] + "0000"})
    first = asyncio.create_task(deliveries.take(services, forged))
    await reading.wait()
    clock.skip(seconds=2)
    await asyncio.wait_for(deliveries.take(services, forged), timeout=1)
    waits = not first.done()
    goes_on.set()
    await first

    assert waits, "only who reads waits"


async def test_where_the_rows_cannot_be_read_the_proof_decides(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await subscribed(services, connection_id)

    async def broken(*_: object) -> list[Subscription]:
        raise storage_unavailable(ValueError())

    monkeypatch.setattr(SubscriptionStore, "of", broken)
    forged = told.user(OTHER) | {"clientState": told.state[:-4] + "0000"}
    await take(services, told.user(ANN), forged)

    assert [case.object_id for case in await kept(services, connection_id)] == [ANN]


async def test_a_new_subscription_is_found_though_others_were_read_before(
    services: Services, connection_id: str
) -> None:
    clock, deliveries = stop_clock(services), Deliveries()
    first = await subscribed(services, connection_id)
    await take(services, first.user(ANN), deliveries=deliveries)
    second = await subscribed(services, connection_id, "groups")
    clock.skip(seconds=known_subscriptions.READ_AGAIN_AFTER.total_seconds())
    await take(services, second.members(GROUP, {OTHER: True}), deliveries=deliveries)

    assert {case.object_id for case in await kept(services, connection_id)} == {ANN, OTHER}


async def test_posts_that_come_while_one_is_written_are_written_together(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, deliveries = await subscribed(services, connection_id), Deliveries()
    await deliveries.take(services, post(told.user(ANN)))
    write, send = CheckpointStore.notify, RequestQueue.send
    written, sent = list[int](), list[object]()

    async def counted(self: CheckpointStore, one: str, cases: Any, heard: Any) -> None:
        written.append(len(cases))
        await write(self, one, cases, heard)

    async def noted(self: RequestQueue, request: Any, *, delay_s: int = 0) -> None:
        sent.append(request)
        await send(self, request, delay_s=delay_s)

    monkeypatch.setattr(CheckpointStore, "notify", counted)
    monkeypatch.setattr(RequestQueue, "send", noted)
    people = [str(uuid4()) for _ in range(150)]
    await asyncio.gather(*(deliveries.take(services, post(told.user(one))) for one in people))

    assert sum(written) == 150
    assert len(written) <= 2, "one write is under way, and the next one takes all the others"
    assert len(sent) <= 1, "one message a second stands for all of them"
    assert {case.object_id for case in await kept(services, connection_id)} == {ANN, *people}
    assert deliveries._lines == {}, "nothing stays in memory"


async def test_what_cannot_be_written_is_not_acknowledged(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, deliveries = await subscribed(services, connection_id), Deliveries()

    async def refused(*_: object) -> None:
        raise storage_unavailable(ValueError())

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "notify", refused)
        with pytest.raises(RetryLater, match="Table Storage"):
            await deliveries.take(services, post(told.user(ANN)))
    await deliveries.take(services, post(told.user(ANN)))

    assert len(await kept(services, connection_id)) == 1


async def test_a_storage_that_hangs_is_not_waited_for(
    services: Services, connection_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, deliveries, hangs = (
        await subscribed(services, connection_id),
        Deliveries(),
        asyncio.Event(),
    )

    async def hanging(*_: object) -> None:
        await hangs.wait()

    monkeypatch.setattr(notifications, "ANSWER_WITHIN_S", 0.1)
    monkeypatch.setattr(CheckpointStore, "notify", hanging)
    with pytest.raises(RetryLater, match="could not be kept in time"):
        await deliveries.take(services, post(told.user(ANN)))
    monkeypatch.setattr(notifications, "MOST_WAITING", 1)
    two = [told.user(ANN), told.user(OTHER)]
    with pytest.raises(RetryLater, match="could not be kept in time"):
        await deliveries.take(services, post(*two))
    hangs.set()


async def test_each_delivery_that_came_too_late_is_logged_as_the_alert_counts_it(
    services: Services,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`webhook-slow` of infra/app/alerts.json counts these lines."""
    told = await subscribed(services, connection_id)
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(process, "_services", services)
    monkeypatch.setattr(notifications, "ANSWER_WITHIN_S", 0.0)
    answers = [await triggers.notified(post(told.user(ANN)), "application/json") for _ in range(6)]
    lines = [one.getMessage() for one in caplog.records]

    assert [status for status, _ in answers] == [503] * 6
    assert lines.count("trigger.refused code=notifications.notKept") == 6


async def test_a_flood_is_told_now_and_then_in_numbers(
    services: Services, connection_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock, deliveries = stop_clock(services), Deliveries()
    forged = post({"clientState": "x"}, {"clientState": "y"})
    caplog.set_level(logging.INFO)
    for _ in range(20):
        await deliveries.take(services, forged)
    with pytest.raises(Invalid):
        await deliveries.take(services, b"<html>")
    clock.skip(seconds=10)
    await deliveries.take(services, forged)
    told = [one.getMessage() for one in caplog.records if "notifications." in one.getMessage()]

    assert [re.sub(r" ms=\d+", "", one) for one in told] == [
        "notifications.received posts=1 discarded=2",
        "notifications.received posts=20 discarded=40 refused=1",
    ]

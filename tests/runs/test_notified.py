"""What notifications start: who is looked at, what is a witness, what is left alone, and when."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from local.graph import GraphEmulator
from sync_core.domain.documents.request import Purpose, SyncRequest
from sync_core.domain.documents.run import Mode, Run, Trigger
from sync_core.domain.incremental.notified import cases_of
from sync_core.domain.incremental.open_people import LAG, Cause, Key
from sync_core.domain.incremental.rest import Rest
from sync_core.domain.notifications import read_delivery
from sync_core.runs import worker
from sync_core.runs.notifications import Deliveries, client_state_key
from sync_core.services import Services
from sync_core.store.queue import RequestQueue
from tests.notified import Item, Subscribed, post, subscribed
from tests.runs.events import Skipping, stop_clock
from tests.runs.world import NO_LIMITS
from tests.system import active, group_scope, rows_of, run_now, stored_connection

NOBODY = "00000000-dead-4000-8000-000000000000"
Sent = list[tuple[SyncRequest, int]]


class Story:
    """A group with people in it, a connection that has read it, and notifications about it."""

    def __init__(self, services: Services, emulator: GraphEmulator, connection_id: str) -> None:
        self.services = services
        self.emulator = emulator
        self.control = emulator.control
        self.id = connection_id
        self.group = str(self.control.create_group("Notified")["id"])
        self.people = [self._person(), self._person()]
        self.sent: Sent = []
        self.deliveries = Deliveries()

    def _person(self) -> str:
        person = str(self.control.create_person({})["id"])
        self.control.add_members(self.group, person)
        return person

    async def begin(self, **changes: Any) -> None:
        """Read everybody, and once more after the lag."""
        self.clock: Skipping = stop_clock(self.services)
        self.control.stop_clock()
        await stored_connection(
            self.services,
            self.id,
            scope=group_scope(self.group),
            realtime=True,
            policy={"guard": NO_LIMITS},
            **changes,
        )
        self.told: Subscribed = await subscribed(self.services, self.id, self.group)
        await run_now(self.services, self.id)
        self.pass_time(minutes=16)
        await run_now(self.services, self.id, mode="full")
        self.pass_time(minutes=1)
        self.emulator.control.reset_requests()

    def pass_time(self, **how_long: float) -> None:
        self.clock.skip(**how_long)
        self.control.advance_clock(timedelta(**how_long).total_seconds())

    def lag(self, *what: str, minutes: float = 10) -> None:
        """Have answers be as they were some minutes ago."""
        self.control.add_fault(
            "lag", what=list(what), minSeconds=minutes * 60, maxSeconds=minutes * 60
        )

    async def deliver(self, *items: Item) -> None:
        await self.deliveries.take(self.services, post(*items))

    async def wake(self) -> Run | None:
        """Handle the message that a notification has sent, a second after it was sent."""
        self.pass_time(seconds=1)
        return await worker.handle(
            self.services, SyncRequest(connection_id=self.id, trigger=Trigger.WEBHOOK)
        )

    async def told_left(self, person: str, *, with_time: bool = True) -> None:
        at = self.clock.now if with_time else None
        await self.deliver(self.told.members(self.group, {person: True}, at))

    async def active(self) -> set[str]:
        return active(await rows_of(self.services, self.id))

    async def cases(self) -> set[Key]:
        return set((await self.services.store.checkpoints.load(self.id)).cases)

    async def rest(self) -> Rest:
        return (await self.services.store.leases.read(self.id)).rest


@pytest.fixture
async def story(
    services: Services,
    emulator: GraphEmulator,
    connection_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Story:
    story = Story(services, emulator, connection_id)
    send = RequestQueue.send

    async def noted(self: RequestQueue, request: SyncRequest, *, delay_s: int = 0) -> None:
        await send(self, request, delay_s=delay_s)
        story.sent.append((request, delay_s))

    monkeypatch.setattr(RequestQueue, "send", noted)
    await story.begin()
    return story


# --- who is looked at -------------------------------------------------------------------------------


async def test_a_joiner_is_in_though_the_delta_is_behind(story: Story) -> None:
    story.lag("delta")
    joiner = story._person()
    await story.deliver(story.told.members(story.group, {joiner: False}))
    run = await story.wake()

    assert run is not None
    assert (run.mode, run.counts.candidates) == (Mode.INCREMENTAL, 1)
    assert joiner in await story.active()


async def test_a_leaver_is_out_though_the_delta_is_behind(story: Story) -> None:
    """That somebody left a moment ago, by Graph's own time, agrees with the look: two witnesses."""
    story.lag("delta")
    leaver = story.people[0]
    story.control.remove_members(story.group, leaver)
    await story.told_left(leaver)
    await story.wake()

    assert await story.active() == {story.people[1]}


@pytest.mark.parametrize("how_old", [None, LAG + timedelta(minutes=1)], ids=["no time", "late"])
async def test_a_word_without_a_fresh_time_is_no_witness_and_a_second_look_is(
    story: Story, how_old: timedelta | None
) -> None:
    story.lag("delta", minutes=15)
    leaver = story.people[0]
    story.control.remove_members(story.group, leaver)
    at = None if how_old is None else story.clock.now - how_old
    await story.deliver(story.told.members(story.group, {leaver: True}, at))
    await story.wake()
    before = await story.active()
    delayed = [delay for _, delay in story.sent if delay > 1]
    story.pass_time(minutes=5)
    await story.wake()

    assert leaver in before
    assert delayed == [300], "a message comes when a second look is a witness"
    assert await story.active() == {story.people[1]}


async def test_a_late_word_that_meets_a_stale_look_removes_nobody(story: Story) -> None:
    """Left and back again: the notification comes when that was long ago, and the look is older still."""
    back = story.people[0]
    story.control.remove_members(story.group, back)
    left_at = story.clock.now
    story.pass_time(minutes=2)
    story.control.add_members(story.group, back)
    story.pass_time(minutes=14)
    story.lag("user", "memberOf", "groups", minutes=15)
    await story.deliver(story.told.members(story.group, {back: True}, left_at))
    await story.wake()

    assert back in await story.active()


async def test_a_look_that_is_older_than_the_change_is_put_right_and_a_device_is_dropped(
    story: Story,
) -> None:
    """Sequence 38: a notification only, no delta for fifteen minutes, and the look is older, too."""
    story.lag("user", "memberOf", "delta", minutes=14)
    joiner = story._person()
    await story.deliver(story.told.members(story.group, {joiner: False, NOBODY: False}))
    await story.wake()
    missing, doubted = await story.active(), await story.cases()
    story.pass_time(minutes=15)
    story.control.clear_faults()
    await run_now(story.services, story.id, mode="incremental")

    assert joiner not in missing
    assert {one for one, _ in doubted} <= {joiner}, "of what is no person nothing is left"
    assert joiner in await story.active()


async def test_a_stale_look_at_a_leaver_is_tried_again_in_a_minute(story: Story) -> None:
    story.lag("memberOf", "delta", minutes=3)
    leaver = story.people[0]
    story.control.remove_members(story.group, leaver)
    await story.told_left(leaver)
    await story.wake()
    doubted, sent = await story.cases(), story.sent[-1]
    still_in = await story.active()
    story.control.clear_faults()
    story.pass_time(seconds=58)
    early = await story.wake()
    story.pass_time(seconds=1)
    run = await story.wake()

    assert (leaver, Cause.CONTRADICTED) in doubted
    assert (sent[0].trigger, sent[1]) == (Trigger.WEBHOOK, 60)
    assert leaver in still_in
    assert early is None
    assert run is not None
    assert leaver not in await story.active()


async def test_a_second_look_that_is_to_come_keeps_no_other_notification_waiting(
    story: Story,
) -> None:
    story.lag("memberOf", "delta", minutes=3)
    doubted, leaver = story.people
    story.control.remove_members(story.group, doubted)
    await story.told_left(doubted)
    await story.wake()
    story.control.clear_faults()
    story.pass_time(seconds=5)
    story.sent.clear()
    story.control.remove_members(story.group, leaver)
    await story.told_left(leaver)
    await story.wake()

    assert [delay for _, delay in story.sent][:1] == [1]
    assert leaver not in await story.active()


async def test_a_nested_group_among_the_members_is_read_again(story: Story) -> None:
    inner = str(story.control.create_group("Inner")["id"])
    story.control.add_members(story.group, inner)
    await run_now(story.services, story.id, mode="incremental")
    person = str(story.control.create_person({})["id"])
    story.control.add_members(inner, person)
    await story.deliver(story.told.members(story.group, {inner: False}))
    await story.wake()

    assert person in await story.active()
    assert (await story.services.store.checkpoints.load(story.id)).checkpoint.tree.edges  # type: ignore[union-attr]


async def test_a_nested_group_that_a_run_finds_is_subscribed_to_at_once(story: Story) -> None:
    inner = str(story.control.create_group("Inner")["id"])
    story.control.add_members(story.group, inner)
    for _ in range(2):
        await run_now(story.services, story.id, mode="incremental")
    asked = [request.purpose for request, _ in story.sent]

    assert asked == [Purpose.SUBSCRIBE], "once: the next run finds the same groups"


# --- when a case is used up -------------------------------------------------------------------------


@pytest.mark.parametrize("matters", [True, False], ids=["who matters", "who does not matter yet"])
async def test_a_notification_is_used_up_only_by_a_round_that_began_after_it(
    story: Story, *, matters: bool
) -> None:
    person = story.people[0] if matters else str(story.control.create_person({})["id"])
    key, told = (person, Cause.NOTIFIED), story.told
    await story.deliver(
        told.members(story.group, {person: False}) if matters else told.user(person)
    )
    await run_now(story.services, story.id, mode="incremental")
    at_once = await story.cases()
    story.pass_time(seconds=1)
    await run_now(story.services, story.id, mode="incremental")

    assert key in at_once, "this round began when it came, by clocks that may differ"
    assert key not in await story.cases()


async def test_a_full_run_uses_notifications_up(story: Story) -> None:
    await story.deliver(story.told.members(story.group, {story.people[0]: False}))
    story.pass_time(seconds=1)
    await run_now(story.services, story.id, mode="full")

    assert await story.cases() == {(story.people[0], Cause.RECENT)}


async def test_what_comes_during_a_run_is_left_to_the_next_one(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same person is named again after the run has read its cases: the later word stays."""
    person = story.people[0]
    await story.told_left(person)
    move = type(story.services.store.checkpoints).move

    async def late(self: Any, *args: Any) -> None:
        story.pass_time(seconds=1)
        await story.told_left(person)
        await move(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(type(story.services.store.checkpoints), "move", late)
        await story.wake()
    left = await story.cases()
    story.pass_time(seconds=2)
    await story.wake()

    assert (person, Cause.NOTIFIED) in left
    assert (person, Cause.NOTIFIED) not in await story.cases()


# --- what is left alone, and the pause --------------------------------------------------------------


async def test_what_is_of_no_interest_starts_no_run_and_asks_nothing_of_graph(story: Story) -> None:
    runs = await story.services.store.runs.page(story.id, top=20, after=None)
    stranger, other = (str(story.control.create_person({})["id"]) for _ in range(2))
    group = str(story.control.create_group("Elsewhere")["id"])
    await story.deliver(
        story.told.user(stranger),
        story.told.members(group),
        story.told.members(group, {other: False}),
    )
    run = await story.wake()

    assert run is None
    assert story.emulator.requests == []
    assert await story.services.store.runs.page(story.id, top=20, after=None) == runs
    assert await story.cases() == set()
    assert (await story.rest()).pause_s == 2


async def test_the_pause_doubles_while_runs_find_nothing_and_ends_when_one_writes(
    story: Story,
) -> None:
    pauses = []
    for _ in range(3):
        await story.deliver(story.told.user(story.people[0]))
        story.pass_time(minutes=2)
        assert await story.wake() is not None
        pauses.append((await story.rest()).pause_s)
    story.control.patch_person(story.people[0], {"displayName": "Zoë O'Brien"})
    await story.deliver(story.told.user(story.people[0]))
    story.pass_time(minutes=2)
    await story.wake()

    assert pauses == [2, 4, 8]
    assert (await story.rest()).pause_s == 1


async def test_in_the_pause_one_message_is_put_off_and_all_others_are_done_with(
    story: Story,
) -> None:
    for _ in range(4):
        await story.deliver(story.told.user(story.people[0]))
        story.pass_time(minutes=2)
        await story.wake()
    story.sent.clear()
    for _ in range(3):
        await story.deliver(story.told.user(story.people[0]))
        assert await story.wake() is None
    delays = [delay for _, delay in story.sent if delay > 1]
    story.pass_time(seconds=16)
    run = await story.wake()

    assert delays == [15], "sixteen seconds of pause, one of which has passed"
    assert len(story.sent) == 2, "this process knows that a message comes"
    assert run is not None


async def test_a_run_that_ends_the_pause_ends_what_is_waited_for(story: Story) -> None:
    for _ in range(3):
        await story.deliver(story.told.user(story.people[0]))
        story.pass_time(minutes=2)
        await story.wake()
    await story.deliver(story.told.user(story.people[0]))
    assert await story.wake() is None  # a message comes in seven seconds
    story.control.patch_person(story.people[0], {"displayName": "Zoë O'Brien"})
    await run_now(story.services, story.id, mode="incremental")
    story.sent.clear()
    await story.deliver(story.told.user(story.people[1]))

    assert [delay for _, delay in story.sent] == [1]


async def test_other_triggers_ignore_the_pause(story: Story) -> None:
    for _ in range(2):
        await story.deliver(story.told.user(story.people[0]))
        await story.wake()

    assert await run_now(story.services, story.id, trigger="timer") is not None
    assert (await story.rest()).pause_s == 2, (
        "a run of the timer that finds nothing changes nothing"
    )


async def test_a_quarantined_connection_keeps_no_notifications(story: Story) -> None:
    story.control.add_fault("denied", path="/v1.0/**")
    await run_now(story.services, story.id, mode="incremental")
    await story.told_left(story.people[0])

    assert await story.wake() is None
    assert (story.people[0], Cause.NOTIFIED) not in await story.cases()


@pytest.mark.parametrize(
    "off",
    [{"enabled": False}, {"realtime": False}, None],
    ids=["disabled", "realtime off", "deleted"],
)
async def test_a_connection_out_of_use_keeps_no_notifications(
    story: Story, off: dict[str, bool] | None
) -> None:
    stored = await story.services.store.connections.get(story.id)
    if off is not None:
        changed = stored.connection.model_copy(update=off)
        await story.services.store.connections.replace(changed, stored)
    else:
        await story.services.store.connections.delete(story.id, stored.etag)
    await story.told_left(story.people[0])

    assert await story.wake() is None
    assert (story.people[0], Cause.NOTIFIED) not in await story.cases()


# --- trouble on the way -----------------------------------------------------------------------------

Trouble = Callable[[Story, list[Item]], Awaitable[None]]


async def doubled(story: Story, items: list[Item]) -> None:
    await story.deliver(*items)
    await story.deliver(*items)


async def out_of_order(story: Story, items: list[Item]) -> None:
    for item in reversed(items):
        await story.deliver(item)


async def late(story: Story, items: list[Item]) -> None:
    story.pass_time(minutes=10)
    await story.deliver(*items)


async def lost(story: Story, items: list[Item]) -> None:
    """For hours nothing comes; the timer runs all the while."""
    story.pass_time(minutes=120)
    await run_now(story.services, story.id, mode="incremental")


@pytest.mark.parametrize("trouble", [doubled, out_of_order, late, lost])
async def test_whatever_becomes_of_notifications_the_table_is_right(
    story: Story, trouble: Trouble
) -> None:
    leaver, stayer = story.people
    joiner = str(story.control.create_person({})["id"])
    steps = [(leaver, True), (stayer, True), (stayer, False), (joiner, False)]
    items = []
    for person, leaves in steps:
        change = story.control.remove_members if leaves else story.control.add_members
        change(story.group, person)
        items.append(story.told.members(story.group, {person: leaves}, story.clock.now))
        story.pass_time(seconds=5)
    await trouble(story, items)
    await story.wake()

    assert await story.active() == {stayer, joiner}


async def test_killed_between_the_cases_and_the_message_nothing_is_lost(story: Story) -> None:
    """Graph sends again what was not acknowledged; and the timer's next run knows it before."""
    story.lag("delta")
    joiner = story._person()
    item = story.told.members(story.group, {joiner: False})
    [notification] = read_delivery(
        post(item), await client_state_key(story.services.vault)
    ).notifications
    cases = cases_of(notification, story.clock.now)
    await story.services.store.checkpoints.notify(story.id, cases)
    story.pass_time(seconds=1)
    await run_now(story.services, story.id, trigger="timer", mode="incremental")

    assert joiner in await story.active()

"""What an administrator is told of subscriptions that tell nothing, and which subscriptions had to tell."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sync_core.domain.realtime import Cover, RealtimeState, Silence
from sync_core.domain.silence import Facts, covers_of, silence_found
from sync_core.domain.subscriptions import Failure, Place, State, Subscription
from tests.unit.builders import GUID, NOW, connection

DAY = timedelta(days=1)
STATE = RealtimeState(since=NOW - 2 * DAY)
OURS = Subscription(
    "contoso",
    "users",
    Place("public", GUID, GUID),
    "https://app.example.com/api/graph/notifications",
    state=State.ACTIVE,
    subscription_id="s-1",
    expires_at=NOW + DAY,
    created_at=NOW - DAY,
)
SHARED = replace(OURS, owner="fabrikam", created_at=None)
FAILED = replace(OURS, failure=Failure("subscription.x", "It could not be reached.", "Look at it."))
ADDRESS = OURS.address


@pytest.mark.parametrize(
    ("row", "state", "since"),
    [
        pytest.param(OURS, STATE, NOW - DAY, id="made a day ago"),
        pytest.param(
            replace(OURS, created_at=NOW - 9 * DAY), STATE, NOW - 2 * DAY, id="before runs listened"
        ),
        pytest.param(SHARED, STATE, NOW - DAY, id="of another connection"),
        pytest.param(replace(SHARED, subscription_id="s-2"), STATE, None, id="of nobody known"),
        pytest.param(OURS, RealtimeState(), None, id="no run has listened yet"),
        pytest.param(replace(OURS, subscription_id=None), STATE, None, id="being made"),
        pytest.param(replace(OURS, expires_at=None), STATE, None, id="without an end"),
        pytest.param(replace(OURS, state=State.REMOVING), STATE, None, id="being removed"),
    ],
)
def test_since_when_a_subscription_had_to_tell(
    row: Subscription, state: RealtimeState, since: Any
) -> None:
    expected = [Cover("users", since, NOW + DAY)] if since else []
    assert covers_of([row], [OURS], state) == expected


def found(*slots: str, facts: Facts, **schedule: Any) -> tuple[str, str]:
    silence = Silence(frozenset(slots), 3, NOW - DAY)
    told = silence_found(silence, connection(schedule=schedule), facts)
    assert told.code == "realtime.silent"
    return told.message, told.remedy


def test_it_says_what_is_known_and_where_to_look() -> None:
    message, remedy = found("users", facts=Facts([OURS], NOW, ADDRESS), everyMinutes=30)

    assert message == (
        "Since 2026-05-03 03:02 UTC runs have found 3 changes in a row of which no notification told, "
        "although there are subscriptions to users. The last one came on 2026-05-04 03:02 UTC. Changes come "
        "in by the schedule only, every 30 minutes; none of them is lost."
    )
    assert remedy.startswith(f"{ADDRESS} answers when the app calls it, and the subscriptions were")
    assert remedy.endswith("The first notification ends this.")


def test_many_groups_are_not_all_named_and_who_syncs_by_hand_is_told_so() -> None:
    facts = Facts([], None, ADDRESS)
    message, _ = found("g-1", "g-2", "g-3", "g-4", facts=facts, automatic=False)

    assert "groups/g-1/members, groups/g-2/members, groups/g-3/members and 1 more" in message
    assert "None ever came." in message
    assert "only when somebody asks for a sync" in message


def test_why_subscriptions_could_not_be_made_anew_is_told_once() -> None:
    rows = [FAILED, replace(FAILED, slot="g-1"), replace(FAILED, slot="g-2")]
    _, remedy = found("users", "g-1", facts=Facts(rows, NOW, ADDRESS))

    assert remedy == (
        "The subscriptions could not be made anew. It could not be reached. Look at it. The first "
        "notification ends this."
    )

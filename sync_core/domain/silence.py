"""What an administrator is told where subscriptions tell nothing: what is known, and where to look. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sync_core.domain.documents.connection import Connection
from sync_core.domain.incidents import SILENT, Finding
from sync_core.domain.realtime import Cover, RealtimeState, Silence
from sync_core.domain.subscriptions import State, Subscription, resource_of

# So many resources are named in the message.
NAMED = 3


def covers_of(
    rows: Iterable[Subscription], owners: Iterable[Subscription], state: RealtimeState
) -> list[Cover]:
    """Return what the subscriptions of a connection tell of, and since when.

    One that another connection owns was made for that one; `owners` are such. Nobody had to tell anything
    before runs of this connection began to listen.
    """
    made = {row.subscription_id: row.created_at for row in owners}
    found = []
    for row in rows:
        since = row.created_at or made.get(row.subscription_id)
        if row.subscription_id is None or row.expires_at is None or row.state is State.REMOVING:
            continue
        if since is not None and state.since is not None:
            found.append(Cover(row.slot, max(since, state.since), row.expires_at))
    return found


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when silence is found, after all has been tried that the app can do by itself.

    `rows` are the subscriptions as they are then, `heard_at` is when the last notification came, `address`
    is the webhook that Graph calls.
    """

    rows: Sequence[Subscription]
    heard_at: datetime | None
    address: str

    def failures(self, slots: Collection[str]) -> list[str]:
        """Return why subscriptions could not be made anew, and what to do, each reason once."""
        found = [row.failure for row in self.rows if row.slot in slots and row.failure is not None]
        return list(dict.fromkeys(f"{one.message} {one.remedy}" for one in found))


def silence_found(silence: Silence, connection: Connection, facts: Facts) -> Finding:
    """Return the incident of subscriptions that tell of nothing: what is known, and where to look."""
    named = sorted(map(resource_of, silence.slots))
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    last = f"The last one came on {_moment(facts.heard_at)}" if facts.heard_at else "None ever came"
    message = (
        f"Since {_moment(silence.since)} runs have found {silence.changes} changes in a row of which no "
        f"notification told, although there are subscriptions to {', '.join(named[:NAMED])}{more}. {last}. "
        f"Changes come in {_when(connection)}; none of them is lost."
    )
    return Finding(SILENT, message, _remedy(facts, facts.failures(silence.slots)))


def _when(connection: Connection) -> str:
    schedule = connection.schedule
    if not schedule.automatic:
        return "only when somebody asks for a sync"
    return f"by the schedule only, every {schedule.every_minutes} minutes"


def _remedy(facts: Facts, failures: Sequence[str]) -> str:
    end = "The first notification ends this."
    if failures:
        return f"The subscriptions could not be made anew. {' '.join(failures)} {end}"
    return (
        f"{facts.address} answers when the app calls it, and the subscriptions were made anew. If nothing "
        "comes all the same, something lets the app in and Microsoft Graph not: look at the access "
        "restrictions of the Function App, at a firewall or gateway in front of it (service tag "
        "MicrosoftGraphChangeNotification), at App Service authentication (excludedPaths), in the log for "
        f"notifications that were discarded, and at Microsoft's service health. {end}"
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

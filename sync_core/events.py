"""Every event that the app logs, with its fields and levels: what is written, and what queries may read.

One table for both sides: the code is held to it by tests/infra/test_events.py, the queries of alerts and
workbook by tests/infra/test_queries.py, and docs/events.md is made from it. A field has one meaning and one
type wherever it occurs. Plain data: nothing here is needed to write an event.
"""

import logging
from dataclasses import dataclass, field
from typing import Literal

# Types of Kusto: what `parse-kv` makes of a field.
Type = Literal["string", "long", "real", "bool", "datetime"]


@dataclass(frozen=True, slots=True)
class Field:
    """What a field holds."""

    type: Type
    meaning: str


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line in the log; each field may be missing where it has nothing to say."""

    name: str
    meaning: str
    fields: tuple[str, ...] = ()
    levels: frozenset[int] = field(default=frozenset({logging.INFO}))

    @property
    def level_names(self) -> str:
        return ", ".join(logging.getLevelName(level).lower() for level in sorted(self.levels))


def _text(meaning: str) -> Field:
    return Field("string", meaning)


def _number(meaning: str) -> Field:
    return Field("long", meaning)


def _event(name: str, fields: str, meaning: str, *levels: int) -> Event:
    return Event(name, meaning, tuple(fields.split()), frozenset(levels or {logging.INFO}))


# The counts of a run (`Counts` of domain/documents/run.py); one that is 0 is left out.
COUNTS = {
    "read": _number("people read from Graph"),
    "in_scope": _number("people that the rules let in"),
    "active": _number("people who were active before"),
    "created": _number("people created"),
    "updated": _number("people updated"),
    "reenabled": _number("people enabled again"),
    "disabled": _number("people disabled"),
    "deleted": _number("people deleted"),
    "unchanged": _number("people who are as they should be"),
    "blocked": _number("people in scope whose account is blocked in Entra"),
    "failed": _number("people who could not be synced"),
    "held": _number("changes that wait for approval"),
    "linked": _number("people who took over a row"),
    "unconfirmed": _number("removals that wait for a second look"),
    "candidates": _number("people whom a run by the delta looked at"),
    "looks": _number("people asked for by id"),
    "contradictions": _number("looks that differ from what the delta told"),
    "drift": _number("people whom only a full reading found to be different"),
}

FIELDS = COUNTS | {
    "action": _text("what a configuration file did to a connection"),
    "advanced": Field("bool", "whether the filter that Graph refused needs its advanced queries"),
    "aadsts": _number("Entra's number of the refusal"),
    "attempts": _number("how often workers have died in the run"),
    "began": Field("datetime", "when the reading had begun"),
    "begun": _text("the approval's own run"),
    "by": _text("who did it: an administrator's name, `run` or `check`"),
    "bytes": _number("size of the message"),
    "cause": _text("who mends it: `administrator`, or `passing`"),
    "clock": _text("whose look it was: the `timer`'s, or that of a `request` in its place"),
    "code": _text("why, as a stable code"),
    "codes": _text("codes of the checks that fail, with commas between"),
    "complete": Field("bool", "whether the pass is over"),
    "connection": _text("id of the connection"),
    "connections": _text("ids of connections, with commas between"),
    "correlation_id": _text("the number that the caller was told"),
    "creates": _number("people that the plan creates"),
    "days_left": _number("days until the credential expires; 0 or less from that day on"),
    "decision": _text("what was decided about a match"),
    "discarded": _number("notifications that were not ours"),
    "error": _text("name of the error's class"),
    "every_min": _number("minutes between two runs, as the connection is set"),
    "expires_on": Field("datetime", "day on which the credential expires"),
    "failures": _number("failed runs in a row"),
    "former": _text("name under which the key was kept before"),
    "graph_requests": _number("requests to Graph"),
    "joiners": _number("people who would come in"),
    "last_fired": Field("datetime", "when the timer fired last; missing where it never did"),
    "lasted_s": _number("seconds from the beginning of the incident to its end"),
    "leavers": _number("people who would leave"),
    "left": _number("people who stayed where they were"),
    "limits": _text("limits of the guard that are taken away"),
    "links": _number("people who were linked to a row"),
    "message": _text("what is wrong, in words"),
    "ms": _number("milliseconds of the slowest answer since it was last told"),
    "mode": _text("how the run read: `full`, `incremental` or `users`"),
    "of": _text("id of the deleted connection whose people are taken over"),
    "other_changes": _number("changes of the plan that are none of the others"),
    "others": _text("ids of other connections of the tenant, with commas between"),
    "pages": _number("pages read"),
    "people": _number("people"),
    "phase": _text("where the run was"),
    "posts": _number("calls of the webhook"),
    "problems": _text("what is wrong with the app settings"),
    "purpose": _text("what the message asked for: `sync`, `verify`, `delete` or `wake`"),
    "quarantined_s": _number("seconds in quarantine"),
    "reason": _text("why, as the administrator or the app says"),
    "reenables": _number("people that the plan enables again"),
    "removals": _number("people that the plan disables or deletes"),
    "replaced_by": _text("code of the incident that is open in its place"),
    "requested": _number("connections that were asked to run"),
    "returns": _number("people that the plan takes back"),
    "refused": _number("calls that were no notifications"),
    "rows": _number("rows"),
    "run": _text("id of the run"),
    "running": _text("id of the run that is under way"),
    "resource": _text("what the subscription is about"),
    "secret": _text("name of the secret, never its value"),
    "shortest_min": _number(
        "shortest interval of the connections that run by themselves, in minutes"
    ),
    "since": Field("datetime", "since when"),
    "slot": _text("which subscription: `users`, `groups`, or the id of a group"),
    "source": _text("where the date is known from"),
    "status": _text("how it ended; of a failed call its HTTP status"),
    "subscriptions": _number("subscriptions"),
    "tenant": _text("id of the tenant"),
    "took_s": Field("real", "seconds from its beginning to its end"),
    "throttled": _number("answers with which Graph told the run to wait"),
    "timer": _text("name of the timer"),
    "trigger": _text("what the run was asked for by"),
    "users": _text("what became of the people: `disable`, `keep` or `delete`"),
    "waiting": _number("matches that wait for a decision"),
    "waited_s": Field("real", "seconds from the request to its beginning"),
    "watched": _number("connections that run by themselves"),
    "what": _text("which rows: `runs` or `histories`"),
    "work": _number("runs in hand"),
}

WARNING, ERROR = logging.WARNING, logging.ERROR

EVENTS = (
    # --- the API
    _event("api.failed", "code status", "A call was refused for a reason on our side.", WARNING),
    _event("api.unexpected", "correlation_id", "A call met a fault of the program.", ERROR),
    _event(
        "attributes.measured", "connection people read", "The attributes of a sample were counted."
    ),
    _event(
        "attributes.notLookedUp", "connection code", "The tenant's own attributes are not known."
    ),
    _event("config.applied", "connection action by", "A configuration file changed a connection."),
    _event(
        "settings.invalid",
        "problems",
        "App settings are wrong; nothing works before they are right.",
        ERROR,
    ),
    _event("settings.warning", "message", "An app setting is not used.", WARNING),
    _event("trigger.refused", "code", "A call of `/api/sync` or a webhook was refused."),
    # --- connections
    _event(
        "connection.confirmed",
        "connection by joiners leavers",
        "A save that moves many people was confirmed.",
    ),
    _event("connection.created", "connection by", "A connection was made."),
    _event("connection.deleted", "connection by users people rows", "A connection was deleted."),
    _event(
        "connection.deletionDeferred",
        "connection running",
        "A deletion waits for the run that is under way.",
    ),
    _event("connection.movesUnknown", "connection code", "It is not known whom a save would move."),
    _event("connection.notChecked", "connection codes", "Settings have not been checked yet."),
    _event(
        "connection.notUnderstood",
        "connection",
        "Only a newer release understands the connection; it is not run.",
    ),
    _event("connection.notVerified", "connection codes", "Settings fail their check."),
    _event("connection.patched", "connection by", "Fields of a connection were changed."),
    _event("connection.pendingDropped", "connection by", "Settings that waited were forgotten."),
    _event(
        "connection.pendingNotUnderstood",
        "connection",
        "Only a newer release understands settings that wait.",
    ),
    _event(
        "connection.previewed",
        "connection by read joiners leavers",
        "Somebody looked at what a run would do.",
    ),
    _event(
        "connection.released",
        "connection by failures quarantined_s",
        "A connection left quarantine.",
    ),
    _event("connection.replaced", "connection by", "A connection was stored anew."),
    _event("connection.settingsInUse", "connection", "Settings that waited came into use."),
    _event(
        "connection.tryNotSent",
        "connection code",
        "The next try of waiting settings could not be asked for.",
    ),
    _event("connection.verified", "connection codes", "Settings passed their check."),
    _event(
        "connection.waiting", "connection codes", "Settings wait for Entra and are tried again."
    ),
    _event("consent.abandoned", "connection code", "A consent that waited for Entra was given up."),
    _event("consent.failed", "code", "A consent could not be finished.", ERROR),
    _event("consent.granted", "connection tenant", "A tenant was connected by its consent."),
    _event("consent.pending", "connection code", "A consent waits until Entra knows of it."),
    _event("consent.refused", "connection code tenant others aadsts", "A consent was not taken."),
    _event("consent.signIn", "connection tenant", "Who consented is asked to sign in."),
    _event("consent.signInFailed", "connection code", "Who consented has not signed in."),
    _event("consent.started", "connection by", "Somebody was sent to Entra to consent."),
    _event(
        "credential.expiring",
        "connection days_left expires_on source",
        "A credential expires: told at 60, 30, 14, 7, 1 and 0 days.",
        WARNING,
        ERROR,
    ),
    _event(
        "credential.expiryUnknown",
        "connection code",
        "It is not known when a credential expires.",
        logging.INFO,
        ERROR,
    ),
    _event("credential.notRetired", "connection code", "An old secret could not be retired."),
    _event("credential.retired", "connection secret", "An old secret was retired."),
    _event(
        "guard.limitTakenAway",
        "connection by limits reason",
        "A limit of the guard was taken away.",
    ),
    _event("names.notFound", "connection code", "Names of groups could not be looked up."),
    _event("names.notKept", "connection code", "Names of groups could not be stored."),
    _event("tenant.claimNotNoted", "connection code", "Whose a tenant is could not be noted."),
    _event("tenant.metadataUnknown", "tenant code", "Entra does not tell of a tenant."),
    _event("vault.keyMoved", "secret former", "A key of the app has its new name."),
    # --- runs
    _event("checkpoint.kept", "connection", "The next run begins at the same place again."),
    _event(
        "checkpoint.tooLarge",
        "connection",
        "The state of runs by the delta is too large; the next run is full.",
    ),
    _event(
        "delta.noLink",
        "connection code",
        "Graph gave no link for the next run; that is a full one.",
    ),
    _event("delta.none", "connection code", "Graph has no delta here; the next run is full."),
    _event(
        "delta.refused",
        "connection code",
        "Graph refused the link of the last run; this one is full.",
    ),
    _event(
        "graph.textRepaired", "", "An answer of Graph held characters that are no text.", WARNING
    ),
    _event("matching.decided", "connection links waiting", "New people were matched with rows."),
    _event("match.broken", "connection by", "An administrator broke a link."),
    _event("match.decided", "connection decision by", "An administrator decided a match."),
    _event("match.takenBack", "connection by", "An administrator took a decision back."),
    _event(
        "notifications.nothing",
        "connection people",
        "Notifications named nobody of interest: there was no run.",
    ),
    _event(
        "notifications.received",
        "posts people discarded refused ms",
        "Graph, or somebody else, has called the webhook; told every ten seconds at most.",
    ),
    _event("people.asked", "connection run people by", "Somebody asked for certain people."),
    _event("process.draining", "work", "The process is about to end."),
    _event("reading.broken", "connection", "A kept reading cannot go on; it begins anew."),
    _event("reading.continued", "connection pages", "A long reading goes on."),
    _event(
        "reading.contradicted",
        "connection people",
        "Looks by id differ from the list that was read.",
    ),
    _event(
        "reading.deletedUnread",
        "connection code",
        "The list of soft-deleted people could not be read; a restored stranger may go unnoticed.",
    ),
    _event(
        "reading.filterRefused",
        "connection code advanced",
        "Graph refused a filter; everybody is read.",
        WARNING,
    ),
    _event(
        "reading.kept",
        "connection pages rows",
        "A long reading was stored, to go on in the next run.",
    ),
    _event("reading.left", "connection began", "A kept reading is too old, or not this release's."),
    _event(
        "reading.notDeleted",
        "connection code",
        "The pages of a finished reading could not be deleted.",
    ),
    _event("reading.notKept", "connection error", "A long reading could not be stored."),
    _event(
        "request.poisoned",
        "connection purpose timer trigger run code bytes",
        "A request was given up after many tries.",
        ERROR,
    ),
    _event(
        "run.confirmed", "connection run by held begun", "An administrator approved what was held."
    ),
    _event("run.deferred", "connection running", "A run waits for the one that is under way."),
    _event(
        "run.drift",
        "connection people",
        "A full reading found people whom runs by the delta had missed.",
    ),
    _event(
        "run.finished",
        f"connection run trigger mode status code waited_s took_s "
        f"{' '.join(COUNTS)} graph_requests throttled",
        "A run has ended.",
    ),
    _event(
        "run.gaveUp",
        "connection run attempts phase",
        "A run whose worker died several times is not tried again by itself.",
        ERROR,
    ),
    _event(
        "run.heartbeatFailed", "connection code", "A run could not renew its hold, and tries again."
    ),
    _event(
        "run.interrupted", "connection run", "A run was ended from outside; another one follows."
    ),
    _event("run.leaseLost", "connection run code", "Another worker has taken the connection over."),
    _event("run.person", "connection run status", "One person was synced by hand."),
    _event("run.personRequested", "connection by", "Somebody asked to sync one person."),
    _event(
        "run.planned",
        "connection run active creates removals reenables other_changes returns held",
        "What a run is about to do.",
    ),
    _event(
        "run.putOff",
        "connection trigger",
        "A run waits until its quarantined connection's next try.",
    ),
    _event(
        "run.rejected",
        "connection trigger",
        "The connection was deleted or disabled before its run.",
    ),
    _event("run.requested", "connection run by", "Somebody asked for a run."),
    _event("run.served", "connection trigger", "A run had begun since this one was asked for."),
    _event("run.started", "connection run trigger", "A run has begun."),
    _event("run.unexpected", "connection run", "A run met a fault of the program.", ERROR),
    _event("signIn.keysNotLoaded", "code", "Entra's signing keys could not be loaded."),
    _event("takeover.confirmed", "connection of by people", "A takeover of people was confirmed."),
    _event("takeover.moved", "connection of run people left", "A run took people over."),
    _event("takeover.takenBack", "connection of by", "A takeover was taken back."),
    # --- real time
    _event("lifecycle.discarded", "connection", "Graph told of a subscription that is not ours."),
    _event(
        "lifecycle.missed",
        "connection resource",
        "Graph says that notifications were lost; a run follows.",
    ),
    _event(
        "lifecycle.reauthorizationRequired",
        "connection resource",
        "Graph asks for a subscription to be renewed.",
    ),
    _event("lifecycle.received", "connections discarded", "Graph told of our subscriptions."),
    _event(
        "lifecycle.subscriptionRemoved",
        "connection resource",
        "Graph removed a subscription; it is made again.",
    ),
    _event(
        "realtime.madeAnew",
        "connection subscriptions",
        "Subscriptions that were silent were made anew.",
    ),
    _event("realtime.notAsked", "connection code", "Silent subscriptions could not be looked at."),
    _event(
        "realtime.notMadeAnew", "connection code", "Silent subscriptions could not be made anew."
    ),
    _event(
        "realtime.suspected",
        "connection",
        "Changes were found that no notification told of: subscriptions are looked at.",
    ),
    _event(
        "subscription.adopted",
        "connection resource",
        "A subscription that Graph had was taken over.",
    ),
    _event(
        "subscription.failing",
        "connection slot code",
        "A subscription could not be made or renewed; polling goes on.",
        WARNING,
    ),
    _event(
        "subscription.left", "connection resource code", "A subscription could not be removed now."
    ),
    _event(
        "subscription.lost",
        "connection resource",
        "Graph has a subscription no more; it is made again.",
    ),
    _event("subscription.made", "connection resource", "A subscription was made."),
    _event("subscription.removed", "connection resource", "A subscription was removed."),
    _event("subscription.renewed", "connection resource", "A subscription was renewed."),
    _event(
        "subscription.strangerDeleted",
        "connection resource",
        "A subscription with our address that nobody knows was deleted.",
    ),
    _event(
        "subscriptions.notChecked",
        "connection code",
        "Graph could not be asked whether the subscriptions live; they stay as they are.",
    ),
    _event(
        "subscriptions.notListed",
        "connection code",
        "Graph's list of subscriptions could not be read.",
    ),
    _event(
        "subscriptions.unreadable",
        "connection code",
        "What subscriptions there are could not be read: deliveries are taken by their proof alone.",
    ),
    _event(
        "subscriptions.notTended",
        "connection code",
        "A connection's subscriptions could not be looked after; the next hour does it.",
        WARNING,
        ERROR,
    ),
    # --- the clock
    _event(
        "clock.notKept",
        "code",
        "Whether the timers fire could not be noted, or looked at.",
        WARNING,
    ),
    _event(
        "clock.woken",
        "timer last_fired",
        "A timer is silent: a request has its work done.",
        WARNING,
    ),
    _event("maintenance.done", "clock took_s", "The hourly maintenance has ended."),
    _event("maintenance.pastDue", "", "The hourly timer fired late."),
    _event("retention.forgotten", "what rows complete", "What is too old was deleted."),
    _event(
        "schedule.checked",
        "clock requested watched shortest_min",
        "It was looked which connections are due.",
    ),
    _event("schedule.pastDue", "", "The timer fired late."),
    # --- health
    _event(
        "health.notKept",
        "connection code",
        "What is known of a connection's health could not be stored.",
        ERROR,
    ),
    _event(
        "incident.closed",
        "connection code lasted_s reason replaced_by",
        "An incident is no longer the open one.",
    ),
    _event(
        "incident.opened",
        "connection code cause failures since every_min",
        "Something needs an administrator; told once.",
        WARNING,
        ERROR,
    ),
    _event("incident.resolved", "connection code lasted_s", "An incident is over."),
    # --- states that cannot be read are begun anew
    *(
        _event(f"{kind}.unreadable", "connection", f"What was stored as {kind} is begun anew.")
        for kind in (
            "bindings",
            "checkpoint",
            "clock",
            "groups",
            "health",
            "realtime",
            "retention",
            "tenantClaim",
            "verification",
        )
    ),
)

BY_NAME = {one.name: one for one in EVENTS}

"""Every dump of an older release is read whole, and run on."""

import base64
import json
import zlib
from datetime import datetime, timedelta
from typing import Any

from local.sample import FABRIKAM_TENANT_ID
from sync_core.connections import binding
from sync_core.domain.compatibility import SCHEMA
from sync_core.domain.connections.limits import NEW_FIELD, with_new_limits
from sync_core.health import journal
from sync_core.store.fences import FENCE
from sync_core.store.marks import MARKS
from tests.api.conftest import retried
from tests.system import changes_of, run_now, set_clock
from tests.upgrade.conftest import Installation, Json
from tests.upgrade.story import EAST, NEW_SECRET, NEWCOMERS, NORTH, SOUTH

CONNECTIONS = (NORTH, SOUTH)
TIMES = {"CreatedAt": "createdAt", "UpdatedAt": "updatedAt", "DisabledAt": "disabledAt"}
TEXTS = {
    "Status": "status",
    "Origin": "origin",
    "DisabledReason": "disabledReason",
    "TenantId": "tenantId",
    "UserPrincipalName": "userPrincipalName",
    "LastRunId": "lastRunId",
    "LinkedFrom": "linkedFrom",
    "LinkedBy": "linkedBy",
}


def missing(shown: Any, stored: Any, path: str = "") -> list[str]:
    """Name what is stored and not shown so; a later release may show more."""
    if isinstance(stored, dict) and isinstance(shown, dict):
        parts = ((f"{path}.{name}", shown.get(name), value) for name, value in stored.items())
        return [lost for at, part, value in parts for lost in missing(part, value, at)]
    if isinstance(stored, list) and isinstance(shown, list) and len(stored) == len(shown):
        pairs = enumerate(zip(shown, stored, strict=True))
        return [lost for at, pair in pairs for lost in missing(*pair, f"{path}[{at}]")]
    return [] if shown == stored else [f"{path}: {shown!r} instead of {stored!r}"]


def plain(value: Any) -> Any:
    """Return a value of a dump as the API shows it."""
    if isinstance(value, dict):
        [(kind, text)] = value.items()
        return int(text) if kind == "int64" else datetime.fromisoformat(text)
    return value


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def documents(dump: Json, table: str) -> dict[str, Json]:
    return {row["RowKey"]: json.loads(row["Document"]) for row in dump["tables"][table]}


# No deletion is under way; in the older stories no connection was ever deleted.
NOT_TOLD = {"Audit", "Deletions", "Leftovers"}


def people_of(dump: Json, connection_id: str) -> dict[str, Json]:
    return {
        row["RowKey"]: row
        for row in dump["tables"]["Users"]
        if row.get("ConnectionId") == connection_id and not row["RowKey"].startswith("~")
    }


def keyed(tables: dict[str, list[Json]], table: str) -> dict[tuple[str, str], Json]:
    return {(row["PartitionKey"], row["RowKey"]): row for row in tables[table]}


# --- reading ----------------------------------------------------------------------------------------


async def test_a_dump_holds_people_in_every_state(dump: Json) -> None:
    """What is not in a dump is not tested by reading it."""
    rows = [*people_of(dump, NORTH).values(), *people_of(dump, SOUTH).values()]
    runs = [json.loads(row["Document"]) for row in dump["tables"]["Runs"]]
    history = {row["Action"] for row in dump["tables"]["Users"] if "Action" in row}

    assert {row.get("DisabledReason") for row in rows} >= {
        *("leftScope", "accountDisabled", "softDeleted", "hardDeleted"),
        None,
    }
    assert {run["status"] for run in runs} >= {"succeeded", "partial", "held", "failed"}
    assert {run["trigger"] for run in runs} >= {"manual", "timer"}
    assert history >= {"create", "update", "disable", "reenable"}
    empty = {name for name, table in dump["tables"].items() if not table}
    assert empty <= NOT_TOLD, "the story leaves nothing in these tables"


async def test_connections_are_read(reading: Installation) -> None:
    stored = documents(reading.dump, "Connections")

    shown = {found["id"]: found for found in await reading.listed("connections")}

    assert sorted(shown) == sorted(stored)
    assert missing(shown, {name: with_new_limits(found) for name, found in stored.items()}) == []
    told = {name: {one["code"] for one in found["warnings"]} for name, found in shown.items()}
    before_the_limits = {
        name for name, found in stored.items() if NEW_FIELD not in found["policy"]["guard"]
    }
    assert {name for name, codes in told.items() if "guard.newLimits" in codes} == before_the_limits
    assert {name: await reading.get(f"connections/{name}") for name in stored} == shown


async def test_runs_and_their_plans_are_read(reading: Installation) -> None:
    for name in CONNECTIONS:
        rows = [row for row in reading.dump["tables"]["Runs"] if row["PartitionKey"] == name]
        stored = [json.loads(row["Document"]) for row in rows]
        shown = await reading.listed(f"connections/{name}/runs")

        assert len(shown) == len(stored)
        assert missing(shown, stored) == []
        for run in stored:
            changes = await reading.listed(f"connections/{name}/runs/{run['id']}/changes")
            assert missing(changes, planned(reading.dump, run)) == []


def planned(dump: Json, run: Json) -> list[Json]:
    partition = f"{run['connectionId']}|{run['id']}"
    return [
        change
        for row in dump["tables"]["Plans"]
        if row["PartitionKey"] == partition
        for change in json.loads(zlib.decompress(base64.b64decode(row["Data0"]["bytes"])))
    ]


async def test_people_are_read(reading: Installation) -> None:
    for name in CONNECTIONS:
        stored = people_of(reading.dump, name)
        shown = {
            found["objectId"]: found for found in await reading.listed(f"connections/{name}/users")
        }

        assert sorted(shown) == sorted(stored)
        for key, row in stored.items():
            person = shown[key]
            targets = row["MappedTargets"].split(",")
            assert {theirs: person[theirs] for theirs in TEXTS.values()} == {
                theirs: row.get(ours) for ours, theirs in TEXTS.items()
            }
            assert [moment(person[theirs]) for theirs in TIMES.values()] == [
                plain(row[ours]) if ours in row else None for ours in TIMES
            ]
            assert person["attributes"] == {target: plain(row.get(target)) for target in targets}


async def test_the_history_of_every_person_is_read(reading: Installation) -> None:
    for name in CONNECTIONS:
        for key in people_of(reading.dump, name):
            shown = await reading.listed(f"connections/{name}/users/{key}/history")
            stored = [
                row
                for row in reading.dump["tables"]["Users"]
                if row["RowKey"].startswith(f"~{key}~") and row["ConnectionId"] == name
            ]
            assert [essence(entry) for entry in shown] == [
                (
                    plain(row["At"]),
                    row["Action"],
                    row.get("Reason"),
                    row["RunId"],
                    json.loads(row.get("Changes", "{}")),
                    json.loads(row.get("Evidence", "null")),
                    json.loads(row.get("Link", "null")),
                )
                for row in stored
            ]


def essence(entry: Json) -> tuple[Any, ...]:
    names = ("action", "reason", "runId", "fields", "evidence", "link")
    return (moment(entry["at"]), *(entry[name] for name in names))


async def test_matches_are_read(reading: Installation) -> None:
    shown = {
        found["objectId"]: found for found in await reading.listed(f"connections/{NORTH}/matches")
    }

    assert {key: match["status"] for key, match in shown.items()} == {
        NEWCOMERS["several"]: "waiting",
        NEWCOMERS["decided"]: "decided",
        NEWCOMERS["ignored"]: "ignored",
    }
    for row in reading.dump["tables"]["Matches"]:
        match, wait = shown[row["RowKey"]], json.loads(row["Wait"])
        assert (match["why"], match["key"]) == (wait["why"], wait["key"])
        assert [candidate["row"] for candidate in match["candidates"]] == wait["rows"]
        assert moment(match["since"]) == plain(row["Since"])
        if "Decision" in row:
            decision = match["decision"]
            assert decision["decision"] == row["Decision"]
            assert (decision["row"] or "") == row["DecisionRow"]
            assert (decision["by"], moment(decision["at"])) == (
                row["DecidedBy"],
                plain(row["DecidedAt"]),
            )


async def test_why_is_told_of_people_in_every_state(reading: Installation) -> None:
    codes = set()
    for key, row in people_of(reading.dump, NORTH).items():
        why = await reading.get(f"connections/{NORTH}/why/{key}")
        codes.add(why["verdict"])
        assert (why["stored"]["status"], why["stored"]["disabledReason"]) == (
            row["Status"],
            row.get("DisabledReason"),
        )
        assert len(why["history"]) > 0

    assert len(codes) > 1


async def test_health_and_what_waits_are_read(reading: Installation) -> None:
    states = documents(reading.dump, "Verifications")

    north = await reading.get(f"connections/{NORTH}")
    south = await reading.get(f"connections/{SOUTH}")

    verification, state = north["verification"], states[NORTH]
    assert verification["status"] == state["status"] == "waiting"
    assert moment(verification["nextTryAt"]) == moment(state["nextTryAt"])
    assert missing(verification["pending"], state["pending"]) == []
    assert sorted(state["pending"]) == ["credential", "displayName", "policy"]
    assert [check["code"] for check in verification["failing"]] == ["credential.secretInvalid"]
    assert south["verification"]["status"] == states[SOUTH]["status"] == "verified"
    assert {warning["code"] for warning in north["warnings"]} >= {"credential.expiring"}
    [trouble] = [
        warning["message"] for warning in south["warnings"] if warning["code"] != "guard.newLimits"
    ]
    assert documents(reading.dump, "Health")[SOUTH]["lastFailure"]["message"] in trouble


# --- running on -------------------------------------------------------------------------------------


async def test_a_run_leaves_alone_what_has_not_changed(installed: Installation) -> None:
    """The directory is as it was, so only the match that was decided meanwhile is carried out."""
    held = [run for run in documents(installed.dump, "Runs").values() if run["status"] == "held"]
    before = keyed(installed.tables(), "Users")

    run = await run_now(installed.services, NORTH, mode="full")

    after = keyed(installed.tables(), "Users")
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    decided = NEWCOMERS["decided"]
    kept = {key for key in changed if key[0] != f"{NORTH}-{decided[0]}"}
    assert (run.status, run.counts.linked, run.counts.held) == ("held", 1, 3)
    assert kept == set()
    people = {key[1] for key in changed if not key[1].startswith((MARKS, FENCE))}
    assert {key.split("~")[-3 if key[0] == "~" else 0] for key in people} == {
        *(decided, "app-20"),
    }
    assert before.keys() <= after.keys(), "history is kept"
    waiting = [one["objectId"] for one in await changes_of(installed.services, run) if one["held"]]
    stored = [one["objectId"] for one in planned(installed.dump, held[0]) if one["held"]]
    assert waiting == stored


async def test_a_later_change_of_a_person_is_written(installed: Installation) -> None:
    active = [
        key
        for key, row in people_of(installed.dump, NORTH).items()
        if row["Status"] == "active" and key not in NEWCOMERS.values()
    ]
    installed.emulator.control.patch_person(active[0], {"jobTitle": "After the upgrade"})

    run = await run_now(installed.services, NORTH, mode="full")

    person = await installed.get(f"connections/{NORTH}/users/{active[0]}")
    history = await installed.listed(f"connections/{NORTH}/users/{active[0]}/history")
    assert run.counts.updated == 1
    assert person["attributes"]["jobTitle"] == "After the upgrade"
    assert person["attributes"]["site"] == 5_000_000_000
    assert [entry["action"] for entry in history[:1]] == ["update"]
    assert len(history) > 1


async def test_what_waited_comes_into_use(installed: Installation) -> None:
    """Entra knows the new secret only now: nothing that was saved before the upgrade is lost."""
    pending = documents(installed.dump, "Verifications")[NORTH]["pending"]
    before = await retried(installed.services, NORTH)
    installed.emulator.control.add_secret(value=NEW_SECRET)
    assert before is not None
    assert before.next_try_at is not None
    due = before.next_try_at + timedelta(seconds=1)
    set_clock(installed.services, lambda: due)
    after = await retried(installed.services, NORTH)

    shown = await installed.get(f"connections/{NORTH}")
    [row] = [one for one in installed.tables()["Connections"] if one["RowKey"] == NORTH]
    assert (before.status, after and after.status) == ("waiting", "verified")
    assert missing(shown, with_new_limits(pending)) == []
    assert shown["verification"]["pending"] is None
    assert row["Schema"] == SCHEMA


async def test_a_plan_that_was_confirmed_before_is_let_through(installed: Installation) -> None:
    """South was left alone for its trouble; by hand it runs, as its application is there again."""
    count = len(people_of(installed.dump, SOUTH))

    run = await run_now(installed.services, SOUTH, mode="full")

    users = await installed.listed(f"connections/{SOUTH}/users")
    assert run.status == "succeeded"
    assert run.counts.disabled > 0, "more than its guard allows"
    assert run.counts.disabled + run.counts.unchanged == count
    assert {one["disabledReason"] for one in users} == {None, "leftScope"}
    assert installed.tables()["Approvals"] == []
    assert (await journal.read(installed.services, SOUTH)).quarantine is None


async def test_a_consent_that_was_given_before_is_confirmed(installed: Installation) -> None:
    consents = installed.services.store.consents
    pending = await consents.pending(SOUTH)

    await binding.confirm_pending(installed.services)

    assert pending is not None
    assert pending.tenant_id == FABRIKAM_TENANT_ID
    assert await consents.pending(SOUTH) is None
    assert (await installed.get(f"connections/{SOUTH}"))["tenantId"] == FABRIKAM_TENANT_ID


async def test_a_connection_can_be_deleted_with_its_people(installed: Installation) -> None:
    """Its assertions are asked first: at least one person is to be active."""
    path = f"/api/connections/{NORTH}"
    url = f"{path}?users=delete"
    asserted = (await installed.admin.delete(url)).json()
    patched = await installed.admin.patch(path, json={"assertions": []})
    refused = (await installed.admin.delete(url)).json()
    answer = await installed.admin.delete(f"{url}&confirm={refused['planHash']}")

    tables = installed.tables()
    left = {row["ConnectionId"] for row in tables["Users"] if "ConnectionId" in row}
    assert asserted["code"] == "assertion.failed"
    assert patched.status_code == 200, patched.text
    assert refused["counts"]["deleted"] == len(people_of(installed.dump, NORTH))
    assert answer.status_code == 204, answer.text
    assert [row["RowKey"] for row in tables["Connections"]] == [SOUTH]
    assert left - {EAST} == {SOUTH}

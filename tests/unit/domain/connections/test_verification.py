"""How far a connection's settings are, by what its checks found."""

from datetime import timedelta

import pytest

from sync_core.domain.connections.checks import TOKEN, Check, CheckResult
from sync_core.domain.connections.verification import (
    GIVE_UP,
    GIVE_UP_SECRET,
    LONGEST_WAIT,
    SecretVersion,
    Verification,
    VerificationStatus,
    begun_anew,
    changed_fields,
    concluded,
    in_use_of,
    is_no_worse,
    left_over,
    looks_the_same,
    newest,
    pause,
    pinned,
    state_words,
    verification_document,
    waiting_credential,
    waiting_fields,
    waiting_remedy,
    with_unknown,
)
from sync_core.domain.documents.connection import Credential
from sync_core.domain.errors import NotUnderstood
from tests.unit.builders import NOW, SALES, connection, in_groups, scope

KNOWN = Verification(connection_id="contoso")


def check(
    name: str = TOKEN,
    *,
    ok: bool = False,
    retryable: bool = True,
    code: str = "credential.consentMissing",
) -> Check:
    code = "ok" if ok else code
    return Check(
        name=name,
        ok=ok,
        code=code,
        message="Entra refused it.",
        remedy="Wait.",
        retryable=retryable,
    )


def result(*checks: Check) -> CheckResult:
    failing = [one for one in checks if not one.ok]
    return CheckResult(
        ok=not failing,
        retryable=bool(failing) and all(one.retryable for one in failing),
        checks=list(checks),
    )


PASSED = result(check(ok=True))
NOT_YET = result(check())
WRONG = result(check(retryable=False))
NO_ANSWER = result(check(code="graph.unavailable"))
WRONG_SECRET = result(check(code="credential.secretInvalid"))


def test_settings_that_pass_are_verified_and_not_tried_again() -> None:
    waiting = concluded(KNOWN, NOT_YET, NOW)
    state = concluded(waiting, PASSED, NOW + timedelta(seconds=40))

    assert state.status is VerificationStatus.VERIFIED
    assert (state.attempts, state.since, state.next_try_at) == (0, None, None)
    assert state.checked_at == NOW + timedelta(seconds=40)


def test_what_entra_may_not_be_ready_for_is_tried_again_with_growing_pauses() -> None:
    state, waits = KNOWN, []
    now = NOW
    for _ in range(5):
        state = concluded(state, NOT_YET, now)
        assert state.next_try_at is not None
        waits.append((state.next_try_at - now).seconds)
        now = state.next_try_at

    assert waits == [10, 20, 40, 80, 160]
    assert state.since == NOW


def test_pauses_end_at_an_hour() -> None:
    assert pause(9) < LONGEST_WAIT
    assert pause(10) == pause(1000) == LONGEST_WAIT


def test_what_an_administrator_has_to_mend_is_not_tried_again() -> None:
    state = concluded(concluded(KNOWN, NOT_YET, NOW), WRONG, NOW)

    assert state.status is VerificationStatus.NOT_VERIFIED
    assert state.next_try_at is None


def test_waiting_ends_after_days_and_begins_anew_when_somebody_changes_something() -> None:
    waiting = concluded(KNOWN, NOT_YET, NOW)
    late = NOW + GIVE_UP + timedelta(seconds=1)
    given_up = concluded(waiting, NOT_YET, late)

    assert given_up.status is VerificationStatus.NOT_VERIFIED
    assert concluded(begun_anew(given_up), NOT_YET, late).status is VerificationStatus.WAITING


def test_a_secret_that_entra_refuses_for_half_an_hour_is_wrong() -> None:
    """Entra knows a new one in minutes; a consent may take an administrator days."""
    late = NOW + GIVE_UP_SECRET + timedelta(seconds=1)
    refused = concluded(concluded(KNOWN, WRONG_SECRET, NOW), WRONG_SECRET, late)
    no_consent = concluded(concluded(KNOWN, NOT_YET, NOW), NOT_YET, late)

    assert (refused.status, refused.next_try_at) == (VerificationStatus.NOT_VERIFIED, None)
    assert no_consent.status is VerificationStatus.WAITING


@pytest.mark.parametrize(
    ("found", "remedy"),
    [
        pytest.param(NOT_YET, "If what is missing was done in Entra a minute ago", id="a consent"),
        pytest.param(NO_ANSWER, "Nothing to do if it passes", id="waits for Graph"),
        pytest.param(WRONG_SECRET, "If you made the secret a minute ago, wait", id="a secret"),
        pytest.param(WRONG, "", id="waits for nothing"),
    ],
)
def test_who_waits_is_told_whether_there_is_something_to_do(
    found: CheckResult, remedy: str
) -> None:
    said = waiting_remedy(concluded(KNOWN, found, NOW))

    assert said.startswith(remedy)
    assert bool(said) == bool(remedy)
    assert ("Otherwise the secret is wrong" in said) == (found is WRONG_SECRET)


def test_everything_that_is_missing_is_told() -> None:
    names = ["User.Read.All", "GroupMember.Read.All", "AuditLog.Read.All", "Member.Read.Hidden"]
    missing = [
        check(name).model_copy(update={"message": f"{name} is not granted."}) for name in names
    ]

    said = state_words(concluded(KNOWN, result(*missing), NOW), NOW)

    assert all(name in said for name in names)


def test_settings_in_quarantine_are_not_said_to_work() -> None:
    trouble = "In quarantine since yesterday: runs failed twice."
    verified = concluded(KNOWN, PASSED, NOW)

    told = verification_document(verified, NOW, trouble)

    assert told["message"] == f"The settings passed their last check, and no longer work. {trouble}"
    assert verification_document(concluded(KNOWN, WRONG, NOW), NOW, trouble)["message"].startswith(
        "Not verified."
    )


@pytest.mark.parametrize(
    ("seconds", "due"), [pytest.param(9, False, id="too early"), pytest.param(10, True, id="now")]
)
def test_a_try_is_due_when_its_time_has_come(seconds: int, due: bool) -> None:
    assert concluded(KNOWN, NOT_YET, NOW).is_due(NOW + timedelta(seconds=seconds)) is due


def test_nothing_is_due_where_nothing_waits() -> None:
    assert not KNOWN.is_due(NOW)


# --- settings that wait -----------------------------------------------------------------------------


def test_what_differs_can_be_put_on_top_again() -> None:
    before = connection(policy={"guard": {"maxRemovals": 500}})
    after = connection(policy={"guard": {"maxRemovals": None}}, displayName="New")
    fields = changed_fields(before, after)

    assert sorted(fields) == ["displayName", "policy"]
    assert newest(before, before.to_json(), KNOWN.replaced(pending=fields)) == after
    assert changed_fields(after, after) == {}
    assert newest(after, after.to_json(), KNOWN) == after


def test_what_waits_is_out_of_date_when_its_own_fields_were_changed_past_it() -> None:
    before = connection()
    fields = {"displayName": "Waiting"}
    known = KNOWN.replaced(pending=fields, beside=in_use_of(before.to_json(), fields))
    elsewhere = before.model_copy(update={"realtime": not before.realtime})
    past_it = before.model_copy(update={"display_name": "Newer"})

    assert newest(before, before.to_json(), known).display_name == "Waiting"
    assert newest(elsewhere, elsewhere.to_json(), known).display_name == "Waiting"
    assert newest(past_it, past_it.to_json(), known) == past_it


def test_what_is_in_use_is_named_by_what_is_stored_not_by_what_is_read_of_it() -> None:
    """Another release, with more fields or fewer, has to find that nothing has changed."""
    before = connection()
    stored = before.to_json() | {"policy": {"leftScope": "disable", "ofTomorrow": 1}}
    pending = {"policy": {"leftScope": "keep"}}
    known = KNOWN.replaced(pending=pending, beside=in_use_of(stored, pending))

    assert newest(before, stored, known).policy.left_scope == "keep"
    assert waiting_fields(stored, known) == pending
    assert waiting_fields(before.to_json(), known) == {}


def test_what_another_release_stored_in_waiting_fields_comes_with_them() -> None:
    before = connection()
    waiting = {"policy": {"leftScope": "keep", "later": {"days": 7}}, "wholly": "new"}
    wanted = connection(policy={"leftScope": "keep", "softDeleted": "delete"}).to_json()

    written = with_unknown(waiting, before, wanted)

    assert written["policy"] == wanted["policy"] | {"later": {"days": 7}}
    assert written["wholly"] == "new"
    assert written["scope"] == wanted["scope"]


def test_waiting_values_of_another_release_are_named_and_not_guessed() -> None:
    pending = {"policy": {"leftScope": "archive"}, "credential": {"kind": "smartCard"}}
    known = KNOWN.replaced(pending=pending)

    with pytest.raises(NotUnderstood) as refused:
        newest(connection(), connection().to_json(), known)

    assert refused.value.code == "connection.pendingNotUnderstood"
    assert "(credential.kind, policy.leftScope)" in refused.value.message
    assert waiting_credential(known) is None


def test_the_secret_that_waits_is_named() -> None:
    credential = {"kind": "clientSecret", "secretName": "a", "secretVersion": "2"}

    assert waiting_credential(KNOWN) is None
    assert waiting_credential(KNOWN.replaced(pending={"enabled": True})) is None
    waiting = waiting_credential(KNOWN.replaced(pending={"credential": credential}))
    assert pinned(waiting) == SecretVersion(name="a", version="2")


@pytest.mark.parametrize(
    "credential",
    [
        pytest.param(None, id="none"),
        pytest.param(Credential(), id="no name"),
        pytest.param(Credential(secret_name="a"), id="whatever is current"),
    ],
)
def test_only_a_pinned_version_is_ours(credential: Credential | None) -> None:
    assert pinned(credential) is None


def test_versions_that_nobody_needs_any_more_are_collected_once() -> None:
    def version(number: str) -> Credential:
        return Credential(secret_name="a", secret_version=number)

    def named(number: str) -> SecretVersion:
        return SecretVersion(name="a", version=number)

    known = KNOWN.replaced(unneeded=[named("1"), named("3")])
    before = [version("2"), version("2"), version("3"), version("4"), None, Credential()]
    after = [version("4"), version("3"), None]

    assert left_over(known, before, after) == [named("1"), named("2")]


def test_no_version_is_left_over_of_a_secret_that_is_used_in_its_current_one() -> None:
    """The version that was pinned may be the current one: disabling it would stop every run."""
    known = KNOWN.replaced(unneeded=[SecretVersion(name="A", version="1")])
    before = [Credential(secret_name="a", secret_version="2")]

    assert left_over(known, before, [Credential(secret_name="A")]) == []


def test_another_spelling_of_a_name_is_the_same_secret() -> None:
    """As Key Vault compares names; what is still in use must not be retired."""
    known = KNOWN.replaced(unneeded=[SecretVersion(name="Contoso", version="1")])
    before = [Credential(secret_name="CONTOSO", secret_version="1")]
    other = connection(credential={"secretName": "Contoso", "secretVersion": "1"})
    same = connection(credential={"secretName": "contoso", "secretVersion": "1"})

    assert left_over(known, before, [Credential(secret_name="contoso", secret_version="1")]) == []
    assert looks_the_same(same, other)


# --- what stops an enabled connection ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"displayName": "Other"}, True, id="name"),
        pytest.param({"schedule": {"everyMinutes": 5}}, True, id="schedule"),
        pytest.param({"policy": {"guard": {"maxRemovals": 1}}}, True, id="guard"),
        pytest.param({"tenantId": SALES}, False, id="tenant"),
        pytest.param({"clientId": SALES}, False, id="app"),
        pytest.param({"cloud": "china"}, False, id="cloud"),
        pytest.param({"credential": {"kind": "federated"}}, False, id="kind"),
        pytest.param({"credential": {"secretName": "b"}}, False, id="secret"),
        pytest.param({"credential": {"secretVersion": "2"}}, False, id="version"),
        pytest.param({"scope": scope([in_groups(SALES)]).to_json()}, False, id="group"),
        pytest.param(
            {"mapping": [{"target": "city", "source": "city"}]}, False, id="another attribute"
        ),
        pytest.param({"realtime": True}, False, id="realtime"),
    ],
)
def test_what_a_check_looks_at(changes: dict[str, object], same: bool) -> None:
    assert looks_the_same(connection(), connection(**changes)) is same


NO_GROUP = check("scope groups exist", retryable=False)
TOKEN_OK = check(ok=True)


@pytest.mark.parametrize(
    ("new", "in_use", "expected"),
    [
        pytest.param(PASSED, WRONG, True, id="passes"),
        pytest.param(WRONG, PASSED, False, id="fails what works now"),
        pytest.param(WRONG, WRONG, True, id="fails the same"),
        pytest.param(result(TOKEN_OK, NO_GROUP), WRONG, True, id="gets a token at last"),
        pytest.param(WRONG, result(TOKEN_OK, NO_GROUP), False, id="loses its token"),
        pytest.param(
            result(TOKEN_OK, NO_GROUP), result(TOKEN_OK, NO_GROUP), True, id="as bad as now"
        ),
        pytest.param(result(TOKEN_OK, NO_GROUP), result(TOKEN_OK), False, id="a group less"),
    ],
)
def test_new_settings_may_not_be_worse_than_those_in_use(
    new: CheckResult, in_use: CheckResult, expected: bool
) -> None:
    assert is_no_worse(new, in_use) is expected


# --- words ------------------------------------------------------------------------------------------


def test_who_waits_is_told_for_how_long() -> None:
    waiting = concluded(concluded(concluded(KNOWN, NOT_YET, NOW), NOT_YET, NOW), NOT_YET, NOW)
    later = waiting.replaced(next_try_at=NOW + timedelta(minutes=30))

    assert state_words(waiting, NOW) == (
        "Waiting for Entra, next try in 40 s. Entra refused it. Wait."
    )
    assert "next try in 30 min" in state_words(later, NOW)
    assert "next try in 0 s" in state_words(waiting, NOW + timedelta(minutes=5))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        pytest.param(KNOWN, "The settings have not been checked yet.", id="new"),
        pytest.param(concluded(KNOWN, PASSED, NOW), "The settings were seen to work.", id="good"),
        pytest.param(
            concluded(KNOWN, WRONG, NOW), "Not verified. Entra refused it. Wait.", id="wrong"
        ),
    ],
)
def test_the_state_in_words(state: Verification, words: str) -> None:
    assert state_words(state, NOW) == words


def test_the_state_as_the_api_shows_it() -> None:
    mixed = result(check(ok=True), NO_GROUP)
    shown = verification_document(concluded(KNOWN, mixed, NOW), NOW)

    assert shown["status"] == "notVerified"
    assert [one["name"] for one in shown["failing"]] == ["scope groups exist"]
    assert (shown["pending"], shown["nextTryAt"]) == (None, None)

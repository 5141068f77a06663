"""One tenant goes to one connection by consent; who else has it was set by an administrator."""

from datetime import UTC, datetime, timedelta

from sync_core.domain.connections.tenant_claims import (
    OPEN_FOR,
    SETTLED_AFTER,
    Claiming,
    TenantClaim,
    Verdict,
    claimed,
    granted,
    held,
    holders_to_look_at,
    released,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
FREE = TenantClaim(tenant_id="c0570500-5a3e-4d1f-9b7a-0d6a5c1e7a01")


def names(claim: TenantClaim) -> tuple[list[str], list[str]]:
    """Give who has the tenant, and whose claims are open."""
    holders = [one.connection_id for one in claim.holders]
    return holders, [one.connection_id for one in claim.open]


def told(claiming: Claiming) -> tuple[Verdict, tuple[str, ...]]:
    return claiming.verdict, claiming.others


def test_a_claim_is_open_until_it_is_granted() -> None:
    opened = claimed(FREE, "a", NOW)
    given = granted(opened.claim, "a", NOW)

    assert told(opened) == (Verdict.OPEN, ())
    assert names(opened.claim) == ([], ["a"])
    assert told(given) == (Verdict.GRANTED, ())
    assert names(given.claim) == (["a"], [])


def test_a_connection_may_claim_again() -> None:
    again = claimed(claimed(FREE, "a", NOW).claim, "a", NOW + timedelta(minutes=1))

    assert told(again) == (Verdict.OPEN, ())
    assert names(again.claim) == ([], ["a"])


def test_two_open_claims_are_both_void() -> None:
    second = claimed(claimed(FREE, "a", NOW).claim, "b", NOW)
    first = granted(second.claim, "a", NOW)

    assert told(second) == (Verdict.CONTESTED, ("a",))
    assert names(second.claim) == ([], [])
    assert told(first) == (Verdict.CONTESTED, ())
    assert names(first.claim) == ([], [])


def test_one_that_claims_after_two_were_void_does_not_void_itself() -> None:
    void = claimed(claimed(FREE, "a", NOW).claim, "b", NOW)
    third = claimed(void.claim, "a", NOW)

    assert told(granted(third.claim, "a", NOW)) == (Verdict.GRANTED, ())
    assert told(granted(third.claim, "b", NOW)) == (Verdict.CONTESTED, ("a",))


def test_a_claim_that_was_given_up_hours_ago_stands_in_nobodys_way() -> None:
    old = claimed(FREE, "a", NOW - OPEN_FOR).claim
    newer = claimed(FREE, "a", NOW - OPEN_FOR + timedelta(seconds=1)).claim

    assert told(claimed(old, "b", NOW)) == (Verdict.OPEN, ())
    assert told(claimed(newer, "b", NOW)) == (Verdict.CONTESTED, ("a",))


def test_who_has_the_tenant_keeps_it() -> None:
    taken = held(claimed(FREE, "b", NOW).claim, "a", NOW, stored=True)
    at_once = claimed(taken, "b", NOW)
    later = granted(taken, "b", NOW)

    assert told(at_once) == told(later) == (Verdict.TAKEN, ("a",))
    assert names(at_once.claim) == names(later.claim) == (["a"], [])


def test_granting_may_be_repeated() -> None:
    """The connection was changed by somebody else before its tenant could be stored."""
    once = granted(claimed(FREE, "a", NOW).claim, "a", NOW)
    twice = granted(once.claim, "a", NOW)

    assert told(twice) == (Verdict.GRANTED, ())
    assert names(twice.claim) == (["a"], [])


def test_an_administrator_adds_a_connection_to_those_that_have_the_tenant() -> None:
    both = held(held(FREE, "a", NOW), "b", NOW)

    assert names(both) == (["a", "b"], [])
    assert names(held(both, "a", NOW)) == (["b", "a"], [])


def test_a_released_connection_has_and_claims_nothing() -> None:
    claim = claimed(held(FREE, "a", NOW), "a", NOW).claim

    assert names(released(claim, "a")) == ([], [])
    assert names(released(claim, "b")) == (["a"], ["a"])


def test_who_was_granted_the_tenant_just_now_is_not_doubted() -> None:
    claim = held(held(FREE, "new", NOW), "stored", NOW, stored=True)
    later = NOW + SETTLED_AFTER + timedelta(seconds=1)

    assert holders_to_look_at(claim, NOW) == ["stored"]
    assert holders_to_look_at(claim, later) == ["new", "stored"]

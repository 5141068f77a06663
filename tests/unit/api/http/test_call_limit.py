"""How often one caller may have Graph asked about one connection."""

from sync_core.api.http.call_limit import CallLimit

KEY = ("somebody", "contoso")


def test_a_call_too_many_waits_until_the_first_is_a_minute_old() -> None:
    limit = CallLimit(most=2)

    assert [limit.wait_s(KEY, now) for now in (100.0, 110.0, 120.0, 160.0)] == [
        None,
        None,
        40,
        None,
    ]


def test_a_clock_that_is_set_back_keeps_nobody_waiting() -> None:
    limit = CallLimit(most=1)
    limit.wait_s(KEY, 10_000.0)

    assert limit.wait_s(KEY, 100.0) is None

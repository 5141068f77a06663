"""What a run counts, and how many errors it keeps."""

import pytest

from sync_core.domain.errors import RecordRejected
from sync_core.domain.model import Action, Link, Reason
from sync_core.domain.plan.ledger import MAX_ERRORS, Ledger
from tests.unit.builders import ANN, change

FAILED = RecordRejected("record.expressionFailed", "No date.")
LINK = Link("contoso-a", "app-1", "email")


def counted(ledger: Ledger) -> dict[str, int]:
    return {name: number for name, number in ledger.counts.model_dump().items() if number}


def test_counts_add_up_and_can_be_set() -> None:
    ledger = Ledger()
    assert counted(ledger) == {}

    ledger.count("read")
    ledger.count("read", 2)
    ledger.set("held", 5)
    ledger.set("held", 4)

    assert counted(ledger) == {"read": 3, "held": 4}


def test_a_change_is_taken_and_not_counted_before_it_is_written() -> None:
    ledger, updated = Ledger(), change(Action.UPDATE)

    assert ledger.take(ANN, updated) is updated
    assert counted(ledger) == {}


def test_a_person_who_is_the_same_is_counted() -> None:
    ledger = Ledger()

    assert ledger.take(ANN, None) is None
    assert counted(ledger) == {"unchanged": 1}


def test_a_person_who_cannot_be_mapped_is_named() -> None:
    ledger = Ledger()

    assert ledger.take(ANN, FAILED) is None
    assert counted(ledger) == {"failed": 1}
    [error] = ledger.errors
    assert (error.object_id, error.code, error.message) == (ANN, FAILED.code, FAILED.message)


def test_of_very_many_errors_the_first_are_kept_and_all_are_counted() -> None:
    ledger = Ledger()

    for number in range(MAX_ERRORS + 1):
        ledger.reject(str(number), FAILED)

    assert counted(ledger) == {"failed": MAX_ERRORS + 1}
    assert [error.object_id for error in ledger.errors] == [str(n) for n in range(MAX_ERRORS)]


@pytest.mark.parametrize(
    ("action", "link", "counts"),
    [
        (Action.CREATE, None, {"created": 1}),
        (Action.CREATE, LINK, {"created": 1, "linked": 1}),
        (Action.UPDATE, None, {"updated": 1}),
        (Action.REENABLE, None, {"reenabled": 1}),
        (Action.DISABLE, None, {"disabled": 1}),
        (Action.DELETE, None, {"deleted": 1}),
    ],
)
def test_what_was_written_is_counted_by_kind(
    action: Action, link: Link | None, counts: dict[str, int]
) -> None:
    ledger = Ledger()

    ledger.written(change(action, link=link))

    assert counted(ledger) == counts


def test_everybody_with_whom_a_run_could_not_finish_is_remembered() -> None:
    ledger = Ledger()

    ledger.reject(ANN, FAILED)
    for _ in range(2):
        ledger.wait(ANN, Reason.HARD_DELETED)

    assert ledger.unfinished == {ANN: FAILED.code}
    assert ledger.unconfirmed == {ANN: Reason.HARD_DELETED}
    assert counted(ledger) == {"failed": 1, "unconfirmed": 1}

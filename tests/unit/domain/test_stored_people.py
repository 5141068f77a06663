"""Stored people are read as they were kept, and are nothing that the garbage collector looks through."""

import gc
from itertools import product

import pytest

from sync_core.domain.model import Origin, Status, StoredPerson
from sync_core.domain.stored_people import StoredPeople


@pytest.mark.parametrize(
    "person",
    [
        StoredPerson(status, origin, digest, returns, until)
        for status, origin, digest, returns, until in product(
            Status, Origin, ("", "r-é|x"), (True, False), ("", "2027-01-31")
        )
    ],
)
def test_a_person_is_read_as_kept(person: StoredPerson) -> None:
    people = StoredPeople()
    people["a1"] = person

    assert people["a1"] == person


def test_people_are_counted_found_and_taken_out() -> None:
    ann, ben = (
        StoredPerson(Status.ACTIVE, Origin.AUTO, "1"),
        StoredPerson(Status.DISABLED, Origin.AUTO, "2"),
    )
    people = StoredPeople()
    people.update({"a1": ann, "b1": ben})

    assert people.pop("a1", None) == ann
    assert people.pop("a1", None) is None
    assert "a1" not in people
    assert list(people) == ["b1"]
    assert len(people) == 1


def test_the_garbage_collector_does_not_look_at_people() -> None:
    people = StoredPeople()
    before = len(gc.get_objects())
    people.update({f"{n}": StoredPerson(Status.ACTIVE, Origin.AUTO, f"{n}") for n in range(5_000)})

    assert len(gc.get_objects()) - before < 100

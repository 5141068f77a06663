"""A cast that finds fewer, or none, at random: uncast is right, and a seed repeats it."""

from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, ids

SALES, SITE_RELIABILITY = sample_group_id(4), sample_group_id(3)
PEOPLE = f"/groups/{SALES}/members/microsoft.graph.user?$select=id"


def found(application: Application, path: str, times: int = 30) -> list[set[str]]:
    return [ids(application.counted_items(path)) for _ in range(times)]


def test_a_cast_of_members_finds_all_some_or_nobody(application: Application) -> None:
    whole = set(application.emulator.control.members(SALES))
    application.emulator.control.add_fault("flappingCast", seed=3)

    answers = found(application, PEOPLE)

    assert whole in answers
    assert set() in answers
    assert any(set() < answer < whole for answer in answers)
    assert all(answer <= whole for answer in answers)


def test_a_cast_of_memberships_finds_all_some_or_none(application: Application) -> None:
    """The same request, no change between, other counts: microsoft-graph-explorer-v4/issues/3336."""
    person = application.emulator.control.members(SITE_RELIABILITY)[0]
    path = f"/users/{person}/transitiveMemberOf"
    whole = ids(application.items(path))
    application.emulator.control.add_fault("flappingCast", seed=3)

    answers = found(application, f"{path}/microsoft.graph.group?$select=id")

    assert whole in answers
    assert set() in answers
    assert any(set() < answer < whole for answer in answers)


def test_nested_groups_flap_as_well(application: Application) -> None:
    application.emulator.control.add_fault("flappingCast", seed=3)
    path = f"/groups/{SALES}/members/microsoft.graph.group?$select=id"

    assert {len(answer) for answer in found(application, path)} == {0, 1, 2}


def test_the_count_is_that_of_what_was_found(application: Application) -> None:
    application.emulator.control.add_fault("flappingCast", seed=3)

    for _ in range(10):
        page = application.eventual(f"{PEOPLE}&$count=true&$top=999").json()
        assert page["@odata.count"] == len(page["value"])


def test_a_filter_flaps_too(application: Application) -> None:
    application.emulator.control.add_fault("flappingCast", seed=3)

    answers = found(application, f"{PEOPLE}&$filter=accountEnabled eq true")

    assert len({len(answer) for answer in answers}) > 2


def test_uncast_is_right(application: Application) -> None:
    person = application.emulator.control.members(SALES)[0]
    paths = [f"/groups/{SALES}/members?$select=id", f"/users/{person}/transitiveMemberOf"]
    whole = [ids(application.items(path)) for path in paths]
    application.emulator.control.add_fault("flappingCast", share=1)

    for _ in range(10):
        assert [ids(application.items(path)) for path in paths] == whole


def test_a_seed_repeats_what_was_found(application: Application) -> None:
    answers = []
    for seed in (5, 5, 6):
        fault = application.emulator.control.add_fault("flappingCast", seed=seed)
        answers.append(found(application, PEOPLE, 10))
        application.emulator.control.remove_fault(fault["id"])

    assert answers[0] == answers[1] != answers[2]


def test_a_share_says_how_often(application: Application) -> None:
    whole = set(application.emulator.control.members(SALES))
    fault = application.emulator.control.add_fault("flappingCast", share=0)
    never = found(application, PEOPLE, 10)
    application.emulator.control.remove_fault(fault["id"])
    application.emulator.control.add_fault("flappingCast", share=1)

    assert never == [whole] * 10
    assert whole not in found(application, PEOPLE, 10)

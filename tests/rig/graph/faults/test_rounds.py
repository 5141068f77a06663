"""Rounds of delta that are long, endless, or die on the way."""

import pytest

from local.graph.control.base import ControlError
from local.sample import sample_group_id
from tests.rig.graph.conftest import Application, error_code, sync

SALES = sample_group_id(4)
HOUR_S = 3600
ROUNDS = pytest.mark.parametrize("path", ["/users/delta", "/groups/delta"])


def begun(application: Application, path: str) -> str:
    """A link to a round of several pages."""
    application.emulator.control.settings(delta_page_size=3)
    select = "displayName" if path.startswith("/users") else "members"
    _, link = sync(application, f"{path}?$deltatoken=latest&$select={select}")
    control = application.emulator.control
    control.change_many("patch", count=12, values={"displayName": "All Alike"})
    for group in control.groups()[:7]:
        control.remove_members(group["id"], count=1)
    return link


def links_of(application: Application, link: str, times: int) -> list[str]:
    """The links of so many pages, which are followed without a look at what is in them."""
    found = []
    for _ in range(times):
        found.append(link)
        link = application.ask(link).json()["@odata.nextLink"]
    return found


@ROUNDS
def test_a_round_begins_with_empty_pages_each_time(application: Application, path: str) -> None:
    """Expected, many in a row, says the product group: microsoft-graph-docs/issues/20637."""
    link = begun(application, path)
    whole = application.pages(link)
    application.emulator.control.add_fault("emptyPages", path=f"/v1.0{path}", count=4)

    for _ in range(2):
        pages = application.pages(link)
        assert [page["value"] for page in pages] == [
            *([[]] * 4),
            *(page["value"] for page in whole),
        ]


def test_empty_pages_come_before_a_first_round_as_well(application: Application) -> None:
    application.emulator.control.add_fault("emptyPages", path="/v1.0/users/delta", count=40)

    pages = application.pages("/users/delta?$select=displayName")

    assert [len(page["value"]) for page in pages] == [0] * 40 + [52]
    assert "@odata.deltaLink" in pages[-1]


def test_empty_pages_need_a_number(application: Application) -> None:
    with pytest.raises(ControlError, match="count"):
        application.emulator.control.add_fault("emptyPages")


@ROUNDS
def test_a_round_that_never_ends_and_always_has_a_new_token(
    application: Application, path: str
) -> None:
    """microsoft-graph-docs/issues/4263; nothing is on its pages."""
    link = begun(application, path)
    application.emulator.control.add_fault("emptyPage", path=f"/v1.0{path}")

    assert len(set(links_of(application, link, 60))) == 60


@ROUNDS
def test_a_round_that_never_ends_and_always_tells_the_same(
    application: Application, path: str
) -> None:
    link = begun(application, path)
    application.emulator.control.add_fault("repeatedPage", path=f"/v1.0{path}")

    links = links_of(application, link, 60)

    assert len(set(links)) == 60
    assert len({application.ask(link).text.partition('"value"')[2] for link in links[:9]}) == 1


@ROUNDS
def test_a_round_that_never_ends_and_repeats_its_token(application: Application, path: str) -> None:
    link = begun(application, path)
    application.emulator.control.add_fault("loopingLink", path=f"/v1.0{path}", page=2)

    assert len(set(links_of(application, link, 60))) == 2


@ROUNDS
@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("gone", 410, "syncStateNotFound"),
        ("notFound", 404, "Request_ResourceNotFound"),
        ("badRequest", 400, "Request_BadRequest"),
    ],
)
def test_a_round_that_dies_can_be_begun_again(
    application: Application, path: str, kind: str, status: int, code: str
) -> None:
    link = begun(application, path)
    whole = sync(application, link)[0]
    application.emulator.control.add_fault(kind, path=f"/v1.0{path}", page=2, times=1)
    second = application.ask(link).json()["@odata.nextLink"]

    answer = application.ask(second)

    assert (answer.status_code, error_code(answer)) == (status, code)
    assert sync(application, link)[0] == whole


def test_a_dying_round_says_what_it_is_told_to_say(application: Application) -> None:
    """The sentence of github.com/microsoft/o365-moodle/issues/1841."""
    sentence = "Sync must reach steady state within 30 days."
    link = begun(application, "/users/delta")
    application.emulator.control.add_fault("badRequest", page=2, message=sentence)
    second = application.ask(link).json()["@odata.nextLink"]

    assert application.ask(second).json()["error"]["message"] == sentence


@ROUNDS
@pytest.mark.parametrize(("age_s", "status"), [(HOUR_S, 200), (HOUR_S + 1, 410)])
def test_a_next_link_can_live_for_an_hour_only(
    application: Application, path: str, age_s: int, status: int
) -> None:
    control = application.emulator.control
    control.stop_clock()
    control.settings(next_link_life_s=HOUR_S)
    link = begun(application, path)
    second = application.ask(link).json()["@odata.nextLink"]
    control.advance_clock(age_s)

    answer = application.ask(second)

    assert answer.status_code == status
    assert application.ask(link).status_code == 200
    if status == 200:
        # Each page begins a new hour.
        control.advance_clock(HOUR_S)
        assert application.ask(answer.json()["@odata.nextLink"]).status_code == 200

"""Pages are played back as they came, by the run that got them and by the next one."""

from collections.abc import Iterator

import pytest

from sync_core.directory import transcript as transcripts
from sync_core.directory.answers import GraphNotFound, PageLinkLost
from sync_core.directory.transcript import MEMORY_BYTES, Playback, Transcript
from sync_core.domain.errors import IncompleteReading

LONG = b"x" * MEMORY_BYTES


@pytest.fixture
def transcript() -> Iterator[Transcript]:
    made = Transcript()
    yield made
    made.close()


def bodies(transcript: Transcript, name: str) -> list[bytes]:
    return list(transcript.bodies(name))


@pytest.mark.parametrize("plain", [0, 1, 1 << 30], ids=["compressed", "both", "plain"])
def test_lists_that_were_read_side_by_side_are_played_back_by_the_next_run(
    transcript: Transcript, monkeypatch: pytest.MonkeyPatch, plain: int
) -> None:
    monkeypatch.setattr(transcripts, "PLAIN_BYTES", plain)
    for number, name, body in ((0, "a", b"1"), (0, "b", LONG), (1, "a", b"2"), (1, "b", b"")):
        transcript.add(name, number, body)
    after = Transcript()
    for chunk in transcript.take():
        after.fill(chunk)
    after.read_in()

    assert (bodies(after, "a"), bodies(after, "b")) == ([b"1", b"2"], [LONG, b""])
    assert bodies(after, "b") == bodies(transcript, "b")
    assert (after.pages, after.has_more) == (4, False)
    after.close()


def test_a_list_that_begins_anew_has_none_of_its_old_pages(transcript: Transcript) -> None:
    for number, body in ((0, b"old"), (1, b"older"), (0, b"new")):
        transcript.add("a", number, body)
    after = Transcript()
    for chunk in transcript.take():
        after.fill(chunk)
    after.read_in()

    assert bodies(transcript, "a") == bodies(after, "a") == [b"new"]
    after.close()


def test_only_what_was_added_since_is_taken(transcript: Transcript) -> None:
    transcript.add("a", 0, b"first")
    before = b"".join(transcript.take())
    transcript.add("a", 1, b"second")
    after = b"".join(transcript.take())

    assert b"first" in before
    assert b"first" not in after
    assert b"second" in after


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_pages_that_are_cut_short_are_told(transcript: Transcript, cut: int) -> None:
    transcript.add("a", 0, b"a page")
    [chunk] = transcript.take()
    after = Transcript()
    after.fill(chunk[:-cut])

    with pytest.raises(ValueError, match="in the middle of a page"):
        after.read_in()
    after.close()


REFUSED = IncompleteReading("graph.refused", "Refused.", "Report it.")
GONE = GraphNotFound("graph.notFound", "Gone.", "Wait.")
LOST = PageLinkLost("graph.pageLinkLost", "Lost.", "Wait.")


@pytest.mark.parametrize("error", [REFUSED, GONE, LOST], ids=lambda error: error.code)
def test_a_kept_link_that_leads_nowhere_is_a_lost_one_whatever_graph_says_of_it(
    transcript: Transcript, error: Exception
) -> None:
    transcript.add("a", 0, b"kept")
    played = Playback(transcript, "a")
    found = [played.next(), played.next()]

    with pytest.raises(PageLinkLost), played.recorded(1):
        raise error
    assert found == [b"kept", None]
    assert bodies(transcript, "a") == []


@pytest.mark.parametrize("error", [REFUSED, GONE], ids=lambda error: error.code)
def test_what_graph_refuses_of_a_list_of_this_run_stays_what_it_is(
    transcript: Transcript, error: Exception
) -> None:
    played = Playback(transcript, "a")
    assert played.next() is None
    with played.recorded(0) as record:
        record(b"first")

    with pytest.raises(type(error)), played.recorded(1):
        raise error
    assert bodies(transcript, "a") == [b"first"]

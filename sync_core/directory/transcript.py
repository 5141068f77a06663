"""What Graph has answered in a reading, in a temporary file, so that another run can go on from there.

Lists are kept by the address of their first page. They are played back as they came: the same code reads
them, and nothing is asked of Graph up to the page that is missing.
"""

import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from sync_core.directory.answers import GraphNotFound, PageLinkLost
from sync_core.domain.errors import IncompleteReading

# Number of the page, whether the body is compressed, length of the name, length of the body.
_HEAD = struct.Struct(">I?IQ")
# Below this size a file stays in memory.
MEMORY_BYTES = 256 * 1024
CHUNK_BYTES = 1024 * 1024
# To compress a page costs some 2 µs of CPU a person, a tenth of a reading of unchanged people, and saves four
# fifths of the file. So only the pages of large directories are: of more than some 170,000 people.
PLAIN_BYTES = 64 * 1024 * 1024
LEVEL = 1

# Where a body stands in the file, its length, and whether it is compressed.
Place = tuple[int, int, bool]


class Transcript:
    """The pages of several lists, each in the order in which it was read; closed by whoever made it."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 -- see `close`
        self._places: dict[str, list[Place]] = {}
        self._end = 0
        self._taken = 0

    @property
    def pages(self) -> int:
        """How many pages can be played back."""
        return sum(map(len, self._places.values()))

    def add(self, name: str, number: int, body: bytes) -> None:
        """Keep a page of a list; number 0 begins the list anew."""
        named, is_pressed = name.encode(), self._end >= PLAIN_BYTES
        kept = zlib.compress(body, LEVEL) if is_pressed else body
        self._write(_HEAD.pack(number, is_pressed, len(named), len(kept)) + named + kept)
        self._note(name, number, (self._end - len(kept), len(kept), is_pressed))

    def bodies(self, name: str) -> Iterator[bytes]:
        """Yield what is kept of a list; whoever adds to it meanwhile gets that as well."""
        for place, length, is_pressed in self._places.get(name, ()):
            self._file.seek(place)
            kept = self._file.read(length)
            yield zlib.decompress(kept) if is_pressed else kept

    def forget(self, name: str) -> None:
        """Take a list out, of which no next page can be had any more."""
        self._places.pop(name, None)

    @property
    def has_more(self) -> bool:
        """Whether anything was added since the last `take`, and since `fill`."""
        return self._taken < self._end

    def take(self) -> Iterator[bytes]:
        """Yield what was added since the last call, and since `fill`, in chunks."""
        while self._taken < self._end:
            self._file.seek(self._taken)
            chunk = self._file.read(min(CHUNK_BYTES, self._end - self._taken))
            self._taken += len(chunk)
            yield chunk

    def fill(self, chunk: bytes) -> None:
        """Put in the next chunk of what an earlier run has taken; `read_in` makes pages of it."""
        self._write(chunk)
        self._taken = self._end

    def read_in(self) -> None:
        """Find the pages in what was filled in; raises `ValueError` where that is cut short."""
        place = 0
        while place < self._end:
            self._file.seek(place)
            head = self._file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise ValueError("a transcript that ends in the middle of a page")
            number, is_pressed, named, length = _HEAD.unpack(head)
            body = place + _HEAD.size + named
            if body + length > self._end:
                raise ValueError("a transcript that ends in the middle of a page")
            self._note(self._file.read(named).decode(), number, (body, length, is_pressed))
            place = body + length

    def close(self) -> None:
        self._file.close()

    def _write(self, content: bytes) -> None:
        self._file.seek(self._end)
        self._file.write(content)
        self._end += len(content)

    def _note(self, name: str, number: int, place: Place) -> None:
        if number == 0:
            self._places[name] = []
        self._places.setdefault(name, []).append(place)


class Playback:
    """One list: what is kept of it is played back first, and what Graph answers then is kept."""

    def __init__(self, transcript: Transcript | None, name: str) -> None:
        self._transcript = transcript
        self._name = name
        self._bodies = transcript.bodies(name) if transcript is not None else iter(())
        self._goes_on = False

    def next(self) -> bytes | None:
        """Return the next page that is kept; None from the first on that Graph has to be asked for."""
        body = next(self._bodies, None)
        self._goes_on = self._goes_on or body is not None
        return body

    @contextmanager
    def recorded(self, number: int) -> Iterator[Callable[[bytes], None]]:
        """Keep the page that is asked for; a list whose link leads nowhere any more is not kept.

        How Graph answers a link of an earlier run that it does not go on from is not documented for every
        case: any refusal of it is taken for a lost link, and the list is read from the beginning.
        """
        transcript = self._transcript
        if transcript is None:
            yield _not_kept
            return
        goes_on, self._goes_on = self._goes_on, False
        try:
            yield lambda body: transcript.add(self._name, number, body)
        except PageLinkLost:
            transcript.forget(self._name)
            raise
        except (IncompleteReading, GraphNotFound) as error:
            if not goes_on:
                raise
            transcript.forget(self._name)
            raise PageLinkLost(error.code, error.message, error.remedy) from error


def _not_kept(_: bytes) -> None:
    """Without a transcript nothing is kept."""

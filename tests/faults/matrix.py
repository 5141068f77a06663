"""What a run makes of each fault of each kind of request: declared here, told in docs/faults.md."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.strikes import BY_NAME, FAULTS, FULL, INCREMENTAL, MODES, Fault, Kind, Means

SUCCEEDED, FAILED = "succeeded", "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends; `code` is that of its error, `way` how it read where that is another than asked for."""

    status: str
    code: str = ""
    way: str = ""


WELL = Outcome(SUCCEEDED)
# What the delta would have told is read in full, and new links are taken.
READ_INSTEAD = Outcome(SUCCEEDED, way="full (linkRefused)")


@dataclass(frozen=True, slots=True)
class Cell:
    """What is expected: of a fault that lasts, and of one that strikes once (None: it does not pass).

    `incremental` is the outcome of a lasting one where it is another in an incremental run, `modes` the
    runs in which the combination can occur, where these are not all of the kind's.
    """

    lasting: Outcome
    passing: Outcome | None = WELL
    modes: tuple[str, ...] = ()
    incremental: Outcome | None = None

    def outcome(self, mode: str) -> Outcome:
        """Return how a run of this mode ends under the lasting fault."""
        return (self.incremental if mode == INCREMENTAL else None) or self.lasting


@dataclass(frozen=True, slots=True)
class Never:
    """A combination that cannot occur, and why."""

    why: str


def failed(code: str, *, passes: bool = True) -> Cell:
    return Cell(Outcome(FAILED, code), WELL if passes else None)


NO_PAGES = Never("a token is no list")
NO_LIST = Never("no list: a subscription is made, read by its id and renewed")
NO_CONNECTION = Never("an item has no connection of its own: see batch")
FIRST_PAGE = Never("first pages only; the next ones are asked for outside: see members")
ONLY_DELTA = Never("only a delta link has one")
ONLY_INSIDE = Never("not in a batch")
OF_THE_TOKEN = Never("see the column batch: a batch is sent with one token")
ASKS_FOR_IT = Never("it is what a token is asked for")

_THROTTLED = ("429, Retry-After 2.128", "429, Retry-After 0", "429 without Retry-After")
_UNAVAILABLE = ("503", "504", "500")
_UNREACHABLE = ("connection reset", "time-out", "truncated JSON", "DNS failure")


def _of_waiting(name: str, kind: Kind) -> Cell | Never | None:
    """Trouble that is waited out: the run goes on when it passes, and fails when it lasts."""
    told = {
        **dict.fromkeys(_THROTTLED, ("graph.throttled", "credential.entraBusy")),
        **dict.fromkeys(_UNAVAILABLE, ("graph.unavailable", "credential.entraBusy")),
        **dict.fromkeys(_UNREACHABLE, ("graph.unreachable", "credential.entraUnreachable")),
        "HTML instead of JSON": ("graph.badAnswer", "credential.entraUnreachable"),
    }.get(name)
    if told is None:
        return None
    if kind is Kind.BY_ID and name in _UNREACHABLE:
        return NO_CONNECTION
    if kind is Kind.SUBSCRIPTION and name == "truncated JSON":
        return Cell(WELL)  # Graph has taken it, says so when it is asked again, and it is adopted
    return failed(told[kind is Kind.TOKEN])


def _of_pages(name: str, kind: Kind) -> Cell | Never | None:
    if BY_NAME[name].means is not Means.PAGE:
        return None
    if kind in (Kind.TOKEN, Kind.SUBSCRIPTION):
        return NO_PAGES if kind is Kind.TOKEN else NO_LIST
    # In an incremental run no list of members is read in a batch, unless a group came or went.
    modes = (FULL,) if kind is Kind.BATCH else ()
    if name == "link to a foreign host":
        return Cell(Outcome(FAILED, "graph.linkHostRefused"), None, modes)
    if kind is Kind.DELTA:
        return Cell(READ_INSTEAD)
    inside = kind in (Kind.BATCH, Kind.BY_ID)
    return Cell(WELL, modes=modes) if inside else failed("graph.pagesWithoutEnd")


def _of_page_tokens(name: str, kind: Kind) -> Cell | Never | None:
    if name != "expired page token":
        return None
    told = {
        Kind.TOKEN: NO_PAGES,
        Kind.BATCH: FIRST_PAGE,
        Kind.BY_ID: FIRST_PAGE,
        Kind.SUBSCRIPTION: NO_LIST,
    }
    # A delta link of whose round not even the first page came is not good any more.
    read = Cell(READ_INSTEAD, READ_INSTEAD) if kind is Kind.DELTA else failed("graph.pageLinkLost")
    return told.get(kind) or read


def _of_delta(name: str, kind: Kind) -> Cell | Never | None:
    if name != "expired delta token":
        return None
    return Cell(READ_INSTEAD, READ_INSTEAD) if kind is Kind.DELTA else ONLY_DELTA


def _of_access(name: str, kind: Kind) -> Cell | Never | None:
    if name == "token over in the middle":
        if kind is Kind.TOKEN:
            return ASKS_FOR_IT
        return OF_THE_TOKEN if kind is Kind.BY_ID else failed("graph.tokenRefused")
    if name == "secret revoked in the middle":
        return failed("credential.secretInvalid", passes=False)
    if name == "permission lost in the middle":
        missing = Outcome(FAILED, "graph.permissionMissing")
        # Members come without their attributes then.
        bare = Outcome(FAILED, "graph.limitedInformation")
        return Cell(bare if kind in (Kind.MEMBERS, Kind.BATCH) else missing, None, (), missing)
    return None


def _of_items(name: str, kind: Kind) -> Cell | Never | None:
    if BY_NAME[name].means is not Means.ITEM:
        return None
    if kind not in (Kind.BATCH, Kind.BY_ID):
        return ONLY_INSIDE
    return failed("graph.tokenRefused" if name.startswith("401") else "graph.throttled")


def _of_clock(name: str, kind: Kind) -> Cell | Never | None:
    if BY_NAME[name].means is not Means.CLOCK:
        return None
    return failed("credential.clockWrong", passes=False) if kind is Kind.TOKEN else Cell(WELL, None)


def expected(fault: Fault, kind: Kind) -> Cell | Never:
    """Return what one combination makes of a run."""
    rules = (
        _of_waiting,
        _of_pages,
        _of_page_tokens,
        _of_delta,
        _of_access,
        _of_items,
        _of_clock,
    )
    found = [cell for rule in rules if (cell := rule(fault.name, kind)) is not None]
    [cell] = found
    return cell


@dataclass(frozen=True, slots=True)
class Case:
    """One run to be made: a fault, the kind of request that it strikes, the run's mode, once or lasting."""

    fault: Fault
    kind: Kind
    mode: str
    passing: bool
    outcome: Outcome

    @property
    def place(self) -> tuple[Kind, str]:
        return self.kind, self.mode

    @property
    def id(self) -> str:
        return f"{self.fault.name} / {self.kind} / {self.mode} / {'once' if self.passing else 'lasting'}"


def cases() -> Iterator[Case]:
    """All cases of the complete matrix."""
    for fault in FAULTS:
        for kind in Kind:
            cell = expected(fault, kind)
            if isinstance(cell, Never):
                continue
            for mode in cell.modes or MODES[kind]:
                yield Case(fault, kind, mode, False, cell.outcome(mode))
                if cell.passing is not None:
                    yield Case(fault, kind, mode, True, cell.passing)


def sample() -> Iterator[Case]:
    """A small part that covers each fault, and each kind of request with trouble of each class.

    One case a fault that lasts, in the kinds and modes by turns; and one a kind that passes.
    """
    places = [(kind, mode) for kind in Kind for mode in MODES[kind]]
    every = list(cases())
    for turn, fault in enumerate(FAULTS):
        lasting = [case for case in every if case.fault is fault and not case.passing]
        yield min(lasting, key=lambda case: (places.index(case.place) - turn) % len(places))
    for turn, place in enumerate(places):
        passing = [case for case in every if case.passing and case.place == place]
        yield passing[turn * 5 % len(passing)]

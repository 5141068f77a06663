""".NET date formats: a format string to a reader and a printer of dates, culture-invariant.

learn.microsoft.com/dotnet/standard/base-types/custom-date-and-time-format-strings and
learn.microsoft.com/dotnet/standard/base-types/standard-date-and-time-format-strings
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial

from sync_core.domain.expressions.dates import LONGEST_DATE, hour_of_day, offset_of

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# A format of one character stands for one of these.
STANDARD = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "f": "dddd, dd MMMM yyyy HH:mm",
    "F": "dddd, dd MMMM yyyy HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "M": "MMMM dd",
    "m": "MMMM dd",
    "O": "yyyy-MM-dd'T'HH:mm:ss.fffffffK",
    "o": "yyyy-MM-dd'T'HH:mm:ss.fffffffK",
    "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-dd'T'HH:mm:ss",
    "T": "HH:mm:ss",
    "t": "HH:mm",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
    "Y": "yyyy MMMM",
    "y": "yyyy MMMM",
}

# Years of two digits: 00 to 49 are 2000 to 2049.
# learn.microsoft.com/dotnet/api/system.globalization.calendar.twodigityearmax
PIVOT = 49
MOST_FRACTION_DIGITS = 7
SAME_FIELD = {"f": "F", ".F": "F", "K": "z"}

TOKEN = re.compile(
    r"'(?P<single>[^']*)'"
    r'|"(?P<double>[^"]*)"'
    r"|\\(?P<escaped>.)"
    r"|%?(?P<run>d+|f+|\.?F+|g+|h+|H+|K|m+|M+|s+|t+|y+|z+)"
    r"|(?P<plain>[^'\"\\%])",
    re.DOTALL,
)

Reader = Callable[[str], datetime | None]
Printer = Callable[[datetime], str]


class FormatProblem(ValueError):
    """A format string that cannot be used; the message says why."""


@lru_cache(maxsize=256)
def printer(text: str) -> Printer:
    """Return a function that prints dates in this format; raises `FormatProblem`."""
    prints = [partial(_print, name, size) for name, size in _tokens(text)]
    return lambda moment: "".join([one(moment) for one in prints])


@lru_cache(maxsize=256)
def reader(text: str) -> Reader:
    """Return a function that reads dates of this format to UTC, null when one does not fit.

    Blanks before and after are allowed (AllowLeadingWhite and AllowTrailingWhite, the default).
    Raises `FormatProblem`.
    """
    fields: list[tuple[str, int]] = []
    pattern = ""
    for name, size in _tokens(text):
        piece = _pattern(name, size)
        pattern += piece
        if re.compile(piece).groups:
            fields.append((name, size))
    if not any(name == "y" for name, _ in fields):
        raise FormatProblem("The input format has no year (y)")
    expression = re.compile(pattern)

    def read(source: str) -> datetime | None:
        source = source.strip()
        found = expression.fullmatch(source) if len(source) <= LONGEST_DATE else None
        if found is None:
            return None
        try:
            return _moment(fields, found.groups())
        except (ValueError, OverflowError):
            return None

    return read


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Return the pieces of a format: a letter and how often it stands, or literal text and 0."""
    if len(text) == 1:
        if text not in STANDARD:
            raise FormatProblem(f'"{text}" alone is not a date format')
        text = STANDARD[text]
    position = 0
    while position < len(text):
        found = TOKEN.match(text, position)
        if found is None:
            raise FormatProblem(f"The date format stops making sense at {text[position:]}")
        position = found.end()
        run = found["run"]
        if run is None:
            yield next(piece for piece in found.groups() if piece is not None), 0
            continue
        size = len(run.lstrip("."))
        if run[-1] in "fF" and size > MOST_FRACTION_DIGITS:
            raise FormatProblem(
                f"A date has at most {MOST_FRACTION_DIGITS} digits after the second"
            )
        yield (".F" if run[0] == "." else run[0]), size


def _print(name: str, size: int, moment: datetime) -> str:
    return PRINTING[name](moment, size) if size else name


def _pattern(name: str, size: int) -> str:
    return READING[name](size) if size else re.escape(name)


def _two(number: int, size: int) -> str:
    return f"{number:0{min(size, 2)}}"


def _named(names: tuple[str, ...], index: int, number: int, size: int) -> str:
    if size > 2:
        return names[index] if size > 3 else names[index][:3]
    return _two(number, size)


def _fraction(moment: datetime, size: int) -> str:
    return f"{moment.microsecond:06}0"[:size]


def _short_fraction(moment: datetime, size: int) -> str:
    return _fraction(moment, size).rstrip("0")


# A letter and how often it stands, to what is printed. Dates are UTC, hence the constant offsets.
PRINTING: dict[str, Callable[[datetime, int], str]] = {
    "y": lambda moment, size: f"{moment.year % 100 if size < 3 else moment.year:0{size}}",
    "M": lambda moment, size: _named(MONTHS, moment.month - 1, moment.month, size),
    "d": lambda moment, size: _named(DAYS, moment.weekday(), moment.day, size),
    "H": lambda moment, size: _two(moment.hour, size),
    "h": lambda moment, size: _two(moment.hour % 12 or 12, size),
    "m": lambda moment, size: _two(moment.minute, size),
    "s": lambda moment, size: _two(moment.second, size),
    "f": _fraction,
    "F": _short_fraction,
    ".F": lambda moment, size: f".{_short_fraction(moment, size)}".rstrip("."),
    "t": lambda moment, size: ("PM" if moment.hour >= 12 else "AM")[:size],
    "g": lambda _moment, _size: "A.D.",
    "K": lambda _moment, _size: "Z",
    "z": lambda _moment, size: ("+0", "+00", "+00:00")[min(size, 3) - 1],
}


def _digits(size: int) -> str:
    return "([0-9]{1,2}+)" if size == 1 else "([0-9]{2})"


def _names(names: tuple[str, ...], size: int) -> str:
    return "|".join(name if size > 3 else name[:3] for name in names)


# The same to a pattern. Nothing is taken back (possessive quantifiers), as in .NET: linear time.
READING: dict[str, Callable[[int], str]] = {
    "y": lambda size: "([0-9]{1,2}+)" if size == 1 else f"([0-9]{{{size}}})",
    "M": lambda size: f"(?i:({_names(MONTHS, size)}))" if size > 2 else _digits(size),
    "d": lambda size: f"(?i:{_names(DAYS, size)})" if size > 2 else _digits(size),
    "H": _digits,
    "h": _digits,
    "m": _digits,
    "s": _digits,
    "f": lambda size: f"([0-9]{{{size}}})",
    "F": lambda size: f"([0-9]{{0,{size}}}+)",
    ".F": lambda size: f"(?:\\.([0-9]{{0,{size}}}+))?+",
    "t": lambda size: "([AaPp])" if size == 1 else "([AaPp])[Mm]",
    "g": lambda _size: r"(?:A\.D\.|AD)",
    "K": lambda _size: "(Z|[+-][0-9]{2}:[0-9]{2})?+",
    "z": lambda size: (
        "([+-][0-9]{1,2}+)",
        "([+-][0-9]{2})",
        "([+-][0-9]{2}:?+[0-9]{2})",
    )[min(size, 3) - 1],
}


def _moment(fields: list[tuple[str, int]], texts: tuple[str | None, ...]) -> datetime:
    found = {
        SAME_FIELD.get(name, name): (size, text)
        for (name, size), text in zip(fields, texts, strict=True)
    }

    def number(name: str, default: int) -> int:
        return int(found[name][1] or default) if name in found else default

    year = number("y", 0)
    if found["y"][0] < 3:
        year += 2000 if year <= PIVOT else 1900
    size, month = found.get("M", (1, "1"))
    half = found.get("t", (1, None))[1]
    fraction = found.get("F", (1, None))[1] or "0"
    moment = datetime(
        year,
        int(month or 1) if size < 3 else _month(str(month)),
        number("d", 1),
        number("H", hour_of_day(number("h", 12 if half else 0), half)),
        number("m", 0),
        number("s", 0),
        int(fraction.ljust(6, "0")[:6]),
        tzinfo=UTC,
    )
    return moment - offset_of(found.get("z", (1, None))[1])


def _month(name: str) -> int:
    return 1 + next(
        number for number, month in enumerate(MONTHS) if month[:3].lower() == name[:3].lower()
    )

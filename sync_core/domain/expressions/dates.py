"""Dates: text to a moment in UTC and back, and arithmetic by calendar units. Never asks the time.

Text without an offset is UTC. The printed form `M/d/yyyy h:mm:ss tt` is what Entra's CDate, DateAdd
and Now return. learn.microsoft.com/entra/identity/app-provisioning/
functions-for-customizing-application-data
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

LONGEST_DATE = 64
FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_TIME = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
_OFFSET = r" *(Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
_ISO = re.compile(rf"([0-9]{{4}})[-/]([0-9]{{1,2}})[-/]([0-9]{{1,2}})(?:[Tt ] *{_TIME})?{_OFFSET}")
_PRINTED = re.compile(
    rf"([0-9]{{1,2}})/([0-9]{{1,2}})/([0-9]{{4}})(?: +{_TIME}(?: *([AaPp])[Mm])?)?{_OFFSET}"
)


@lru_cache(maxsize=4096)
def read_date(text: str) -> datetime | None:
    """Read ISO 8601 (T or a blank, with or without time and offset) or the printed form."""
    text = text.strip()
    if len(text) > LONGEST_DATE:
        return None
    if found := _ISO.fullmatch(text):
        year, month, day, hour, minute, second, fraction, offset = found.groups()
        half = None
    elif found := _PRINTED.fullmatch(text):
        month, day, year, hour, minute, second, fraction, half, offset = found.groups()
    else:
        return None
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            hour_of_day(int(hour or 0), half),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")[:6]),
            tzinfo=UTC,
        )
        return moment - offset_of(offset)
    except (ValueError, OverflowError):
        return None


def hour_of_day(hour: int, half: str | None) -> int:
    """Return the hour of 24 for one of 12 with AM or PM; ValueError when there is no such hour."""
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if half in "Pp" else 0)


def offset_of(text: str | None) -> timedelta:
    """Read Z, +7, +07, +0700 or +07:00."""
    if text is None or text in "Zz":
        return timedelta(0)
    digits = text[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    return -size if text[0] == "-" else size


@lru_cache(maxsize=1024)
def printed_date(moment: datetime) -> str:
    """Print a moment as `M/d/yyyy h:mm:ss tt`."""
    half = "PM" if moment.hour >= 12 else "AM"
    hour = moment.hour % 12 or 12
    return (
        f"{moment.month}/{moment.day}/{moment.year:04} "
        f"{hour}:{moment.minute:02}:{moment.second:02} {half}"
    )


def to_filetime(moment: datetime) -> int:
    """Return the number of 100 ns since 1601, as Active Directory stores dates."""
    return (moment - FILETIME_EPOCH) // timedelta(microseconds=1) * 10


def from_filetime(ticks: int) -> datetime:
    """Read Active Directory's number; OverflowError when it is no date of the years 1 to 9999."""
    return FILETIME_EPOCH + timedelta(microseconds=ticks // 10)


def _plus_months(moment: datetime, months: int) -> datetime:
    # 31 January and a month is the last of February, as .NET's AddMonths does it.
    # learn.microsoft.com/dotnet/api/system.datetime.addmonths
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


# ValueError or OverflowError: there is no such date in the years 1 to 9999.
ADDING: dict[str, Callable[[datetime, int], datetime]] = {
    "yyyy": lambda moment, count: _plus_months(moment, 12 * count),
    "m": _plus_months,
    "d": lambda moment, count: moment + timedelta(days=count),
    "ww": lambda moment, count: moment + timedelta(weeks=count),
    "h": lambda moment, count: moment + timedelta(hours=count),
    "n": lambda moment, count: moment + timedelta(minutes=count),
    "s": lambda moment, count: moment + timedelta(seconds=count),
}


def _seconds(moment: datetime) -> int:
    return (moment - FILETIME_EPOCH) // timedelta(seconds=1)


# The number of the year, month, week, day ... a moment lies in. A difference of these counts the
# boundaries crossed, as VBA's DateDiff does: from 23:59 to 00:01 is one day. Weeks start on Sunday.
# learn.microsoft.com/office/vba/language/reference/user-interface-help/datediff-function
COUNTING: dict[str, Callable[[datetime], int]] = {
    "yyyy": lambda moment: moment.year,
    "m": lambda moment: moment.year * 12 + moment.month,
    "d": lambda moment: moment.toordinal(),
    "ww": lambda moment: moment.toordinal() // 7,
    "h": lambda moment: _seconds(moment) // 3600,
    "n": lambda moment: _seconds(moment) // 60,
    "s": _seconds,
}

"""Functions on dates. Null in, null out; dates are UTC, printed as `M/d/yyyy h:mm:ss tt`."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sync_core.domain.expressions.context import Context
from sync_core.domain.expressions.date_formats import FormatProblem, printer, reader
from sync_core.domain.expressions.dates import ADDING, COUNTING, from_filetime, to_filetime
from sync_core.domain.expressions.errors import ArgumentProblem, EvaluationError
from sync_core.domain.expressions.functions.function import (
    Arguments,
    Evaluate,
    Example,
    Function,
    Topic,
)
from sync_core.domain.expressions.nodes import Empty, Node, Text
from sync_core.domain.expressions.values import to_date, to_text, to_whole, unfit

INTERVALS = "The intervals are yyyy (year), m (month), d (day), ww (week), h, n (minute), s."
# learn.microsoft.com/dotnet/api/system.globalization.datetimestyles. With all of them, a date
# without an offset is UTC here and blanks around a date are allowed.
STYLES = frozenset(
    {
        "None",
        "AllowLeadingWhite",
        "AllowTrailingWhite",
        "AllowInnerWhite",
        "AllowWhiteSpaces",
        "NoCurrentDateDefault",
        "AdjustToUniversal",
        "AssumeLocal",
        "AssumeUniversal",
        "RoundtripKind",
    }
)


def now(_arguments: Arguments) -> Evaluate:
    return lambda _attributes, context: context.now.astimezone(UTC).replace(microsecond=0)


def date_add(interval: object, value: object, date: object) -> datetime | None:
    count, moment = to_whole(value), to_date(date)
    if count is None or moment is None:
        return None
    add = ADDING[_interval(interval)]
    try:
        return add(moment, count)
    except (ValueError, OverflowError):
        raise _out_of_range() from None


def date_diff(interval: object, first: object, second: object) -> int | None:
    start, end = to_date(first), to_date(second)
    if start is None or end is None:
        return None
    number = COUNTING[_interval(interval)]
    return number(end) - number(start)


def _interval(interval: object) -> str:
    name = to_text(interval)
    if name not in ADDING:
        raise unfit("argumentExpected", f"An interval is expected. {INTERVALS}", name)
    return name


def check_interval(nodes: tuple[Node, ...]) -> None:
    interval = nodes[0]
    if isinstance(interval, Text) and interval.value not in ADDING:
        raise ArgumentProblem(0, f'"{interval.value}" is not an interval', INTERVALS)


def date_from_num(value: object) -> datetime | None:
    ticks = to_whole(value)
    if ticks is None:
        return None
    try:
        return from_filetime(ticks)
    except OverflowError:
        raise _out_of_range() from None


def num_from_date(value: object) -> int | None:
    date = to_date(value)
    return None if date is None else to_filetime(date)


def _out_of_range() -> EvaluationError:
    return EvaluationError(
        "evaluation.dateOutOfRange", "The date is outside of the years 1 to 9999"
    )


def _formats(nodes: tuple[Node, ...]) -> tuple[int, int]:
    """Return the places of the two formats: the cloud-sync form has no dateTimeStyles."""
    return (1, 2) if len(nodes) == 3 else (2, 3)


def _read_format(nodes: tuple[Node, ...], index: int) -> str:
    node = nodes[index]
    if not isinstance(node, Text) or not node.value:
        raise ArgumentProblem(index, "A date format has to be a text in quotes")
    return node.value


def check_formats(nodes: tuple[Node, ...]) -> None:
    if len(nodes) == 4 and not isinstance(nodes[1], Empty):
        _check_styles(nodes[1])
    for index, usable in zip(_formats(nodes), (reader, printer), strict=True):
        try:
            usable(_read_format(nodes, index))
        except FormatProblem as problem:
            raise ArgumentProblem(index, str(problem)) from None


def _check_styles(node: Node) -> None:
    names = node.value.split(",") if isinstance(node, Text) else [""]
    for name in names:
        if name.strip().removeprefix("DateTimeStyles.") not in STYLES:
            raise ArgumentProblem(
                1,
                "The second of four arguments is not a dateTimeStyles",
                "Leave it empty: FormatDateTime(source, , inputFormat, outputFormat).",
            )


def format_date_time(arguments: Arguments) -> Evaluate:
    source = arguments.evaluate[0]
    taken, given = _formats(arguments.nodes)
    read = reader(_read_format(arguments.nodes, taken))
    show = printer(_read_format(arguments.nodes, given))

    def reformat(attributes: Mapping[str, object], context: Context) -> str | None:
        value = source(attributes, context)
        if isinstance(value, datetime):  # from Now, CDate, DateAdd: there is nothing to read
            return show(value)
        text = to_text(value)
        if text is None:
            return None
        date = read(text)
        if date is None:
            raise unfit("dateExpected", "The text does not have the input format", text)
        return show(date)

    return reformat


DATE_FUNCTIONS = (
    Function(
        name="CDate",
        topic=Topic.DATES,
        signature="CDate(source)",
        summary="Reads a date: ISO 8601 with or without time and offset, or the printed form. "
        "Without an offset it is UTC.",
        example=Example(
            "CDate([employeeHireDate])",
            {"employeeHireDate": "2020-03-16-07:00"},
            "3/16/2020 7:00:00 AM",
        ),
        least=1,
        most=1,
        call=to_date,
        gives_date=True,
    ),
    Function(
        name="DateAdd",
        topic=Topic.DATES,
        signature="DateAdd(interval, value, date)",
        summary="Adds years, months, days ... to a date; a negative value goes back. The last day "
        f"of a month stays within the month. {INTERVALS}",
        example=Example(
            'DateAdd("d", 7, CDate([employeeHireDate]))',
            {"employeeHireDate": "2012-03-16-07:00"},
            "3/23/2012 7:00:00 AM",
        ),
        least=3,
        most=3,
        call=date_add,
        check=check_interval,
        gives_date=True,
    ),
    Function(
        name="DateDiff",
        topic=Topic.DATES,
        signature="DateDiff(interval, date1, date2)",
        summary="Counts the midnights, Sundays, firsts of a month ... between two dates: positive "
        f"when date2 is later. {INTERVALS}",
        example=Example(
            'DateDiff("d", CDate([employeeHireDate]), CDate("2021-08-31"))',
            {"employeeHireDate": "2021-08-18"},
            13,
        ),
        least=3,
        most=3,
        call=date_diff,
        check=check_interval,
    ),
    Function(
        name="DateFromNum",
        topic=Topic.DATES,
        signature="DateFromNum(value)",
        summary="Reads Active Directory's number for a date (100 ns since 1601).",
        example=Example("DateFromNum(129699324000000000)", {}, "1/1/2012 11:00:00 PM"),
        least=1,
        most=1,
        call=date_from_num,
        gives_date=True,
    ),
    Function(
        name="FormatDateTime",
        topic=Topic.DATES,
        signature="FormatDateTime(source [, dateTimeStyles], inputFormat, outputFormat)",
        summary="Reads a date in one .NET format and prints it in another. A date from another "
        "function, such as DateAdd, is taken as it is, whatever the input format.",
        example=Example(
            'FormatDateTime([extensionAttribute1], , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")',
            {"extensionAttribute1": "20150123105347.1Z"},
            "2015-01-23",
        ),
        least=3,
        most=4,
        build=format_date_time,
        check=check_formats,
    ),
    Function(
        name="Now",
        topic=Topic.DATES,
        signature="Now()",
        summary="Gives the time of the run, in UTC.",
        example=Example("Now()", {}, "7/2/2021 3:33:38 PM"),
        least=0,
        most=0,
        build=now,
        pure=False,
        gives_date=True,
    ),
    Function(
        name="NumFromDate",
        topic=Topic.DATES,
        signature="NumFromDate(date)",
        summary="Gives Active Directory's number for a date (100 ns since 1601), as in "
        "accountExpires.",
        example=Example('NumFromDate("2012-01-01T23:00:00Z")', {}, 129699324000000000),
        least=1,
        most=1,
        call=num_from_date,
    ),
)

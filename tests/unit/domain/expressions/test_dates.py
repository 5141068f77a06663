"""Dates: what is read, how units are counted, and .NET's formats."""

from datetime import datetime, timedelta, timezone

import pytest

from sync_core.domain.expressions import EvaluationError, ExpressionError, parse
from tests.unit.domain.expressions.evaluation import evaluate

MOMENT = "2009-06-05T13:05:07.0890123Z"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        pytest.param("2020-03-16", "3/16/2020 12:00:00 AM", id="no time is midnight"),
        pytest.param("2020-03-16Z", "3/16/2020 12:00:00 AM", id="date in UTC"),
        pytest.param("2020-03-16T13:14", "3/16/2020 1:14:00 PM", id="no seconds"),
        pytest.param("2020-03-16 13:14:15", "3/16/2020 1:14:15 PM", id="a blank for the T"),
        pytest.param("2020-03-16T13:14:15.1234567Z", "3/16/2020 1:14:15 PM", id="fraction"),
        pytest.param(
            "2020-03-16T13:14:15+0200", "3/16/2020 11:14:15 AM", id="offset without colon"
        ),
        pytest.param("2020-03-16T13:14:15 +02", "3/16/2020 11:14:15 AM", id="offset of hours"),
        pytest.param("2020/3/6", "3/6/2020 12:00:00 AM", id="slashes"),
        pytest.param(" 3/16/2020 12:00:00 am ", "3/16/2020 12:00:00 AM", id="midnight of 12"),
        pytest.param("3/16/2020 12:30 PM", "3/16/2020 12:30:00 PM", id="noon of 12"),
        pytest.param("3/16/2020 7:00:00 PM -07:00", "3/17/2020 2:00:00 AM", id="printed, offset"),
        pytest.param("3/16/2020", "3/16/2020 12:00:00 AM", id="printed date"),
    ],
)
def test_date_is_read(text: str, printed: str) -> None:
    assert evaluate("CDate([a])", {"a": text}) == printed


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("16.03.2020", id="another order"),
        pytest.param("2020-02-30", id="no such day"),
        pytest.param("2020-03-16T25:00", id="no such hour"),
        pytest.param("3/16/2020 13:00 PM", id="no such hour of 12"),
        pytest.param("0001-01-01+08:00", id="before the first year"),
        pytest.param("2020-03-16" + " " * 60 + "Z", id="too long"),
        pytest.param("20200316", id="no separators"),
    ],
)
def test_text_that_is_no_date(text: str) -> None:
    with pytest.raises(EvaluationError, match="A date is expected"):
        evaluate("CDate([a])", {"a": text})


@pytest.mark.parametrize(
    ("interval", "value", "printed"),
    [
        ("yyyy", 1, "2/28/2021 11:59:30 PM"),
        ("m", 1, "3/29/2020 11:59:30 PM"),
        ("m", 12 * 7979, "2/28/9999 11:59:30 PM"),
        ("m", -2, "12/29/2019 11:59:30 PM"),
        ("d", 1, "3/1/2020 11:59:30 PM"),
        ("ww", -1, "2/22/2020 11:59:30 PM"),
        ("h", 1, "3/1/2020 12:59:30 AM"),
        ("n", 1, "3/1/2020 12:00:30 AM"),
        ("s", 31, "3/1/2020 12:00:01 AM"),
    ],
)
def test_adding(interval: str, value: int, printed: str) -> None:
    result = evaluate(
        f'DateAdd("{interval}", [value], [date])', {"value": value, "date": "2020-02-29T23:59:30"}
    )

    assert result == printed


@pytest.mark.parametrize(
    ("interval", "first", "second", "difference"),
    [
        pytest.param("d", "2020-03-16T23:59", "2020-03-17T00:01", 1, id="midnight between"),
        pytest.param("d", "2020-03-16T00:01", "2020-03-16T23:59", 0, id="no midnight between"),
        pytest.param("ww", "2021-08-28", "2021-08-29", 1, id="Saturday to Sunday"),
        pytest.param("ww", "2021-08-29", "2021-09-04", 0, id="Sunday to Saturday"),
        pytest.param("m", "2020-01-31", "2020-02-01", 1, id="first of a month"),
        pytest.param("yyyy", "2020-12-31", "2021-01-01", 1, id="new year"),
        pytest.param("h", "2020-03-16T00:59", "2020-03-16T01:00", 1, id="hour"),
        pytest.param("h", "1500-03-16T01:00", "1500-03-16T00:59", -1, id="hour back, long ago"),
        pytest.param("n", "2020-03-16T00:00:59", "2020-03-16T00:01:00", 1, id="minute"),
        pytest.param("s", "2020-03-16T00:00:00.9", "2020-03-16T00:00:01.1", 1, id="second"),
    ],
)
def test_difference_counts_boundaries(
    interval: str, first: str, second: str, difference: int
) -> None:
    result = evaluate(f'DateDiff("{interval}", [a], [b])', {"a": first, "b": second})

    assert result == difference


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("d/M/yy", "5/6/09"),
        ("dd/MM/yyyy", "05/06/2009"),
        ("ddd d MMM", "Fri 5 Jun"),
        ("dddd, MMMM", "Friday, June"),
        ("y yy yyy yyyyy", "9 09 2009 02009"),
        ("h:mm tt", "1:05 PM"),
        ("hh:m t", "01:5 P"),
        ("H HH", "13 13"),
        ("s ss", "7 07"),
        ("f ff fffffff", "0 08 0890120"),
        ("ss.FFF", "07.089"),
        ("ss.F", "07"),
        ("FF F", "08 "),
        ("z zz zzz K", "+0 +00 +00:00 Z"),
        ("g", "06/05/2009 13:05"),
        ("yyyy g", "2009 A.D."),
        ("'day' d", "day 5"),
        ('yyyy\\"T\\"'.replace("\\", "\\\\").replace('"', '\\"'), '2009"T"'),
        (r"\\d\\\\ %d", r"d\ 5"),
        ("yyyyMMddTHHmmssZ", "20090605T130507Z"),
        ("d", "06/05/2009"),
        ("D", "Friday, 05 June 2009"),
        ("f", "Friday, 05 June 2009 13:05"),
        ("F", "Friday, 05 June 2009 13:05:07"),
        ("G", "06/05/2009 13:05:07"),
        ("m", "June 05"),
        ("o", "2009-06-05T13:05:07.0890120Z"),
        ("R", "Fri, 05 Jun 2009 13:05:07 GMT"),
        ("s", "2009-06-05T13:05:07"),
        ("t", "13:05"),
        ("T", "13:05:07"),
        ("u", "2009-06-05 13:05:07Z"),
        ("Y", "2009 June"),
    ],
)
def test_output_format(text: str, printed: str) -> None:
    result = evaluate(
        f'FormatDateTime([a], "yyyy-MM-ddTHH:mm:ss.fffffffZ", "{text}")', {"a": MOMENT}
    )

    assert result == printed


@pytest.mark.parametrize(
    ("text", "source", "printed"),
    [
        pytest.param("dd.MM.yyyy", "16.03.2020", "2020-03-16 00:00:00", id="German"),
        pytest.param("d.M.yy", "6.3.49", "2049-03-06 00:00:00", id="two-digit year, new"),
        pytest.param("d.M.yy", "16.12.50", "1950-12-16 00:00:00", id="two-digit year, old"),
        pytest.param("d MMM yyyy", "6 mar 2020", "2020-03-06 00:00:00", id="short month"),
        pytest.param(
            "dddd, d MMMM yyyy", "Friday, 6 MARCH 2020", "2020-03-06 00:00:00", id="names"
        ),
        pytest.param("yyyy-MM-dd h:mm tt", "2020-03-06 12:05 am", "2020-03-06 00:05:00", id="AM"),
        pytest.param("yyyy-MM-dd h t", "2020-03-06 1 P", "2020-03-06 13:00:00", id="P"),
        pytest.param("yyyy-MM-dd hh", "2020-03-06 07", "2020-03-06 07:00:00", id="12 hours alone"),
        pytest.param("yyyy tt", "2020 PM", "2020-01-01 12:00:00", id="afternoon without hour"),
        pytest.param("yyyyMMddHHmmss", "20200306070809", "2020-03-06 07:08:09", id="digits only"),
        pytest.param("yyyy-MM-ddzzz", "2020-03-06-07:00", "2020-03-06 07:00:00", id="offset"),
        pytest.param("yyyy-MM-ddzz", "2020-03-06+02", "2020-03-05 22:00:00", id="offset of hours"),
        pytest.param("yyyy-MM-ddz", "2020-03-06+2", "2020-03-05 22:00:00", id="short offset"),
        pytest.param("yyyy-MM-ddK", "2020-03-06+02:00", "2020-03-05 22:00:00", id="kind"),
        pytest.param("yyyy-MM-ddK", "2020-03-06Z", "2020-03-06 00:00:00", id="kind of UTC"),
        pytest.param("yyyy-MM-ddK", "2020-03-06", "2020-03-06 00:00:00", id="no kind"),
        pytest.param("yyyy g", "2020 A.D.", "2020-01-01 00:00:00", id="era"),
        pytest.param("yyyy.F", "2020.5", "2020-01-01 00:00:00", id="fraction"),
        pytest.param("yyyy.F", "2020", "2020-01-01 00:00:00", id="no fraction"),
        pytest.param("F", "Friday, 06 March 2020 07:08:09", "2020-03-06 07:08:09", id="standard"),
        pytest.param("yyyy-MM-dd", "  2020-03-06 ", "2020-03-06 00:00:00", id="blanks around"),
        pytest.param("yyyyMMFF", "20200312", "2020-03-01 00:00:00", id="fraction without dot"),
    ],
)
def test_input_format(text: str, source: str, printed: str) -> None:
    result = evaluate(f'FormatDateTime([a], "{text}", "yyyy-MM-dd HH:mm:ss")', {"a": source})

    assert result == printed


@pytest.mark.parametrize(
    ("text", "source"),
    [
        pytest.param("dd.MM.yyyy", "6.3.2020", id="one digit where two are asked"),
        pytest.param("dd.MM.yyyy", "30.02.2020", id="no such day"),
        pytest.param("yyyy h tt", "2020 13 PM", id="no such hour"),
        pytest.param("yyyy-MM-dd", "2020-03-06T07:00", id="more than the format"),
        pytest.param("yyyyy", "12020", id="year 12020"),
        pytest.param("yyyyzzz", "0001+08:00", id="before the first year"),
        pytest.param("yyyy", "2020" + " " * 70 + "x", id="too long"),
    ],
)
def test_text_without_the_input_format(text: str, source: str) -> None:
    with pytest.raises(EvaluationError, match="does not have the input format"):
        evaluate(f'FormatDateTime([a], "{text}", "yyyy")', {"a": source})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param('"HH:mm", "yyyy"', "no year", id="no year"),
        pytest.param('"yyyy", "x"', "alone is not", id="no standard format"),
        pytest.param('"yyyy", "ffffffff"', "at most 7", id="too many digits"),
        pytest.param('"yyyy", "yyyy \'x"', "stops making sense", id="quote not closed"),
        pytest.param('"", "yyyy"', "in quotes", id="no format"),
        pytest.param('[b], "yyyy"', "in quotes", id="format from an attribute"),
        pytest.param(
            '"yyyy", "yyyy", "yyyy"', "not a dateTimeStyles", id="format in the wrong place"
        ),
        pytest.param('[b], "yyyy", "yyyy"', "Leave it empty", id="styles from an attribute"),
    ],
)
def test_format_that_cannot_be_used(arguments: str, told: str) -> None:
    with pytest.raises(ExpressionError, match="FormatDateTime") as caught:
        parse(f"FormatDateTime([a], {arguments})")

    assert told in str(caught.value)


@pytest.mark.parametrize(
    "styles", ['"AssumeUniversal"', '"AllowWhiteSpaces, DateTimeStyles.AdjustToUniversal"', ""]
)
def test_date_time_styles_are_accepted(styles: str) -> None:
    assert evaluate(f'FormatDateTime("2020", {styles}, "yyyy", "yy")') == "20"


def test_a_date_of_another_function_needs_no_input_format() -> None:
    """The guides re-format what DateAdd gives, and name the format of what went into it."""
    assert evaluate('FormatDateTime(DateAdd("d", 1, Now()), "yyyy", "yyyy-MM-dd")') == "2021-07-03"


def test_now_is_the_time_of_the_run_in_utc() -> None:
    elsewhere = datetime(2021, 7, 2, 8, 33, 38, 999_999, timezone(timedelta(hours=-7)))

    assert evaluate("Now()", now=elsewhere) == "7/2/2021 3:33:38 PM"


def test_numbers_of_active_directory_and_back() -> None:
    assert evaluate("DateFromNum(NumFromDate([a]))", {"a": "1601-01-01"}) == "1/1/1601 12:00:00 AM"
    assert evaluate("NumFromDate([a])", {"a": "1601-01-01T00:00:00.0000009Z"}) == 0

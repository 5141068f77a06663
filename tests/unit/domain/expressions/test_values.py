"""What null means, how values compare, and how one kind of value is read as another."""

from collections.abc import Mapping

import pytest

from sync_core.domain.expressions import EvaluationError
from tests.unit.domain.expressions.evaluation import evaluate

GROUP = "11111111-2222-3333-4444-555555555555"
HUGE = 10**5000


@pytest.mark.parametrize(
    "value", [pytest.param({"a": None}, id="null"), pytest.param({}, id="absent")]
)
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('Append([a], "x")', "x"),
        ('Append("x", [a])', "x"),
        ("BitAnd([a], 1)", None),
        ("BitAnd(1, [a])", None),
        ("CBool([a])", False),
        ("CDate([a])", None),
        ("Coalesce([a], [b])", None),
        ("Coalesce([a])", None),
        ('Coalesce([a], "")', ""),
        ("ConvertFromBase64([a])", None),
        ("ConvertToBase64([a])", None),
        ("ConvertToUTF8Hex([a])", None),
        ('Contains([a], "x")', 0),
        ("Count([a])", 0),
        ("CStr([a])", None),
        ('DateAdd("d", 1, [a])', None),
        ('DateAdd("d", [a], "2020-01-01")', None),
        ('DateDiff("d", [a], "2020-01-01")', None),
        ('DateDiff("d", "2020-01-01", [a])', None),
        ("DateFromNum([a])", None),
        ("DNComponent([a], 1)", None),
        ('FormatDateTime([a], "yyyy", "yy")', None),
        ('IIF([a], 1, "no")', "no"),
        ('InStr([a], "x")', 0),
        ("IsNull([a])", True),
        ("IsNullOrEmpty([a])", True),
        ("IsPresent([a])", False),
        ("IsString([a])", False),
        ("Item([a], 1)", None),
        ('Join(",", [a], "x", [a])', "x"),
        ('Join([a], "x", "y")', "xy"),
        ("Left([a], 2)", ""),
        ("Mid([a], 1, 2)", None),
        ("NormalizeDiacritics([a])", None),
        ("Not([a])", "True"),
        ("NumFromDate([a])", None),
        ("PCase([a])", None),
        ("RemoveDuplicates([a])", None),
        ('Replace([a], "x", , , "y")', None),
        ('Replace([a], "x", , , , , "y")', None),
        ('Replace([a], , "x+", , "y")', None),
        ('Replace([a], , "[x]+", , "")', None),
        ('Replace([a], , "(?<g>x)", "g", "y")', None),
        ('Replace([a], , "(?<g>x)", "g", , [b])', None),
        ('Replace("xx", [a], , , "y")', "xx"),
        ('Replace("xx", "x", , , [a])', ""),
        ('Split([a], ",")', None),
        ("StringFromSid([a])", None),
        ("StripSpaces([a])", None),
        ('Switch([a], "d", "x", 1)', "d"),
        ('Switch([a], "d", "", "empty")', "empty"),
        ('Switch([a], , "x", 1)', None),
        ("ToLower([a])", None),
        ("ToUpper([a])", None),
        ("Trim([a])", None),
        ('Word([a], 1, " ")', ""),
        ('"x" & [a]', "x"),
        ("Null", None),
    ],
)
def test_null(expression: str, expected: object, value: Mapping[str, object]) -> None:
    result = evaluate(expression, value)

    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Coalesce([none], [two])", ["a", "b"]),
        ("IsNull([none])", True),
        ("IsPresent([none])", False),
        ('IIF([none], "yes", "no")', "no"),
        ("[none] = Null", True),
        ("ToUpper([one])", "A"),
        ('[one] & "!"', "a!"),
        ("[one]", ["a"]),
        ('Join("+", [one], [two], [none])', "a+a+b"),
        ("IsString([one])", True),
        ("IsString([two])", False),
        ("IsString([object])", False),
        ('Count("a")', 1),
        ('Item("a", 1)', "a"),
        ("Item([two], [2])".replace("[2]", '"2"'), "b"),
        ("RemoveDuplicates(Now())", ["7/2/2021 3:33:38 PM"]),
        ('Split("a;;b; c ;", ";")', ["a", "b", "c"]),
        ('Split("a, b", "")', ["a, b"]),
        ("Sort([swapped])", ["a", "b"]),
        ("Sort([mixed])", [None, 1, "a"]),
        ("Sort([none])", None),
        ('Contains([two], "B")', 0),
    ],
)
def test_list(expression: str, expected: object) -> None:
    """Graph answers [] for a multi-valued property that is not set, and one phone as a list."""
    person: dict[str, object] = {"none": [], "one": ["a"], "two": ["a", "b"], "object": {"x": 1}}
    person |= {"swapped": ["b", "a"], "mixed": ["a", 1, None]}

    assert evaluate(expression, person) == expected


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        pytest.param('[text] = "Sales"', True, id="same text"),
        pytest.param('[text] = "sales"', False, id="case matters"),
        pytest.param('[text] <> "sales"', True, id="not equal"),
        pytest.param('[absent] = ""', True, id="null is empty"),
        pytest.param("[absent] = [empty]", True, id="null and empty attribute"),
        pytest.param("[absent] = [none]", True, id="null and empty list"),
        pytest.param("[absent] = Null", True, id="null is null"),
        pytest.param("[zero] = Null", False, id="0 is not null"),
        pytest.param("[absent] <> [text]", True, id="null and text"),
        pytest.param("[zero] = 0", True, id="numbers"),
        pytest.param('[number] = "042"', True, id="a number and text of a number"),
        pytest.param('"42" = "042"', False, id="two texts are texts"),
        pytest.param("[number] = [half]", False, id="two numbers"),
        pytest.param("[half] = 42.5", True, id="decimals"),
        pytest.param('[half] = " 42.50 "', True, id="text of a decimal"),
        pytest.param('[number] = "many"', False, id="a number and text of none"),
        pytest.param("[yes] = True", True, id="truth"),
        pytest.param('[yes] = "true"', True, id="truth and its text, any case"),
        pytest.param('"FALSE" = [yes]', False, id="the text first"),
        pytest.param("[yes] = 1", True, id="truth and number"),
        pytest.param("[one] = [text]", True, id="a list of one is its value"),
        pytest.param("[two] = [two]", True, id="equal lists"),
        pytest.param("[two] = [swapped]", True, id="a list in another order"),
        pytest.param("[mixed] = [mixed]", True, id="a list that is not of texts alone"),
        pytest.param("[two] = [text]", False, id="a list of two is no text"),
        pytest.param("[object] = [object]", False, id="objects are not compared"),
        pytest.param('CDate("2021-07-02T15:33:38Z") = Now()', True, id="dates"),
        pytest.param('Now() = "2021-07-02T17:33:38+02:00"', True, id="a date and its text"),
        pytest.param('Now() = "today"', False, id="a date and other text"),
        pytest.param("Now() = 1", False, id="a date and a number"),
        pytest.param("[number] > 41", True, id="more"),
        pytest.param("[number] > 42", False, id="not more"),
        pytest.param("[number] >= 42", True, id="at least"),
        pytest.param("[number] < 42.5", True, id="less"),
        pytest.param('[number] <= "42"', True, id="at most"),
        pytest.param('"9" > "10"', True, id="texts are ordered as texts"),
        pytest.param('[number] > "many"', False, id="not comparable is not more"),
        pytest.param('[number] <= "many"', False, id="and not less"),
        pytest.param("[absent] < 1", False, id="null is not less"),
        pytest.param("[absent] >= 0", False, id="null is not more"),
        pytest.param("[nan] <= 1", False, id="not a number"),
        pytest.param('CDate([hired]) < "2020-03-17"', True, id="earlier"),
        pytest.param("[hired] < Now()", True, id="earlier than now"),
        pytest.param("[text] = [text] AND NOT [zero]", True, id="and not"),
        pytest.param("[zero] OR [number]", True, id="or"),
        pytest.param("[zero] OR [empty]", False, id="neither"),
        pytest.param("[yes] AND [absent]", False, id="not both"),
        pytest.param("[yesText]", True, id="the text True"),
        pytest.param('"false"', False, id="the text False"),
        pytest.param('"0.0"', False, id="the text of 0"),
        pytest.param("[one] & [empty] = [text]", True, id="& before ="),
        pytest.param("True OR False AND False", True, id="AND before OR"),
        pytest.param("NOT False AND False", False, id="NOT before AND"),
        pytest.param(f'InGroup("{GROUP}")', True, id="in the group"),
        pytest.param(f'InGroup("{GROUP.replace("1", "9")}")', False, id="not in the group"),
        pytest.param('InStr("abc", "b")', True, id="a number that is not 0"),
        pytest.param('IIF(Not("True"), True, False)', False, id="the text that Not gives"),
    ],
)
def test_condition(condition: str, holds: bool) -> None:
    person = {
        "text": "Sales",
        "empty": "",
        "none": [],
        "one": ["Sales"],
        "two": ["a", "b"],
        "swapped": ["b", "a"],
        "mixed": ["a", 1],
        "object": {"x": 1},
        "zero": 0,
        "number": 42,
        "half": 42.5,
        "nan": float("nan"),
        "yes": True,
        "yesText": "TRUE",
        "hired": "2020-03-16T00:00:00Z",
    }

    assert evaluate(f"CBool({condition})", person, groups={GROUP}) is holds


def test_a_whole_decimal_is_a_whole_number() -> None:
    assert evaluate("BitAnd([a], [b])", {"a": 7.0, "b": True}) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(True, "True", id="true"),
        pytest.param(False, "False", id="false"),
        pytest.param(42, "42", id="whole"),
        pytest.param(42.0, "42", id="whole decimal"),
        pytest.param(-0.5, "-0.5", id="decimal"),
        pytest.param(1e300, "1e+300", id="very large"),
        pytest.param(["a"], "a", id="list of one"),
    ],
)
def test_printed(value: object, text: str) -> None:
    assert evaluate("CStr([a])", {"a": value}) == text


@pytest.mark.parametrize(
    ("expression", "value", "code", "told"),
    [
        pytest.param("Count([a])", ["x"] * 10_001, "listTooLong", "at most 10000", id="long list"),
        pytest.param("ToLower([a])", ["x", "y"], "textExpected", "a list of 2", id="list"),
        pytest.param("ToLower([a])", {"x": 1}, "textExpected", "an object", id="object"),
        pytest.param(
            "Left([a], [a])", "x" * 99, "numberExpected", '"' + "x" * 40 + '"', id="number"
        ),
        pytest.param("BitAnd([a], 1)", 1.5, "numberExpected", "whole", id="whole number"),
        pytest.param("BitAnd([a], 1)", float("inf"), "numberExpected", "inf", id="infinity"),
        pytest.param("BitAnd([a], 1)", {"x": 1}, "numberExpected", "object", id="no object"),
        pytest.param("BitAnd(Now(), 1)", None, "numberExpected", "7/2/2021 3:33:38 PM", id="date"),
        pytest.param("CDate([a])", "soon", "dateExpected", '"soon"', id="no date"),
        pytest.param("CDate([a])", True, "dateExpected", "True", id="truth is no date"),
        pytest.param("CDate([a])", 1.5, "dateExpected", "1.5", id="a decimal is no date"),
        pytest.param("CDate([a])", HUGE, "dateExpected", "a number", id="a huge number is none"),
        pytest.param("IIF([a], 1, 2)", "Sales", "conditionExpected", '"Sales"', id="condition"),
        pytest.param("IIF([a], 1, 2)", ["x", "y"], "conditionExpected", "list of 2", id="no list"),
        pytest.param("CStr([a])", HUGE, "numberTooLarge", "digits", id="5,000 digits"),
        pytest.param("Item([a], 3)", ["x", "y"], "outOfBounds", "number 3", id="past the end"),
        pytest.param("Item([a], 0)", ["x", "y"], "outOfBounds", "number 0", id="no item 0"),
        pytest.param("Mid([a], 0, 1)", "x", "outOfBounds", "starts at 1", id="no character 0"),
        pytest.param("Mid([a], 1, -1)", "x", "outOfBounds", "0 or more", id="negative length"),
        pytest.param(
            'DateAdd([a], 1, "2020-01-01")', "w", "argumentExpected", "yyyy", id="interval"
        ),
        pytest.param(
            "DateDiff([a], Now(), Now())", None, "argumentExpected", "yyyy", id="no interval"
        ),
        pytest.param('DateAdd("d", [a], Now())', 10**9, "dateOutOfRange", "9999", id="far future"),
        pytest.param('DateAdd("m", [a], Now())', -HUGE, "dateOutOfRange", "9999", id="far past"),
        pytest.param("DateFromNum([a])", 2**63 - 1, "dateOutOfRange", "9999", id="never expires"),
        pytest.param('FormatDateTime([a], "yyyy", "yy")', "x", "dateExpected", '"x"', id="format"),
        pytest.param("ConvertFromBase64([a])", "a", "base64Expected", '"a"', id="no base64"),
        pytest.param("ConvertFromBase64([a])", "é", "base64Expected", '"é"', id="not even ASCII"),
        pytest.param('ConvertFromBase64("", [a])', "x", "argumentExpected", "UTF8", id="encoding"),
        pytest.param("StringFromSid([a])", "AQE=", "sidExpected", "0101", id="short identifier"),
        pytest.param("StringFromSid([a])", "AQIAAAAAAAUSAAAA", "sidExpected", "", id="wrong count"),
        pytest.param("StringFromSid([a])", [1, 256], "textExpected", "list", id="no bytes"),
        pytest.param("RemoveDuplicates([a])", [["x", "y"]], "textExpected", "list", id="nested"),
        pytest.param("SelectUniqueValue([a], [a])", "", "noUniqueValue", "Every rule", id="unique"),
        pytest.param('Error("Give " & [a])', "a name", "raised", "Give a name", id="own message"),
        pytest.param("Error([a])", None, "raised", "Error", id="no message"),
        pytest.param("Guid()", None, "noObjectId", "[id]", id="no object id"),
    ],
)
def test_value_that_does_not_fit(expression: str, value: object, code: str, told: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(expression, {"a": value})

    assert caught.value.code == f"evaluation.{code}"
    assert told in str(caught.value)


def test_redacted_values_stay_out_of_messages() -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate("CDate(Redact([a]))", {"a": "secret"})

    assert caught.value.code == "evaluation.dateExpected"
    assert str(caught.value) == "A date is expected."


@pytest.mark.parametrize(
    ("name", "person", "expected"),
    [
        pytest.param("mail", {"mail": "a"}, "a", id="plain"),
        pytest.param("objectId", {"id": "a"}, "a", id="Entra's name"),
        pytest.param("objectId", {"id": "a", "objectId": "b"}, "b", id="the very name wins"),
        pytest.param("telephoneNumber", {"businessPhones": ["1", "2"]}, "1", id="first of a list"),
        pytest.param("telephoneNumber", {"businessPhones": []}, None, id="first of none"),
        pytest.param("telephoneNumber", {}, None, id="no list"),
        pytest.param(
            "extensionAttribute1",
            {"onPremisesExtensionAttributes": {"extensionAttribute1": "x"}},
            "x",
            id="extension attribute",
        ),
        pytest.param(
            "onPremisesExtensionAttributes.extensionAttribute1",
            {"onPremisesExtensionAttributes": {"extensionAttribute1": "x"}},
            "x",
            id="with the whole way",
        ),
        pytest.param(
            "extensionAttribute1", {"onPremisesExtensionAttributes": None}, None, id="null"
        ),
        pytest.param("manager.id", {"manager": "x"}, None, id="no object on the way"),
    ],
)
def test_attribute(name: str, person: Mapping[str, object], expected: object) -> None:
    assert evaluate(f"[{name}]", person) == expected


@pytest.mark.parametrize(
    "expression",
    [
        'IIF(True, "a", Error("never"))',
        'IIF(False, Error("never"), "a")',
        'Switch("x", Error("never"), "x", "a", "y", Error("never"))',
        'Switch("x", Error("never"), [y], Error("never"), [x], "a", [x], Error("never"))',
        'Coalesce([y], "a", Error("never"))',
        'IIF(True OR Error("never"), "a", "b")',
        'IIF(False AND Error("never"), "b", "a")',
        'IIF(False, CDate("never"), "a")',
        'SelectUniqueValue("a", Error("never"))',
    ],
)
def test_only_what_is_needed_is_evaluated(expression: str) -> None:
    assert evaluate(expression, {"x": "x"}) == "a"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('Switch([x], "d", "x", 1, "x", 2)', 1),
        ('Switch([n], "d", "5", 1)', 1),
        ('Switch([b], "d", "True", 1)', 1),
        ('Switch([x], "d", [n], 1)', "d"),
        ('Switch(Now(), "d", "7/2/2021 3:33:38 PM", 1)', 1),
        ('IIF(InStr([x], "x") = 1, Now(), "d")', "7/2/2021 3:33:38 PM"),
    ],
)
def test_choices(expression: str, expected: object) -> None:
    assert evaluate(expression, {"x": "x", "n": 5, "b": True}) == expected

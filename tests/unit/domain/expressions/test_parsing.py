"""What is an expression and what is not; every refusal says where and what to write instead."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from sync_core.domain.expressions import IGNORE_ATTRIBUTE, IGNORE_OBJECT, ExpressionError, parse
from tests.unit.domain.expressions.evaluation import evaluate

GROUP = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        pytest.param(' Append ( [a] ,"b" ) ', 'Append([a], "b")', id="blanks anywhere"),
        pytest.param("[ department ]", "[department]", id="blanks in brackets"),
        pytest.param('"a\\\\b \\"c\\""', '"a\\\\b \\"c\\""', id="escapes"),
        pytest.param('"\\+"', '"\\\\+"', id="an unknown escape stays as typed"),
        pytest.param(
            'Replace([x], , "p", , "", , )', 'Replace([x], , "p", , "", , )', id="empty arguments"
        ),
        pytest.param("ToLower([x], )", "ToLower([x], )", id="an empty argument at the end"),
        pytest.param("BitAnd(&HF, &H0f)", "BitAnd(&HF, &HF)", id="hexadecimal"),
        pytest.param("007", "7", id="leading zeros"),
        pytest.param("-1.50", "-1.5", id="decimals"),
        pytest.param("0.0000001", "0.0000001", id="small decimals"),
        pytest.param("[a] & [b]&[c]", "[a] & [b] & [c]", id="concatenation"),
        pytest.param('"a"&Trim([b])', '"a" & Trim([b])', id="no blanks"),
        pytest.param(
            "[a]=1 AND [b]<>2 OR NOT [c]>=3", "[a] = 1 AND [b] <> 2 OR NOT [c] >= 3", id="or"
        ),
        pytest.param("([a] = 1)", "[a] = 1", id="needless parentheses"),
        pytest.param(
            "([a] = 1 OR [b] = 2) AND [c] = 3", "([a] = 1 OR [b] = 2) AND [c] = 3", id="needed ones"
        ),
        pytest.param("NOT (NOT [a] = 1)", "NOT (NOT [a] = 1)", id="not not"),
        pytest.param("[a]\u00a0=\u00a01", "[a] = 1", id="hard blanks, pasted from a page"),
        pytest.param("IIF([a], True, Null)", "IIF([a], True, Null)", id="words"),
        pytest.param("[ANDy] = [ORx]", "[ANDy] = [ORx]", id="operators inside names"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    expression = parse(text)

    assert expression.print() == canonical
    assert parse(canonical) == expression


@pytest.mark.parametrize(
    ("text", "code", "position", "told"),
    [
        pytest.param("", "empty", 0, "empty", id="nothing"),
        pytest.param("  ", "empty", 0, "empty", id="only blanks"),
        pytest.param("Tolower([a])", "unknownFunction", 0, "write ToLower", id="wrong case"),
        pytest.param("Jion([a])", "unknownFunction", 0, "Did you mean Join?", id="misspelt"),
        pytest.param("Xyzzy([a])", "unknownFunction", 0, "reference", id="nothing near"),
        pytest.param("AND([a], [b])", "unknownFunction", 0, "between two conditions", id="AND()"),
        pytest.param(
            "SingleAppRoleAssignment([appRoleAssignments])",
            "functionRefused",
            0,
            "InGroup",
            id="one app role",
        ),
        pytest.param(
            "AppRoleAssignmentsComplex([x])", "functionRefused", 0, "app roles", id="app roles"
        ),
        pytest.param(
            "AssertiveAppRoleAssignmentsComplex([x])", "functionRefused", 0, "app roles", id="exact"
        ),
        pytest.param('Append("a")', "argumentCount", 0, "Append(source, suffix)", id="too few"),
        pytest.param("ToLower()", "argumentCount", 0, "1 to 2 arguments, not 0", id="none at all"),
        pytest.param("Now(1)", "argumentCount", 0, "takes no arguments", id="one too many"),
        pytest.param("Trim([a], 1)", "argumentCount", 0, "takes 1 argument,", id="one, not two"),
        pytest.param('Join(",")', "argumentCount", 0, "2 or more arguments", id="open end"),
        pytest.param('Switch([a], 1, "b", 2, 3)', "argumentCount", 0, "even number", id="odd"),
        pytest.param('"abc', "unclosedText", 0, 'second "', id="text not closed"),
        pytest.param("Append([a, 1)", "unclosedBracket", 7, "Add the ]", id="attribute not closed"),
        pytest.param("ToLower([a]", "unclosedBracket", 7, "Add the )", id="call not closed"),
        pytest.param('ToLower("(")(', "syntax", 12, "not expected", id="a bracket in a text"),
        pytest.param("[a])", "unclosedBracket", 3, "closes nothing", id="closed once too often"),
        pytest.param(
            "ToLower([a]))", "unclosedBracket", 12, "closes nothing", id="and behind a call"
        ),
        pytest.param("([a] = )", "syntax", 7, "A value is missing", id="nothing to compare with"),
        pytest.param("[a] =", "syntax", 5, "Something is missing", id="ends too early"),
        pytest.param('[a] "b"', "syntax", 4, "A comma", id="comma missing"),
        pytest.param("[a] = 1 and [b] = 2", "syntax", 8, "Write AND", id="small and"),
        pytest.param("[a] = 1 = 2", "syntax", 8, "One comparison", id="chained comparison"),
        pytest.param('[a] == "b"', "syntax", 5, "One = compares", id="two equal signs"),
        pytest.param('[a] != "b"', "syntax", 4, "Write <>", id="exclamation mark"),
        pytest.param("[a] && [b]", "syntax", 5, "Write AND", id="two ampersands"),
        pytest.param("[a] || [b]", "syntax", 4, "Write OR", id="two bars"),
        pytest.param('[a] + "b"', "syntax", 4, "Join", id="plus"),
        pytest.param("Join(';', [a]; [b])", "syntax", 5, "double quotes", id="single quotes"),
        pytest.param("Join([a]; [b])", "syntax", 8, "commas", id="semicolon"),
        pytest.param("ToLower(“a”)", "syntax", 8, "straight quotes", id="curly quotes"),
        pytest.param("[a] ?", "syntax", 4, "", id="no such character"),
        pytest.param("[]", "attributeName", 0, "[department]", id="no name"),
        pytest.param("[a-b]", "attributeName", 0, "[department]", id="no such name"),
        pytest.param(f"[{'a' * 257}]", "attributeName", 0, "", id="name too long"),
        pytest.param("department", "unknownWord", 0, "Write [department]", id="no brackets"),
        pytest.param("Now", "unknownWord", 0, "Now()", id="no parentheses"),
        pytest.param('"a"&HE', "unknownWord", 4, "[HE]", id="no number behind a value"),
        pytest.param("true", "unknownWord", 0, "Write True.", id="small true"),
        pytest.param("OR", "unknownWord", 0, "between two conditions", id="lonely OR"),
        pytest.param("AuthoritativeNull", "unknownWord", 0, "whenNull", id="AuthoritativeNull"),
        pytest.param("vbTextCompare", "unknownWord", 0, "InStr", id="word alone"),
        pytest.param(
            "ToLower([a], UTF8)", "unknownWord", 13, "ConvertFromBase64", id="word elsewhere"
        ),
        pytest.param("UTF8 & [a]", "unknownWord", 0, "ConvertFromBase64", id="word joined"),
        pytest.param("1" * 41, "number", 0, "in quotes", id="long number"),
        pytest.param("&H" + "1" * 40, "number", 0, "in quotes", id="long hexadecimal number"),
        pytest.param(
            'Join("", IgnoreAttributeFlow)', "misplacedSignal", 9, "IIF", id="signal in a text"
        ),
        pytest.param(
            'Append(IgnoreFlowIfNullOrEmpty([a]), "b")',
            "misplacedSignal",
            7,
            "",
            id="or from a call",
        ),
        pytest.param(
            "IIF(IgnoreObjectFlow, 1, 2)", "misplacedSignal", 4, "", id="signal as a condition"
        ),
        pytest.param("[a] & IgnoreObjectFlow", "misplacedSignal", 6, "", id="signal joined"),
        pytest.param(
            "ToLower(IIF([a], [b], IgnoreObjectFlow))",
            "misplacedSignal",
            22,
            "",
            id="signal deeper",
        ),
        pytest.param(
            "ToLower(SelectUniqueValue([a], [b]))",
            "notOutermost",
            8,
            "outermost",
            id="unique inside",
        ),
        pytest.param(
            "NOT SelectUniqueValue([a], [b])", "notOutermost", 4, "outermost", id="unique negated"
        ),
        pytest.param('InGroup("Sales")', "argument", 8, "object id", id="group by name"),
        pytest.param("InGroup([a])", "argument", 8, "object id", id="group from an attribute"),
        pytest.param('ToLower([a], "x")', "argument", 13, "tr-TR", id="no culture"),
        pytest.param('ToUpper([a], "x")', "argument", 13, "tr-TR", id="no culture either"),
        pytest.param('DateAdd("w", 1, [a])', "argument", 8, "ww (week)", id="no interval"),
        pytest.param('ConvertFromBase64([a], "x")', "argument", 23, "UTF8", id="no encoding"),
        pytest.param('Replace([a], "b", "c")', "argument", 8, "oldValue and", id="form of Replace"),
        pytest.param(
            'Replace([a], , [b], , "")', "argument", 15, "", id="pattern from an attribute"
        ),
        pytest.param('Replace([a], , "(", , "")', "pattern", 15, "", id="pattern not valid"),
        pytest.param(
            'Replace([a], , "(?<x>b)", "y", "")', "argument", 26, "has x", id="no such group"
        ),
        pytest.param(
            'Replace([a], , "b", "y", "")', "argument", 20, "no named group", id="no group"
        ),
    ],
)
def test_refusal(text: str, code: str, position: int, told: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)

    error = caught.value
    assert error.code == f"expression.{code}"
    assert error.position == position
    assert told in str(error)


def test_refusal_counts_lines_and_columns_from_one() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse('Join(",",\n  [a],\n  Lowr([b]))')

    error = caught.value
    assert (error.line, error.column) == (3, 3)
    assert str(error) == 'There is no function "Lowr" (line 3, column 3). Did you mean ToLower?'


def test_longest_expression() -> None:
    assert len(parse(f'"{"a" * 9_998}"').print()) == 10_000

    with pytest.raises(ExpressionError, match="more than 10000") as caught:
        parse(f'"{"a" * 9_999}"')

    assert caught.value.code == "expression.tooLong"


@pytest.mark.parametrize(
    "nested",
    [
        pytest.param(lambda depth: "Trim(" * depth + "[a]" + ")" * depth, id="calls"),
        pytest.param(lambda depth: "NOT (" * depth + "[a]" + ")" * depth, id="negations"),
        pytest.param(lambda depth: '"b" & (' * depth + "[a]" + ")" * depth, id="concatenations"),
        pytest.param(lambda depth: "1 = (" * depth + "[a]" + ")" * depth, id="comparisons"),
    ],
)
def test_deepest_expression(nested: Callable[[int], str]) -> None:
    """Everything that walks an expression stays far from Python's recursion limit."""
    deepest = parse(nested(63))

    assert parse(deepest.print()) == deepest
    assert evaluate(deepest.print(), {"a": True}) is not None
    with pytest.raises(ExpressionError, match="more than 64 deep"):
        parse(nested(64))


def test_thousands_of_parentheses_are_no_depth() -> None:
    assert parse("(" * 4_000 + "[a]" + ")" * 4_000) == parse("[a]")


def test_a_long_chain_is_not_deep() -> None:
    expression = parse(" & ".join(["[a]"] * 1_600))

    assert evaluate(expression.print(), {"a": "x"}) == "x" * 1_600


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        pytest.param("[mail] & [surname]", {"mail", "surname"}, id="plain"),
        pytest.param(
            "[extensionAttribute3]", {"onPremisesExtensionAttributes"}, id="as Entra says"
        ),
        pytest.param(
            "[onPremisesExtensionAttributes.extensionAttribute3]",
            {"onPremisesExtensionAttributes"},
            id="as Graph says",
        ),
        pytest.param("[objectId]", {"id"}, id="object id"),
        pytest.param("[telephoneNumber]", {"businessPhones"}, id="telephone"),
        pytest.param("[dirSyncEnabled]", {"onPremisesSyncEnabled"}, id="synchronised"),
        pytest.param("[immutableId]", {"onPremisesImmutableId"}, id="anchor"),
        pytest.param("[originalUserPrincipalName]", {"userPrincipalName"}, id="guest's name"),
        pytest.param("[manager.displayName]", {"manager"}, id="inside an object"),
        pytest.param(
            "[extension_0123456789abcdef0123456789abcdef_costCenter]",
            {"extension_0123456789abcdef0123456789abcdef_costCenter"},
            id="directory extension",
        ),
        pytest.param("Guid()", {"id"}, id="generated from the object id"),
        pytest.param('"a"', set(), id="none"),
    ],
)
def test_attributes_to_select(text: str, attributes: set[str]) -> None:
    assert parse(text).attributes == attributes


def test_groups_are_told_in_lower_case() -> None:
    group = "AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee"

    expression = parse(f'InGroup("{group}") OR InGroup("{GROUP}")')

    assert expression.groups == {group.lower(), GROUP}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("[a]", (False, False, False), id="plain"),
        pytest.param("Trim(Now())", (True, False, False), id="time"),
        pytest.param("SelectUniqueValue([a], [b])", (False, True, False), id="taken"),
        pytest.param('"x" & Redact([a])', (False, False, True), id="redacted"),
    ],
)
def test_what_a_run_has_to_know(text: str, told: tuple[bool, bool, bool]) -> None:
    expression = parse(text)

    assert (expression.uses_time, expression.uses_taken, expression.redacts) == told


def test_signals_come_back_as_they_are() -> None:
    assert evaluate("IgnoreAttributeFlow") is IGNORE_ATTRIBUTE
    assert evaluate('Switch([a], IgnoreObjectFlow, "b", 1)') is IGNORE_OBJECT
    assert evaluate("IgnoreFlowIfNullOrEmpty(IIF(True, IgnoreObjectFlow, 1))") is IGNORE_OBJECT


def test_importing_costs_no_parser() -> None:
    """A cold start without expressions must not pay for them."""
    code = "import sys, sync_core.domain.expressions\nassert 'lark' not in sys.modules"

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_names_are_told_as_they_are_written() -> None:
    assert parse("[manager] & [manager.mail] & [objectId]").names == {
        "manager", "manager.mail", "objectId",
    }  # fmt: skip

r"""Replace and its patterns: .NET's meaning, RE2's speed, and a sentence for what cannot be."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.expressions import EvaluationError, ExpressionError, parse, regexes
from sync_core.domain.expressions.dialect import PatternProblem
from sync_core.domain.expressions.regexes import compiled
from tests.unit.domain.expressions.evaluation import evaluate


def replaced(pattern: str, source: str, new: str = "") -> object:
    """Replace with a pattern, spelled as it reaches the engine."""
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return evaluate(f'Replace([a], , "{escaped}", , [new], , )', {"a": source, "new": new})


@pytest.mark.parametrize(
    ("pattern", "source", "left"),
    [
        pytest.param(r"\d", "1٣a", "a", id="digits of all scripts"),
        pytest.param(r"\D", "1٣a", "1٣", id="no digits"),
        pytest.param(r"\w", "Zoë_9-!", "-!", id="letters of all scripts"),
        pytest.param(r"\W", "Zoë_9-!", "Zoë_9", id="no letters"),
        pytest.param(r"\s", "a\u00a0\tb\u2003\x85c", "abc", id="all white space"),
        pytest.param(r"\S", "a\u00a0b", "\u00a0", id="no white space"),
        pytest.param(r"[\w]", "Zoë-", "-", id="letters in a class"),
        pytest.param(r"[\W]", "Zoë-№½", "Zoë", id="no letters in a class"),
        pytest.param(r"[\W\d]+", "Zoë-1 ", "Zoë", id="no letters and digits"),
        pytest.param(r"[^\w]", "Zoë-1 ", "Zoë1", id="a class turned round"),
        pytest.param(r"[\D]", "1a", "1", id="no digits in a class"),
        pytest.param(r"[\s]", "a\u00a0b", "ab", id="white space in a class"),
        pytest.param(r"[\S]", "a\u00a0é\x01", "\u00a0", id="no white space in a class"),
        pytest.param(r"[\w-.]", "a-b.c!", "!", id="a hyphen behind a shorthand"),
        pytest.param(r"[a-c]", "abcd", "d", id="a range"),
        pytest.param(r"[]a]", "a]b", "b", id="a bracket first in its class"),
        pytest.param(r"[^]a]", "a]b", "a]", id="and in a class turned round"),
        pytest.param(r"[[:a]", "[:ab", "b", id="no POSIX classes in .NET"),
        pytest.param(r"[\b]", "a\x08b", "ab", id="backspace in a class"),
        pytest.param(r"\Aa|a\z|a\Z", "abaa", "ba", id="both ends"),
        pytest.param(r"\u0061|\x62|\t|\e|\cA", "ab\t\x1b\x01c", "c", id="codes"),
        pytest.param(r"\p{Lu}", "aBÉ", "a", id="category"),
        pytest.param(r"\P{L}", "a1", "a", id="no category"),
        pytest.param(r"\-\ \<\€", "- <€x", "x", id="escaped signs"),
        pytest.param(r"(?i)A", "aA", "", id="flag"),
        pytest.param(r"(?i:A)b", "abAbAB", "AB", id="flag of a group"),
        pytest.param(r"(?-i)A", "aA", "a", id="flag off"),
        pytest.param(r"(?:a|b)+?", "abc", "c", id="group without number, lazy"),
        pytest.param("(.)*$", "abc", "", id="an empty match at the end"),
        pytest.param("é", "éa", "a", id="letters as they are"),
    ],
)
def test_pattern_means_what_it_means_in_dotnet(pattern: str, source: str, left: str) -> None:
    assert replaced(pattern, source) == left


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        pytest.param(r"(?=a)", "look-ahead", id="look-ahead"),
        pytest.param(r"(?!a)", "look-ahead", id="negative look-ahead"),
        pytest.param(r"(?<=a)", "look-behind", id="look-behind"),
        pytest.param(r"(?<!a)", "look-behind", id="negative look-behind"),
        pytest.param(r"(?>a)", "atomic", id="atomic group"),
        pytest.param(r"(?(a)b|c)", "condition", id="conditional group"),
        pytest.param(r"(?#a)", "comment", id="comment"),
        pytest.param(r"(a)\1", "back-reference", id="back-reference"),
        pytest.param(r"(?<n>a)\k<n>", "back-reference", id="named back-reference"),
        pytest.param(r"\Ga", r"\G", id="other escape"),
        pytest.param(r"\_", r"\_", id="escaped underscore"),
        pytest.param("a\\", "not known", id="a backslash at the end"),
        pytest.param(r"(?n)a", "(?n)", id="flag of .NET only"),
        pytest.param(r"(?<1>a)", "(?<1", id="numbered group"),
        pytest.param(r"(?<a-b>a)", "(?<a", id="balancing group"),
        pytest.param(r"[a-z-[aeiou]]", "subtracts", id="subtraction"),
        pytest.param("[a", "not closed", id="class not closed"),
        pytest.param("(a", "not valid", id="group not closed"),
        pytest.param("a{1001}", "not valid", id="too often"),
        pytest.param(r"(?s)a.\b", r"[\s\S]", id="a dot for line ends beside a boundary"),
        pytest.param(r"[\D]\b", "[^...]", id="a class of no digits beside a boundary"),
        pytest.param(r"(\w{1,30}){30}", "too large", id="large"),
        pytest.param(
            "." * 50 + "{1000}" * 1 + ".{1000}" * 8, "too large", id="large when compiled"
        ),
        pytest.param(r"\w" * 400, "too large", id="many classes"),
        pytest.param(r"\p{IsGreek}", "not valid", id="block of characters"),
        pytest.param("\ud800", "surrogate", id="half a character"),
    ],
)
def test_pattern_that_is_refused(pattern: str, told: str) -> None:
    escaped = pattern.replace("\\", "\\\\")

    with pytest.raises(ExpressionError) as caught:
        parse(f'Replace([a], , "{escaped}", , "")')

    assert caught.value.code == "expression.pattern"
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "new", "result"),
    [
        pytest.param("(b)(c)", "$2$1", "acbd", id="numbers"),
        pytest.param("(b)(c)", "${2}${1}", "acbd", id="numbers in braces"),
        pytest.param("(?<x>b)(c)", "$1", "acd", id="groups without a name count first"),
        pytest.param("(?<x>b)(c)", "$2", "abd", id="then those with one"),
        pytest.param("(?<x>b)(c)", "$+", "abd", id="the last of them"),
        pytest.param("(?'x'b)c", "<${x}>", "a<b>d", id="name between apostrophes"),
        pytest.param("(?P<x>b)c", "<${x}>", "a<b>d", id="name as in other engines"),
        pytest.param("bc", "$0$&", "abcbcd", id="the match"),
        pytest.param("bc", "$$", "a$d", id="a dollar"),
        pytest.param("bc", "$`|$'|$_", "aa|d|abcdd", id="before, behind, all"),
        pytest.param("bc", "$9 ${no} $", "a$9 ${no} $d", id="no such group stays as typed"),
        pytest.param("bc", "$123456789012", "a$123456789012d", id="a huge number"),
        pytest.param("(x)?bc", "[$1]", "a[]d", id="a group that took no part"),
        pytest.param("x*", "-", "-a-b-c-d-", id="empty matches"),
    ],
)
def test_replacement(pattern: str, new: str, result: str) -> None:
    assert replaced(pattern, "abcd", new) == result


@pytest.mark.parametrize(
    ("pattern", "source", "new", "result"),
    [
        pytest.param(r"\bMüller\b", "Müller, Müllerin", "x", "x, Müllerin", id="a word"),
        pytest.param(r"\bller\b", "Müller", "x", "Müller", id="ü is a letter"),
        pytest.param(r"\b", "Zoë 李", "|", "|Zoë| |李|", id="the boundaries alone"),
        pytest.param(r"\B", "ab c-", "|", "a|b c-|", id="every other place"),
        pytest.param(r"\b\w+\b|\b \b", "a b", "x", "xxx", id="both sides of one boundary"),
        pytest.param(r"^\b|\b$", "ab", "|", "|ab|", id="at the ends of the text"),
        pytest.param(r"\A\b|\b\z", "ab", "|", "|ab|", id="at its ends, otherwise spelled"),
        pytest.param(r"\ba\b\W*\b", "a b", "x", "xb", id="boundaries beside each other"),
        pytest.param(r"a\b.*\b", "a", "x", "x", id="two at one place"),
        pytest.param(r"\b(?<g>\w)", "ab cd", "<$1>", "<a>b <c>d", id="a group behind it"),
        pytest.param(r"(\b.)", "ab", "$1$1", "aab", id="a group around it"),
        pytest.param(r"\b[^x]{2}", "abc", "-", "-c", id="a class turned round, counted"),
        pytest.param(r"\b\P{L}\W\D\S", "7-+a", "x", "x", id="none of them a mark"),
        pytest.param(r"\bå\.\{", "å.{", "x", "x", id="signs as they are"),
        pytest.param(r"[\b]", "a\x08", "x", "ax", id="a backspace in a class"),
        pytest.param(r"(?:|\b)", "ab", "-", "-a-b-", id="nothing, or a boundary"),
        pytest.param(r"(?:|\b)", "é日", "-", "-é-日-", id="and in letters of several bytes"),
        pytest.param(
            r"\b\w", "\ufdf2 \ufdf2", "x", "x x", id="letters beside the marks in Unicode"
        ),
        pytest.param("a\u200d?\\bb", "a\u200db", "x", "a\u200db", id="a joiner is no boundary"),
    ],
)
def test_a_word_boundary_knows_all_scripts(
    pattern: str, source: str, new: str, result: str
) -> None:
    assert replaced(pattern, source, new) == result


@given(
    st.lists(
        st.sampled_from([r"\b", r"\B", "a", "é", r"\w", r"\W*", "-", ".", "a*", "(?:b|)"]),
        max_size=5,
    ),
    st.text("aéb -", min_size=1, max_size=6),
)
def test_boundaries_are_where_another_engine_sees_them(parts: list[str], text: str) -> None:
    """Of an empty text, Python says that it has no place inside a word, .NET that it has one."""
    pattern = "".join(parts)

    assert compiled(pattern).searcher()(text) is (re.search(pattern, text) is not None)


@given(
    st.lists(st.sampled_from([r"\b", r"\B", "a", "é", r"\w+", "-", "."]), min_size=1, max_size=4),
    st.text("aé -", min_size=1, max_size=6),
)
def test_and_replace_the_same(parts: list[str], text: str) -> None:
    pattern = "".join(parts)

    assert replaced(pattern, text, "<$&>") == re.sub(pattern, r"<\g<0>>", text)


def test_a_pattern_says_for_which_text_it_is_too_large() -> None:
    """Before: this took 8 s, and one of 9 KB 45 s, during which the process did nothing else."""
    large = "(a?){1000}" * 5

    assert replaced(large, "a" * 1000) == ""
    with pytest.raises(EvaluationError, match=r"may take [0-9]+ bytes") as caught:
        replaced(large, "a" * 4000)
    assert caught.value.code == "evaluation.patternTooLarge"


def test_a_pattern_that_is_refused_is_refused_at_once() -> None:
    began = time.process_time()
    for pattern in (r"(\w{1,30}){30}x", r"\w" * 4000, "|".join([r"\w{1,100}"] * 800)):
        with pytest.raises(PatternProblem, match="too large"):
            compiled(pattern)

    assert time.process_time() - began < 1.5


def test_the_patterns_of_one_expression_are_weighed_together() -> None:
    one = 'Replace([a], , "\\\\w{{1,{}}}", , "")'
    few, many = (", ".join(one.format(count) for count in range(20, last)) for last in (23, 27))

    parse(f"Join({few})")
    parse(f'IIF([a] = "x" AND NOT [b] = "y", Join({few}), "z" & [c])')
    with pytest.raises(ExpressionError, match="too large together"):
        parse(f"Join({many})")


@pytest.mark.parametrize("boundary", ["", r"\b"])
def test_matches_go_on_only_while_there_is_time(boundary: str) -> None:
    asked = []

    def twice() -> None:
        asked.append(1)
        if len(asked) > 2:
            raise EvaluationError("evaluation.outOfTime", "It takes too long")

    with pytest.raises(EvaluationError, match="too long"):
        regexes.replaced(compiled(f"{boundary}a"), "a a a a", [b"x"], twice)


def test_empty_matches_keep_characters_whole() -> None:
    """RE2 sees bytes: between the two of an é there is nothing."""
    assert replaced("x*", "é日", "-") == "-é-日-"


def test_half_a_character_becomes_the_replacement_character() -> None:
    assert replaced("x", "a\ud800x") == "a\ufffd"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param('"(?<x>b)|c", "x", "-"', "a-cd", id="only what the group matched"),
        pytest.param('"(b)", "1", "-"', "a-cd", id="group by number"),
        pytest.param('"(?<x>[bc])", "x", "$0"', "a$0$0d", id="a dollar is a dollar"),
    ],
)
def test_group_is_replaced(arguments: str, expected: str) -> None:
    assert evaluate(f"Replace([a], , {arguments})", {"a": "abcd"}) == expected


@pytest.mark.parametrize(
    ("source", "other", "expected"),
    [
        pytest.param("", "x42", "42", id="from the other"),
        pytest.param(None, "x42", "42", id="null, too"),
        pytest.param("1", "x42", "1", id="the source has a value"),
        pytest.param("", "x", None, id="no match"),
        pytest.param("", "y", None, id="the group took no part"),
        pytest.param("", None, None, id="no other"),
    ],
)
def test_value_from_another_attribute(
    source: str | None, other: str | None, expected: str | None
) -> None:
    text = 'Replace([a], , "x(?<n>[0-9]+)|y", "n", , [b])'

    assert evaluate(text, {"a": source, "b": other}) == expected


def test_plain_replacement_is_case_sensitive_and_knows_no_pattern() -> None:
    assert evaluate('Replace("a.A.", ".", , , "$0")') == "a$0A$0"
    assert evaluate('Replace("aA", "A", , , "")') == "a"
    assert evaluate('Replace("aA", "", , , "x")') == "aA"


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        pytest.param('Replace([a], "x", , , [a])', "x" * 1_000, id="plain"),
        pytest.param('Replace([a], "x", , , , , [a])', "x" * 1_000, id="template"),
        pytest.param('Replace([a], , "x", , [a])', "x" * 1_000, id="pattern"),
        pytest.param('Replace([a], , "x(?<g>)", "g", [a])', "x" * 1_000, id="group"),
        pytest.param("[a] & [a]", "x" * 20_000, id="concatenation"),
        pytest.param("Append([a], [a])", "x" * 20_000, id="append"),
        pytest.param('Join("", [a], [a])', "x" * 20_000, id="join"),
        pytest.param("ConvertToBase64([a])", "x" * 20_000, id="base64"),
        pytest.param("ConvertToUTF8Hex([a])", "x" * 20_000, id="hexadecimal"),
        pytest.param("NormalizeDiacritics([a])", "ß" * 20_000, id="diacritics"),
        pytest.param('Replace([a], , "^x", , "")', "x" * 5_000, id="source of a pattern"),
    ],
)
def test_results_do_not_grow_without_end(expression: str, source: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        evaluate(expression, {"a": source})

    assert caught.value.code == "evaluation.textTooLong"


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(a+)+$", id="nested repetition"),
        pytest.param("(a|a)*b", id="alternatives"),
        pytest.param("(a*b)?", id="tried at every character"),
        pytest.param("(.*)(.*)(.*)(.*)x", id="many stars"),
    ],
)
def test_no_pattern_hangs(pattern: str) -> None:
    """Engines that go back and try again need longer than the universe for some of these."""
    started = time.monotonic()

    replaced(pattern, "a" * 4_000 + "!", "b")

    assert time.monotonic() - started < 60

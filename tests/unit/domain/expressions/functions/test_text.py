"""Functions on text: the edges that the reference's examples do not show."""

import pytest

from tests.unit.domain.expressions.evaluation import evaluate

# The table of NormalizeDiacritics, letter by letter, small and capital. From
# learn.microsoft.com/entra/identity/app-provisioning/functions-for-customizing-application-data
DIACRITICS = {
    "a": "ä, à, â, ã, å, á, ą, ă, ā, ā́, ā̀, ā̂, ā̃, ǟ, ā̈, ǡ, a̱, å̄",
    "A": "Ä, À, Â, Ã, Å, Á, Ą, Ă, Ā, Ā́, Ā̀, Ā̂, Ā̃, Ǟ, Ā̈, Ǡ, A̱, Å̄",
    "ae": "æ, ǣ",
    "AE": "Æ, Ǣ",
    "c": "ç, č, ć, c̄, c̱",
    "C": "Ç, Č, Ć, C̄, C̱",
    "d": "ď, d̄, ḏ",
    "D": "Ď, D̄, Ḏ",
    "e": "ë, è, é, ê, ę, ě, ė, ē, ḗ, ḕ, ē̂, ē̃, ê̄, e̱, ë̄, e̊̄",
    "E": "Ë, È, É, Ê, Ę, Ě, Ė, Ē, Ḗ, Ḕ, Ē̂, Ē̃, Ê̄, E̱, Ë̄, E̊̄",
    "g": "ğ, ḡ, g̱",
    "G": "Ğ, Ḡ, G̱",
    "i": "ï, î, ì, í, ı, ī, ī́, ī̀, ī̂, ī̃, i̱",
    "I": "Ï, Î, Ì, Í, İ, Ī, Ī́, Ī̀, Ī̂, Ī̃, I̱",
    "l": "ľ, ł, l̄, ḹ, ḻ",
    "L": "Ł, Ľ, L̄, Ḹ, Ḻ",
    "n": "ñ, ń, ň, n̄, ṉ",
    "N": "Ñ, Ń, Ň, N̄, Ṉ",
    "o": "ö, ò, ő, õ, ô, ó, ō, ṓ, ṑ, ō̂, ō̃, ȫ, ō̈, ǭ, ȭ, ȱ, o̱",
    "O": "Ö, Ò, Ő, Õ, Ô, Ó, Ō, Ṓ, Ṑ, Ō̂, Ō̃, Ȫ, Ō̈, Ǭ, Ȭ, Ȱ, O̱",
    "oe": "ø, ø̄, œ̄",
    "OE": "Ø, Ø̄, Œ̄",
    "r": "ř, r̄, ṟ, ṝ",
    "R": "Ř, R̄, Ṟ, Ṝ",
    "ss": "ß",
    "s": "š, ś, ș, ş, s̄, s̱",
    "S": "Š, Ś, Ș, Ş, S̄, S̱",
    "t": "ť, ț, t̄, ṯ",
    "T": "Ť, Ț, T̄, Ṯ",
    "u": "ü, ù, û, ú, ů, ű, ū, ū́, ū̀, ū̂, ū̃, u̇̄, ǖ, ṻ, ṳ̄, u̱",
    "U": "Ü, Ù, Û, Ú, Ů, Ű, Ū, Ū́, Ū̀, Ū̂, Ū̃, U̇̄, Ǖ, Ṻ, Ṳ̄, U̱",
    "y": "ÿ, ý, ȳ, ȳ́, ȳ̀, ȳ̃, y̱",
    "Y": "Ÿ, Ý, Ȳ, Ȳ́, Ȳ̀, Ȳ̃, Y̱",
    "z": "ź, ž, ż, z̄, ẕ",
    "Z": "Ź, Ž, Ż, Z̄, Ẕ",
}


@pytest.mark.parametrize(("plain", "letters"), DIACRITICS.items(), ids=DIACRITICS)
def test_table_of_diacritics(plain: str, letters: str) -> None:
    result = evaluate("NormalizeDiacritics([a])", {"a": letters})

    assert result == ", ".join([plain] * len(letters.split(", ")))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        pytest.param("Nguyễn Thị Hòa", "Nguyen Thi Hoa", id="letters beyond the table"),
        pytest.param("Лев Толстой", "Лев Толстой", id="Cyrillic stays"),
        pytest.param("日本 é", "日本 e", id="Japanese stays"),
        pytest.param("đ þ ŋ", "đ þ ŋ", id="letters that have no mark stay"),
        pytest.param("\u0301a", "\u0301a", id="a mark on nothing stays"),
        pytest.param("и\u0306", "и\u0306", id="a mark on another letter stays"),
        pytest.param("plain", "plain", id="ASCII stays"),
    ],
)
def test_other_characters(text: str, plain: str) -> None:
    assert evaluate("NormalizeDiacritics([a])", {"a": text}) == plain


@pytest.mark.parametrize(
    ("expression", "text", "expected"),
    [
        pytest.param("ToUpper([a])", "straße", "STRAßE", id="sharp s has no upper case in .NET"),
        pytest.param("ToLower([a])", "ÉΣ", "éσ", id="no final sigma"),
        pytest.param("ToLower([a])", "İI", "İi", id="invariant leaves the dotted capital"),
        pytest.param("ToUpper([a])", "ıi", "ıI", id="invariant leaves the dotless letter"),
        pytest.param('ToLower([a], "en-US")', "İI", "ii", id="a culture has it lowered"),
        pytest.param('ToUpper([a], "en-US")', "ıi", "II", id="a culture has it raised"),
        pytest.param('ToLower([a], "tr-TR")', "İI", "iı", id="Turkish lower"),
        pytest.param('ToUpper([a], "tr-TR")', "ıi", "Iİ", id="Turkish upper"),
        pytest.param('ToUpper([a], "az")', "i", "İ", id="Azerbaijani upper"),
        pytest.param(
            "PCase([a])", "mary-ann o'CONNOR_smith", "Mary-Ann O'connor_Smith", id="words"
        ),
        pytest.param("PCase([a])", "3RD ßtreet", "3Rd ßtreet", id="digits begin no word"),
        pytest.param("PCase([a])", "ÉLODIE", "Élodie", id="accents"),
        pytest.param('PCase([a], " ")', "mary-ann SMITH", "Mary-ann Smith", id="only blanks"),
        pytest.param('PCase([a], "")', "MARY ANN", "Mary ann", id="no separators"),
        pytest.param("Left([a], 0)", "abc", "", id="none of it"),
        pytest.param("Left([a], -1)", "abc", "abc", id="all of it"),
        pytest.param("Left([a], 9)", "abc", "abc", id="more than there is"),
        pytest.param('Left([a], "2")', "abc", "ab", id="a number as text"),
        pytest.param("Mid([a], 2)", "abc", "bc", id="to the end"),
        pytest.param("Mid([a], 9, 1)", "abc", "", id="behind the end"),
        pytest.param('Mid([a], "1", "2")', "abc", "ab", id="numbers as text"),
        pytest.param('Word([a], 0, " ")', "a b", "", id="no word 0"),
        pytest.param('Word([a], 3, " ")', "a b", "", id="too few words"),
        pytest.param('Word([a], 2, " ,")', "a, , b", "b", id="delimiters in a row"),
        pytest.param('Word([a], 1, "")', "a b", "a b", id="no delimiters"),
        pytest.param('InStr([a], "x")', "abc", 0, id="not found"),
        pytest.param('InStr([a], "B", 1, vbTextCompare)', "abc", 2, id="any case"),
        pytest.param('InStr([a], "B", 1, vbBinaryCompare)', "abc", 0, id="same case"),
        pytest.param('InStr([a], "a", 2)', "abca", 4, id="from the second"),
        pytest.param('InStr([a], "a", -5)', "abc", 1, id="from before the first"),
        pytest.param('InStr([a], "", 2)', "abc", 2, id="nothing is found at once"),
        pytest.param("StripSpaces([a])", "a\tb c", "a\tbc", id="only spaces"),
        pytest.param("Trim([a])", "\u00a0a b\n", "a b", id="all white space"),
        pytest.param("DNComponent([a], 1)", "CN=Doe\\, Ada,OU=x", "Doe, Ada", id="escaped comma"),
        pytest.param("DNComponent([a], 2)", "CN=a,OU=Z\\C3\\BCrich", "Zürich", id="escaped bytes"),
        pytest.param("DNComponent([a], 1)", "CN=a\\", "a\\", id="a backslash at the end"),
        pytest.param("DNComponent([a], 3)", "CN=a,OU=b", None, id="no such component"),
        pytest.param("DNComponent([a], 0)", "CN=a,OU=b", None, id="no component 0"),
        pytest.param("Not([a])", "TRUE", "False", id="any case of True"),
        pytest.param("Not([a])", "maybe", "True", id="anything else"),
        pytest.param("Not([a])", True, "False", id="truth itself"),
        pytest.param('Join("", [a], [a])', 7, "77", id="numbers are joined as text"),
        pytest.param("ConvertToUTF8Hex([a])", "é", "C3A9", id="two bytes"),
        pytest.param("ConvertToUTF8Hex([a])", "\ud800", "EFBFBD", id="half a character"),
        pytest.param("ConvertToBase64([a])", "\ud800", "ANg=", id="half a character in UTF-16"),
        pytest.param("ConvertFromBase64([a], ASCII)", "SGk=", "Hi", id="ASCII"),
        pytest.param('ConvertFromBase64([a], "UTF8")', "w6k=", "é", id="encoding in quotes"),
        pytest.param("StringFromSid([a])", "S-1-5-18", "S-1-5-18", id="printed already"),
        pytest.param(
            "StringFromSid([a])",
            [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0],
            "S-1-5-32-544",
            id="bytes",
        ),
        pytest.param("StringFromSid([a])", [], None, id="no bytes"),
    ],
)
def test_text_function(expression: str, text: object, expected: object) -> None:
    assert evaluate(expression, {"a": text}) == expected

"""Text of a file: what somebody typed is what arrives, and a hostile text is refused early."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.formats import text as config_text
from sync_core.domain.formats.text import (
    MAX_DEPTH,
    MAX_REPEATED,
    MAX_VALUES,
    Unreadable,
    from_json,
    from_yaml,
    to_json,
    to_yaml,
)

PARSERS = [
    pytest.param(yaml.CSafeLoader, id="libyaml"),
    pytest.param(yaml.SafeLoader, id="without libyaml"),
]

# Any text that UTF-8 can carry.
texts = st.text(st.characters(codec="utf-8"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.text("0123456789.:_-+exoENOnfalsetrue~", max_size=6)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_text, "LOADER", request.param)


def value_of(text: str) -> Any:
    return from_yaml(f"value: {text}\n".encode())["value"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("NO", id="Norway"),
        pytest.param("yes", id="yes"),
        pytest.param("off", id="off"),
        pytest.param("y", id="y"),
        pytest.param("2027-01-31", id="date"),
        pytest.param("2027-01-31T12:00:00Z", id="time"),
        pytest.param("0755", id="leading zero"),
        pytest.param("007", id="employee number"),
        pytest.param("0o17", id="octal"),
        pytest.param("0x1F", id="hexadecimal"),
        pytest.param("0b11", id="binary"),
        pytest.param("12:30", id="sexagesimal"),
        pytest.param("1_000", id="underscore"),
        pytest.param("+49", id="plus"),
        pytest.param(".5", id="no digit before the point"),
        pytest.param("5.", id="no digit after the point"),
        pytest.param("1.2.3", id="version"),
        pytest.param(".inf", id="infinity"),
        pytest.param(".nan", id="not a number"),
        pytest.param("1e", id="unfinished exponent"),
        pytest.param("=", id="value of YAML 1.1"),
        pytest.param("nUll", id="no spelling of null"),
        pytest.param("<<", id="merge as a value"),
    ],
)
def test_what_only_yaml_1_1_takes_for_something_else_stays_text(text: str) -> None:
    assert value_of(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("9223372036854775807", 2**63 - 1),
        ('"12"', "12"),
        ("'true'", "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("!!seq [1]", [1]),
        ("!!map {a: b}", {"a": "b"}),
        ("[]", []),
        ("{}", {}),
        ("|\n  one\n  two", "one\ntwo\n"),
        (">\n  one\n  two", "one two\n"),
        (r'"\u00fc\t"', "ü\t"),
        ("東京 🙂", "東京 🙂"),
    ],
)
def test_what_json_has_is_read(parser: None, text: str, expected: object) -> None:
    value = value_of(text)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("text", ["NO", "null", "12", "2027-01-31"])
def test_the_name_of_a_field_is_always_text(text: str) -> None:
    assert from_yaml(f"{text}: 1".encode()) == {text: 1}


def test_an_empty_text_holds_nothing() -> None:
    assert from_yaml(b"# only a comment\n") is None


def test_the_mark_that_windows_editors_put_first_is_no_part_of_the_text() -> None:
    assert from_yaml(b"\xef\xbb\xbfa: 1\n") == {"a": 1}
    assert from_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_an_alias_repeats_a_whole_value() -> None:
    text = b"one: &it {a: [1, 2]}\ntwo: *it\nthree: &word x\nfour: *word\n"
    expected = {"a": [1, 2]}

    assert from_yaml(text) == {"one": expected, "two": expected, "three": "x", "four": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", "'a' stands twice", id="name twice"),
        pytest.param("a: 1\n'a': 3\n", "line 2, column 1", id="name twice, once quoted"),
        pytest.param("a:\n  - b: 1\n    c: 2\n    b: 3\n", "line 4, column 5", id="deep inside"),
        pytest.param("a: b: c\n", "line 1, column 5", id="two colons"),
        pytest.param("a: [1\n", "(line ", id="unclosed list"),
        pytest.param("a: 'x\n", "(line ", id="unclosed quote"),
        pytest.param("a:\n\t- b\n", "line 2, column 1", id="tab"),
        pytest.param("a: *b\n", "no whole value before it (line 1, column 4)", id="alias of none"),
        pytest.param("a: &a [*a]\n", "no whole value before it", id="alias of itself"),
        pytest.param("<<: {a: 1}\n", "<< is not part of YAML 1.2", id="merge"),
        pytest.param("[a]: 1\n", "name of a field has to be text", id="list for a name"),
        pytest.param("*a : 1\n", "name of a field has to be text", id="alias for a name"),
        pytest.param("a: !!python/object:os.system x\n", "tag", id="python object"),
        pytest.param("a: !!python/object/apply:os.system [x]\n", "tag", id="python call"),
        pytest.param("a: !!binary eA==\n", "tag", id="binary"),
        pytest.param("a: !!int '1'\n", "tag", id="forced number"),
        pytest.param("a: !!set {x}\n", "tag", id="set"),
        pytest.param("a: !x {}\n", "tag '!x' is not known here", id="own tag"),
        pytest.param("a: 1\n---\nb: 2\n", "more than one document (line 2", id="two documents"),
        pytest.param("a: 1e999\n", "the number is too large", id="infinite"),
        pytest.param(f"a: {'9' * 5000}\n", "the number is too large", id="thousands of digits"),
        pytest.param('a: "\\ud800"\n', "line 1", id="half a character"),
        pytest.param("ab: 1\nc: \x07\n", "control character (line 2, column 4)", id="control"),
        pytest.param("%YAML 3.0\n---\na: 1\n", "incompatible", id="version to come"),
        pytest.param("[" * 100_000, "nested deeper", id="lists in lists"),
        pytest.param("{a: " * 100_000, "nested deeper", id="objects in objects"),
        pytest.param("- " * 100_000, "nested deeper", id="dashes"),
    ],
)
def test_what_is_no_usable_yaml_is_told_with_its_place(
    parser: None, text: str, expected: str
) -> None:
    with pytest.raises(Unreadable) as caught:
        from_yaml(text.encode())

    assert caught.value.code == "config.invalidYaml"
    assert caught.value.status == 400
    assert expected in caught.value.message


def test_other_encodings_are_refused_with_their_place() -> None:
    with pytest.raises(Unreadable, match=r"not UTF-8 \(line 2, column 5\)"):
        from_yaml("a: ä\nb: Z".encode() + "ü".encode("latin-1"))


def test_aliases_of_aliases_are_counted_before_they_grow() -> None:
    """Nine lists of nine aliases each would be a billion values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    with pytest.raises(Unreadable, match=f"more than {MAX_VALUES} values"):
        from_yaml("\n".join(lines).encode())


@pytest.mark.parametrize(
    "anchored",
    [
        pytest.param(f"&a {'x' * 300_000}", id="a long text"),
        pytest.param("&a {? " + "x" * 300_000 + " : 1}", id="a long name of a field"),
        pytest.param(f"&a [{'x' * 150_000}, {{b: {'y' * 150_000}}}]", id="texts inside"),
    ],
)
def test_what_aliases_repeat_is_counted_in_characters(parser: None, anchored: str) -> None:
    """Before: 300 KB and 2,000 aliases were 600 MB."""
    few, many = (f"a: {anchored}\nb: [{', '.join(['*a'] * times)}]" for times in (3, 2_000))

    assert len(from_yaml(few.encode())["b"]) == 3
    with pytest.raises(Unreadable, match=f"repeat more than {MAX_REPEATED} characters"):
        from_yaml(many.encode())


def test_aliases_do_not_go_deeper_than_what_is_written_out() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_DEPTH + 1)]

    with pytest.raises(Unreadable, match=f"deeper than {MAX_DEPTH} levels"):
        from_yaml("\n".join(lines).encode())


@pytest.mark.parametrize(
    ("levels", "accepted"),
    [
        pytest.param(MAX_DEPTH, True, id="as deep as allowed"),
        pytest.param(MAX_DEPTH + 1, False, id="one deeper"),
    ],
)
def test_depth_is_the_same_for_both(parser: None, *, levels: int, accepted: bool) -> None:
    text = b"[" * levels + b"1" + b"]" * levels
    for read in (from_yaml, from_json):
        if accepted:
            assert read(text) == json.loads(text)
        else:
            with pytest.raises(Unreadable, match=f"deeper than {MAX_DEPTH} levels"):
                read(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"a": 1,\n "b" 2}', "line 2, column 6", id="no colon"),
        pytest.param('{"a": {"b": 1, "b": 2}}', "'b' stands twice", id="name twice"),
        pytest.param('{"a": NaN}', "line 1", id="not a number"),
        pytest.param("", "line 1", id="empty"),
        pytest.param('{"a": "\\ud800"}', "line 1", id="half a character"),
        pytest.param("[" * 100_000, "(line 1", id="far too deep"),
    ],
)
def test_what_is_no_usable_json_is_told_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(Unreadable) as caught:
        from_json(text.encode())

    assert caught.value.code == "config.invalidJson"
    assert expected in caught.value.message


@given(documents)
def test_what_is_written_is_read_again(document: Any) -> None:
    for written in (from_yaml(to_yaml(document).encode()), from_json(to_json(document).encode())):
        assert json.dumps(written) == json.dumps(document)


@given(st.dictionaries(texts, scalars.filter(lambda one: not isinstance(one, float)), max_size=4))
def test_readers_of_yaml_1_1_read_the_same(document: dict[str, Any]) -> None:
    """Editors and pipelines of administrators mostly read the old version."""
    assert yaml.safe_load(to_yaml(document)) == document


@given(st.text() | st.text("&*!|>{}[],:?-#%@\"'\n \tab~<", max_size=40))
def test_a_text_is_read_or_refused_and_never_breaks_the_reader(text: str) -> None:
    body = text.encode("utf-8", "surrogatepass")
    for read in (from_yaml, from_json):
        try:
            json.dumps(read(body))
        except Unreadable as error:
            assert error.status == 400  # noqa: PT017 -- most texts are readable


@pytest.mark.parametrize(
    "text", ["NO", "007", "0o17", "0x1F", "1e3", "2027-01-31", "12:30", "null", "~", "5.", "1_000"]
)
def test_text_that_a_reader_could_misread_is_quoted(text: str) -> None:
    assert to_yaml({"a": text}) == f"a: '{text}'\n"


def test_lines_are_kept_as_lines() -> None:
    """Differences between two versions of a file are then read line by line."""
    assert to_yaml({"a": "one\ntwo\n", "b": "x" * 200}) == (f"a: |\n  one\n  two\nb: {'x' * 200}\n")


def test_a_value_that_is_used_twice_is_written_twice() -> None:
    same = {"x": "y"}

    assert to_yaml({"a": same, "b": same}) == "a:\n  x: y\nb:\n  x: y\n"

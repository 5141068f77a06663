r"""Regular expressions of .NET, spelled for RE2, which needs no backtracking.

The patterns of Entra are .NET's. `\w`, `\d` and `\s` know all of Unicode there and only ASCII in RE2, so they
are spelled out. So does the word boundary `\b`, which RE2 cannot be told: marks stand for it, put into
the text wherever .NET sees a boundary, and everything else of the pattern steps over them. What cannot
be done without backtracking (look-around, back-references) is refused.
learn.microsoft.com/dotnet/standard/base-types/regular-expression-language-quick-reference and
github.com/google/re2/wiki/Syntax
"""

import re
from dataclasses import dataclass

# A boundary, and a place between two letters that is none: noncharacters, which no text is meant to hold
# (unicode.org/versions/latest, section 23.7).
BOUNDARY, INNER = "\ufdd0", "\ufdd1"
MARKS = r"\x{FDD0}\x{FDD1}"
ANY_MARKS = f"[{MARKS}]*"

WORD = r"\p{L}\p{Mn}\p{Nd}\p{Pc}"
SPACE = r"\t-\r\x{85}\p{Z}"
# Inside a class there is no way to say "not one of these", so the rest is listed.
NOT_WORD = r"\p{Mc}\p{Me}\p{Nl}\p{No}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}\p{S}\p{Z}\p{C}"
NOT_SPACE = r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}\x00-\x08\x0E-\x1F\x7F-\x84\x86-\x9F"
DIGIT = r"\p{Nd}"
# To \b, and only to it, the two joiners are parts of a word as well: RegexCharClass.IsBoundaryWordChar of
# github.com/dotnet/runtime.
IN_A_WORD = rf"[{WORD}\x{{200C}}\x{{200D}}]+"
OF_CLASS = {"d": DIGIT, "w": WORD, "s": SPACE}
INSIDE = OF_CLASS | {"D": r"\P{Nd}", "W": NOT_WORD, "S": NOT_SPACE, "b": r"\x08"}
ENDS = {"A": r"\A", "z": r"\z", "Z": r"\z"}
CONTROLS = {"a": 7, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "e": 27}

# The last two of a line each are RE2's own: .NET does not know them, and patterns of scopes were RE2's once.
CODE = re.compile(r"u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|c([A-Za-z])|x\{([0-9A-Fa-f]{1,6})\}")
CATEGORY = re.compile(r"[pP](?:\{[^{}]*\}|[CLMNPSZ])")
NAMED = re.compile(r"\(\?(?:P?<([A-Za-z_][A-Za-z0-9_]*)>|'([A-Za-z_][A-Za-z0-9_]*)')")
FLAGS = re.compile(r"\(\?(?:[ims]*-)?[ims]*[:)]")
REPETITION = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")

BACKTRACKING = "which needs backtracking; here no pattern may take ever longer for bad luck"
REFUSED_GROUPS = {
    "(?=": ("look-ahead", "Test the other condition in a clause or an IIF of its own."),
    "(?!": (
        "look-ahead",
        "Test the other condition with NOT REGEX MATCH, or in an IIF of its own.",
    ),
    "(?<=": (
        "look-behind",
        "Match what stands before it as well, and keep it with a group and $1.",
    ),
    "(?<!": (
        "look-behind",
        "Match what stands before it as well, and keep it with a group and $1.",
    ),
    "(?>": ("an atomic group", "Write (?:...) instead."),
    "(?(": ("a condition inside the pattern", "Write both cases, with | between them."),
}


class PatternProblem(ValueError):
    """A pattern that cannot be used; the message says why, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A pattern as RE2 takes it. With `boundaries`, texts have to be marked: so often at each place."""

    text: str
    boundaries: int = 0
    inner: bool = False


def translated(pattern: str) -> Spelling:
    """Spell a .NET pattern for RE2; raises `PatternProblem`."""
    plain = _Translation(pattern, marked=False)
    text = plain.spelled()
    if not plain.boundaries:
        return Spelling(text)
    # Two \b may stand at the same place, as in `\b\w*\b` before an empty word; each takes a mark.
    text = _Translation(pattern, marked=True).spelled()
    return Spelling(text, plain.boundaries + 2, inner=plain.inner)


def marked(text: str, spans: "list[tuple[int, int]]", spelling: Spelling) -> str:
    """Put the marks into a text; `spans` are its words."""
    edges = {edge for span in spans for edge in span}
    boundary = BOUNDARY * spelling.boundaries
    inner = INNER * spelling.boundaries if spelling.inner else ""
    places = range(len(text) + 1)
    pieces = ((boundary if place in edges else inner) + text[place : place + 1] for place in places)
    return "".join(pieces)


def unmarked(text: str) -> str:
    return text.replace(BOUNDARY, "").replace(INNER, "")


class _Translation:
    """One pattern on its way to RE2; `marked` for a text with marks, over which every letter steps."""

    def __init__(self, pattern: str, *, marked: bool) -> None:
        self._pattern = pattern
        self._marked = marked
        self.boundaries = 0
        self.inner = False

    def spelled(self) -> str:
        pattern, pieces, position = self._pattern, [], 0
        while position < len(pattern):
            character = pattern[position]
            if character == "\\":
                piece, position = self._escape(position + 1)
            elif character == "[":
                piece, position = self._class(position + 1)
            elif pattern.startswith("(?", position):
                piece, position = self._group(position)
            else:
                piece, position = self._plain(position)
            pieces.append(piece)
        return "".join(pieces)

    def _letter(self, piece: str) -> str:
        """Spell something that takes a letter of the text."""
        return f"(?:{ANY_MARKS}{piece})" if self._marked else piece

    def _plain(self, position: int) -> tuple[str, int]:
        character = self._pattern[position]
        if not self._marked:
            return character, position + 1
        if repetition := REPETITION.match(self._pattern, position):
            return repetition[0], repetition.end()
        if character in "()|*+?":
            return character, position + 1
        if character == "^":
            return f"(?:^{ANY_MARKS})", position + 1
        if character == "$":
            return f"(?:{ANY_MARKS}$)", position + 1
        piece = rf"[^\n{MARKS}]" if character == "." else _literal(character)
        return self._letter(piece), position + 1

    def _escape(self, position: int) -> tuple[str, int]:
        """Translate what follows a backslash outside of a class."""
        character = self._pattern[position : position + 1]
        if character in {"b", "B"}:
            return self._boundary(character), position + 1
        if character in ENDS:
            end = ENDS[character]
            marks = f"{end}{ANY_MARKS}" if character == "A" else f"{ANY_MARKS}{end}"
            return f"(?:{marks})" if self._marked else end, position + 1
        hidden = MARKS if self._marked else ""
        if character in OF_CLASS:
            return self._letter(f"[{OF_CLASS[character]}]"), position + 1
        if character.lower() in OF_CLASS:
            return self._letter(f"[^{OF_CLASS[character.lower()]}{hidden}]"), position + 1
        piece, end_of_piece = _escaped(self._pattern, position)
        if hidden and piece.startswith(r"\P"):
            piece = rf"[^\p{piece[2:]}{hidden}]"
        return self._letter(piece), end_of_piece

    def _boundary(self, character: str) -> str:
        self.boundaries += 1
        self.inner = self.inner or character == "B"
        return rf"\x{{{ord(BOUNDARY if character == 'b' else INNER):X}}}+"

    def _class(self, position: int) -> tuple[str, int]:
        """Translate a class of characters, from behind its opening bracket."""
        pattern, pieces = self._pattern, ["["]
        turned = pattern.startswith("^", position)
        if turned:
            pieces.append("^")
            position += 1
        first = position
        while position < len(pattern):
            character = pattern[position]
            if character == "]" and position > first:
                hidden = MARKS if self._marked and turned else ""
                return self._letter("".join([*pieces, hidden, "]"])), position + 1
            if pattern.startswith("-[", position):
                raise PatternProblem(
                    "The pattern subtracts one class from another ([a-z-[aeiou]]). List the letters that "
                    "are left."
                )
            if character == "\\":
                piece, position = _inside(pattern, position + 1)
                self._check_turned(piece, turned=turned)
            else:
                # A hyphen behind a shorthand such as \w is just a hyphen.
                after_shorthand = character == "-" and pieces[-1] in INSIDE.values()
                piece = f"\\{character}" if character in "[]" or after_shorthand else character
                position += 1
            pieces.append(piece)
        raise PatternProblem("A [ in the pattern is not closed")

    def _check_turned(self, piece: str, *, turned: bool) -> None:
        if self._marked and not turned and piece.startswith(r"\P"):
            raise PatternProblem(
                r"The pattern uses \D or \P inside of a class, and \b. Write the class as [^...], or leave "
                r"out \b."
            )

    def _group(self, position: int) -> tuple[str, int]:
        """Translate the opening of a group, from its `(?`."""
        pattern = self._pattern
        for opening, (name, remedy) in REFUSED_GROUPS.items():
            if pattern.startswith(opening, position):
                raise PatternProblem(
                    f"The pattern uses {name} ({opening}...), {BACKTRACKING}. {remedy}"
                )
        if pattern.startswith("(?#", position):
            raise PatternProblem("The pattern uses a comment (?#...). Leave it out.")
        if found := NAMED.match(pattern, position):
            return f"(?P<{found[1] or found[2]}>", found.end()
        found = FLAGS.match(pattern, position)
        if found is None:
            shown = pattern[position : position + 4]
            raise PatternProblem(f"The pattern uses {shown}, which is not known here")
        if self._marked and "s" in found[0]:
            raise PatternProblem(
                r"The pattern uses (?s) and \b. Write [\s\S] for a dot that takes line ends, or leave out \b."
            )
        return found[0], found.end()


def _inside(pattern: str, position: int) -> tuple[str, int]:
    """Translate what follows a backslash in a class."""
    character = pattern[position : position + 1]
    if character in INSIDE:
        return INSIDE[character], position + 1
    return _escaped(pattern, position)


def _escaped(pattern: str, position: int) -> tuple[str, int]:
    """Translate what follows a backslash, the same inside of a class and outside."""
    character = pattern[position : position + 1]
    if character in CONTROLS:
        return rf"\x{{{CONTROLS[character]:X}}}", position + 1
    if found := CODE.match(pattern, position):
        return rf"\x{{{_code(found):X}}}", found.end()
    if found := CATEGORY.match(pattern, position):
        return f"\\{found[0]}", found.end()
    if character in set("123456789k"):
        raise PatternProblem(
            f"The pattern uses a back-reference (\\{character}), {BACKTRACKING}. Compare the two parts in "
            "a condition instead."
        )
    if not character or character.isalnum() or character == "_":
        raise PatternProblem(f"The pattern uses \\{character}, which is not known here")
    return _literal(character), position + 1


def _code(found: re.Match[str]) -> int:
    if found[3]:
        return ord(found[3].upper()) - 64
    return int(found[1] or found[2] or found[4], 16)


def _literal(character: str) -> str:
    punctuation = character.isascii() and character.isprintable() and not character.isalnum()
    return f"\\{character}" if punctuation and character not in " _" else character

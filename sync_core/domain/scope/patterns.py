"""Patterns in a scope: as `Replace` takes them, and as an earlier release read those it stored. Pure."""

import re
from collections.abc import Callable

import re2

from sync_core.domain.documents.scope import Operator, Scope
from sync_core.domain.expressions.dialect import PatternProblem
from sync_core.domain.expressions.regexes import MAX_PROGRAMS, compiled

IsIn = Callable[[str], bool]

BY_PATTERN = frozenset({Operator.REGEX_MATCH, Operator.NOT_REGEX_MATCH})
TOO_LARGE_TOGETHER = (
    f"the patterns of the scope are too large together (more than {MAX_PROGRAMS} instructions); use fewer of "
    "them, or repeat classes such as \\w less often"
)
# What RE2 and .NET read differently: classes of ASCII letters, word boundaries, POSIX classes, \\Q...\\E.
READ_OTHERWISE = re.compile(r"\\[wWdDsSbBQC]|\[:|\(\?[a-zA-Z]*U")
# Without this, RE2 writes what an administrator typed to stderr.
QUIET = re2.Options()
QUIET.log_errors = False


def searched(pattern: str) -> IsIn:
    """Return the test whether a pattern is in a text; raises `ValueError` for one that cannot be used."""
    try:
        return compiled(pattern).searcher()
    except PatternProblem as problem:
        msg = f"not a usable regular expression: {problem}"
        raise ValueError(msg) from problem


def searched_as_before(pattern: str) -> IsIn:
    """Return the test as the first releases made it for scopes: in RE2's own dialect, of ASCII letters."""
    search = re2.compile(pattern, QUIET).search
    return lambda text: search(text) is not None


def pattern_size(operator: Operator, pattern: str) -> int:
    """Return how much of the limit a clause takes."""
    return compiled(pattern).size if operator in BY_PATTERN else 0


def changed_patterns(scope: Scope) -> list[str]:
    """Name the clauses whose pattern this release reads in another way than the first did."""
    return [
        f"filters[{number}].clauses[{place}]"
        for number, one in enumerate(scope.filters)
        for place, clause in enumerate(one.clauses)
        if clause.operator in BY_PATTERN and READ_OTHERWISE.search(str(clause.value))
    ]

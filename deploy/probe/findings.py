"""What a probe found: one of three verdicts, and words for who reads them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether what is expected of the app is so."""

    OK = "ok"
    FAILS = "FAILS"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Finding:
    """One probe's result; `remedy` says what to do where it is not well."""

    name: str
    verdict: Verdict
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        lines = [f"{self.verdict:14}  {self.name}{': ' if self.detail else ''}{self.detail}"]
        return "\n".join([*lines, *([f"{'':16}{self.remedy}"] if self.remedy else [])])


def ok(name: str, detail: str = "") -> Finding:
    return Finding(name, Verdict.OK, detail)


def fails(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name, Verdict.FAILS, detail, remedy)


def unknown(name: str, detail: str, remedy: str = "") -> Finding:
    return Finding(name, Verdict.UNKNOWN, detail, remedy)


def show(findings: Iterable[Finding]) -> int:
    """Print findings as they come; return the exit code, 1 where something is not well."""
    code = 0
    for finding in findings:
        print(finding, flush=True)
        code = max(code, int(finding.verdict is Verdict.FAILS))
    return code

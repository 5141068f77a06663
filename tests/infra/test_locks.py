"""Every package is pinned with the hashes of its files, and installed only if they fit."""

import re

import pytest

from tests.infra.sources import ROOT

LOCKS = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-uv.txt",
    "tests/requirements-runtime.txt",
    "tests/infra/requirements-scanners.txt",
    "local/azurite/requirements-node.txt",
)
# Installed by programs, uv by one where there is no other; all others by the Makefile.
BY_PROGRAMS = {
    "requirements.txt",
    "tests/requirements-runtime.txt",
    "local/azurite/requirements-node.txt",
}
PROGRAMS = ("deploy/package.py", "local/azurite.py")
PIP = re.compile(r'"pip",\s+"install"')
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==\S+( ; [^\\]+)?( --hash=sha256:[0-9a-f]{64})+")
INSTALL = re.compile(r"pip install .*-r (\S+)")


def pins(name: str) -> list[str]:
    """Give each requirement of a lock file as one line, without comments."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(name: str) -> None:
    found = pins(name)

    assert found
    assert [one for one in found if not PIN.fullmatch(one)] == []


def test_what_ships_is_what_is_tested() -> None:
    shipped, tested = set(pins("requirements.txt")), set(pins("requirements-dev.txt"))

    assert shipped <= tested


def test_every_installation_checks_the_hashes() -> None:
    """Without the option a file without hashes would be installed as it comes."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    commands = [line for line in makefile.splitlines() if "pip install" in line]

    assert [one for one in commands if "--require-hashes" not in one] == []
    installed = [match[1] for one in commands if (match := INSTALL.search(one))]
    assert sorted(installed) == sorted({*LOCKS} - BY_PROGRAMS)


def test_every_program_that_installs_checks_the_hashes() -> None:
    programs = [
        path for name in ("deploy", "local", "tests") for path in (ROOT / name).rglob("*.py")
    ]
    texts = [one.read_text("utf-8") for one in programs]
    installing = [text for text in texts if PIP.search(text)]

    assert len(installing) == len(PROGRAMS), "a new one is named in PROGRAMS"
    assert [len(PIP.findall(text)) for text in installing] == [
        text.count('"--require-hashes"') for text in installing
    ]

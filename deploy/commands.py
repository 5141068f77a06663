"""The one door to the programs `azd` and `az`: a command in, what it wrote out."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.errors import DeployError

HOMES = {
    "azd": "learn.microsoft.com/azure/developer/azure-developer-cli/install-azd",
    "az": "learn.microsoft.com/cli/azure/install-azure-cli",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A command that has ended: its exit code, and everything that it wrote on the screen."""

    code: int
    text: str


class CommandFailed(DeployError):
    """A program ended with another code than 0; `text` is what it wrote of it."""

    def __init__(self, command: tuple[str, ...], text: str) -> None:
        super().__init__(
            f"`{' '.join(command)}` failed: {text.strip() or 'it wrote nothing'}",
            "Correct what it names, then run this again: nothing is done twice.",
        )
        self.text = text


def has(name: str) -> bool:
    """Whether a program is installed."""
    return shutil.which(name) is not None


def ask(*command: str) -> str:
    """Run a command and return what it answers; raises `CommandFailed` with what it complains of."""
    done = subprocess.run(_found(command), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(command, done.stderr or done.stdout)
    return done.stdout.strip()


def ask_json(*command: str) -> Any:
    """Run a command of `az` and return the document that it answers."""
    return json.loads(ask(*command, "--output", "json") or "null")


def show(*command: str, env: Mapping[str, str] | None = None) -> Shown:
    """Run a command, show what it writes as it comes, and keep it."""
    written: list[str] = []
    with subprocess.Popen(
        _found(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **(env or {})},
    ) as process:
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            written.append(line)
    return Shown(process.returncode, "".join(written))


def hand_over(*command: str) -> None:
    """Run a command that asks questions: it has the terminal to itself."""
    code = subprocess.run(_found(command), check=False).returncode
    if code != 0:
        raise CommandFailed(command, f"exit code {code}, see above")


def _found(command: tuple[str, ...]) -> list[str]:
    # On Windows az is a batch file, which is started by its whole name only.
    program = shutil.which(command[0])
    if program is None:
        raise DeployError(
            f"The program {command[0]} is not installed.",
            f"Install it ({HOMES.get(command[0], command[0])}) and open a new terminal.",
        )
    return [program, *command[1:]]

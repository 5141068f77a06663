"""Programs named `azd` and `az` on a PATH of their own: they answer by a table and note every call."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# In a process of its own each time, as the real ones are. The first rule whose words all stand in the
# command answers it; one with `times` steps aside afterwards.
SCRIPT = """#!{python} -S
import json, os, pathlib, sys
here = pathlib.Path(__file__).parent
command = [pathlib.Path(__file__).name, *sys.argv[1:]]
with (here / "calls.jsonl").open("a") as calls:
    noted = {{name: value for name, value in os.environ.items() if name.startswith("USERSYNC_")}}
    calls.write(json.dumps({{"command": command, "env": noted}}) + "\\n")
rules = json.loads((here / "rules.json").read_text())
for rule in rules:
    if set(rule["words"]) <= set(command) and rule["times"] != 0:
        rule["times"] -= 1
        (here / "rules.json").write_text(json.dumps(rules))
        print(rule["out"])
        print(rule["err"], file=sys.stderr)
        sys.exit(rule["code"])
sys.exit(f"{{command}} is in no rule")
"""


@dataclass
class Programs:
    """The folder on the PATH, the rules, and the environment of who calls."""

    folder: Path
    env: dict[str, str]
    _rules: list[dict[str, Any]] = field(default_factory=list)

    def install(self, *names: str) -> None:
        for name in names:
            program = self.folder / name
            program.write_text(SCRIPT.format(python=sys.executable))
            program.chmod(0o755)
        self._write()

    def answer(
        self, command: str, answer: object = "", *, code: int = 0, err: str = "", times: int = -1
    ) -> None:
        """Answer commands that have all of these words; a document is answered as JSON."""
        out = answer if isinstance(answer, str) else json.dumps(answer)
        rule = {"words": command.split(), "out": out, "err": err, "code": code, "times": times}
        self._rules.append(rule)
        self._write()

    def forget(self, command: str) -> None:
        """Answer a command no more, whatever the rules said."""
        self._rules = [one for one in self._rules if not set(command.split()) <= set(one["words"])]

    def azd_values(self, values: Mapping[str, str]) -> None:
        """Let azd know an environment."""
        lines = "\n".join(f'{name}="{value}"' for name, value in values.items())
        self.answer("azd env get-values", lines)

    def calls(self, name: str = "") -> list[str]:
        """Return every command of a program, in order."""
        return [
            " ".join(one["command"])
            for one in self.noted()
            if one["command"][0] == name or not name
        ]

    def noted(self) -> list[dict[str, Any]]:
        file = self.folder / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    def _write(self) -> None:
        (self.folder / "rules.json").write_text(json.dumps(self._rules))


def programs_in(folder: Path) -> Programs:
    """Make a folder for programs; what is installed on this machine is not on the PATH."""
    folder.mkdir(exist_ok=True)
    kept = {
        name: os.environ[name] for name in ("HOME", "LANG", "SSL_CERT_FILE") if name in os.environ
    }
    return Programs(folder, {**kept, "PATH": str(folder)})

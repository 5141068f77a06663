"""Microsoft's language service for Kusto: parses queries, and binds what they name to the columns of tables.

The very code of the query editor in the portal, as a package of npm that is pinned with its hash.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.azurite import install_packages, installed_node

FOLDER = Path(__file__).parent
NAME = "the language service of Kusto from npm"
PACKAGE = FOLDER / "node_modules" / "@kusto" / "language-service-next" / "package.json"

Columns = Mapping[str, str]


@dataclass(frozen=True)
class Bound:
    """What the service says of a query: what is wrong with it, and the columns that it returns."""

    errors: tuple[str, ...]
    columns: tuple[str, ...]


def install() -> None:
    """Install the service, if it is not there: `make` does it, and a test where nothing else did."""
    if not PACKAGE.exists():
        install_packages(FOLDER, NAME)


def bound(tables: Mapping[str, Columns], queries: Sequence[str]) -> list[Bound]:
    """Parse and bind queries over some tables; all in one process, as the service takes a second to start."""
    install()
    node = installed_node()
    done = subprocess.run(
        [str(node.node), "bind.js"],
        cwd=FOLDER,
        input=json.dumps({"tables": tables, "queries": queries}),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [Bound(tuple(one["errors"]), tuple(one["columns"])) for one in json.loads(done.stdout)]

"""Write what is made of the code and of the templates: after a change of either.

BICEP=PROGRAM python -m tests.infra
"""

import json
import sys

from tests.infra import app_lists, resource_page
from tests.infra.infrastructure import (
    DIGEST,
    FROM_CODE,
    SCENARIOS,
    Compiler,
    compiler,
    digest,
    kept,
    scenarios,
    text_of,
)


def from_code() -> str:
    """Return what the templates take from the code."""
    lists = {
        "tables": app_lists.tables(),
        "queues": app_lists.queues(),
        "excludedPaths": app_lists.excluded_paths(),
    }
    return json.dumps(lists, indent=2) + "\n"


def main() -> None:
    FROM_CODE.write_text(from_code(), encoding="utf-8")
    program = compiler()
    if program is None:
        sys.exit(
            "No Bicep compiler: set BICEP, or put one into the PATH. The snapshots are as before."
        )
    with Compiler(program) as bicep:
        for scenario in scenarios():
            made = bicep.snapshot(SCENARIOS / f"{scenario}.bicepparam")
            kept(scenario).write_text(text_of(made), encoding="utf-8")
    DIGEST.write_text(digest() + "\n", encoding="utf-8")
    resource_page.PAGE.write_text(resource_page.page(), encoding="utf-8")


if __name__ == "__main__":
    main()

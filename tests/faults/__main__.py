"""Run the complete matrix and write the page: `python -m tests.faults docs/faults.md`."""

import asyncio
import sys
from pathlib import Path

# First: aiohttp reads the certificates to trust when it is imported.
import tests.trust  # noqa: F401
from tests.faults.matrix import cases
from tests.faults.page import Outcomes, key, render
from tests.faults.stage import staged
from tests.faults.strikes import Kind
from tests.faults.trial import Observation, tried
from tests.system import Rig, running_rig


async def observe(rig: Rig) -> list[Observation]:
    """Try every case; raise at the first that breaks a promise."""
    seen = []
    for everyone in (True, False):
        with staged(rig, f"faults{int(everyone)}", everyone=everyone) as stage:
            for case in cases():
                if (case.kind is Kind.LIST) == everyone:
                    observation = await tried(stage, case)
                    print(f"{case.id}: {observation.outcome}", flush=True)  # noqa: T201
                    seen.append(observation)
    return seen


def main(page: Path) -> int:
    """Write the page of what is seen; 1 where it is not what is declared."""
    with running_rig() as rig:
        seen = asyncio.run(observe(rig))
    outcomes: Outcomes = {key(one.case): one.outcome for one in seen}
    page.write_text(render(outcomes, (one.sentence for one in seen if one.sentence is not None)))
    others = [one for one in seen if one.outcome != one.case.outcome]
    for one in others:
        print(f"Not as declared: {one.case.id}: {one.outcome}", file=sys.stderr)  # noqa: T201
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

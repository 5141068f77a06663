"""Hook of azd: fills build/app, which azd then zips as it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from deploy.hooks.steps import prepackage

sys.exit(prepackage())

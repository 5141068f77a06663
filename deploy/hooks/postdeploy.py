"""Hook of azd: looks from outside whether the app works, and whether a forged header is refused."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from deploy.hooks.steps import postdeploy

sys.exit(postdeploy())

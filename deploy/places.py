"""Where things lie in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "build" / "app"
"""What azd zips (`dist` in azure.yaml), what Core Tools start, what the loading tests load."""

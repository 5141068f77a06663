"""Where the files are that ship."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def shipped() -> list[Path]:
    return [ROOT / "function_app.py", *sorted((ROOT / "sync_core").rglob("*.py"))]

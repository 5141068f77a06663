"""What a preview shows, in the words of a run's plan."""

from typing import Any

from sync_core.runs.preview import Preview


def as_planned(found: Preview) -> list[dict[str, Any]]:
    """Return the changes of a preview as a run's plan has them."""
    shown = [one.to_json() for one in found.changes]
    for one in shown:
        del one["displayName"]
    return sorted(shown, key=lambda one: str(one["objectId"]))

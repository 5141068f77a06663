"""Values in, JSON responses out."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

from sync_core.domain.documents.base import Document


def json_answer(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON; documents anywhere in it are written as they go over the wire."""
    body = orjson.dumps(content, default=Document.to_json)
    return Response(body, status, dict(headers or {}), "application/json")

"""Settings of other programs over HTTP: an export in, parts of a connection out; writes nothing."""

import codecs
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request, Response
from pydantic import ValidationError

from sync_core.api.http.answers import json_answer
from sync_core.api.http.bodies import JSON, Body, limited_body, media_type
from sync_core.api.http.refusals import Malformed
from sync_core.api.shapes import BitwardenFilters
from sync_core.domain.errors import Invalid
from sync_core.domain.formats.bitwarden import import_filters
from sync_core.domain.formats.entra import import_schema
from sync_core.domain.formats.parts import Imported
from sync_core.domain.problems import document_problems

# A schema describes every attribute of both directories; those of large applications have some MB.
MAX_BYTES = 8 * 1024 * 1024


async def exported_json(request: Request) -> Any:
    """Read an export, which may be larger and deeper than any document of ours."""
    media_type(request, (JSON,))
    body = await limited_body(request, MAX_BYTES)
    try:
        return orjson.loads(body.removeprefix(codecs.BOM_UTF8))  # as PowerShell writes files
    except orjson.JSONDecodeError as error:
        raise Malformed(
            "request.malformed",
            f"The body is not JSON: {error}.",
            "Send the file as Entra gave it.",
        ) from error


Exported = Annotated[Any, Depends(exported_json)]


async def import_entra(exported: Exported) -> Response:
    """Translate a provisioning schema of Entra to scope, mapping and matching, ready for a connection."""
    return _parts(import_schema(exported))


async def import_bitwarden(body: Body) -> Response:
    """Translate filters of Bitwarden's Directory Connector to scope, mapping and matching."""
    try:
        asked = BitwardenFilters.model_validate(body, by_alias=True, by_name=False)
    except ValidationError as error:
        raise Invalid("The filters are not valid.", document_problems(error, body)) from None
    return _parts(import_filters(asked.user_filter, asked.group_filter or ""))


def _parts(taken: Imported) -> Response:
    return json_answer(
        {
            "scope": taken.scope,
            "mapping": taken.mapping,
            "matching": taken.matching,
            "notes": [{"path": one.path, "message": one.message} for one in taken.notes],
        }
    )

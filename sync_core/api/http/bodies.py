"""The body of a request: bytes in, one JSON object out, or 400, 413, 415, 422."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from pydantic import ValidationError

from sync_core.api.http.refusals import Malformed, TooLarge, WrongMediaType
from sync_core.domain.documents.base import Document
from sync_core.domain.errors import FieldProblem, Invalid
from sync_core.domain.problems import document_problems

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
YAML = "application/yaml"  # RFC 9512
# A stored connection has at most about 360,000 characters; written out with blanks it is longer.
MAX_BYTES = 2 * 1024 * 1024

# Many more than any document of ours; each unknown one is a problem of its own to find.
MAX_FIELDS = 1_000

JsonObject = dict[str, Any]
Read = TypeVar("Read", bound=Document)


async def json_object(request: Request) -> JsonObject:
    """Read a body that has to be a JSON object."""
    return _parsed(await _read(request, JSON))


async def json_object_if_any(request: Request) -> JsonObject:
    """Read a body that may be left out."""
    if not await request.body():
        return {}
    return await json_object(request)


async def merge_patch(request: Request) -> JsonObject:
    """Read a JSON merge patch (RFC 7396); plain JSON is taken as one, too."""
    return _parsed(await _read(request, MERGE_PATCH, JSON))


Body = Annotated[JsonObject, Depends(json_object)]
BodyIfAny = Annotated[JsonObject, Depends(json_object_if_any)]
Patch = Annotated[JsonObject, Depends(merge_patch)]


def document_of(model: type[Read], body: JsonObject) -> Read:
    """Read the body of a request as a document, or raise `Invalid` with each wrong field."""
    try:
        return model.model_validate(body, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = document_problems(error, body)
        raise Invalid("The request is not valid.", problems) from None


async def _read(request: Request, *accepted: str) -> bytes:
    media_type(request, accepted)
    return await limited_body(request, MAX_BYTES)


def media_type(request: Request, accepted: Sequence[str]) -> str:
    """Return what the body is sent as, if that is accepted; the first is the one to recommend."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in accepted:
        wanted = "YAML or JSON" if YAML in accepted else "JSON"
        # A page of another site can send forms and plain text in a signed-in person's name, JSON not.
        raise WrongMediaType(
            "request.mediaType",
            f"The body is sent as {kind or 'nothing named'}; it has to be {wanted}.",
            f"Send the header Content-Type: {accepted[0]}.",
            headers={"Accept-Patch" if MERGE_PATCH in accepted else "Accept": ", ".join(accepted)},
        )
    return kind


async def limited_body(request: Request, max_bytes: int) -> bytes:
    body = await request.body()
    if len(body) > max_bytes:
        raise TooLarge(
            "request.tooLarge",
            f"The body has {len(body)} bytes; at most {max_bytes} are taken.",
            "Send a smaller document.",
        )
    return body


def _parsed(body: bytes) -> JsonObject:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(
            "request.malformed", f"The body is not JSON: {error}.", "Correct it and send it again."
        ) from error
    if isinstance(document, dict) and len(document) > MAX_FIELDS:
        raise Invalid("The body has too many fields.", [FieldProblem("", "has too many fields")])
    if not isinstance(document, dict):
        raise Invalid(
            "The body has to be a JSON object.", [FieldProblem("", "has to be a JSON object")]
        )
    return document

"""Batches of table operations: the bytes of a changeset in, requests out, and the answer to them.

Only as `sync_core/store/wire.py` writes them: one changeset a batch, a body of a told length a part. Format:
learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from uuid import uuid4

import orjson

from benchmarks.rows import Refused, Unknown

BATCH = re.compile(r"multipart/mixed; boundary=(batch_[\w-]+)")
CHANGESET = re.compile(rb"\r\nContent-Type: multipart/mixed; boundary=(changeset_[\w-]+)")
REQUEST = re.compile(r"([A-Z]+) (\S+) HTTP/1\.1")
PART = {b"Content-Type: application/http", b"Content-Transfer-Encoding: binary"}


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch; names of headers are in small letters."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


def parts_of(content_type: str, content: bytes) -> list[Part]:
    """Return the requests of a batch in their order."""
    outer = BATCH.fullmatch(content_type)
    if outer is None:
        raise Unknown(f"a batch of the type {content_type}")
    mark = f"--{outer[1]}".encode()
    pieces = content.split(mark)
    if len(pieces) != 3 or pieces[0] or pieces[2] != b"--\r\n":
        raise Unknown("a batch of anything but one changeset")
    head, _, changes = pieces[1].partition(b"\r\n\r\n")
    inner = CHANGESET.fullmatch(head)
    if inner is None:
        raise Unknown(f"a changeset under {head!r}")
    first, *parts, last = changes.split(b"--" + inner[1])
    if first or last != b"--\r\n":
        raise Refused(400, "InvalidInput", "The changeset is not ended, or begins with something.")
    return [_part(part) for part in parts]


def _part(part: bytes) -> Part:
    outer, head, rest = part.removeprefix(b"\r\n").split(b"\r\n\r\n", 2)
    if not set(outer.split(b"\r\n")) >= PART:
        raise Unknown(f"a part of the type {outer!r}")
    first, *lines = head.decode().split("\r\n")
    request = REQUEST.fullmatch(first)
    if request is None:
        raise Refused(400, "InvalidInput", f"{first} is no request.")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers.get("content-length", 0))
    if rest[length:] != b"\r\n":
        raise Refused(400, "InvalidInput", "The body of a part is not as long as it says.")
    return Part(request[1], request[2], headers, rest[:length])


def error_body(refused: Refused) -> bytes:
    at = "" if refused.index is None else f"{refused.index}:"
    message = {"lang": "en-US", "value": f"{at}{refused.message}"}
    return orjson.dumps({"odata.error": {"code": refused.code, "message": message}})


def answer_to(result: Sequence[str | None] | Refused) -> tuple[str, bytes]:
    """Return type and body of the answer: a part for each operation, or one for what was refused."""
    batch, changeset = f"batchresponse_{uuid4()}", f"changesetresponse_{uuid4()}"
    if isinstance(result, Refused):
        kind = b"Content-Type: application/json;odata=minimalmetadata;charset=utf-8\r\n"
        parts = [_status(result.status) + kind + b"\r\n" + error_body(result)]
    else:
        etags = (b"" if etag is None else f"ETag: {etag}\r\n".encode() for etag in result)
        parts = [_status(204) + b"DataServiceVersion: 1.0;\r\n" + etag + b"\r\n" for etag in etags]
    mime = b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    body = b"".join(
        [
            f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n\r\n".encode(),
            *(f"--{changeset}\r\n".encode() + mime + part + b"\r\n" for part in parts),
            f"--{changeset}--\r\n--{batch}--\r\n".encode(),
        ]
    )
    return f"multipart/mixed; boundary={batch}", body


def _status(status: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        "X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n"
    ).encode()

"""A table service in memory for sizes at which Azurite gives up: ``python -m benchmarks.tables``.

It knows what `sync_core/store/wire.py` and the calls of azure-data-tables in `sync_core/store/` send during
runs, and nothing else: any other request is answered with 501 and told on a line of its own, and a benchmark
that sees such a line fails. So it cannot be kinder than Table Storage without anybody noticing. Signatures
are not checked: who reaches loopback is the benchmark. Prints where it listens, and runs until it is ended.

Protocol: learn.microsoft.com/rest/api/storageservices/table-service-rest-api.
"""

import asyncio
import base64
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from aiohttp import web

from benchmarks.changesets import Part, answer_to, error_body, parts_of
from benchmarks.rows import (
    TYPE,
    Account,
    Command,
    Condition,
    Entity,
    Refused,
    Unknown,
    etag_of,
    timestamp_of,
    values_of,
)
from local import loopback
from local.azurite import ACCOUNT

MAX_REQUEST_BYTES = 4 * 1024 * 1024
MAX_OPERATIONS = 100
PAGE = 1000
UNKNOWN_LINE = "not known to the table service:"
ROW = re.compile(r"(\w+)\(PartitionKey='((?:[^']|'')*)',RowKey='((?:[^']|'')*)'\)")
TABLE, QUERY = re.compile(r"(\w+)"), re.compile(r"(\w+)\(\)")
TERM = re.compile(r"(\w+) (eq|lt|le|gt|ge) '((?:[^']|'')*)'")
QUERY_OPTIONS = frozenset({"$filter", "$select", "$top", "NextPartitionKey", "NextRowKey"})
METADATA = {
    "application/json;odata=nometadata": "no",
    "application/json;odata=minimalmetadata": "minimal",
    "application/json;odata=fullmetadata": "full",
}
# Of a change the answer has no body; the SDK then accepts anything.
ANY_METADATA = "application/json"


class Service:
    """One account over HTTP."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._account = Account()
        self._told = told

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        try:
            response = self._answer(request, content)
        except Refused as refused:
            if isinstance(refused, Unknown):
                self._told(f"{UNKNOWN_LINE} {request.method} {request.raw_path}: {refused}")
            response = web.Response(
                status=refused.status,
                body=error_body(refused),
                headers={"x-ms-error-code": refused.code},
                content_type="application/json",
            )
        response.headers["x-ms-version"] = request.headers.get("x-ms-version", "")
        return response

    def _answer(self, request: web.Request, content: bytes) -> web.Response:
        if len(content) > MAX_REQUEST_BYTES:
            raise Refused(413, "RequestBodyTooLarge", "The request is larger than 4 MiB.")
        options = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
        method, path = request.method, _path(request.raw_path)
        if method == "POST" and path == "$batch" and not options:
            return self._batch(request, content)
        if path == "Tables" and not options:
            return self._table_names(request, content)
        if method == "GET" and (query := QUERY.fullmatch(path)):
            return self._query(query[1], options, _metadata(request))
        if method == "GET" and (row := ROW.fullmatch(path)) and not options:
            return self._point(row[1], _unquoted(row[2]), _unquoted(row[3]), _metadata(request))
        if options:
            raise Unknown(f"the options {sorted(options)}")
        headers = {name.lower(): value for name, value in request.headers.items()}
        return self._single(_command(Part(method, request.raw_path, headers, content)), request)

    def _table_names(self, request: web.Request, content: bytes) -> web.Response:
        if request.method == "GET":
            return _json({"value": [{"TableName": name} for name in self._account.names]})
        if request.method != "POST":
            raise Unknown("a change of a table")
        name = orjson.loads(content)["TableName"]
        self._account.make(name)
        return _json({"TableName": name}, status=201)

    def _batch(self, request: web.Request, content: bytes) -> web.Response:
        parts = parts_of(request.headers["Content-Type"], content)
        result: Sequence[str | None] | Refused
        try:
            commands = [_command(part) for part in parts]
            _check_batch(commands)
            result = self._account.change(commands)
        except Unknown:
            raise
        except Refused as refused:
            result = refused
        kind, body = answer_to(result)
        return web.Response(status=202, body=body, headers={"Content-Type": kind})

    def _single(self, command: Command, request: web.Request) -> web.Response:
        etag = self._account.change([command])[0]
        headers = {} if etag is None else {"ETag": etag}
        if command.is_insert and request.headers.get("Prefer") != "return-no-content":
            row = self._account.find(command.table, command.partition, command.row)
            keys = command.partition, command.row
            entity = shown(command.table, keys, row, _metadata(request))
            return _json(entity, status=201, headers=headers)
        return web.Response(status=204, headers=headers)

    def _point(self, table: str, partition: str, row: str, metadata: str) -> web.Response:
        found = self._account.find(table, partition, row)
        entity = shown(table, (partition, row), found, metadata)
        return _json(entity, headers={"ETag": etag_of(found)})

    def _query(self, table: str, options: dict[str, str], metadata: str) -> web.Response:
        if not options.keys() <= QUERY_OPTIONS:
            raise Unknown(f"the options {sorted(options.keys() - QUERY_OPTIONS)}")
        condition = condition_of(options.get("$filter", ""))
        top = int(options.get("$top", PAGE))
        if not 0 < top <= PAGE:
            raise Refused(400, "InvalidInput", "$top is not between 1 and 1000.")
        start = _key(options["NextRowKey"]) if "NextRowKey" in options else ""
        page, onward = self._account.query(table, condition, top=top, start=start)
        select = options["$select"].split(",") if "$select" in options else None
        of = condition.partition
        rows = [shown(table, (of, key), row, metadata, select) for key, row in page]
        headers = {}
        if onward is not None:
            headers["x-ms-continuation-NextPartitionKey"] = _token(condition.partition)
            headers["x-ms-continuation-NextRowKey"] = _token(onward)
        return _json({"value": rows}, headers=headers)


def condition_of(text: str) -> Condition:
    """Read a filter: one partition, bounds of its keys, and texts that other columns have to be."""
    partition: str | None = None
    low, high, equal = "", None, {}
    for term in text.split(" and "):
        found = TERM.fullmatch(term)
        if found is None:
            raise Unknown(f"the filter {text}")
        name, how, value = found[1], found[2], _unquoted(found[3])
        if name == "PartitionKey" and how == "eq" and partition is None:
            partition = value
        elif name == "RowKey" and how in ("ge", "gt"):
            # No key is between a key and the same with the least character behind it.
            low = max(low, value if how == "ge" else f"{value}\0")
        elif name == "RowKey" and how in ("lt", "le"):
            bound = value if how == "lt" else f"{value}\0"
            high = bound if high is None else min(high, bound)
        elif name not in ("PartitionKey", "RowKey", "Timestamp") and how == "eq":
            equal[name] = value
        else:
            raise Unknown(f"the filter {text}")
    if partition is None:
        raise Unknown(f"the filter {text}, which does not name a partition")
    return Condition(partition, low, high, equal)


def shown(
    table: str,
    keys: tuple[str, str],
    row: bytes,
    metadata: str,
    select: Sequence[str] | None = None,
) -> Entity:
    """Return a row as it is answered; a column that was asked for and that it does not have is null."""
    stored = values_of(row)
    own = {"PartitionKey": keys[0], "RowKey": keys[1], "Timestamp": timestamp_of(row)}
    if metadata == "no":
        columns = own | {name: value for name, value in stored.items() if TYPE not in name}
        return columns if select is None else {name: columns.get(name) for name in select}
    columns = own | stored
    if metadata == "full":
        columns[f"Timestamp{TYPE}"] = "Edm.DateTime"
    if select is not None:
        kinds = {name + TYPE: columns[name + TYPE] for name in select if name + TYPE in columns}
        columns = {name: columns.get(name) for name in select} | kinds
    about = {"odata.etag": etag_of(row)}
    if metadata == "full":
        about["odata.type"] = f"{ACCOUNT}.{table}"
    return about | columns


def _path(raw_path: str) -> str:
    """Return the decoded path below the account."""
    path = unquote(urlsplit(raw_path).path)
    start = f"/{ACCOUNT}/"
    if not path.startswith(start):
        raise Unknown(f"the path {path}")
    return path.removeprefix(start)


def _metadata(request: web.Request) -> str:
    accept = request.headers.get("Accept", "")
    if accept not in METADATA:
        raise Unknown(f"answers as {accept}")
    return METADATA[accept]


def _command(part: Part) -> Command:
    path = _path(part.url)
    if part.headers.get("accept") not in {*METADATA, ANY_METADATA}:
        raise Unknown(f"answers as {part.headers.get('accept')}")
    if "if-none-match" in part.headers:
        raise Unknown("If-None-Match")
    entity = orjson.loads(part.body) if part.body else {}
    if part.method == "POST" and (table := TABLE.fullmatch(path)):
        if not {"PartitionKey", "RowKey"} <= entity.keys():
            raise Refused(400, "PropertiesNeedValue", "The entity has no keys.")
        keys = entity["PartitionKey"], entity["RowKey"]
        return Command("POST", table[1], *keys, None, entity)
    row = ROW.fullmatch(path)
    if part.method not in ("PUT", "PATCH", "DELETE") or row is None:
        raise Unknown(f"{part.method} {path}")
    keys = _unquoted(row[2]), _unquoted(row[3])
    return Command(part.method, row[1], *keys, part.headers.get("if-match"), entity)


def _check_batch(commands: Sequence[Command]) -> None:
    if not 0 < len(commands) <= MAX_OPERATIONS:
        raise Refused(400, "InvalidInput", "A batch has between 1 and 100 operations.")
    if len({(one.table, one.partition) for one in commands}) > 1:
        code = "CommandsInBatchActOnDifferentPartitions"
        raise Refused(400, code, "The operations are of several partitions.")
    if len({one.row for one in commands}) < len(commands):
        raise Refused(400, "InvalidDuplicateRow", "The batch has two operations of one row.")


def _unquoted(text: str) -> str:
    return text.replace("''", "'")


def _token(key: str) -> str:
    """Return what names a key in a continuation: nothing that could be taken for the key itself."""
    return f"1!{len(key)}!{base64.b64encode(key.encode()).decode()}"


def _key(token: str) -> str:
    found = re.fullmatch(r"1!\d+!([A-Za-z0-9+/]*=*)", token)
    if found is None:
        raise Refused(400, "InvalidInput", "The continuation is none of this service's.")
    return base64.b64decode(found[1]).decode()


def _json(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(body),
        headers=headers,
        content_type="application/json",
    )


async def main() -> None:
    service = Service(lambda line: print(line, flush=True))
    # More than is allowed, so that what is too large is refused as Table Storage does.
    application = web.Application(client_max_size=4 * MAX_REQUEST_BYTES)
    application.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    bound = loopback.listen()
    await web.SockSite(runner, bound).start()
    print(f"ready at http://{loopback.HOST}:{loopback.port_of(bound)}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

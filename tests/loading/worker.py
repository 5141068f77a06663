"""A Functions worker in a process of its own: commands as JSON lines in, answers as JSON lines out.

It drives `azure-functions-runtime`, the library with which Azure's own Python worker indexes
`function_app.py`, decodes trigger data, calls a function and encodes what it returns. The library is
handed the classes of the gRPC messages as an argument, so plain objects do: no gRPC, no Functions
host. It keeps one app a process, and the environment has to be ready when the process starts.

    {"do": "load", "app": FOLDER}                                -> functions, modules, seconds
    {"do": "http", "function": NAME, "method", "url", "headers", "body", "route"}
    {"do": "timer", "function": NAME, "pastDue": false}
    {"do": "queue", "function": NAME, "body": TEXT}              -> status, headers, body (HTTP only)
    {"do": "flood", as http, "bodies": [...], "others": [...], "every": 100, "perSecond", "seconds"}
        -> statuses, slowest of the others in seconds, peak memory of the process in MiB

In a flood bodies are posted in turn, at a steady rate whatever the answers take; each so many-th is one of
the others.

An answer has "error" if the library reports a failure: an app it refuses, or a function that raised.
Modules are found in the folders that it is started with and nowhere else: in the package, as in Azure.
"""

import asyncio
import itertools
import json
import os
import resource
import sys
import time
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

sys.path[:0] = sys.argv[1:]

import azure_functions_runtime  # noqa: E402 -- found in one of these folders

Answer = dict[str, Any]


def peak_mib() -> float:
    """Return the most memory that this process has had.

    Where Linux tells it: `ru_maxrss` counts the process from which it was started, too (getrusage(2)).
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [one for one in status.read_text().splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) / (1 << 10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class Message:
    """Stands for any gRPC message: arguments become fields, a field that was not set reads as None."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        # Fields are lower case; the library probes for names of message classes, which we do not have.
        if name.startswith("__") or name[0].isupper():
            raise AttributeError(name)
        return None

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 -- protobuf's name
        return next((name for name, value in self.__dict__.items() if value is not None), None)


class BindingInfo(Message):
    """The direction of a binding; `in` is a keyword, so it is set below."""

    out, inout = 1, 2


setattr(BindingInfo, "in", 0)


class StatusResult(Message):
    """How a call ended."""

    Failure, Success, Cancelled = 0, 1, 2


class Protos:
    """The module of message classes: these two are looked into, the others only carry fields."""

    BindingInfo, StatusResult = BindingInfo, StatusResult

    def __getattr__(self, name: str) -> type[Message]:
        return Message


class RefusedError(Exception):
    """The library answered with a failure; the text is its own."""


class Worker:
    """The library and the app that it has loaded."""

    def __init__(self) -> None:
        self._runtime = azure_functions_runtime
        self._ids: dict[str, str] = {}
        self._triggers: dict[str, str] = {}

    async def do(self, command: dict[str, Any]) -> Answer:
        """Do one command."""
        match command["do"]:
            case "load":
                return await self._load(command["app"])
            case "http":
                return await self._http(command)
            case "flood":
                return await self._flood(command)
            case "timer":
                return await self._invoke(command["function"], {"json": json.dumps(_tick(command))})
            case "queue":
                data = {"string": command["body"]}
                metadata = _queue_metadata(command["deliveries"])
                return await self._invoke(command["function"], data, metadata)
            case other:
                raise ValueError(other)

    async def _load(self, app: str) -> Answer:
        sys.path.insert(0, app)
        self._runtime.start_threadpool_executor()
        began = time.perf_counter()
        request = Message(capabilities={}, function_app_directory=app)
        await self._ask(self._runtime.worker_init_request, worker_init_request=request)
        seconds = time.perf_counter() - began
        reply = await self._ask(self._runtime.functions_metadata_request)
        found = {
            function.name: [json.loads(binding) for binding in function.raw_bindings]
            for function in reply.function_metadata_results
        }
        self._ids = {one.name: one.function_id for one in reply.function_metadata_results}
        self._triggers = {name: _trigger(bindings) for name, bindings in found.items()}
        return {"functions": found, "modules": sorted(sys.modules), "seconds": seconds}

    async def _http(self, command: dict[str, Any]) -> Answer:
        # The host decodes the query once and lower-cases the names of headers.
        query = parse_qsl(urlsplit(command["url"]).query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in command["headers"].items()}
        request = Message(
            method=command["method"],
            url=command["url"],
            headers=headers,
            params=command["route"],
            query=dict(query),
            body=Message(bytes=command["body"].encode()),
        )
        return await self._invoke(command["function"], {"http": request})

    async def _flood(self, command: dict[str, Any]) -> Answer:
        loop, bodies = asyncio.get_running_loop(), itertools.cycle(command["bodies"])
        others, posted, began = iter(command["others"]), [], asyncio.get_running_loop().time()

        async def post(body: str) -> tuple[int, float]:
            """Post until it is taken or refused, as Graph does."""
            since = loop.time()
            while True:
                answer = await self._http(command | {"body": body})
                if answer["status"] != 503:
                    return answer["status"], loop.time() - since

        slow = []
        for number in range(command["perSecond"] * command["seconds"]):
            await asyncio.sleep(began + number / command["perSecond"] - loop.time())
            other = next(others, None) if number % command["every"] == 0 else None
            task = asyncio.create_task(post(other or next(bodies)))
            posted.append(task)
            slow += [task] if other else []
        answers = await asyncio.gather(*posted)
        return {
            "statuses": Counter(status for status, _ in answers),
            "slowest": max(took for _, took in await asyncio.gather(*slow)),
            "peakMib": peak_mib(),
            "seconds": loop.time() - began,
        }

    async def _invoke(
        self, name: str, data: dict[str, Any], metadata: dict[str, Message] | None = None
    ) -> Answer:
        trace = f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"
        binding = _Input(name=self._triggers[name], data=Message(**data))
        reply = await self._ask(
            self._runtime.invocation_request,
            invocation_request=Message(
                invocation_id=str(uuid.uuid4()),
                function_id=self._ids[name],
                input_data=[binding],
                trigger_metadata=metadata or {},
                trace_context=Message(trace_parent=trace, trace_state="", attributes={}),
                retry_context=Message(retry_count=0, max_retry_count=0),
            ),
        )
        returned = reply.return_value
        if returned is None or returned.http is None:
            return {}
        http = returned.http
        return {
            "status": int(http.status_code),
            "headers": {name.lower(): value for name, value in http.headers.items()},
            "body": (http.body.bytes or b"").decode(),
        }

    async def _ask(self, handler: Any, **content: Any) -> Any:
        properties = {"host": "127.0.0.1", "protos": Protos()}
        reply = await handler(SimpleNamespace(request=Message(**content), properties=properties))
        if reply.result.status != StatusResult.Success:
            told = reply.result.exception
            raise RefusedError(f"{told.message}\n{told.stack_trace}".strip())
        return reply


class _Input(Message):
    """One input; asked which of its fields holds the data."""

    def WhichOneof(self, _: str) -> str:  # noqa: N802 -- protobuf's name
        return "data"


def _trigger(bindings: list[dict[str, Any]]) -> str:
    return next(str(one["name"]) for one in bindings if one["type"].endswith("Trigger"))


def _tick(command: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "IsPastDue": command["pastDue"],
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": {"Last": now, "Next": now, "LastUpdated": now},
    }


def _queue_metadata(deliveries: int) -> dict[str, Message]:
    now = datetime.now(UTC)
    times = {
        "InsertionTime": now,
        "ExpirationTime": now + timedelta(days=7),
        "NextVisibleTime": now + timedelta(minutes=10),
    }
    texts = {name: moment.strftime("%Y-%m-%dT%H:%M:%S+00:00") for name, moment in times.items()}
    return {
        **{name: Message(json=json.dumps(text)) for name, text in texts.items()},
        "Id": Message(string=str(uuid.uuid4())),
        "PopReceipt": Message(string="receipt"),
        "DequeueCount": Message(json=str(deliveries)),
    }


async def serve() -> None:
    """Answer every line of standard input until it ends, all on one loop, as in Azure."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # What an app prints must not stand between the answers.
    sys.stdout = sys.stderr
    loop, worker = asyncio.get_running_loop(), Worker()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = await worker.do(json.loads(line))
        except RefusedError as refused:
            answer = {"error": str(refused)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(serve())

"""The worker process as tests use it: start it with settings, load the package, call its functions."""

import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from tests.loading.interpreters import Bare

ANSWER_TIMEOUT_S = 60


class WorkerError(RuntimeError):
    """The worker process ended or did not answer; the text is what it wrote last."""


class FunctionFailed(RuntimeError):
    """The worker library reports a failure: the host would try a queue message again."""


@dataclass(frozen=True)
class Loaded:
    """What loading the app tells: bindings by function, the modules that it took, and the time."""

    functions: dict[str, list[dict[str, Any]]]
    modules: frozenset[str]
    seconds: float


@dataclass(frozen=True)
class HttpAnswer:
    """What an HTTP function returned."""

    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Flooded:
    """How often each status was answered, the slowest of the others in seconds, and the peak of memory."""

    statuses: dict[int, int]
    slowest_s: float
    peak_mib: float
    seconds: float


class WorkerProcess:
    """One worker; one app a process."""

    def __init__(self, bare: Bare, env: Mapping[str, str], log: Path) -> None:
        self._log, self._package = log, bare.package
        with log.open("w") as stderr:
            self._process = subprocess.Popen(
                bare.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(env),
                cwd=log.parent,
                text=True,
                encoding="utf-8",
            )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def load(self, app: Path | None = None) -> Loaded:
        """Load the package, or an app that lies elsewhere."""
        answer = self._ask(do="load", app=str(app or self._package))
        return Loaded(answer["functions"], frozenset(answer["modules"]), answer["seconds"])

    def http(
        self,
        function: str,
        method: str,
        url: str,
        *,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        route: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Call an HTTP function; `route` holds what the host takes from the path."""
        answer = self._ask(
            do="http",
            function=function,
            method=method,
            url=f"http://localhost:7071{url}",
            body=body,
            headers=dict(headers or {}),
            route=dict(route or {}),
        )
        return HttpAnswer(**answer)

    def flood(
        self, function: str, url: str, bodies: list[str], others: list[str], *, seconds: int
    ) -> Flooded:
        """Post a thousand bodies a second, each hundredth of the others."""
        answer = self._ask(
            do="flood",
            function=function,
            method="POST",
            url=f"http://localhost:7071{url}",
            headers={"Content-Type": "application/json"},
            route={},
            bodies=bodies,
            others=others,
            every=100,
            perSecond=1_000,
            seconds=seconds,
            # A machine that is busy with other tests answers fewer than a thousand a second.
            within_s=ANSWER_TIMEOUT_S + 3 * seconds,
        )
        return Flooded(
            {int(status): count for status, count in answer["statuses"].items()},
            answer["slowest"],
            answer["peakMib"],
            answer["seconds"],
        )

    def timer(self, function: str, *, past_due: bool = False) -> None:
        self._ask(do="timer", function=function, pastDue=past_due)

    def queue(self, function: str, body: str, *, deliveries: int = 1) -> None:
        self._ask(do="queue", function=function, body=body, deliveries=deliveries)

    def memory_bytes(self) -> int:
        """What of the machine's memory is this process's alone or its share."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def log(self) -> str:
        """Give what the worker has written into its log."""
        return self._log.read_text(encoding="utf-8")

    def ask_to_end(self) -> None:
        """Send it SIGTERM, as the platform does, and do not wait."""
        self._process.terminate()

    def ended(self) -> int:
        """Wait for its end; give the exit code, negative for a signal."""
        return self._process.wait(ANSWER_TIMEOUT_S)

    def stop(self) -> None:
        """Close its input, which ends it."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, *, within_s: float = ANSWER_TIMEOUT_S, **command: Any) -> dict[str, Any]:
        if self._process.stdin is None:
            raise WorkerError("the worker has no input")
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
            line = self._answers.get(timeout=within_s)
        except (BrokenPipeError, queue.Empty):
            line = ""
        if not line:
            raise WorkerError(f"no answer to {command['do']}\n{self._log.read_text()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise FunctionFailed(answer["error"])
        return answer

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._answers.put(line)
        self._answers.put("")

"""What notifications cost and how long they take, with hosts and senders in processes of their own."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Noise, Realtime, Webhook
from benchmarks.sides import EVERYONE, in_a_process
from benchmarks.surroundings import REPOSITORY, Surroundings
from local.azurite import Azurite

PEOPLE, NOISY_PEOPLE = 20_000, 100_000
CHANGES, CHANGES_AN_HOUR = 200, 4_200
SECONDS = 60
WORKERS = 2


def notified(*, quick: bool) -> Realtime:
    """Measure changes, acknowledgements while workers are busy, and an hour of noise."""
    return Realtime(
        changes=_changes(20 if quick else CHANGES),
        busy=[
            _acknowledged(
                people=2_000 if quick else PEOPLE, seconds=5 if quick else SECONDS, own=own
            )
            for own in (True, False)
        ],
        noise=_noise(people=5_000 if quick else NOISY_PEOPLE, share=10 if quick else 1),
    )


def _changes(number: int) -> list[float]:
    with Surroundings(people=2_000) as around:
        task = {"what": "changes", "host": around.host(REPOSITORY), "number": number}
        found: dict[str, Any] = in_a_process(around.environment, "benchmarks.realtime", task)
    return list(found["seconds"])


def _acknowledged(*, people: int, seconds: int, own: bool) -> Webhook:
    """Measure the HTTP functions while two workers, in processes of their own, read the same tenant.

    Azurite does one thing at a time, so a batch of a hundred rows keeps every other request waiting; Azure
    has each partition served by itself. The workers have an Azurite of their `own`, or share the webhook's.
    """
    with ExitStack() as stack:
        around = stack.enter_context(Surroundings(people=people))
        environment = around.environment
        if own:
            storage = stack.enter_context(Azurite()).connection_string
            environment = environment | {"AzureWebJobsStorage": storage}
        host = stack.enter_context(http_host(around))
        stack.enter_context(_busy(environment))
        task = {"host": host, "perSecond": 100, "seconds": seconds, "changes": 0}
        result = in_a_process(around.environment, "benchmarks.webhook", task)
    return judged(f"{WORKERS} workers busy" + ("" if own else " in the same Azurite"), result)


@contextmanager
def _busy(environment: dict[str, str]) -> Iterator[None]:
    is_over = threading.Event()

    def work(number: int) -> None:
        task = {"connection": f"busy-{number}", "scope": EVERYONE, "mode": "full", "hoursAgo": 0}
        while not is_over.is_set():
            in_a_process(environment, "benchmarks.ours", task)
            task["scope"] = None

    workers = [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        is_over.set()
        for worker in workers:
            worker.join()


def _noise(*, people: int, share: int) -> Noise:
    """Measure an hour, or one part in `share` of it."""
    with Surroundings(people=people) as around:
        task = {"what": "noise", "changes": CHANGES_AN_HOUR // share, "seconds": 3600 // share}
        return Noise(people, **in_a_process(around.environment, "benchmarks.realtime", task))


@contextmanager
def http_host(around: Surroundings) -> Iterator[str]:
    """Run a host with the HTTP functions alone."""
    with TemporaryDirectory() as folder:
        shutil.copy(REPOSITORY / "benchmarks" / "http_functions.py", f"{folder}/function_app.py")
        shutil.copy(REPOSITORY / "host.json", folder)
        yield around.host(Path(folder))


def judged(where: str, result: dict[str, Any]) -> Webhook:
    return Webhook(
        where=where,
        milliseconds=result["milliseconds"],
        refused=result["refused"],
        lost=result["unknown"] - result["kept"],
        first_s=result["firstSeconds"],
        change_s=result.get("changeSeconds", []),
    )

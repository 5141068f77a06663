"""Queue functions over the local host and a real Azurite: retries, poison, parallel work, kills."""

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from local.azurite import Account, Azurite
from tests.rig.conftest import RunningHost, StartHost

SOURCE = """
@app.queue_trigger(arg_name="message", queue_name="%WORK%", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="out", queue_name="%WORK%-done", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage, out: func.Out[str]) -> None:
    body = message.get_body()
    note(began=body.decode("latin-1"), tries=message.dequeue_count, id=message.id,
         inserted=message.insertion_time.isoformat(), at=time.time())
    if body == b"fails":
        raise RuntimeError("as wanted")
    if body.startswith(b"takes"):
        await asyncio.sleep(float(body.split()[1]))
    note(ended=body.decode("latin-1"), at=time.time())
    out.set(body.decode("latin-1"))

@app.route(route="send", auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="out", queue_name="%WORK%-sent", connection="AzureWebJobsStorage")
def send(req: func.HttpRequest, out: func.Out[func.QueueMessage]) -> str:
    out.set(["one", "two"])
    return ""
"""
QUEUES = {"batchSize": 2, "newBatchThreshold": 1, "maxDequeueCount": 2}
HOST_JSON = {"extensions": {"queues": QUEUES | {"visibilityTimeout": "00:00:01"}}}


class Queue:
    def __init__(self, azurite: Azurite | Account, name: str) -> None:
        self._client = QueueClient.from_connection_string(azurite.connection_string, name)

    def send(self, body: bytes) -> None:
        self._client.send_message(base64.b64encode(body).decode())

    def send_raw(self, text: str) -> None:
        self._client.send_message(text)

    def texts(self) -> list[str]:
        return [m.content for m in self._client.peek_messages(max_messages=32)]

    def bodies(self) -> list[bytes]:
        return [base64.b64decode(text, validate=False) for text in self.texts()]

    def length(self) -> int | None:
        return self._client.get_queue_properties().approximate_message_count

    def close(self) -> None:
        self._client.close()


OpenQueue = Callable[[str], Queue]


@pytest.fixture
def queue(azurite: Azurite | Account) -> Iterator[OpenQueue]:
    opened: list[Queue] = []

    def open_queue(name: str) -> Queue:
        opened.append(Queue(azurite, name))
        return opened[-1]

    yield open_queue
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def host(start_host: StartHost) -> RunningHost:
    return start_host(SOURCE, HOST_JSON, WORK="work")


@pytest.fixture
def work(queue: OpenQueue, host: RunningHost) -> Queue:
    return queue("work")


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def began(host: RunningHost, body: str) -> list[dict[str, Any]]:
    return [n for n in host.noted() if n.get("began") == body]


def ended(host: RunningHost, body: str) -> bool:
    return any(n.get("ended") == body for n in host.noted())


def test_a_message_is_handled_once_and_soon(
    host: RunningHost, work: Queue, queue: OpenQueue
) -> None:
    time.sleep(1.5)  # long enough for the pauses between polls to have grown
    sent = time.time()
    work.send(b"at once")
    wait_until(lambda: ended(host, "at once"))
    wait_until(lambda: work.length() == 0)

    [first] = began(host, "at once")
    assert first["at"] - sent < 15
    assert first["tries"] == 1
    assert first["inserted"].endswith("+00:00")
    assert queue("work-done").bodies().count(b"at once") == 1


@pytest.mark.parametrize(
    "body",
    [pytest.param("größe".encode(), id="text"), pytest.param(b"\xff\x00\xfe", id="bytes")],
)
def test_the_body_arrives_as_it_was(host: RunningHost, work: Queue, body: bytes) -> None:
    work.send(body)

    wait_until(lambda: ended(host, body.decode("latin-1")))


def test_a_message_that_fails_is_tried_again_after_a_pause_and_then_poison(
    host: RunningHost, work: Queue, queue: OpenQueue
) -> None:
    work.send(b"fails")
    wait_until(lambda: len(began(host, "fails")) == 2)
    wait_until(lambda: work.length() == 0)
    first, second = began(host, "fails")

    assert [first["tries"], second["tries"]] == [1, 2]
    assert second["at"] - first["at"] >= 0.9
    assert b"fails" in queue("work-poison").bodies()


def test_a_poison_queue_has_none_of_its_own(start_host: StartHost, queue: OpenQueue) -> None:
    """A message that fails there comes again when its lease ends, and is never given up."""
    host = start_host(SOURCE, HOST_JSON, lease=1, WORK="lasting-poison")
    queue("lasting-poison").send(b"fails")
    wait_until(lambda: len(began(host, "fails")) == QUEUES["maxDequeueCount"] + 1)

    assert [one["tries"] for one in began(host, "fails")] == [1, 2, 3]


def test_a_message_that_is_not_base64_never_reaches_the_function(
    host: RunningHost, work: Queue, queue: OpenQueue
) -> None:
    """A producer outside of Functions has to encode; the real host says so in the same way."""
    before = host.noted()
    work.send_raw("not base64!")
    wait_until(lambda: work.length() == 0)

    assert host.noted() == before
    assert "not base64!" in queue("work-poison").texts()


def test_no_more_at_once_than_host_json_allows(host: RunningHost, work: Queue) -> None:
    bodies = [f"takes 0.5 {number}" for number in range(5)]
    for body in bodies:
        work.send(body.encode())
    wait_until(lambda: all(ended(host, body) for body in bodies))
    running, most = 0, 0
    of_them = (n for n in host.noted() if (n.get("began") or n.get("ended")) in bodies)
    for entry in sorted(of_them, key=lambda n: n["at"]):
        running += 1 if "began" in entry else -1
        most = max(most, running)

    assert most <= QUEUES["batchSize"] + QUEUES["newBatchThreshold"]
    assert most >= 2


def test_one_long_call_holds_nobody_up(host: RunningHost, work: Queue) -> None:
    """Others go on beside it, in the order in which they were sent."""
    work.send(b"takes 5")
    bodies = [f"short {number}" for number in range(8)]
    for body in bodies:
        work.send(body.encode())
    wait_until(lambda: all(ended(host, body) for body in bodies))
    still_at_work = not ended(host, "takes 5")
    order = [n["began"] for n in host.noted() if n.get("began") in bodies]
    wait_until(lambda: ended(host, "takes 5"))

    assert still_at_work
    # Two at a time may change places, more may not.
    assert all(abs(order.index(body) - place) <= 2 for place, body in enumerate(bodies))


def test_a_long_call_keeps_its_message(start_host: StartHost, queue: OpenQueue) -> None:
    """Without renewal a second try would begin while the first is still at work."""
    host = start_host(SOURCE, HOST_JSON, lease=4, WORK="long-call")
    queue("long-call").send(b"takes 6")
    wait_until(lambda: ended(host, "takes 6"))

    assert len(began(host, "takes 6")) == 1


def test_the_message_of_a_killed_host_is_tried_again(
    start_host: StartHost, queue: OpenQueue
) -> None:
    first = start_host(SOURCE, HOST_JSON, lease=2, WORK="killed")
    queue("killed").send(b"takes 600")
    wait_until(lambda: bool(began(first, "takes 600")))
    os.kill(first.child.pid, signal.SIGKILL)
    second = start_host(SOURCE, HOST_JSON, lease=2, WORK="killed")
    wait_until(lambda: bool(began(second, "takes 600")))

    assert began(second, "takes 600")[0]["tries"] == 2


def test_a_stopped_host_lets_short_work_end_and_gives_long_work_back(
    start_host: StartHost, queue: OpenQueue
) -> None:
    host, work = start_host(SOURCE, HOST_JSON, WORK="stopped"), queue("stopped")
    work.send(b"takes 1")
    work.send(b"takes 600")
    wait_until(lambda: bool(began(host, "takes 1") and began(host, "takes 600")))
    host.child.stop(grace_s=10)

    assert host.child.returncode == 0
    assert ended(host, "takes 1")
    assert work.bodies() == [b"takes 600"]


def test_an_output_may_be_several_messages(host: RunningHost, queue: OpenQueue) -> None:
    host.request("GET", "/api/send").raise_for_status()

    assert queue("work-sent").bodies() == [b"one", b"two"]


def test_a_message_by_hand_needs_no_queue(host: RunningHost) -> None:
    answer = host.by_hand("work", "by hand")
    wait_until(lambda: ended(host, "by hand"))

    assert answer.status_code == 202

"""Posts to the application's webhooks: the handshake, and deliveries that are retried."""

import asyncio
import ssl
import uuid
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from local.graph.http.errors import GraphError

_FIRST_ANSWER_S = 3
_LATER_ANSWER_S = 10
_GIVE_UP_AFTER_S = 4 * 3600


@dataclass(slots=True)
class Delivery:
    """One POST with its attempts, for people and tests to look at."""

    url: str
    items: list[dict[str, Any]]
    statuses: list[int | None] = field(default_factory=list)
    """One for each attempt; None when there was no answer in time."""
    done: bool = False

    def described(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "items": self.items,
            "statuses": self.statuses,
            "delivered": self.done,
        }


class Webhooks:
    def __init__(self, ca_bundle: Path) -> None:
        self._ca_bundle = ca_bundle
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.deliveries: deque[Delivery] = deque(maxlen=10_000)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def handshake(self, url: str, timeout_s: float) -> None:
        """The endpoint must give the token back, decoded once, as plain text, within ten seconds:
        learn.microsoft.com/graph/change-notifications-delivery-webhooks.
        """
        # The plus and the percent sign tell one decoding from none and from two.
        token = (
            "Validation: Testing client application reachability for subscription "
            f"Request-Id: {uuid.uuid4()} 1+1 %2B"
        )
        joint = "&" if "?" in url else "?"
        try:
            async with asyncio.timeout(timeout_s):
                async with self._http().post(
                    f"{url}{joint}validationToken={quote(token, safe='')}",
                    data=b"",
                    headers={"Content-Type": "text/plain; charset=utf-8"},
                    allow_redirects=False,
                ) as answer:
                    status, kind = answer.status, answer.content_type
                    text = await answer.text()
        except TimeoutError as error:
            raise _refused("Subscription validation request timed out.") from error
        except (aiohttp.ClientError, UnicodeDecodeError) as error:
            raise _refused("Subscription validation request failed.") from error
        if status != 200:
            # As told in pnp/Microsoft365-Analytics-Insights, pull request 483.
            said = f"HTTP status code is '{HTTPStatus(status).phrase.replace(' ', '')}'. "
            raise _refused(
                f"Subscription validation request failed. {said}Notification endpoint must respond "
                "with 200 OK to validation request."
            )
        if kind != "text/plain" or text != token:
            raise _refused(
                "Subscription validation request failed. The endpoint must answer with the "
                "validation token as plain text."
            )

    def deliver(self, url: str, items: list[dict[str, Any]], first_retry_s: float) -> None:
        delivery = Delivery(url, items)
        self.deliveries.append(delivery)
        task = asyncio.get_running_loop().create_task(self._deliver(delivery, first_retry_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery, first_retry_s: float) -> None:
        """Three seconds for the first answer, ten for each later one, back-off for four hours."""
        waited_s, wait_s = 0.0, first_retry_s
        while waited_s < _GIVE_UP_AFTER_S:
            limit_s = _LATER_ANSWER_S if delivery.statuses else _FIRST_ANSWER_S
            status = await self._post(delivery, limit_s)
            delivery.statuses.append(status)
            if status is not None and 200 <= status < 300:
                delivery.done = True
                return
            await asyncio.sleep(wait_s)
            waited_s += wait_s
            wait_s *= 2

    async def _post(self, delivery: Delivery, limit_s: float) -> int | None:
        try:
            async with asyncio.timeout(limit_s):
                async with self._http().post(
                    delivery.url,
                    data=orjson.dumps({"value": delivery.items}),
                    headers={"Content-Type": "application/json; charset=utf-8"},
                    allow_redirects=False,
                ) as answer:
                    return answer.status
        except (TimeoutError, aiohttp.ClientError):
            return None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._ca_bundle))
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                headers={"User-Agent": "graph-emulator"},
                timeout=aiohttp.ClientTimeout(total=60),
            )
        return self._session


def _refused(message: str) -> GraphError:
    return GraphError(400, "ValidationError", message)

"""An emulator for each test, and a client that speaks to it as an application would."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from local.graph import GraphEmulator
from local.graph.service import CHOICES
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_CLIENT_SECRET, SAMPLE_TENANT_ID
from local.tls import TlsFiles
from tests.rig.graph.webhook import Webhook, served

Document = dict[str, Any]

# Before `GRAPH_SWITCHES` turns them: these tests say what each choice does.
FIRST_CHOICES = {name: choices[0] for name, choices in CHOICES.items()}


@dataclass
class Application:
    """Signs in once and asks Graph; answers are httpx responses."""

    emulator: GraphEmulator
    http: httpx.Client
    token: str = ""

    def sign_in(self, **changes: str | None) -> httpx.Response:
        form = {
            "client_id": SAMPLE_CLIENT_ID,
            "client_secret": SAMPLE_CLIENT_SECRET,
            "grant_type": "client_credentials",
            "scope": "https://graph.microsoft.com/.default",
            **changes,
        }
        tenant = form.pop("tenant", SAMPLE_TENANT_ID)
        answer = self.http.post(
            f"{self.emulator.authority_url}/{tenant}/oauth2/v2.0/token",
            data={name: value for name, value in form.items() if value is not None},
        )
        if answer.status_code == 200:
            self.token = answer.json()["access_token"]
        return answer

    def ask(
        self, path: str, *, method: str = "GET", json: Any = None, **headers: str
    ) -> httpx.Response:
        """A path below /v1.0, or a whole link."""
        url = path if path.startswith("https://") else f"{self.emulator.graph_url}/v1.0{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        bearer = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self.http.request(method, url, json=json, headers=bearer | named)

    def eventual(self, path: str) -> httpx.Response:
        return self.ask(path, ConsistencyLevel="eventual")

    def pages(self, path: str, **headers: str) -> list[Document]:
        """Follow every nextLink; the documents of all pages."""
        pages = []
        link: str | None = path
        while link is not None:
            answer = self.ask(link, **headers)
            assert answer.status_code == 200, answer.text
            pages.append(answer.json())
            link = pages[-1].get("@odata.nextLink")
        return pages

    def items(self, path: str, **headers: str) -> list[Document]:
        return [item for page in self.pages(path, **headers) for item in page["value"]]

    def counted_items(self, path: str) -> list[Document]:
        """The items of a collection that wants the advanced pair: the header and $count."""
        joint = "&" if "?" in path else "?"
        return self.items(f"{path}{joint}$count=true", ConsistencyLevel="eventual")

    def subscribe(self, document: Document) -> Document:
        answer = self.ask("/subscriptions", method="POST", json=document)
        assert answer.status_code == 201, answer.text
        created: Document = answer.json()
        return created


def last_link(pages: list[Document]) -> str:
    link: str = pages[-1]["@odata.deltaLink"]
    return link


def sync(application: Application, path: str, **headers: str) -> tuple[list[Document], str]:
    """One whole round of a delta query: the items of all pages and the deltaLink."""
    pages = application.pages(path, **headers)
    return [item for page in pages for item in page["value"]], last_link(pages)


def ids(items: list[Document]) -> set[str]:
    return {item["id"] for item in items}


def error_code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


@pytest.fixture
def emulator(tls: TlsFiles) -> Iterator[GraphEmulator]:
    with GraphEmulator(people=50, groups=12, seed=1, tls=tls) as emulator:
        emulator.control.settings(**FIRST_CHOICES)
        yield emulator


@pytest.fixture(scope="module")
def shared_emulator(tls: TlsFiles) -> Iterator[GraphEmulator]:
    """For tests that only read."""
    with GraphEmulator(people=300, groups=12, seed=1, tls=tls) as emulator:
        emulator.control.settings(**FIRST_CHOICES)
        yield emulator


@pytest.fixture
def application(
    emulator: GraphEmulator, connect: Callable[[GraphEmulator], Application]
) -> Application:
    return connect(emulator)


@pytest.fixture
def reader(
    shared_emulator: GraphEmulator, connect: Callable[[GraphEmulator], Application]
) -> Application:
    """Reads the shared emulator."""
    return connect(shared_emulator)


@pytest.fixture
def connect(tls: TlsFiles) -> Iterator[Callable[[GraphEmulator], Application]]:
    with httpx.Client(verify=ssl.create_default_context(cafile=str(tls.ca_file))) as http:

        def connected(emulator: GraphEmulator) -> Application:
            application = Application(emulator, http)
            assert application.sign_in().status_code == 200
            return application

        yield connected


@pytest.fixture
def webhook(
    request: pytest.FixtureRequest, emulator: GraphEmulator, tls: TlsFiles
) -> Iterator[Webhook]:
    """A receiver of notifications, which the emulator sends without its usual wait."""
    emulator.control.settings(delay_s=0.02, first_retry_s=0.02)
    with served(tls, getattr(request, "param", "http")) as webhook:
        yield webhook

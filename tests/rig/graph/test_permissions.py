"""What the pages tell an administrator to grant is what the program's requests need: no less, no more."""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_abstractions.request_information import RequestInformation
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient

import sync_core.directory
from local.graph import GraphEmulator
from local.graph.http.recorder import Recorded, body_shape
from local.sample import SAMPLE_CLIENT_ID, SAMPLE_GROUP_ID
from sync_core.directory.subscriptions import NewSubscription
from tests.graph_permissions import HIDDEN, LEAST, OF_ATTRIBUTES
from tests.graph_requests import problems, shape_of
from tests.rig.graph.conftest import Application

ROOT = Path(__file__).parents[3]
# The emulator's page is about the emulator: it names what its calls want.
PAGES = [
    ROOT / "README.md",
    *(page for page in (ROOT / "docs").glob("*.md") if page.name != "emulator.md"),
]
PERMISSION = re.compile(r"\b[A-Z][A-Za-z-]+\.(?:Read|ReadWrite|ReadBasic)\.[A-Z]\w+")
ID = "11111111-2222-4333-8444-555555555555"
NEXT_WEEK = datetime.now(UTC) + timedelta(days=7)
ARGUMENTS: dict[str, Any] = {
    "select": frozenset({"id", "mail"}),
    "condition": None,
    "object_ids": [ID],
    "object_id": ID,
    "application_id": ID,
    "application": ID,
    "names": ["anna@contoso.com"],
    "principal_name": "anna@contoso.com",
    "group_id": SAMPLE_GROUP_ID,
    "groups": [SAMPLE_GROUP_ID],
    "client_id": SAMPLE_CLIENT_ID,
    "text": "sales",
    "top": 5,
    "nested": False,
    "subscription_id": ID,
    "until": NEXT_WEEK,
    # To a group that does not exist: Graph says so before it calls anybody.
    "wanted": NewSubscription(
        ID, "https://app.example/a", "https://app.example/b", "a secret", NEXT_WEEK
    ),
}
Build = Callable[..., RequestInformation]


def builders() -> Iterator[tuple[str, Build]]:
    """Find every function of the directory's room that makes a request."""
    for module_info in pkgutil.iter_modules(sync_core.directory.__path__):
        module = importlib.import_module(f"sync_core.directory.{module_info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            made = function.__module__ == module.__name__
            answer = function.__annotations__.get("return")
            # `query`, `request` and `requests` are given by other functions, which are found as well.
            given = {"query", "request", "requests"} & function.__annotations__.keys()
            if made and answer is RequestInformation and not given:
                yield f"{module_info.name}.{name}", function


def requests() -> dict[str, RequestInformation]:
    sdk = GraphServiceClient(request_adapter=GraphRequestAdapter(AnonymousAuthenticationProvider()))
    made = {}
    for name, build in builders():
        names = [p for p in inspect.signature(build).parameters if p in ARGUMENTS]
        made[name] = build(sdk, **{p: ARGUMENTS[p] for p in names})
        if "nested" in names:
            changed = {p: ARGUMENTS[p] for p in names} | {"nested": True}
            made[f"{name}, nested"] = build(sdk, **changed)
    return made


REQUESTS = requests()


def recorded(request: RequestInformation) -> Recorded:
    path, _, query = request.url.partition("?")
    method = str(request.http_method.value) if request.http_method else "GET"
    body = body_shape(request.content) if request.content else None
    return Recorded(method, f"/v1.0{unquote(path)}", query, 200, by_sdk=True, body=body)


def kind_of(request: RequestInformation) -> str:
    shape = shape_of(recorded(request))
    return f"{shape.method} {shape.path}"


@pytest.mark.parametrize("name", REQUESTS)
def test_microsoft_describes_what_the_program_can_ask(name: str) -> None:
    assert problems(shape_of(recorded(REQUESTS[name]))) == []


def test_each_request_has_its_least_permission_and_each_permission_a_request() -> None:
    assert {kind_of(request) for request in REQUESTS.values()} == set(LEAST)


def test_the_pages_name_what_the_requests_need_and_nothing_else() -> None:
    named = {name for page in PAGES for name in PERMISSION.findall(page.read_text())}

    assert named == frozenset().union(*LEAST.values()) | {HIDDEN} | OF_ATTRIBUTES


def ask(application: Application, request: RequestInformation) -> httpx.Response:
    headers = {name: ", ".join(v) for name, v in request.headers.get_all().items()}
    return application.ask(
        request.url,
        method=recorded(request).method,
        json=json.loads(request.content) if request.content else None,
        **{name.replace("-", "_"): value for name, value in headers.items()},
    )


@pytest.mark.parametrize("name", REQUESTS)
def test_graph_takes_a_request_with_its_least_permission_only(
    shared_emulator: GraphEmulator,
    connect: Callable[[GraphEmulator], Application],
    name: str,
) -> None:
    request, control = REQUESTS[name], shared_emulator.control
    before = control.apps()[0]["grants"]
    statuses = []
    for roles in ([], sorted(LEAST[kind_of(request)])):
        control.set_roles(roles)
        statuses.append(ask(connect(shared_emulator), request).status_code)
    control.set_roles(next(iter(before.values())))

    assert statuses[0] == 403
    assert statuses[1] in (200, 404)

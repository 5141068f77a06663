"""Every `curl` of the pages, as an administrator would paste it: it is understood, and destroys nothing.

The commands of a page are called one after the other, on a connection that has everything of its own.
Commands for the emulator or the host's own interface (`$GRAPH`, `/admin/`) are not calls of this API.
"""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.sample import (
    SAMPLE_CLIENT_ID,
    SAMPLE_CLIENT_SECRET,
    SAMPLE_GROUP_ID,
    SAMPLE_TENANT_ID,
    VENDOR_CLIENT_ID,
)
from sync_core.runs.hold import held
from sync_core.services import Services
from tests.api.conftest import Json, document
from tests.api.stored import people
from tests.certificates import certificate_pem, key_pem, rsa_key
from tests.unit.domain.formats.entra_schema import attribute, mapped, schema, users

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOMEBODY = "6d2f5a80-1c3b-4e5f-8a9d-7b6c5d4e3f21"
# What an administrator fills in, and what the commands before have set.
WORDS = {
    "$URL": "",
    "$AUTH": "Authorization: x",
    "$TOKEN": "x",
    "$JSON": "Content-Type: application/json",
    "$TENANT": SAMPLE_TENANT_ID,
    "$CLIENT": SAMPLE_CLIENT_ID,
    "$SECRET": SAMPLE_CLIENT_SECRET,
    "<Directory (tenant) ID>": SAMPLE_TENANT_ID,
    "<tenant id>": SAMPLE_TENANT_ID,
    "<Application (client) ID>": SAMPLE_CLIENT_ID,
    "<client id of the identity>": VENDOR_CLIENT_ID,
    "<object id of a group>": SAMPLE_GROUP_ID,
    "<object id>": SOMEBODY,
    "<value>": SAMPLE_CLIENT_SECRET,
    "<new value>": SAMPLE_CLIENT_SECRET,
    '"clientSecret": "..."': f'"clientSecret": "{SAMPLE_CLIENT_SECRET}"',
}
# The sample tenant has no Ann, and nobody waits for a match; credentials of the examples may not work.
EXPECTED = {
    "connection.exists",
    "connection.needsConfirmation",
    "connection.notVerified",
    "consent.tenantKnown",
    "match.notFound",
    "takeover.unknown",
    "takeover.notConfirmed",
    "match.notLinked",
    "user.notFound",
    "user.unknown",
}


@dataclass(frozen=True)
class Command:
    """One command of a page: what `curl` would send."""

    method: str
    url: str
    headers: dict[str, str]
    data: str | None

    @property
    def body(self) -> Json:
        return json.loads(self.data) if self.data and self.data.startswith("{") else {}


def commands(page: Path) -> list[str]:
    """Return the commands of a page, each in one text."""
    found, begun = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if begun or re.match(r" {4,}.*\bcurl -|\s{4,}curl \"", line):
            begun += f"{line.strip()}\n"
            if line.endswith("\\") or begun.count("'") % 2:
                continue
            found.append(begun.replace("\\\n", " "))
            begun = ""
    return found


def parsed(text: str, files: dict[str, str]) -> Command:
    """Read a command as a shell and `curl` do."""
    text = text[text.index("curl") :]
    for end in (" | tee", " > ", " && "):
        text = text.partition(end)[0]
    for word, value in WORDS.items():
        text = text.replace(word, value)
    assert "<" not in text, f"what is to be filled in is not known: {text}"
    words = iter(shlex.split(text)[1:])
    method, url, data, headers = None, "", None, {}
    for word in words:
        if word in {"-X", "-H", "-d", "--data-binary", "-o", "-w"}:
            value = next(words)
            if word == "-X":
                method = value
            elif word == "-H":
                name, _, content = value.partition(": ")
                headers[name.lower()] = content
            elif word in {"-d", "--data-binary"}:
                data = files[value[1:]] if value.startswith("@") else value
        elif not word.startswith("-"):
            url = word
    headers.pop("authorization", None)
    headers.pop("prefer", None)  # no worker runs here whose end could be waited for
    return Command(method or ("POST" if data else "GET"), url, headers, data)


def ours(page: Path) -> list[str]:
    return [text for text in commands(page) if '"$URL/api/' in text]


def files_of_the_pages() -> dict[str, str]:
    """Return what the commands read: files that other programs write, and `body.json` of connect.md."""
    page = (ROOT / "docs" / "connect.md").read_text(encoding="utf-8")
    [written] = re.findall(r"jq -Rs --arg.*?'(\{.*?\})' > body\.json", page, re.DOTALL)
    key = rsa_key()
    pem = key_pem(key) + certificate_pem(key)
    text = re.sub(r"(\w+):", r'"\1":', written)
    text = text.replace("$tenant", json.dumps(SAMPLE_TENANT_ID))
    text = text.replace("$client", json.dumps(SAMPLE_CLIENT_ID)).replace(
        ": .}", f": {json.dumps(pem)}}}"
    )
    return {
        "body.json": text,
        "-": json.dumps({"credential": json.loads(text)["credential"]}),
        "schema.json": json.dumps(schema(users(mapped("mail", attribute("mail"))))),
    }


@pytest.fixture
async def contoso(admin: httpx.AsyncClient, services: Services) -> str:
    """A connection with nothing left at its default, and people."""
    made = document(
        "contoso",
        displayName="Ours",
        mapping=[
            {"target": "email", "source": "mail"},
            {"target": "employeeId", "source": "employeeId"},
        ],
        policy={"leftScope": "keep", "protected": ["ann@contoso.com"]},
        schedule={"everyMinutes": 720},
    )
    # People of another page's test would be asked about.
    async with held(services, "contoso", budget=None) as hold:
        await services.store.people("contoso").delete_all(hold.fence)
    answer = await admin.post("/api/connections", json=made)
    assert answer.status_code == 201, answer.text
    await admin.post("/api/connections", json=document("adatum"))
    customer = {"id": "customer", "displayName": "Customer", "enabled": False}
    credential = {"clientSecret": SAMPLE_CLIENT_SECRET}
    customer |= {"clientId": VENDOR_CLIENT_ID, "credential": credential}
    await admin.post("/api/connections", json=customer)
    await people(services, "contoso", 3)
    return "/api/connections/contoso"


def settings(connection: Json) -> dict[str, Any]:
    return {
        name: value
        for name, value in connection.items()
        if name not in {"warnings", "verification"}
    }


@pytest.mark.parametrize("page", [page for page in PAGES if ours(page)], ids=lambda page: page.name)
async def test_the_commands_of_a_page_are_understood_and_destroy_nothing(
    admin: httpx.AsyncClient, contoso: str, page: Path
) -> None:
    files = files_of_the_pages()
    before = (await admin.get(contoso)).json()
    for text in ours(page):
        command = parsed(await with_plan(admin, text, files), files)
        answer = await admin.request(
            command.method, command.url, content=command.data, headers=command.headers
        )
        # The ways on a page are alternatives: what waits of one is not the next one's.
        await admin.delete(f"{contoso}/pending")
        after = (await admin.get(contoso)).json()

        code = answer.json()["code"] if answer.status_code >= 400 else None
        assert code is None or code in EXPECTED, f"{text}{answer.text}"
        assert changed(before, after) <= set(command.body), text
        if "credential" in changed(before, after):
            assert command.method == "PATCH", text
        before = after


async def with_plan(admin: httpx.AsyncClient, text: str, files: dict[str, str]) -> str:
    """Export the file that a command sends, and name the plan that it applies."""
    if "connections.yaml" not in text:
        return text
    files["connections.yaml"] = (await admin.get("/api/config?format=yaml")).text
    planned = await admin.post(
        "/api/config/plan",
        content=files["connections.yaml"],
        headers={"Content-Type": "application/yaml"},
    )
    return re.sub(r"planHash=[^\"&]*", f"planHash={planned.json()['planHash']}", text)


def changed(before: Json, after: Json) -> set[str]:
    old, new = settings(before), settings(after)
    return {name for name in old if old[name] != new.get(name)}


def test_the_pages_have_commands() -> None:
    """Else the test above would look at nothing."""
    assert sum(len(ours(page)) for page in PAGES) > 25


def test_no_page_replaces_a_connection_whole() -> None:
    """PUT sets whatever is left out to its default: scope, mapping, policy, schedule."""
    puts = [text for page in PAGES for text in ours(page) if "-X PUT" in text]

    assert puts == []

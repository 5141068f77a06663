"""An administrator clicks from the start of a consent to the page that tells how it ended."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from local.sample import SAMPLE_TENANT_ID, VENDOR_APP_NAME, VENDOR_CLIENT_ID, VENDOR_CLIENT_SECRET
from tests.rig.up import Running

ACCOUNT = "admin@contoso.com"


class Connection:
    """A connection of the rig without a tenant, and the browser that shall bring it one."""

    def __init__(self, rig: Running, page: Page, connection_id: str) -> None:
        self.id = connection_id
        self.url = rig.ready["url"]
        self._page = page
        self._header = {"Authorization": f"Bearer {rig.ready['adminToken']}"}

    def create(self) -> None:
        made = {
            "id": self.id,
            "displayName": "Contoso",
            "enabled": False,
            "clientId": VENDOR_CLIENT_ID,
            "credential": {"clientSecret": VENDOR_CLIENT_SECRET},
        }
        answer = self._call("POST", "", json=made)
        assert answer.status_code == 201, answer.text

    def tenant(self) -> Any:
        return self._call("GET", f"/{self.id}").json()["tenantId"]

    def delete(self) -> None:
        self._call("DELETE", f"/{self.id}")

    def start(self) -> None:
        """Go to the start as a signed-in administrator; here a token stands for the sign-in."""
        self._page.route("**/api/consent/start?*", self._signed_in)
        self._page.goto(f"{self.url}/api/consent/start?connection={self.id}")

    def _signed_in(self, route: Route) -> None:
        headers = {**route.request.headers, **self._header}
        route.fulfill(response=route.fetch(headers=headers, max_redirects=0))

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = f"{self.url}/api/connections{path}"
        return httpx.request(method, url, headers=self._header, timeout=30, **options)


@pytest.fixture
def connection(rig_process: Running, page: Page, connection_id: str) -> Connection:
    made = Connection(rig_process, page, connection_id)
    made.create()
    return made


def sign_in(page: Page, account: str, *, before: Connection) -> None:
    """Choose an account on the page to which the browser is sent after the consent."""
    page.wait_for_url(re.compile(r"/oauth2/v2\.0/authorize\?"))
    expect(page.get_by_role("heading", name="Pick an account")).to_be_visible()
    assert before.tenant() is None
    # By its text: the names of other accounts end in the same letters.
    page.get_by_role("button", name=re.compile(rf"^{re.escape(account)}")).click()


def test_accepting_connects_the_tenant(page: Page, connection: Connection) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    connection.start()
    expect(page.get_by_role("heading", name="Pick an account")).to_be_visible()
    page.get_by_role("button", name=re.compile(rf"^{ACCOUNT}")).click()
    expect(page.get_by_text(VENDOR_APP_NAME)).to_be_visible()
    expect(page.get_by_text("User.Read.All")).to_be_visible()
    page.get_by_role("button", name="Accept").click()
    sign_in(page, ACCOUNT, before=connection)
    expect(page.get_by_role("heading", name="The tenant is connected")).to_be_visible()

    assert page.url == f"{connection.url}/api/consent/result?code=consent.granted"
    assert connection.tenant() == SAMPLE_TENANT_ID
    assert complaints == []
    page.reload()
    expect(page.get_by_role("heading", name="The tenant is connected")).to_be_visible()
    connection.delete()


def test_cancelling_leaves_everything_as_it_was(page: Page, connection: Connection) -> None:
    connection.start()
    page.get_by_role("button", name=re.compile(rf"^{ACCOUNT}")).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="The permissions were not granted")).to_be_visible()

    assert connection.tenant() is None
    # Going back and accepting after all finds the state used.
    page.go_back()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("heading", name="This link cannot be used")).to_be_visible()
    assert connection.tenant() is None


def test_who_is_no_administrator_is_told_so(page: Page, connection: Connection) -> None:
    connection.start()
    page.get_by_role("button", name=re.compile("^employee@contoso.com")).click()
    page.get_by_role("button", name=re.compile("Return to the application")).click()

    expect(page.get_by_role("heading", name="An administrator has to do this")).to_be_visible()


def test_who_signs_in_without_a_role_connects_nothing(page: Page, connection: Connection) -> None:
    connection.start()
    page.get_by_role("button", name=re.compile(rf"^{ACCOUNT}")).click()
    page.get_by_role("button", name="Accept").click()
    sign_in(page, "employee@contoso.com", before=connection)

    expect(page.get_by_role("heading", name="An administrator has to do this")).to_be_visible()
    assert connection.tenant() is None
    connection.delete()


def test_an_administrator_who_follows_a_link_connects_nothing(
    page: Page, browser: Browser, connection: Connection
) -> None:
    """The address of a sign-in that another browser has begun, as somebody may send it around."""
    connection.start()
    page.get_by_role("button", name=re.compile(rf"^{ACCOUNT}")).click()
    page.get_by_role("button", name="Accept").click()
    page.wait_for_url(re.compile(r"/oauth2/v2\.0/authorize\?"))
    with browser.new_context(ignore_https_errors=True) as context:
        victim = context.new_page()
        victim.goto(page.url)
        sign_in(victim, ACCOUNT, before=connection)
        expect(victim.get_by_role("heading", name="began in another browser")).to_be_visible()

    assert connection.tenant() is None
    connection.delete()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_result_fits_any_window(
    page: Page, rig_process: Running, scheme: str, width: int
) -> None:
    """Nothing is cut off on a phone, and text stands out from what is behind it."""
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 640})
    page.goto(f"{rig_process.ready['url']}/api/consent/result?code=consent.pending")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    paper = page.locator("main").evaluate("element => getComputedStyle(element).backgroundColor")
    inks = {
        text: page.locator(text).first.evaluate("element => getComputedStyle(element).color")
        for text in ("h1", "p", ".code", "svg")
    }

    assert page.evaluate(overflow) == 0
    assert {text: ink for text, ink in inks.items() if contrast(ink, paper) < 4.5} == {}


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3: from 1 (the same) to 21 (black on white)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

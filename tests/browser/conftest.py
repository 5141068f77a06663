"""A real browser before the real rig: Debian's Chromium, driven by Playwright, and a rig of its own.

A module at a time: Playwright keeps an event loop while it runs, and the other tests have their own.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.rig.up import Running, running

INSTALL = Path(__file__).parent / "install.sh"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
INSTALL_S = 600


@pytest.fixture(scope="module")
def chromium() -> str:
    """Give the path of the browser; where it cannot be had, the tests say why they are skipped."""
    tried = subprocess.run(
        ["/bin/sh", str(INSTALL)], capture_output=True, text=True, check=False, timeout=INSTALL_S
    )
    path = shutil.which("chromium")
    if path is None:
        pytest.skip(tried.stderr.strip() or "Chromium is missing")
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def rig_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("browser"), "--empty") as rig:
        yield rig


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a window without cookies; the rig's certificates are signed by a root of its own."""
    with browser.new_context(ignore_https_errors=True, locale="en-GB") as context:
        opened = context.new_page()
        opened.set_default_timeout(20_000)
        yield opened

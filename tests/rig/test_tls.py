"""Certificates of the rig."""

import datetime as dt
import ssl
import stat
from pathlib import Path

import httpx
import pytest

from local import tls as module
from local.tls import issue
from local.vault import VaultInThread


def handshake(ca_file: Path, url: str) -> None:
    httpx.get(url, verify=ssl.create_default_context(cafile=ca_file), trust_env=False)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_with_our_root_gets_through(tmp_path: Path, name: str) -> None:
    files = issue(tmp_path)
    with VaultInThread(files) as vault:
        handshake(files.ca_file, vault.url.replace("localhost", name))
        handshake(files.bundle_file, vault.url.replace("localhost", name))


def test_files_are_used_again(tmp_path: Path) -> None:
    """A vault that runs and a host started later must agree."""
    first = issue(tmp_path).cert_file.read_bytes()

    assert issue(tmp_path).cert_file.read_bytes() == first


@pytest.mark.parametrize(
    ("valid_for", "renewed"),
    [
        pytest.param(dt.timedelta(days=29), True, id="ends soon"),
        pytest.param(dt.timedelta(days=31), False, id="valid for a while"),
    ],
)
def test_files_that_end_soon_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valid_for: dt.timedelta, renewed: bool
) -> None:
    monkeypatch.setattr(module, "VALID_FOR", valid_for)
    first = issue(tmp_path).cert_file.read_bytes()

    assert (issue(tmp_path).cert_file.read_bytes() != first) is renewed


def test_damaged_files_are_made_anew(tmp_path: Path) -> None:
    files = issue(tmp_path)
    files.cert_file.write_text("not a certificate")
    issue(tmp_path)

    assert b"BEGIN CERTIFICATE" in files.cert_file.read_bytes()


def test_the_bundle_has_the_internet_and_an_extra_root(tmp_path: Path) -> None:
    extra = issue(tmp_path / "other").ca_file
    files = issue(tmp_path / "ours", extra)
    roots = files.bundle_file.read_bytes()

    assert extra.read_bytes().strip() in roots
    assert files.ca_file.read_bytes().strip() in roots
    assert roots.count(b"BEGIN CERTIFICATE") > 50


def test_the_key_is_for_us_alone(tmp_path: Path) -> None:
    mode = stat.S_IMODE(issue(tmp_path).key_file.stat().st_mode)

    assert mode == 0o600

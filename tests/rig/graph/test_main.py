"""`python -m local.graph`: one line when ready, and a clean end on SIGTERM."""

import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from local.tls import TlsFiles
from tests.ports import free_port

# Child processes start here, because ``local`` is not an installed package.
ROOT = Path(__file__).parents[3]


def command(tls: TlsFiles, *more: str) -> list[str]:
    files = ["--cert", str(tls.cert_file), "--key", str(tls.key_file)]
    return [sys.executable, "-m", "local.graph", *files, *more]


def test_it_says_when_it_is_ready_and_ends_on_sigterm(tls: TlsFiles) -> None:
    port = free_port()
    started = subprocess.Popen(
        command(tls, "--graph-port", str(port), "--people", "20", "--groups", "3"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        people = httpx.get(
            f"https://localhost:{port}/_control/people?top=99",
            verify=ssl.create_default_context(cafile=str(tls.ca_file)),
        ).json()
    finally:
        started.send_signal(signal.SIGTERM)
        rest, errors = started.communicate(timeout=60)

    assert f"ready: https://localhost:{port}" in line
    assert len(people) == 20
    assert (started.returncode, rest, errors) == (0, "", "")


def test_a_port_in_use_is_one_sentence(tls: TlsFiles) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        port = bound.getsockname()[1]
        ended = subprocess.run(
            command(tls, "--graph-port", str(port)),
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert ended.returncode == 1
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_size_out_of_range_is_refused(tls: TlsFiles) -> None:
    ended = subprocess.run(
        command(tls, "--people", "9"),
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert "10 to 1000000" in ended.stderr

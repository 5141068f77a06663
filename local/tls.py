"""The rig's own certificate authority: a folder goes in, PEM files come out.

Entra, Graph and Key Vault are only ever spoken to over TLS, and their clients refuse anything else.
So the emulators speak TLS too, with a root that exists on this machine only.
"""

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

import certifi
import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature

HOSTS = ("localhost", "127.0.0.1")
"""The names the certificate is good for."""

VALID_FOR = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)


@dataclass(frozen=True)
class TlsFiles:
    """Where the PEM files are.

    ``ca_file`` is our root alone, ``bundle_file`` the usual roots of the internet and ours (for
    SSL_CERT_FILE and REQUESTS_CA_BUNDLE), ``cert_file`` and ``key_file`` are what a server shows.
    """

    ca_file: Path
    bundle_file: Path
    cert_file: Path
    key_file: Path


def issue(folder: Path, extra_ca: Path | None = None) -> TlsFiles:
    """Files in ``folder``, made now unless those already there stay valid for a while.

    ``extra_ca`` is one more root for the bundle, for somebody else's emulator.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = files_in(folder)
    if not _still_good(files):
        _make(files)
    # Written every time: certifi may have been updated, and the extra root may be another one.
    roots = [Path(certifi.where()), files.ca_file, *([extra_ca] if extra_ca else [])]
    write_private(files.bundle_file, b"\n".join(root.read_bytes() for root in roots))
    return files


def files_in(folder: Path) -> TlsFiles:
    """The names only, for a server that somebody else has issued them for."""
    return TlsFiles(
        ca_file=folder / "ca.pem",
        bundle_file=folder / "bundle.pem",
        cert_file=folder / "cert.pem",
        key_file=folder / "key.pem",
    )


def write_private(file: Path, content: bytes) -> None:
    """All or nothing, and readable by nobody else: another process may be reading it meanwhile."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    draft.replace(file)


def _still_good(files: TlsFiles) -> bool:
    if not all(file.exists() for file in (files.ca_file, files.cert_file, files.key_file)):
        return False
    try:
        root = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
        shown = x509.load_pem_x509_certificate(files.cert_file.read_bytes())
        shown.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    needed_until = dt.datetime.now(dt.UTC) + RENEW_BEFORE
    return min(root.not_valid_after_utc, shown.not_valid_after_utc) > needed_until


def _make(files: TlsFiles) -> None:
    authority = trustme.CA(organization_name="Entra User Sync local rig")
    until = dt.datetime.now(dt.UTC) + VALID_FOR
    certificate = authority.issue_cert(*HOSTS, not_after=until)
    write_private(files.ca_file, authority.cert_pem.bytes())
    write_private(files.key_file, certificate.private_key_pem.bytes())
    write_private(files.cert_file, b"".join(pem.bytes() for pem in certificate.cert_chain_pems))

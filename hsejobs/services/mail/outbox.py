"""The outbox: without a mail server each mail is written to an ``.eml`` file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

from hsejobs.services.mail.errors import OutboxUnwritable
from hsejobs.services.mail.message import Envelope

FOLDER = "outbox"
TENANT_HEADER = "X-Hsejobs-Tenant"
"""A hash of the organization's id, by which an erasure finds the organization's mails."""
ENVELOPE_HEADER = "X-Hsejobs-Envelope-To"
"""Names every recipient, bcc included: the file also records the envelope."""


def sweep_outbox(home: Path, older_than: float = 86_400.0) -> int:
    """Remove temporary files older than ``older_than`` seconds, left by killed writers.

    Returns how many were removed.
    """
    removed = 0
    before = time.time() - older_than
    for path in (home / FOLDER).glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < before:
                path.unlink()
                removed += 1
    return removed


def tenant_of_mail(organization_id: str) -> str:
    """Return the value of `TENANT_HEADER` for an organization."""
    return hashlib.sha256(organization_id.encode("utf-8", "surrogatepass")).hexdigest()


def mails_of(home: Path, organization_id: str) -> Iterator[Path]:
    """Yield an organization's mails, sorted by name, and its leftover temporary files."""
    wanted = f"{TENANT_HEADER}: {tenant_of_mail(organization_id)}\r\n".encode()
    for path in sorted((home / FOLDER).glob("*")):
        with contextlib.suppress(OSError):
            if path.suffix in (".eml", ".tmp") and _starts_with(path, wanted):
                yield path


def _starts_with(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(text)) == text


def write_outbox(
    message: EmailMessage, envelope: Envelope, home: Path, organization_id: str | None = None
) -> Path:
    """Write ``message`` to ``home/outbox/<hash of the job's key>.eml``, mode 0600.

    The write is atomic; another run of the same job replaces the file.
    Returns its path. Raises `OutboxUnwritable`.
    """
    folder = home / FOLDER
    path = folder / f"{envelope.key}.eml"
    unfinished = folder / f".{envelope.key}.{secrets.token_hex(8)}.tmp"
    recipients = ",\r\n ".join(envelope.recipients)
    owner = "" if organization_id is None else tenant_of_mail(organization_id)
    head = f"{TENANT_HEADER}: {owner}\r\n" if owner else ""
    data = f"{head}{ENVELOPE_HEADER}: {recipients}\r\n".encode() + message.as_bytes()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(unfinished, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        reason = error.strerror or type(error).__name__
        raise OutboxUnwritable(f"the outbox in JOBS_HOME cannot be written: {reason}") from None
    return path

"""Without a mail server each mail is a file that any mail program opens."""

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
"""A hash of the organization whose mail it is: how an erasure finds it."""
ENVELOPE_HEADER = "X-Hsejobs-Envelope-To"
"""Names every receiver, those of bcc too: the file is the envelope as well."""


def sweep_outbox(home: Path, older_than: float = 86_400.0) -> int:
    """Remove what killed writers left more than ``older_than`` seconds ago; how many files."""
    gone = 0
    before = time.time() - older_than
    for path in (home / FOLDER).glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < before:
                path.unlink()
                gone += 1
    return gone


def tenant_of_mail(organization_id: str) -> str:
    """What the header says for an organization."""
    return hashlib.sha256(organization_id.encode("utf-8", "surrogatepass")).hexdigest()


def mails_of(home: Path, organization_id: str) -> Iterator[Path]:
    """An organization's mails, sorted by name, and what killed writers left of such."""
    wanted = f"{TENANT_HEADER}: {tenant_of_mail(organization_id)}\r\n".encode()
    for path in sorted((home / FOLDER).glob("*")):
        with contextlib.suppress(OSError):
            if path.suffix in (".eml", ".tmp") and _begins(path, wanted):
                yield path


def _begins(path: Path, text: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(text)) == text


def write_outbox(
    message: EmailMessage, envelope: Envelope, home: Path, organization_id: str | None = None
) -> Path:
    """Write ``message`` to ``home/outbox/<hash of the job's key>.eml``, mode 0600.

    The file appears whole or not at all; another run of the same job replaces
    it. Returns its path. Raises `OutboxUnwritable`.
    """
    folder = home / FOLDER
    path = folder / f"{envelope.key}.eml"
    unfinished = folder / f".{envelope.key}.{secrets.token_hex(8)}.tmp"
    receivers = ",\r\n ".join(envelope.receivers)
    whose = "" if organization_id is None else tenant_of_mail(organization_id)
    head = f"{TENANT_HEADER}: {whose}\r\n" if whose else ""
    data = f"{head}{ENVELOPE_HEADER}: {receivers}\r\n".encode() + message.as_bytes()
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

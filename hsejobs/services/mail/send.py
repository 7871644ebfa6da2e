"""Send a mail: from payload to result in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hsejobs.errors import InvalidPayload, Unrecoverable
from hsejobs.services.mail.address import parse_address
from hsejobs.services.mail.attachments import OpenArtifact, load_attachments
from hsejobs.services.mail.message import MailContent, build_envelope, build_message
from hsejobs.services.mail.outbox import write_outbox
from hsejobs.services.mail.smtp import DELIVERY_SECONDS, deliver

#: From in the outbox, if neither the payload nor SMTP_FROM names a sender.
_outbox_sender = "noreply@localhost"


def use_outbox_sender(address: str) -> None:
    """Set this process's From for mails in the outbox, if nothing else names a sender."""
    global _outbox_sender
    _outbox_sender = address


def send_mail(
    payload: MailContent,
    *,
    job_key: str,
    smtp_url: str | None,
    smtp_from: str | None,
    smtp_from_allowed: Sequence[str],
    home: Path,
    organization_id: str | None = None,
    already: Callable[[str], bool],
    accepted: Callable[[str], None],
    open_artifact: OpenArtifact,
    deadline: float | None = None,
    before_data: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Send the mail of ``payload``, or write it to the outbox.

    Args:
        payload: an `EmailPayload`, or an object with its attributes.
        job_key: identifies the job permanently and across queues.
        smtp_url: the server; None or empty for the outbox.
        smtp_from: From, if the payload has none.
        smtp_from_allowed: the domains that From may have; empty for the domain
            of ``smtp_from`` only.
        home: JOBS_HOME, which contains the outbox.
        organization_id: the owner of the mail; the outbox stores a hash of it with the mail.
        already, accepted, before_data: see `deliver`.
        open_artifact: see `OpenArtifact`.
        deadline: a `time.monotonic()` value; by default 30 s from now.

    Returns:
        ``messageId``; ``accepted``, the number of recipients that have it;
        ``refused``, masked addresses; ``via``, ``smtp`` or ``outbox``; for the
        outbox ``path``, the file's name.

    Raises:
        InvalidPayload: names the field; another attempt would also fail.
        Unrecoverable: another attempt would also fail.
        MailRefusedForNow, MailServerUnavailable, MailDeadline,
        OutboxUnwritable: another attempt may succeed.
    """
    if deadline is None:
        deadline = time.monotonic() + DELIVERY_SECONDS
    sender = _default_sender(smtp_url, smtp_from)
    if sender is None and payload.from_ is None:
        raise Unrecoverable("SMTP_FROM: is required because the payload has no from")
    message = build_message(
        payload,
        job_key=job_key,
        sender_default=sender or "",
        allowed_domains=sender_domains(smtp_url, smtp_from, smtp_from_allowed),
        now=datetime.now(UTC),
        attachments=load_attachments(payload.attachments, open_artifact, deadline=deadline),
    )
    envelope = build_envelope(payload, job_key=job_key, sender_default=sender or "")
    result: dict[str, Any] = {"messageId": str(message["Message-ID"])}
    if not smtp_url:
        path = write_outbox(message, envelope, home, organization_id)
        count = len(envelope.recipients)
        return result | {"accepted": count, "refused": [], "via": "outbox", "path": path.name}
    receipt = deliver(
        message,
        envelope,
        smtp_url=smtp_url,
        deadline=deadline,
        already=already,
        accepted=accepted,
        before_data=before_data,
    )
    return result | {"accepted": receipt.accepted, "refused": [*receipt.refused], "via": "smtp"}


def sender_domains(
    smtp_url: str | None, smtp_from: str | None, smtp_from_allowed: Sequence[str]
) -> Sequence[str]:
    """Return the domains that From may have. Raises Unrecoverable for an invalid SMTP_FROM."""
    return smtp_from_allowed or _domain_of(_default_sender(smtp_url, smtp_from))


def _default_sender(smtp_url: str | None, smtp_from: str | None) -> str | None:
    """Return From for payloads without one; None if SMTP_URL is set and SMTP_FROM is not."""
    return smtp_from or (None if smtp_url else _outbox_sender)


def _domain_of(sender: str | None) -> tuple[str, ...]:
    if sender is None:
        return ()
    try:
        return (parse_address(sender, "SMTP_FROM").domain,)
    except InvalidPayload as error:
        raise Unrecoverable(str(error)) from None

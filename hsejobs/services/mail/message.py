"""The MIME message and its envelope, from a payload."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Protocol

from hsejobs.errors import InvalidPayload, Unrecoverable
from hsejobs.services.mail.address import Address, ascii_domain, parse_address
from hsejobs.services.mail.attachments import Attachment, AttachmentRef
from hsejobs.services.mail.headers import header_addresses, header_text
from hsejobs.services.mail.plaintext import html_to_text
from hsejobs.services.mail.render import render
from hsejobs.services.mail.text import check_body, check_line

MAX_RECEIVERS = 50
MAX_SUBJECT_CHARS = 998

_UNSAFE_IN_7BIT = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]")


class MailContent(Protocol):
    """What a mail says; `EmailPayload` is one."""

    @property
    def to(self) -> Sequence[str]: ...
    @property
    def cc(self) -> Sequence[str]: ...
    @property
    def bcc(self) -> Sequence[str]: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def html(self) -> str | None: ...
    @property
    def text(self) -> str | None: ...
    @property
    def from_(self) -> str | None: ...
    @property
    def reply_to(self) -> str | Sequence[str] | None: ...
    @property
    def template(self) -> str | None: ...
    @property
    def context(self) -> Mapping[str, object]: ...
    @property
    def attachments(self) -> Sequence[AttachmentRef]: ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom, apart from what the headers show.

    ``key`` stands for the job outside Redis: a hash of its key.
    """

    sender: str
    receivers: tuple[str, ...]
    key: str


def key_of_job(prefix: str, job_id: str, created_at: int) -> str:
    """What identifies a job of the email queue for all time.

    With the time: an id that is used again after a removal is another mail.
    """
    return f"{prefix}/email/{job_id}/{created_at}"


def mail_key(job_key: str) -> str:
    """Return the 32 hex digits that stand for a job in Message-ID and file names."""
    return hashlib.sha256(job_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def receiver_key(envelope: Envelope, receiver: str) -> str:
    """Return the 32 hex digits under which one receiver's acceptance is recorded.

    They stay the same over a job's attempts and tell nothing of the address.
    """
    return hashlib.sha256(f"{envelope.key}\0{receiver}".encode()).hexdigest()[:32]


def build_message(
    payload: MailContent,
    *,
    job_key: str,
    sender_default: str,
    allowed_domains: Sequence[str],
    now: datetime,
    attachments: Sequence[Attachment] = (),
) -> EmailMessage:
    """Build the mail that ``payload`` asks for.

    Args:
        payload: what it says; a template in it is rendered, nothing else is.
        job_key: what identifies the job among all; its hash is the Message-ID.
        sender_default: From, where the payload names none.
        allowed_domains: the domains that From may lie in, exactly.
        now: the Date header, aware of its zone.
        attachments: the loaded `payload.attachments`.

    Returns:
        A message without a Bcc header. Its policy has ``utf8`` set where an
        address in its headers has a local part that only SMTPUTF8 can carry.

    Raises:
        InvalidPayload: a field cannot be used; it is named, its value is not shown.
        Unrecoverable: SMTP_FROM is no address, or not in SMTP_FROM_ALLOWED.
    """
    sender = _sender(payload, sender_default, allowed_domains)
    to, cc = _addresses("to", payload.to), _addresses("cc", payload.cc)
    reply_to = _addresses("replyTo", payload.reply_to or [])
    subject, html, text = read_content(payload)

    shown = [sender, *to, *cc, *reply_to]
    message = EmailMessage(_policy(utf8=not all(a.local.isascii() for a in shown)))
    message.set_raw("From", header_addresses([sender]))
    for name, addresses in (("To", to), ("Cc", cc), ("Reply-To", reply_to)):
        if addresses:
            message.set_raw(name, header_addresses(addresses))
    message.set_raw("Subject", header_text("Subject", subject))
    message.set_raw("Date", format_datetime(now))
    message.set_raw("Message-ID", f"<{mail_key(job_key)}@{sender.domain}>")
    message.set_raw("Auto-Submitted", "auto-generated")

    if text:
        message.set_content(text, charset="utf-8", cte=_encoding(text))
    elif html:
        readable = html_to_text(html)
        message.set_content(readable, charset="utf-8", cte=_encoding(readable))
    if html:
        message.add_alternative(html, subtype="html", charset="utf-8", cte=_encoding(html))
    for attachment in attachments:
        message.add_attachment(
            attachment.content,
            maintype=attachment.maintype,
            subtype=attachment.subtype,
            filename=attachment.filename,
        )
    return message


def build_envelope(payload: MailContent, *, job_key: str, sender_default: str) -> Envelope:
    """Return the envelope of ``payload``: each receiver once, hidden ones too.

    Raises `InvalidPayload` for an address that is none, and for no or more
    than 50 receivers.
    """
    fields = (("to", payload.to), ("cc", payload.cc), ("bcc", payload.bcc))
    receivers = [a.spec for field, given in fields for a in _addresses(field, given)]
    if not receivers:
        raise InvalidPayload("to", "names no receiver")
    if len(receivers) > MAX_RECEIVERS:
        raise InvalidPayload("to", f"more than {MAX_RECEIVERS} receivers with cc and bcc")
    sender = parse_address(payload.from_ or sender_default, "from")
    return Envelope(sender.spec, tuple(dict.fromkeys(receivers)), mail_key(job_key))


def check_sender(text: str, allowed: Collection[str]) -> Address:
    """Return the address in ``text`` if its domain is one of ``allowed``.

    Raises `InvalidPayload` for ``from``, with the domains that are.
    """
    sender = parse_address(text, "from")
    if sender.domain not in allowed:
        known = ", ".join(sorted(allowed)) or "none"
        raise InvalidPayload("from", f"its domain is not allowed; allowed: {known}")
    return sender


def needs_smtputf8(message: EmailMessage, envelope: Envelope) -> bool:
    """Whether an address, shown or hidden, has a local part that is not ASCII."""
    shown = bool(getattr(message.policy, "utf8", False))
    return shown or not all(a.isascii() for a in (envelope.sender, *envelope.receivers))


def _policy(*, utf8: bool) -> EmailPolicy[EmailMessage]:
    # cte_type: a server need not offer 8BITMIME. refold_source: the values set
    # with set_raw are folded already.
    return EmailPolicy(linesep="\r\n", cte_type="7bit", refold_source="none", utf8=utf8)


def _sender(payload: MailContent, default: str, allowed: Sequence[str]) -> Address:
    domains = set()
    for domain in allowed:
        try:
            domains.add(ascii_domain(domain))
        except ValueError:
            raise Unrecoverable("SMTP_FROM_ALLOWED: one of its entries is no domain") from None
    if payload.from_ is not None:
        return check_sender(payload.from_, domains)
    try:
        sender = parse_address(default, "SMTP_FROM")
    except InvalidPayload as error:
        raise Unrecoverable(str(error)) from None
    if sender.domain not in domains:
        raise Unrecoverable("SMTP_FROM: its domain is not in SMTP_FROM_ALLOWED")
    return sender


def _addresses(field: str, given: str | Sequence[str]) -> list[Address]:
    given = [given] if isinstance(given, str) else given
    if len(given) == 1:
        return [parse_address(given[0], field)]
    return [parse_address(text, f"{field}.{index}") for index, text in enumerate(given)]


def read_content(payload: MailContent) -> tuple[str, str | None, str | None]:
    """Return subject, html and text; a template in it is rendered.

    Raises `InvalidPayload` for what no attempt could send.
    """
    subject, html, text = payload.subject, payload.html, payload.text
    if payload.template is not None:
        if html or text:
            raise InvalidPayload("template", "goes without html and text")
        rendered = render(payload.template, payload.context, subject=subject is None)
        html, text = rendered.html, rendered.text
        subject = rendered.subject if subject is None else subject
    subject = check_line("subject", subject or "").strip()
    if not subject:
        raise InvalidPayload("subject", "is required")
    if not html and not text:
        raise InvalidPayload("text", "give html, text or template")
    if len(subject) > MAX_SUBJECT_CHARS:
        raise InvalidPayload("subject", f"is longer than {MAX_SUBJECT_CHARS} characters")
    html = check_body("html", html) if html else None
    return subject, html, check_body("text", text) if text else None


def _encoding(text: str) -> str | None:
    # A control character is allowed in a body only when it is encoded.
    return "quoted-printable" if _UNSAFE_IN_7BIT.search(text) else None

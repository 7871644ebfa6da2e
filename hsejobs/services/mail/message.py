"""Build the MIME message and its envelope from a payload."""

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

MAX_RECIPIENTS = 50
MAX_SUBJECT_CHARS = 998

_UNSAFE_IN_7BIT = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]")


class MailContent(Protocol):
    """The content of a mail; `EmailPayload` implements it."""

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
    """The SMTP sender and recipients, which may differ from the headers (bcc).

    ``key`` identifies the job outside Redis: a hash of its key.
    """

    sender: str
    recipients: tuple[str, ...]
    key: str


def key_of_job(prefix: str, job_id: str, created_at: int) -> str:
    """Return a key that identifies a job of the email queue permanently.

    It includes the creation time: an id that is reused after a removal is a different mail.
    """
    return f"{prefix}/email/{job_id}/{created_at}"


def mail_key(job_key: str) -> str:
    """Return the 32 hex digits that identify a job in Message-ID and file names."""
    return hashlib.sha256(job_key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def recipient_key(envelope: Envelope, recipient: str) -> str:
    """Return the 32 hex digits under which one recipient's acceptance is recorded.

    They are the same in all attempts of a job and do not reveal the address.
    """
    return hashlib.sha256(f"{envelope.key}\0{recipient}".encode()).hexdigest()[:32]


def build_message(
    payload: MailContent,
    *,
    job_key: str,
    sender_default: str,
    allowed_domains: Sequence[str],
    now: datetime,
    attachments: Sequence[Attachment] = (),
) -> EmailMessage:
    """Build the MIME message of ``payload``.

    Args:
        payload: the content; only its named template is rendered.
        job_key: identifies the job; its hash becomes the Message-ID.
        sender_default: From, if the payload has none.
        allowed_domains: the domains that From may have, matched exactly.
        now: the Date header; must have a time zone.
        attachments: the loaded `payload.attachments`.

    Returns:
        A message without a Bcc header. Its policy has ``utf8`` set if an
        address in its headers has a local part that requires SMTPUTF8.

    Raises:
        InvalidPayload: names the invalid field, never its value.
        Unrecoverable: SMTP_FROM is not an address, or not in SMTP_FROM_ALLOWED.
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
    """Return the envelope of ``payload``: each recipient once, bcc included.

    Raises `InvalidPayload` for an invalid address, for no recipient and for more
    than 50.
    """
    fields = (("to", payload.to), ("cc", payload.cc), ("bcc", payload.bcc))
    recipients = [a.spec for field, given in fields for a in _addresses(field, given)]
    if not recipients:
        raise InvalidPayload("to", "must name at least one recipient")
    if len(recipients) > MAX_RECIPIENTS:
        raise InvalidPayload(
            "to", f"must have at most {MAX_RECIPIENTS} recipients together with cc and bcc"
        )
    sender = parse_address(payload.from_ or sender_default, "from")
    return Envelope(sender.spec, tuple(dict.fromkeys(recipients)), mail_key(job_key))


def check_sender(text: str, allowed: Collection[str]) -> Address:
    """Return the address in ``text`` if its domain is one of ``allowed``.

    Raises `InvalidPayload` for ``from``, which lists the allowed domains.
    """
    sender = parse_address(text, "from")
    if sender.domain not in allowed:
        known = ", ".join(sorted(allowed)) or "none"
        raise InvalidPayload("from", f"must have an allowed domain; allowed: {known}")
    return sender


def needs_smtputf8(message: EmailMessage, envelope: Envelope) -> bool:
    """Return whether an address in the headers or the envelope has a non-ASCII local part."""
    shown = bool(getattr(message.policy, "utf8", False))
    return shown or not all(a.isascii() for a in (envelope.sender, *envelope.recipients))


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
            raise Unrecoverable("SMTP_FROM_ALLOWED: an entry is not a valid domain") from None
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
    """Return subject, html and text; render the template if there is one.

    Raises `InvalidPayload` for content that no attempt could send.
    """
    subject, html, text = payload.subject, payload.html, payload.text
    if payload.template is not None:
        if html or text:
            raise InvalidPayload("template", "must not be combined with html or text")
        rendered = render(payload.template, payload.context, subject=subject is None)
        html, text = rendered.html, rendered.text
        subject = rendered.subject if subject is None else subject
    subject = check_line("subject", subject or "").strip()
    if not subject:
        raise InvalidPayload("subject", "is required")
    if not html and not text:
        raise InvalidPayload("text", "is required unless html or template is given")
    if len(subject) > MAX_SUBJECT_CHARS:
        raise InvalidPayload("subject", f"is longer than {MAX_SUBJECT_CHARS} characters")
    html = check_body("html", html) if html else None
    return subject, html, check_body("text", text) if text else None


def _encoding(text: str) -> str | None:
    # A body may contain control characters only if it is encoded.
    return "quoted-printable" if _UNSAFE_IN_7BIT.search(text) else None

"""Deliver a mail: record accepted recipients, report refused ones, retry the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING

from hsejobs import tracing
from hsejobs.errors import SettingsError, Unrecoverable
from hsejobs.services.mail.address import mask_address
from hsejobs.services.mail.errors import MailDeadline, MailRefusedForNow
from hsejobs.services.mail.message import Envelope, needs_smtputf8, recipient_key
from hsejobs.services.mail.server import parse_smtp_url

if TYPE_CHECKING:
    from hsejobs.services.mail.session import DeliveryOutcome

DELIVERY_SECONDS = 30.0
"""The time limit of one attempt if the job sets none."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """``accepted``: how many recipients have the mail, earlier attempts included.

    ``refused``: the masked addresses that the server refused permanently.
    """

    accepted: int
    refused: tuple[str, ...] = ()


def deliver(
    message: EmailMessage,
    envelope: Envelope,
    *,
    smtp_url: str,
    deadline: float,
    already: Callable[[str], bool],
    accepted: Callable[[str], None],
    before_data: Callable[[], None] = lambda: None,
) -> Receipt:
    """Send ``message`` to every recipient that does not have it yet.

    Args:
        message: a message from `build_message`.
        envelope: its sender and recipients.
        smtp_url: the server, see `parse_smtp_url`.
        deadline: a `time.monotonic()` value; no server can extend it.
        already: returns whether the recipient with this key (see `recipient_key`)
            has the mail from an earlier attempt.
        accepted: records that; called as soon as the server has answered 250.
        before_data: called just before the mail is sent; an exception from it
            (a lost lease) stops the delivery.

    Returns:
        The receipt, if every recipient has the mail or is refused permanently,
        and at least one has it.

    Raises:
        Unrecoverable: SMTP_URL is invalid, or the server refused the sender,
            the mail or all recipients with 5xx.
        MailRefusedForNow: a 4xx; accepted recipients are recorded, and
            another attempt sends to the others only.
        MailServerUnavailable: no connection, or a lost one. If it was lost
            between the end of the mail and the reply, the server may have
            accepted the mail; the error says so.
        MailDeadline: the deadline passed; the same applies.
    """
    try:
        server = parse_smtp_url(smtp_url)
    except SettingsError as error:
        raise Unrecoverable(str(error)) from None
    pending = [r for r in envelope.recipients if not already(recipient_key(envelope, r))]
    before = len(envelope.recipients) - len(pending)
    if not pending:
        return Receipt(before)
    if time.monotonic() >= deadline:
        raise MailDeadline("the deadline passed before the mail server was called")

    from hsejobs.services.mail.session import SmtpSession

    span = tracing.calling("SMTP", server_address=server.host, server_port=server.port)
    with span, SmtpSession(server, deadline).connected() as session:
        outcome = session.transact(
            envelope.sender,
            pending,
            message.as_bytes(),
            utf8=needs_smtputf8(message, envelope),
            before_data=before_data,
        )
        for recipient in outcome.accepted:
            _record(accepted, envelope, recipient)
    return _receipt(envelope, outcome, before)


def _receipt(envelope: Envelope, outcome: DeliveryOutcome, before: int) -> Receipt:
    """Return the receipt of a transaction; ``before``: recipients that already had the mail."""
    if outcome.deferred:
        recipient, answer = outcome.deferred[0]
        raise MailRefusedForNow(
            f"the mail server refused {len(outcome.deferred)} of {len(envelope.recipients)}"
            f" recipients for now, {mask_address(recipient)}: {answer}",
            closing=any(text.startswith("421") for _, text in outcome.deferred),
        )
    if not outcome.accepted and not before:
        recipient, answer = outcome.refused[0]
        raise Unrecoverable(
            f"the mail server refused every recipient, {mask_address(recipient)}: {answer}"
        )
    refused = tuple(mask_address(recipient) for recipient, _ in outcome.refused)
    return Receipt(before + len(outcome.accepted), refused)


def _record(accepted: Callable[[str], None], envelope: Envelope, recipient: str) -> None:
    try:
        accepted(recipient_key(envelope, recipient))
    except Exception as error:
        # The mail was sent: failing the attempt now would send it again.
        log.warning(
            "a delivery could not be recorded",
            extra={"to": mask_address(recipient), "error": type(error).__name__},
        )

"""Delivery: who got the mail, who never will, and who is tried again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING

from hsejobs.errors import SettingsError, Unrecoverable
from hsejobs.services.mail.address import mask_address
from hsejobs.services.mail.errors import MailDeadline, MailRefusedForNow
from hsejobs.services.mail.message import Envelope, needs_smtputf8, receiver_key
from hsejobs.services.mail.server import parse_smtp_url

if TYPE_CHECKING:
    from hsejobs.services.mail.session import DeliveryOutcome

DELIVERY_SECONDS = 30.0
"""How long one attempt may take where the job sets no other limit."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Receipt:
    """``accepted``: how many receivers have the mail, earlier attempts included.

    ``refused``: the masked addresses that the server refused for good.
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
    """Hand ``message`` to the server for every receiver that lacks it.

    Args:
        message: as `build_message` made it.
        envelope: its sender and receivers.
        smtp_url: the server, see `parse_smtp_url`.
        deadline: a `time.monotonic()` value; nothing the server does outlasts it.
        already: whether the receiver of this key has the mail from an earlier
            attempt; keys are made by `receiver_key`.
        accepted: records that, called as soon as the server has said 250.
        before_data: called just before the mail is sent; what it raises (a lost
            lease) stops the sending.

    Returns:
        The receipt, when all receivers have the mail or are refused for good,
        and at least one has it.

    Raises:
        Unrecoverable: SMTP_URL is wrong, or the server refused with 5xx the
            sender, the mail or all receivers.
        MailRefusedForNow: a 4xx; those who were accepted are recorded, and
            another attempt goes to the others only.
        MailServerUnavailable: no connection, or a broken one. When it broke
            between the end of the mail and the answer, the server may have
            taken it; the error says so.
        MailDeadline: the deadline came; the same holds.
    """
    try:
        server = parse_smtp_url(smtp_url)
    except SettingsError as error:
        raise Unrecoverable(str(error)) from None
    pending = [r for r in envelope.receivers if not already(receiver_key(envelope, r))]
    before = len(envelope.receivers) - len(pending)
    if not pending:
        return Receipt(before)
    if time.monotonic() >= deadline:
        raise MailDeadline("the time was used up before the mail server was called")

    from hsejobs.services.mail.session import SmtpSession

    with SmtpSession(server, deadline).talk() as session:
        outcome = session.transact(
            envelope.sender,
            pending,
            message.as_bytes(),
            utf8=needs_smtputf8(message, envelope),
            before_data=before_data,
        )
        for receiver in outcome.accepted:
            _record(accepted, envelope, receiver)
    return _receipt(envelope, outcome, before)


def _receipt(envelope: Envelope, outcome: DeliveryOutcome, before: int) -> Receipt:
    """What a transaction comes to; ``before``: receivers that had the mail already."""
    if outcome.deferred:
        receiver, said = outcome.deferred[0]
        raise MailRefusedForNow(
            f"the mail server refused {len(outcome.deferred)} of {len(envelope.receivers)}"
            f" receivers for now, {mask_address(receiver)}: {said}",
            closing=any(text.startswith("421") for _, text in outcome.deferred),
        )
    if not outcome.accepted and not before:
        receiver, said = outcome.refused[0]
        raise Unrecoverable(
            f"the mail server refused every receiver, {mask_address(receiver)}: {said}"
        )
    refused = tuple(mask_address(receiver) for receiver, _ in outcome.refused)
    return Receipt(before + len(outcome.accepted), refused)


def _record(accepted: Callable[[str], None], envelope: Envelope, receiver: str) -> None:
    try:
        accepted(receiver_key(envelope, receiver))
    except Exception as error:
        # The mail is out: failing the attempt now would send it again.
        log.warning(
            "a delivery could not be recorded",
            extra={"to": mask_address(receiver), "error": type(error).__name__},
        )

"""One SMTP conversation, from the greeting to the reply after the final dot.

`smtplib` provides the commands and parses replies. Connecting, TLS, login and
the transaction are done here, because each of them must respect the deadline,
reveal no secret and separate certain refusals from unknown outcomes.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn, cast

from hsejobs.errors import JobsError, Unrecoverable
from hsejobs.masking import MASK
from hsejobs.services.mail.address import mask_addresses_in
from hsejobs.services.mail.channel import SmtpChannel, connect
from hsejobs.services.mail.errors import (
    MailDeadline,
    MailRefusedForNow,
    MailServerUnavailable,
)
from hsejobs.services.mail.server import SmtpServer

QUIT_SECONDS = 1.0
"""The longest wait for the reply to QUIT."""

_HOST_NAME = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")
_MAYBE_TAKEN = (
    "; the whole mail was sent, so the server may have accepted it"
    " and another attempt may send it twice"
)


@dataclass(slots=True)
class DeliveryOutcome:
    """The server's reply for each recipient: accepted, refused (5xx) or deferred (4xx)."""

    accepted: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    deferred: list[tuple[str, str]] = field(default_factory=list)


class SmtpSession(smtplib.SMTP):
    """A conversation with ``server`` that ends at ``deadline`` (`time.monotonic()`).

    Use as ``with SmtpSession(...).connected() as session``: network and protocol errors in
    the block become errors of this package, without the password.
    """

    def __init__(self, server: SmtpServer, deadline: float) -> None:
        # Without a name smtplib would look one up, without a timeout.
        super().__init__(local_hostname="localhost")
        self._server = server
        self._deadline = deadline
        self._channel: SmtpChannel | None = None
        self._stage = "connecting"
        self._handed_over = False

    @contextmanager
    def connected(self) -> Iterator[SmtpSession]:
        """Connect, greet and log in; at the end send QUIT and close.

        Raises `MailDeadline`, `MailServerUnavailable`, `MailRefusedForNow`
        (4xx) and `Unrecoverable` (5xx, or a server that does not support what
        SMTP_URL requires).
        """
        try:
            self._open()
            yield self
        except OSError as error:  # smtplib's errors are OSErrors
            raise self._failure(error) from None
        finally:
            self._leave()

    def transact(
        self,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        *,
        utf8: bool,
        before_data: Callable[[], None],
    ) -> DeliveryOutcome:
        """Send one mail, with CRLF line ends; return the outcome for each recipient.

        ``utf8`` requires SMTPUTF8. ``before_data`` is called after the recipients
        and before DATA: an exception from it ends the transaction.
        Raises `MailRefusedForNow` or `Unrecoverable` if the server refuses
        the whole mail.
        """
        if utf8 and not self.has_extn("smtputf8"):
            raise Unrecoverable(
                "an address has non-ASCII characters before its @, which this mail server does"
                " not support (it offers no SMTPUTF8)"
            )
        options = [f"size={len(data)}"] if self.has_extn("size") else []
        options += ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
        self._stage = "naming the sender"
        self._expect("the sender", *self.mail(sender, options))
        outcome = self._name(recipients)
        if not outcome.accepted:
            return outcome
        self._stage = "sending the mail"
        before_data()
        code, reply = self.docmd("DATA")
        if code != 354:
            self._refuse("the mail", code, reply)
        self.send(re.sub(rb"(?m)^\.", b"..", data.removesuffix(b"\r\n")) + b"\r\n.\r\n")
        self._stage, self._handed_over = "waiting for the mail to be accepted", True
        code, reply = self.getreply()
        # Only a 2xx, 4xx or 5xx code settles the outcome.
        self._handed_over = not (200 <= code <= 299 or 400 <= code <= 599)
        self._expect("the mail", code, reply)
        return outcome

    def _open(self) -> None:
        server = self._server
        self._channel = connect(server.host, server.port, self._deadline)
        self.sock = cast(socket.socket, self._channel)
        self.local_hostname = _own_name(self._channel)
        if server.tls == "implicit":
            self._start_tls()
        self._stage = "waiting for the greeting"
        self._expect("the connection", *self.getreply())
        self._hello()
        if server.tls == "required" and not self.has_extn("starttls"):
            raise Unrecoverable("the mail server offers no STARTTLS, which SMTP_URL requires")
        if server.tls in {"required", "offered"} and self.has_extn("starttls"):
            self._expect("STARTTLS", *self.docmd("STARTTLS"))
            self._start_tls()
            # Discard everything learned before TLS (RFC 3207).
            self.file = None
            self.esmtp_features = {}
            self.does_esmtp = False
            self._hello()
        if server.user is not None:
            self._log_in(server.user, server.password or "")

    def _start_tls(self) -> None:
        self._stage = "starting TLS"
        context = ssl.create_default_context()
        if not self._server.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._wire.start_tls(context, self._server.host)

    def _hello(self) -> None:
        self._stage = "greeting"
        code, reply = self.ehlo()
        if 500 <= code <= 599:
            code, reply = self.helo()
        self._expect("the greeting", code, reply)

    def _log_in(self, user: str, password: str) -> None:
        self._stage = "logging in"
        if not self._wire.is_tls and not ipaddress.ip_address(self._wire.peer).is_loopback:
            raise Unrecoverable(
                "SMTP_URL has a password, which must not be sent without TLS:"
                " use smtps:// or a server that offers STARTTLS"
            )
        offered = str(self.esmtp_features.get("auth", "")).upper().split()
        if "PLAIN" in offered:
            code, _ = self.docmd("AUTH", "PLAIN " + _base64(f"\0{user}\0{password}"))
        elif "LOGIN" in offered:
            code, _ = self.docmd("AUTH", "LOGIN " + _base64(user))
            if code == 334:
                code, _ = self.docmd(_base64(password))
        else:
            raise Unrecoverable(
                "SMTP_URL has a password, but the mail server offers no AUTH PLAIN or LOGIN"
            )
        # Leave the reply out: it may repeat the credentials.
        self._expect("the login of SMTP_URL", code, b"")

    def _name(self, recipients: Sequence[str]) -> DeliveryOutcome:
        self._stage = "naming the recipients"
        outcome = DeliveryOutcome()
        for position, recipient in enumerate(recipients):
            code, reply = self.rcpt(recipient)
            answer = self._reply_text(code, reply)
            if code == 421:
                # The server closes the connection: no recipient gets this mail now.
                left = [(other, answer) for other in recipients[position:]]
                lost = [(other, answer) for other in outcome.accepted]
                return DeliveryOutcome([], outcome.refused, outcome.deferred + lost + left)
            if 200 <= code <= 299:
                outcome.accepted.append(recipient)
            elif 500 <= code <= 599:
                outcome.refused.append((recipient, answer))
            elif 400 <= code <= 499:
                outcome.deferred.append((recipient, answer))
            else:
                self._refuse("a recipient", code, reply)
        return outcome

    @property
    def _wire(self) -> SmtpChannel:
        if self._channel is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        return self._channel

    def _expect(self, what: str, code: int, reply: bytes) -> None:
        if not 200 <= code <= 299:
            self._refuse(what, code, reply)

    def _refuse(self, what: str, code: int, reply: bytes) -> NoReturn:
        answer = self._reply_text(code, reply)
        if 500 <= code <= 599:
            raise Unrecoverable(f"the mail server refused {what}: {answer}")
        if 400 <= code <= 499:
            problem = f"the mail server refused {what} for now: {answer}"
            raise MailRefusedForNow(problem, closing=code == 421)
        raise MailServerUnavailable(
            f"the mail server's reply about {what} is not valid SMTP"
            + (_MAYBE_TAKEN if self._handed_over else ""),
            ambiguous=self._handed_over,
        )

    def _reply_text(self, code: int, reply: bytes) -> str:
        """Return a reply as one short line, with addresses and secrets masked."""
        text = reply.decode("utf-8", "replace")
        user, password = self._server.user or "", self._server.password
        if password:
            for secret in (password, _base64(password), _base64(f"\0{user}\0{password}")):
                text = text.replace(secret, MASK)
        line = _NOT_PRINTABLE.sub(" ", mask_addresses_in(text[:2000])).strip()
        return f"{code} {line}"[:200].strip()

    def _failure(self, error: OSError) -> JobsError:
        tail = _MAYBE_TAKEN if self._handed_over else ""
        # smtplib reports a timeout as SMTPServerDisconnected, so check the clock.
        if isinstance(error, TimeoutError) or time.monotonic() >= self._deadline - 0.005:
            message = f"the mail server took too long ({self._stage}){tail}"
            return MailDeadline(message, ambiguous=self._handed_over)
        if isinstance(error, ssl.SSLCertVerificationError):
            return MailServerUnavailable(
                f"the mail server's certificate is not trusted: {error.verify_message};"
                " verify=0 in SMTP_URL accepts any"
            )
        broken = isinstance(error, smtplib.SMTPException)
        reason = "the connection was lost" if broken else error.strerror or str(error)
        message = f"the mail server is not available ({self._stage}): {reason}{tail}"
        return MailServerUnavailable(message, ambiguous=self._handed_over)

    def _leave(self) -> None:
        # The outcome is settled after the reply to DATA: ignore errors here.
        try:
            if self.sock is not None and self._channel is not None:
                patience = time.monotonic() + QUIT_SECONDS
                self._channel.deadline = min(self._deadline, patience)
                self.docmd("QUIT")
        except OSError:
            pass
        finally:
            self.close()
            if self._channel is not None:
                self._channel.close()


def _own_name(channel: SmtpChannel) -> str:
    name = socket.gethostname()
    if len(name) <= 253 and _HOST_NAME.fullmatch(name):
        return name
    own = ipaddress.ip_address(channel.own.partition("%")[0])
    return f"[IPv6:{own}]" if own.version == 6 else f"[{own}]"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")

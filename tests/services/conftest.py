"""Mail servers: a real one (aiosmtpd), and one that misbehaves at a chosen point."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from hsejobs.services.mail import build_envelope, build_message
from hsejobs.services.mail.message import Envelope as MailEnvelope
from hsejobs.services.mail.render import use_templates
from hsejobs.services.mail.send import use_outbox_sender


@dataclass
class Certificate:
    """A self-signed certificate for localhost and 127.0.0.1."""

    path: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context


@pytest.fixture(scope="session", autouse=True)
def _templates() -> None:
    """The application's named templates and sender, without the application."""
    use_outbox_sender("noreply@hse.digital")
    use_templates(Path(__file__).parents[2] / "templates" / "email")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    no_password = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password)
        + built.public_bytes(pem)
    )
    return Certificate(path)


def _encrypted(server: SMTP) -> bool:
    return (
        server.transport is not None and server.transport.get_extra_info("ssl_object") is not None
    )


@dataclass
class Inbox:
    """An aiosmtpd handler: what arrived, and what to refuse with which reply."""

    replies: dict[str, str] = field(default_factory=dict)
    mails: list[Envelope] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    login: tuple[bytes, bytes] | None = None
    url: str = ""

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.offered.append(address)
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = self.replies.get("DATA", "250 OK")
        if reply.startswith("250"):
            self.mails.append(envelope)
            self.tls.append(_encrypted(server))
        return reply

    def authenticate(self, server: Any, session: Any, envelope: Any, way: str, data: Any) -> Any:
        self.login = (data.login, data.password)
        return AuthResult(success=data.password == "pä:ss/wörd".encode(), handled=False)


Server = Callable[..., Inbox]
Build = Callable[..., tuple[EmailMessage, MailEnvelope]]
Clock = Callable[[], float]


@pytest.fixture
def mail_server() -> Iterator[Server]:
    """Start real servers: ``mail_server(tls="starttls"|"smtps", certificate=..., **smtp)``."""
    running: list[Controller] = []

    def start(
        tls: str = "",
        certificate: Certificate | None = None,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> Inbox:
        inbox = Inbox()
        if certificate is not None and tls == "starttls":
            options["tls_context"] = certificate.context()
        if options.get("auth"):
            del options["auth"]
            options |= {"authenticator": inbox.authenticate}
        context = certificate.context() if certificate and tls == "smtps" else None
        server = Controller(inbox, hostname=host, port=0, ssl_context=context, **options)
        with socket.create_server((host, 0)) as probe:
            server.port = probe.getsockname()[1]
        server.start()
        running.append(server)
        scheme = "smtps" if tls == "smtps" else "smtp"
        inbox.url = f"{scheme}://{host}:{server.port}"
        return inbox

    yield start
    for server in running:
        server.stop()


class BadServer:
    """Speaks plain SMTP, and at the stage ``at`` does what ``how`` says.

    Stages: banner, EHLO, MAIL, RCPT, DATA, dot (the answer to the mail), QUIT.
    ``how``: drop, hang, dribble (a byte every 20 ms, without end), or the bytes of
    the reply to give.
    """

    def __init__(self, at: str, how: str | bytes) -> None:
        self.at, self.how = at, how
        self.advertise = b"250 hello\r\n"
        self.mails: list[bytes] = []
        self.stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self.stop.is_set():
            return
        self.stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                try:
                    self._talk(peer)
                except OSError:
                    continue

    def _talk(self, peer: socket.socket) -> None:
        with peer.makefile("rb") as lines:
            if not self._reply(peer, "banner", b"220 hello\r\n"):
                return
            for line in lines:
                if line.startswith(b"AUTH"):
                    peer.sendall(b"235 welcome\r\n")
                    continue
                verb = line[:4].decode("ascii").strip().upper()
                usual = {"DATA": b"354 go\r\n", "QUIT": b"221 bye\r\n", "EHLO": self.advertise}
                if not self._reply(peer, verb, usual.get(verb, b"250 OK\r\n")):
                    return
                if verb == "DATA":
                    mail = b""
                    for part in lines:
                        if part == b".\r\n":
                            break
                        mail += part
                    self.mails.append(mail)
                    if not self._reply(peer, "dot", b"250 taken\r\n"):
                        return

    def _reply(self, peer: socket.socket, stage: str, usual: bytes) -> bool:
        if stage != self.at:
            peer.sendall(usual)
            return True
        if isinstance(self.how, bytes):
            peer.sendall(self.how)
            return True
        if self.how == "hang":
            self.stop.wait(20)
        while self.how == "dribble" and not self.stop.wait(0.02):
            peer.sendall(b"2")
        return False


@pytest.fixture
def bad_server() -> Iterator[Callable[[str, str | bytes], BadServer]]:
    """Starts servers that misbehave; see `BadServer`."""
    running: list[BadServer] = []

    def start(at: str, how: str | bytes) -> BadServer:
        running.append(BadServer(at, how))
        return running[-1]

    yield start
    for server in running:
        server.close()


def content(**given: Any) -> SimpleNamespace:
    """A payload-like with everything absent but what is given."""
    usual: dict[str, Any] = {
        "to": ["ann@example.com"],
        "cc": [],
        "bcc": [],
        "subject": "Hello",
        "html": None,
        "text": None if given.keys() & {"html", "template"} else "Hi",
        "from_": None,
        "reply_to": None,
        "template": None,
        "context": {},
        "attachments": [],
    }
    return SimpleNamespace(**usual | given)


@pytest.fixture
def build() -> Build:
    """Build a mail from ``noreply@hse.digital`` of what is given."""

    def make(attachments: Any = (), **given: Any) -> tuple[EmailMessage, MailEnvelope]:
        said = content(**given)
        message = build_message(
            said,
            job_key="email:1",
            sender_default="HSE <noreply@hse.digital>",
            allowed_domains=("hse.digital",),
            now=dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC),
            attachments=attachments,
        )
        default = "noreply@hse.digital"
        return message, build_envelope(said, job_key="email:1", sender_default=default)

    return make


@pytest.fixture
def soon() -> Clock:
    """A deadline half a second away."""
    return lambda: time.monotonic() + 0.5


@pytest.fixture
def later() -> Clock:
    """A deadline that a test never reaches."""
    return lambda: time.monotonic() + 30


class Ledger:
    """Remembers who has the mail, as the job's record does."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def already(self, key: str) -> bool:
        return key in self.keys

    def accepted(self, key: str) -> None:
        self.keys.append(key)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()

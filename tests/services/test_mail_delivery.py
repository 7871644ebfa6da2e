"""Delivery to a real server: TLS, login, refusals, and who is tried again."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from email.policy import default as default_policy
from typing import TYPE_CHECKING, Any

import pytest

from hsejobs.errors import LeaseLost, SettingsError, Unrecoverable
from hsejobs.services.mail import (
    MailRefusedForNow,
    MailServerUnavailable,
    Receipt,
    deliver,
)
from hsejobs.services.mail.message import recipient_key
from hsejobs.services.mail.server import parse_smtp_url

if TYPE_CHECKING:
    from tests.services.conftest import Build, Certificate, Clock, Ledger, Server

PASSWORD = "p%C3%A4:ss%2Fw%C3%B6rd"
THREE = ["a@example.com", "b@example.com", "c@example.com"]


@pytest.fixture
def send(build: Build, ledger: Ledger, later: Clock) -> Callable[..., Receipt]:
    """Deliver a mail of what is given to a server."""

    def run(url: str, before_data: Callable[[], None] = lambda: None, **given: Any) -> Receipt:
        return deliver(
            *build(**given),
            smtp_url=url,
            deadline=later(),
            already=ledger.already,
            accepted=ledger.accepted,
            before_data=before_data,
        )

    return run


Send = Callable[..., Receipt]


def test_a_mail_arrives(mail_server: Server, send: Send, build: Build, ledger: Ledger) -> None:
    inbox = mail_server()
    receipt = send(inbox.url, to=["Ann <ann@bücher.example>"], bcc=["hidden@example.com"])
    assert receipt == Receipt(2)
    (mail,) = inbox.mails
    assert mail.mail_from == "noreply@hse.digital"
    assert mail.rcpt_tos == ["ann@xn--bcher-kva.example", "hidden@example.com"]
    assert isinstance(mail.content, bytes)
    read = message_from_bytes(mail.content, policy=default_policy)
    assert read["Subject"] == "Hello"
    assert b"hidden" not in mail.content
    assert inbox.tls == [False]
    _, envelope = build()
    assert ledger.keys == [recipient_key(envelope, r) for r in mail.rcpt_tos]


def test_dots_and_line_ends_in_a_body(mail_server: Server, send: Send) -> None:
    inbox = mail_server()
    text = ".\n..\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<x@example.com>\r\n.leading"
    send(inbox.url, text=text)
    (mail,) = inbox.mails
    assert isinstance(mail.content, bytes)
    body = mail.content.partition(b"\r\n\r\n")[2].decode()
    assert body.splitlines() == text.splitlines()


@pytest.mark.parametrize("option", ["", "&starttls=required"])
def test_starttls(mail_server: Server, certificate: Certificate, send: Send, option: str) -> None:
    inbox = mail_server("starttls", certificate)
    assert send(f"{inbox.url}?verify=0{option}") == Receipt(1)
    assert inbox.tls == [True]


def test_starttls_can_be_left_alone(
    mail_server: Server, certificate: Certificate, send: Send
) -> None:
    inbox = mail_server("starttls", certificate)
    assert send(f"{inbox.url}?starttls=never") == Receipt(1)
    assert inbox.tls == [False]


def test_required_starttls_is_not_offered(mail_server: Server, send: Send) -> None:
    with pytest.raises(Unrecoverable, match="STARTTLS"):
        send(mail_server().url + "?starttls=required")


def test_smtps(mail_server: Server, certificate: Certificate, send: Send) -> None:
    inbox = mail_server("smtps", certificate)
    assert send(inbox.url + "?verify=0") == Receipt(1)
    assert inbox.tls == [True]


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
def test_a_certificate_is_verified(
    mail_server: Server, certificate: Certificate, send: Send, tls: str
) -> None:
    inbox = mail_server(tls, certificate)
    with pytest.raises(MailServerUnavailable, match="certificate is not trusted"):
        send(inbox.url)
    assert not inbox.mails


def test_a_trusted_certificate_must_be_for_the_host(
    mail_server: Server,
    certificate: Certificate,
    send: Send,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    inbox = mail_server("smtps", certificate)
    assert send(inbox.url) == Receipt(1)
    assert send(inbox.url.replace("127.0.0.1", "localhost"), to=["b@example.com"]) == Receipt(1)
    with pytest.raises(MailServerUnavailable, match="certificate is not trusted"):
        send(mail_server("smtps", certificate, host="127.0.0.2").url, to=["c@example.com"])


def with_login(url: str, password: str = PASSWORD) -> str:
    return url.replace("://", f"://us%40er:{password}@")


@pytest.mark.parametrize("left_out", [[], ["PLAIN"]])
@pytest.mark.parametrize("tls", ["starttls", "smtps", ""])
def test_login(
    mail_server: Server, certificate: Certificate, send: Send, tls: str, left_out: list[str]
) -> None:
    options = {
        "auth": True,
        "auth_require_tls": tls == "starttls",
        "auth_exclude_mechanism": left_out,
    }
    inbox = mail_server(tls, certificate, **options)
    assert send(with_login(inbox.url) + "?verify=0") == Receipt(1)
    assert inbox.login == (b"us@er", "pä:ss/wörd".encode())


def test_a_refused_login_is_final_and_shows_no_password(mail_server: Server, send: Send) -> None:
    inbox = mail_server(auth=True, auth_require_tls=False)
    with pytest.raises(Unrecoverable, match="login of SMTP_URL: 535") as caught:
        send(with_login(inbox.url, "wrong-pass"))
    error: BaseException | None = caught.value
    while error is not None:
        assert "wrong-pass" not in str(error)
        error = error.__cause__ or error.__context__
    assert not inbox.offered


def test_a_login_that_is_not_offered(mail_server: Server, send: Send) -> None:
    with pytest.raises(Unrecoverable, match="offers no AUTH"):
        send(with_login(mail_server().url))


def test_no_login_without_tls_but_on_loopback(
    mail_server: Server, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hsejobs.services.mail.channel import SmtpChannel

    monkeypatch.setattr(SmtpChannel, "peer", "192.0.2.1")
    inbox = mail_server(auth=True, auth_require_tls=False)
    with pytest.raises(Unrecoverable, match="without TLS"):
        send(with_login(inbox.url))
    assert inbox.login is None


@pytest.mark.parametrize("stage", ["MAIL", "DATA", "ann@example.com"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("550 5.1.1 <ann@example.com> is unknown", Unrecoverable),
        ("451 4.3.0 ann@example.com: try later", MailRefusedForNow),
    ],
)
def test_5xx_is_final_and_4xx_is_not(
    mail_server: Server, send: Send, ledger: Ledger, stage: str, reply: str, error: Any
) -> None:
    inbox = mail_server()
    inbox.replies[stage] = reply
    with pytest.raises(error, match=reply[:9]) as caught:
        send(inbox.url)
    assert "ann@" not in str(caught.value)
    assert "a***@example.com" in str(caught.value)
    assert not ledger.keys


def test_some_are_refused_permanently(mail_server: Server, send: Send, ledger: Ledger) -> None:
    inbox = mail_server()
    inbox.replies["b@example.com"] = "550 unknown"
    assert send(inbox.url, to=THREE) == Receipt(2, ("b***@example.com",))
    assert inbox.mails[0].rcpt_tos == ["a@example.com", "c@example.com"]
    assert len(ledger.keys) == 2


def test_a_retry_goes_to_those_who_lack_it(mail_server: Server, send: Send) -> None:
    inbox = mail_server()
    inbox.replies |= {"b@example.com": "450 greylisted", "c@example.com": "550 unknown"}
    with pytest.raises(MailRefusedForNow, match=r"1 of 3 recipients.*b\*\*\*@example.com: 450"):
        send(inbox.url, to=THREE)
    inbox.replies["b@example.com"] = "250 OK"
    assert send(inbox.url, to=THREE) == Receipt(2, ("c***@example.com",))
    assert [mail.rcpt_tos for mail in inbox.mails] == [["a@example.com"], ["b@example.com"]]
    assert inbox.offered.count("a@example.com") == 1


def test_who_has_the_mail_is_not_called_again(mail_server: Server, send: Send) -> None:
    inbox = mail_server()
    send(inbox.url, to=THREE)
    assert send(inbox.url, to=THREE) == Receipt(3)
    assert len(inbox.mails) == 1


def test_the_last_one_missing_is_refused(mail_server: Server, send: Send) -> None:
    inbox = mail_server()
    inbox.replies["b@example.com"] = "450 later"
    with pytest.raises(MailRefusedForNow):
        send(inbox.url, to=THREE[:2])
    inbox.replies["b@example.com"] = "550 never"
    assert send(inbox.url, to=THREE[:2]) == Receipt(1, ("b***@example.com",))


def test_a_lost_lease_stops_the_mail(mail_server: Server, send: Send, ledger: Ledger) -> None:
    def lost() -> None:
        raise LeaseLost("this attempt is over")

    inbox = mail_server()
    with pytest.raises(LeaseLost):
        send(inbox.url, before_data=lost)
    assert inbox.offered
    assert not inbox.mails
    assert not ledger.keys


def test_a_delivery_that_cannot_be_recorded_is_not_a_failure(
    mail_server: Server, build: Build, later: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(key: str) -> None:
        raise ConnectionError("no record")

    inbox = mail_server()
    receipt = deliver(
        *build(),
        smtp_url=inbox.url,
        deadline=later(),
        already=lambda key: False,
        accepted=broken,
    )
    assert receipt == Receipt(1)
    assert "could not be recorded" in caplog.text


def test_smtputf8(mail_server: Server, send: Send) -> None:
    inbox = mail_server()
    assert send(inbox.url, to=["Jürgen <jürgen@bücher.example>"]) == Receipt(1)
    (mail,) = inbox.mails
    assert mail.rcpt_tos == ["jürgen@xn--bcher-kva.example"]
    assert "SMTPUTF8" in mail.mail_options


def test_smtputf8_is_not_offered(mail_server: Server, send: Send) -> None:
    inbox = mail_server(enable_SMTPUTF8=False)
    with pytest.raises(Unrecoverable, match="SMTPUTF8"):
        send(inbox.url, to=["jürgen@example.com"])
    assert not inbox.offered


def test_the_server_in_a_url() -> None:
    server = parse_smtp_url("smtp://us%40er:p%2Fw@mail.example?starttls=required&verify=0")
    assert (server.host, server.port, server.tls) == ("mail.example", 587, "required")
    assert (server.user, server.password, server.verify) == ("us@er", "p/w", False)
    assert "p/w" not in repr(server)
    assert parse_smtp_url("smtps://[::1]").port == 465
    assert parse_smtp_url("smtp://h:25/?starttls=never").tls == "never"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "http://u:secret@h",
        "smtp://",
        "smtp://u:secret@",
        "smtp://u:secret@h:x",
        "smtp://u:secret@h:0",
        "smtp://u:secret@h:99999",
        "smtp://u:secret@h/path",
        "smtp://u:secret@h#x",
        "smtp://u:sec#ret@h",
        "smtp://u:%ffsecret@h",
        "smtp://secret@h",
        "smtp://u:secret@h?starttls=maybe",
        "smtp://u:secret@h?verify=no",
        "smtp://u:secret@h?secret=1",
        "smtp://u:secret@h?starttls",
        "smtps://u:secret@h?starttls=required",
        "smtp://u:secret@[::1",
        "smtp://u:secret@.h",
    ],
)
def test_a_bad_url_is_refused_and_not_repeated(url: str, send: Send) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_smtp_url(url)
    assert caught.value.variable == "SMTP_URL"
    assert "sec" not in str(caught.value)
    with pytest.raises(Unrecoverable, match="SMTP_URL"):
        send(url)

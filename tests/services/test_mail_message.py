"""The message: its headers, its parts, and what no value can do to them."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default as default_policy
from email.utils import getaddresses
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsejobs.errors import InvalidPayload, Unrecoverable
from hsejobs.services.mail import Envelope
from hsejobs.services.mail.address import Address
from hsejobs.services.mail.attachments import Attachment, load_attachments, safe_filename
from hsejobs.services.mail.headers import header_addresses, header_text
from hsejobs.services.mail.plaintext import html_to_text

Build = Callable[..., tuple[EmailMessage, Envelope]]


def parsed(message: EmailMessage) -> EmailMessage:
    """The message as a recipient's program parses it."""
    data = message.as_bytes()
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    read = message_from_bytes(data, policy=default_policy)
    assert isinstance(read, EmailMessage)
    assert not [defect for part in read.walk() for defect in part.defects]
    return read


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_mail_with_text_and_html(build: Build) -> None:
    message, envelope = build(text="Hi Ann", html="<p>Hi <b>Ann</b></p>", subject="Welcome!")
    read = parsed(message)
    assert read["From"] == "HSE <noreply@hse.digital>"
    assert read["To"] == "ann@example.com"
    assert read["Subject"] == "Welcome!"
    assert read["Date"] == "Wed, 01 May 2024 12:00:00 +0000"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in read.iter_parts()] == ["text/plain", "text/html"]
    assert body(read, "plain") == "Hi Ann\n"
    assert body(read, "html") == "<p>Hi <b>Ann</b></p>\n"
    assert envelope.recipients == ("ann@example.com",)


def test_the_message_id_is_a_hash_of_the_job_in_the_senders_domain(build: Build) -> None:
    message, envelope = build()
    assert message["Message-ID"] == f"<{envelope.key}@hse.digital>"
    assert len(envelope.key) == 32
    assert build()[0]["Message-ID"] == message["Message-ID"]


def test_a_hidden_receiver_is_in_the_envelope_only(build: Build) -> None:
    message, envelope = build(
        to=["a@example.com", "B <b@example.com>"],
        cc=["c@example.com", "a@EXAMPLE.com"],
        bcc=["hidden@example.com"],
        reply_to="Help <help@example.org>",
    )
    assert envelope.recipients == tuple(f"{x}@example.com" for x in ("a", "b", "c", "hidden"))
    read = parsed(message)
    assert [a.addr_spec for a in read["To"].addresses] == ["a@example.com", "b@example.com"]
    assert read["Reply-To"] == "Help <help@example.org>"
    assert b"hidden" not in message.as_bytes()
    assert "Bcc" not in read


def test_html_alone_gets_a_text(build: Build) -> None:
    html = (
        "<head><title>t</title><style>b{}</style></head><h1>Hi &amp; welcome</h1>"
        '<p>Go <a href="https://a.example/x">here</a><br>now</p><ul><li>one<li>two</ul>'
        "<script>alert(1)</script>"
    )
    message, _ = build(html=html)
    assert body(parsed(message), "plain") == (
        "Hi & welcome\n\nGo here (https://a.example/x)\nnow\n\n- one\n- two\n"
    )


@given(st.text())
def test_a_text_is_made_of_any_html(html: str) -> None:
    assert html_to_text(html).endswith("\n")


@pytest.mark.parametrize(
    "text", ["a\n.\nb", "a\r\n.\r\nMAIL FROM:<x@y>\r\n", "nul \0 bell \7", "ü" * 3000]
)
def test_any_body_arrives_as_it_is(build: Build, text: str) -> None:
    message, _ = build(text=text)
    assert body(parsed(message), "plain").splitlines() == text.splitlines()
    assert message.as_bytes().isascii()
    assert b"\0" not in message.as_bytes()


def test_given_text_is_not_a_template(build: Build) -> None:
    message, _ = build(text="{{ 7*7 }}", html="{% raw %}{{ 1 }}", subject="{{ 7*7 }}")
    read = parsed(message)
    assert (body(read, "plain"), read["Subject"]) == ("{{ 7*7 }}\n", "{{ 7*7 }}")
    assert body(read, "html") == "{% raw %}{{ 1 }}\n"


BREAKS = ["\r", "\n", "\r\n", "\0", "\x0b", "\x0c", "\x1b", "\x85", "\u2028", "\u2029", "\x7f"]


@pytest.mark.parametrize("control", BREAKS, ids=ascii)
@pytest.mark.parametrize(
    ("field", "given_"),
    [
        ("subject", {"subject": "Hi{}Bcc: evil@example.com"}),
        ("to", {"to": ["ann@example.com{}Bcc: evil@example.com"]}),
        ("to", {"to": ["Ann{}Bcc: evil@example.com <ann@example.com>"]}),
        ("to.1", {"to": ["a@example.com", '"A{}B" <ann@example.com>']}),
        ("cc", {"cc": ["ann@exam{}ple.com"]}),
        ("bcc", {"bcc": ["ann{}@example.com"]}),
        ("from", {"from_": "A{}B <noreply@hse.digital>"}),
        ("replyTo", {"reply_to": "A{}B <noreply@hse.digital>"}),
    ],
)
def test_a_header_cannot_be_injected(
    build: Build, control: str, field: str, given_: dict[str, Any]
) -> None:
    def fill(value: Any) -> Any:
        return [fill(v) for v in value] if isinstance(value, list) else value.format(control)

    with pytest.raises(InvalidPayload) as caught:
        build(**{name: fill(value) for name, value in given_.items()})
    assert caught.value.field == field
    assert "evil" not in str(caught.value)


def test_an_encoded_word_in_a_value_stays_text(build: Build) -> None:
    trick = "=?utf-8?q?a=0D=0ABcc=3A_evil=40example.com?="
    message, _ = build(subject=trick, to=[f"{trick} <ann@example.com>"])
    read = parsed(message)
    assert read["Subject"] == trick
    raw = dict(message.raw_items())["To"]
    assert mailboxes(raw) == [(trick, "ann@example.com")]
    assert "Bcc" not in read


lines = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=300
).filter(str.strip)
words = st.text('ab ,=?"\\ü😀@<', min_size=1, max_size=300).filter(str.strip)


@given(st.one_of(lines, words))
def test_any_line_survives_in_a_subject(text: str) -> None:
    text = text.strip()
    encoded = header_text("Subject", text)
    assert encoded.isascii()
    assert all(len(line) <= 78 for line in f"Subject: {encoded}".split("\r\n"))
    read = message_from_bytes(f"Subject: {encoded}\r\n\r\n".encode(), policy=default_policy)
    assert read["Subject"] == text


def mailboxes(value: str) -> list[tuple[str, str]]:
    """Names and addresses, by RFC 2047 (newer parsers join encoded words with a space)."""
    found = getaddresses([value.replace("\r\n", "")])
    return [(str(make_header(decode_header(name))), address) for name, address in found]


@given(st.lists(st.one_of(lines, words), min_size=1, max_size=12))
def test_any_name_survives_in_an_address(names: list[str]) -> None:
    want = [(name[:200].strip(), f"u{i}@example.com") for i, name in enumerate(names)]
    value = header_addresses(Address(name, *spec.split("@")) for name, spec in want)
    assert value.isascii()
    assert all(len(line) <= 300 for line in value.split("\r\n"))
    assert mailboxes(value) == want
    read = message_from_bytes(f"To: {value}\r\nX: y\r\n\r\n".encode(), policy=default_policy)
    assert [a.addr_spec for a in read["To"].addresses] == [spec for _, spec in want]
    assert read["X"] == "y"


def test_letters_outside_ascii_before_the_at_need_smtputf8(build: Build) -> None:
    from hsejobs.services.mail.message import needs_smtputf8

    assert not needs_smtputf8(*build(to=["Jürgen <j@bücher.example>"]))
    assert needs_smtputf8(*build(to=["jürgen@example.com"]))
    assert needs_smtputf8(*build(bcc=["jürgen@example.com"]))
    message, _ = build(to=["Jürgen <jürgen@example.com>"])
    assert "jürgen@example.com".encode() in message.as_bytes()


@pytest.mark.parametrize(
    "sender", ["x@example.com", "x@sub.hse.digital", "x@hse.digital.example.com", "noreply"]
)
def test_from_has_an_allowed_domain(build: Build, sender: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        build(from_=sender)
    assert caught.value.field == "from"
    assert "example" not in str(caught.value)


def test_an_allowed_from(build: Build) -> None:
    message, envelope = build(from_="Reports <reports@HSE.digital>")
    assert message["From"] == "Reports <reports@hse.digital>"
    assert envelope.sender == "reports@hse.digital"


@pytest.mark.parametrize(
    ("field", "given_"),
    [
        ("to", {"to": []}),
        ("to", {"to": [f"u{i}@example.com" for i in range(26)], "bcc": ["x@example.com"] * 25}),
        ("subject", {"subject": None}),
        ("subject", {"subject": " "}),
        ("subject", {"subject": "x" * 999}),
        ("text", {"text": None}),
        ("text", {"text": "half \ud800"}),
        ("html", {"html": "half \ud800"}),
        ("template", {"template": "welcome", "text": "x", "context": {"name": "Ann"}}),
    ],
)
def test_a_mail_that_cannot_be_built_names_the_field(
    build: Build, field: str, given_: dict[str, Any]
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        build(**given_)
    assert caught.value.field == field


def test_attachments_come_by_reference(build: Build) -> None:
    def open_artifact(key: str) -> tuple[str, str, Any]:
        return {
            "a": ("data.csv", "text/csv; charset=utf-8", iter([b"1,2", b"\r\n"])),
            "b": ("x.eml", "message/rfc822", b"Subject: x\r\n\r\n"),
        }[key]

    references = [
        SimpleNamespace(artifact_id="a", filename='../Bücher "x".csv'),
        SimpleNamespace(artifact_id="b", filename=None),
    ]
    loaded = load_attachments(references, open_artifact, deadline=float("inf"))
    message, _ = build(html="<p>x</p>", attachments=loaded)
    read = parsed(message)
    first, second = read.iter_attachments()
    assert first.get_filename() == "Bücher _x_.csv"
    assert (first.get_content_type(), first.get_payload(decode=True)) == ("text/csv", b"1,2\r\n")
    assert second.get_content_type() == "application/octet-stream"
    assert body(read, "html") == "<p>x</p>\n"


def no_artifact(artifact_id: str) -> tuple[str, str, bytes]:
    raise KeyError(artifact_id)


def test_an_unknown_artifact_and_too_much_of_them_are_final() -> None:
    reference = SimpleNamespace(artifact_id="secret-id", filename=None)
    with pytest.raises(Unrecoverable, match=r"attachments\.0") as caught:
        load_attachments([reference], no_artifact, deadline=float("inf"))
    assert "secret-id" not in str(caught.value)

    closed: list[bool] = []

    def endless() -> Any:
        try:
            while True:
                yield b"x" * 1024 * 1024
        finally:
            closed.append(True)

    with pytest.raises(Unrecoverable, match="must not exceed 10 MB"):
        load_attachments([reference], lambda _: ("a", "b/c", endless()), deadline=float("inf"))
    assert closed == [True]


@given(st.text())
def test_any_file_name_survives_in_a_header(name: str) -> None:
    safe = safe_filename(name)
    assert safe
    assert not set(safe) & set('\r\n\0/\\"')
    message = EmailMessage(policy=default_policy.clone(cte_type="7bit"))
    message.set_content("x")
    part = Attachment(safe, "text", "csv", b"x")
    message.add_attachment(b"x", maintype="text", subtype="csv", filename=part.filename)
    read = message_from_bytes(message.as_bytes(), policy=default_policy)
    assert isinstance(read, EmailMessage)
    assert [a.get_filename() for a in read.iter_attachments()] == [safe]

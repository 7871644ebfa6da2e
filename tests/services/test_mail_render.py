"""The named templates, and what a payload may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hsejobs.errors import InvalidPayload
from hsejobs.services.mail.payload import EmailPayload
from hsejobs.services.mail.render import render, template_names

MAIL: dict[str, Any] = {"to": "user@example.com", "subject": "Welcome!", "text": "Hi"}


def test_the_welcome_mail() -> None:
    mail = render(
        "welcome", {"name": "Ann", "organization": "Acme", "loginUrl": "https://a.example"}
    )
    assert mail.subject == "Welcome to HSE.Digital, Ann!"
    assert mail.text is not None
    assert mail.text.startswith("Welcome, Ann!\n\nYour HSE.Digital account at Acme is ready.\n")
    assert "Log in: https://a.example\n" in mail.text
    assert mail.html is not None
    assert "<h1" in mail.html
    assert 'href="https://a.example"' in mail.html


def test_values_are_escaped_in_html_only() -> None:
    mail = render("welcome", {"name": "<script>alert('&')</script>", "loginUrl": "javascript:x"})
    assert mail.html is not None
    assert "&lt;script&gt;" in mail.html
    assert "<script" not in mail.html
    assert "javascript" not in mail.html
    assert mail.subject == "Welcome to HSE.Digital, <script>alert('&')</script>!"
    assert "<script>alert('&')</script>" in (mail.text or "")


@pytest.mark.parametrize("value", ["{{ 7*7 }}", "{% include 'x' %}", "{{ ''.__class__ }}"])
def test_a_value_is_never_a_template(value: str) -> None:
    assert value in (render("welcome", {"name": value}).text or "")


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(InvalidPayload) as caught:
        render("welcome", {"nam": "secret"})
    assert caught.value.field == "context.name"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("control", ["\n", "\r\n", "\0", "\u2028"])
def test_a_value_cannot_break_the_subject(control: str) -> None:
    context = {"name": f"Ann{control}Bcc: evil@example.com"}
    with pytest.raises(InvalidPayload) as caught:
        render("welcome", context)
    assert caught.value.field == "context"
    assert render("welcome", context, subject=False).subject is None


@pytest.mark.parametrize(
    "name",
    ["", "nope", "_layout", "welcome.html.j2", "../welcome", "/etc/passwd", "WELCOME", "w\0"],
)
def test_an_unknown_template_is_refused(name: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        render(name, {"name": "Ann"})
    assert caught.value.field == "template"
    assert str(caught.value).endswith(", ".join(template_names()))


def test_both_spellings_of_a_payload() -> None:
    rest = {"attachments": [{"artifactId": "a1"}], "from": "a@hse.digital"}
    camel = EmailPayload.model_validate(MAIL | rest | {"replyTo": "r@example.com"})
    snake = EmailPayload.model_validate(
        MAIL
        | {"attachments": [{"artifact_id": "a1"}], "from_": "a@hse.digital"}
        | {"reply_to": "r@example.com", "cc": None}
    )
    assert camel == snake
    assert camel.to == ["user@example.com"]
    assert EmailPayload.model_validate(camel.model_dump(by_alias=True)) == camel


def test_a_template_may_bring_the_subject() -> None:
    mail = {"to": ["a@example.com", "b@example.com"], "template": "welcome"}
    payload = EmailPayload.model_validate(mail | {"context": {"name": "Ann"}})
    assert payload.subject is None
    assert len(payload.to) == 2


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("to", {"to": None}),
        ("to", {"to": []}),
        ("to", {"to": 7}),
        ("to.0", {"to": "secret"}),
        ("to.1", {"to": ["a@example.com", "secret\r\nBcc: x@example.com"]}),
        ("to", {"to": [f"secret{i}@example.com" for i in range(51)]}),
        ("to", {"to": [f"secret{i}@example.com" for i in range(50)], "cc": "x@example.com"}),
        ("cc.0", {"cc": "secret"}),
        ("bcc.0", {"bcc": ["secret"]}),
        ("from", {"from": "secret"}),
        ("replyTo", {"replyTo": "secret@"}),
        ("subject", {"subject": None}),
        ("subject", {"subject": "secret\nBcc: x"}),
        ("subject", {"subject": "secret" * 200}),
        ("text", {"text": None}),
        ("text", {"text": "", "html": ""}),
        ("text", {"text": "secret\ud800"}),
        ("html", {"html": ["secret"]}),
        ("template", {"template": "welcome", "context": {"name": "secret"}}),
        ("template", {"template": "secret", "text": None}),
        ("context", {"context": {"name": "secret"}}),
        ("context.name", {"text": None, "template": "welcome", "context": {"nam": "secret"}}),
        ("attachments.0.artifactId", {"attachments": [{"artifactId": "../secret"}]}),
        ("attachments.0.artifactId", {"attachments": [{"artifactId": "https://secret"}]}),
        ("attachments.0.path", {"attachments": [{"artifactId": "a", "path": "/secret"}]}),
        ("attachments.0.filename", {"attachments": [{"artifactId": "a", "filename": "secret\n"}]}),
        ("headers", {"headers": {"X": "secret"}}),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(where: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        EmailPayload.model_validate(MAIL | change)
    errors = caught.value.errors(include_url=False, include_input=False, include_context=False)
    assert where in {".".join(map(str, error["loc"])) for error in errors}
    assert "secret" not in str(caught.value)
    assert "secret" not in str(errors)

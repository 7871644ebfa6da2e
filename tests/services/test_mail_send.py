"""A mail from payload to result, and the outbox."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from email import message_from_bytes
from email.policy import default as default_policy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hsejobs.errors import InvalidPayload, Unrecoverable
from hsejobs.services.mail import OutboxUnwritable, mask_address, send_mail, write_outbox
from hsejobs.services.mail.payload import EmailPayload

if TYPE_CHECKING:
    from tests.services.conftest import Build, Ledger, Server

WELCOME = {
    "to": "user@example.com",
    "bcc": ["hidden@example.com"],
    "template": "welcome",
    "context": {"name": "Ann"},
}


@pytest.fixture
def send(tmp_path: Path, ledger: Ledger) -> Callable[..., dict[str, Any]]:
    def run(given: dict[str, Any], **settings: Any) -> dict[str, Any]:
        usual: dict[str, Any] = {
            "smtp_url": None,
            "smtp_from": None,
            "smtp_from_allowed": (),
            "open_artifact": {"a": ("a.txt", "text/plain", b"A")}.__getitem__,
        }
        return send_mail(
            EmailPayload.model_validate(given),
            job_key="email:welcome-42",
            home=tmp_path,
            already=ledger.already,
            accepted=ledger.accepted,
            **usual | settings,
        )

    return run


Send = Callable[..., dict[str, Any]]


def test_the_outbox(send: Send, tmp_path: Path) -> None:
    result = send(WELCOME | {"attachments": [{"artifactId": "a"}]})
    (path,) = (tmp_path / "outbox").iterdir()
    assert result == {
        "messageId": f"<{path.stem}@hse.digital>",
        "accepted": 2,
        "refused": [],
        "via": "outbox",
        "path": path.name,
    }
    assert "welcome-42" not in path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    read = message_from_bytes(path.read_bytes(), policy=default_policy)
    assert read["X-Hsejobs-Envelope-To"] == "user@example.com, hidden@example.com"
    assert read["Subject"] == "Welcome to HSE.Digital, Ann!"
    assert read["From"] == "noreply@hse.digital"
    assert [part.get_filename() for part in read.walk() if part.get_filename()] == ["a.txt"]


def test_a_second_run_replaces_the_file(send: Send, tmp_path: Path) -> None:
    first = send(WELCOME)
    second = send(WELCOME | {"context": {"name": "Bob"}})
    assert first == second
    (path,) = (tmp_path / "outbox").iterdir()
    assert b"Bob" in path.read_bytes()


def test_an_outbox_that_cannot_be_written(build: Build, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way")
    with pytest.raises(OutboxUnwritable, match="outbox in JOBS_HOME"):
        write_outbox(*build(), home=tmp_path)


def test_a_write_that_fails_leaves_nothing(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutboxUnwritable, match="No space left"):
        write_outbox(*build(), home=tmp_path)
    assert not list((tmp_path / "outbox").iterdir())


def test_by_smtp(send: Send, mail_server: Server, tmp_path: Path) -> None:
    inbox = mail_server()
    inbox.replies["hidden@example.com"] = "550 unknown"
    settings = {"smtp_url": inbox.url, "smtp_from": "HSE <noreply@example.org>"}
    result = send(WELCOME, **settings)
    assert (result["accepted"], result["refused"]) == (1, ["h***@example.com"])
    assert result["via"] == "smtp"
    assert result["messageId"].endswith("@example.org>")
    assert "path" not in result
    assert not (tmp_path / "outbox").exists()


def test_a_server_without_a_sender(send: Send) -> None:
    with pytest.raises(Unrecoverable, match="SMTP_FROM"):
        send(WELCOME, smtp_url="smtp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        ({}, {"from": "x@example.com"}),
        ({"smtp_from": "x@example.com"}, {"from": "x@hse.digital"}),
        ({"smtp_from_allowed": ("example.org",)}, {"from": "x@hse.digital"}),
        ({"smtp_url": "smtp://127.0.0.1:1"}, {"from": "x@hse.digital"}),
    ],
)
def test_a_sender_that_is_not_allowed(
    send: Send, settings: dict[str, Any], given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidPayload) as caught:
        send(WELCOME | given, **settings)
    assert caught.value.field == "from"


@pytest.mark.parametrize(
    "settings",
    [
        {"smtp_from": "no address"},
        {"smtp_from": "a@example.com", "smtp_from_allowed": ("example.org",)},
        {"smtp_from": "a@example.com", "smtp_from_allowed": ("not a domain",)},
    ],
)
def test_a_bad_setting_is_named(send: Send, settings: dict[str, Any]) -> None:
    with pytest.raises(Unrecoverable, match="SMTP_FROM"):
        send(WELCOME, **settings)


def test_sending_loads_neither_pydantic_nor_huey() -> None:
    code = (
        "import sys, hsejobs.services.mail;"
        "print({'pydantic', 'huey', 'jinja2', 'smtplib', 'redis'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert mask_address("user@example.com") == "u***@example.com"

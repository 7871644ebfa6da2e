"""``hsejobs doctor``: what is well, what is not, and what to do."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.cli.test_commands import run


def checks(text: str) -> dict[str, str | None]:
    return {check["check"].split()[0]: check["todo"] for check in json.loads(text)["checks"]}


def test_all_is_looked_at(redis_url: str) -> None:
    done = run("doctor", "--json")
    seen = checks(done.stdout)
    assert set(seen) == {
        "settings", "JOBS_HOME", "Redis", "no", "rights", "version", "eviction", "append-only", "database",
        "artifacts", "mails",
    }  # fmt: skip
    assert [name for name, todo in seen.items() if todo] == ["append-only"]
    assert done.returncode == 1


def test_whatever_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = run(
        "doctor",
        JOBS_HOME=str(tmp_path / "home"),
        QUEUE_REDIS_URL="redis://:hidden@127.0.0.1:1",
        PLATFORM_DATABASE_URL="postgresql://hse:hidden@127.0.0.1:1/hse",
        ARTIFACTS_URL=f"file://{file}/below",
        SMTP_URL="smtp://hse:hidden@127.0.0.1:1",
    )
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1].rstrip(":") for line in failed] == [
        "Redis",
        "database",
        "artifacts",
        "SMTP",
        "SMTP_FROM",
    ]
    assert "hidden" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 3


class _Web(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def web_server() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Web) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def mail_server() -> Iterator[int]:
    def log_in(
        _server: object, _session: object, _envelope: object, _kind: str, given: object
    ) -> AuthResult:
        return AuthResult(success=getattr(given, "password", b"") == b"right", handled=False)

    controller = Controller(
        object(), hostname="127.0.0.1", port=0, auth_require_tls=False, authenticator=log_in
    )
    # The controller connects to the port that it was told, so it must be told one.
    with socket.create_server(("127.0.0.1", 0)) as probe:
        controller.port = probe.getsockname()[1]
    controller.start()
    yield controller.port
    controller.stop()


def smtp(url: str, **env: str) -> dict[str, str | None]:
    return checks(run("doctor", "--json", SMTP_URL=url, **env).stdout)


def test_the_mail_server_is_spoken_to(redis_url: str) -> None:
    sender = {"SMTP_FROM": "noreply@hse.example"}
    with mail_server() as port:
        seen = smtp(f"smtp://ann:right@127.0.0.1:{port}", **sender)
        assert (seen["SMTP"], seen["SMTP_FROM"]) == (None, None)
        told = smtp(f"smtp://ann:wr0ng@127.0.0.1:{port}", **sender)["SMTP"]
        assert told is not None
        assert "login" in told
        assert "wr0ng" not in told
        assert "not set" in (smtp(f"smtp://127.0.0.1:{port}")["SMTP_FROM"] or "")
    with web_server() as port:
        told = smtp(f"smtp://127.0.0.1:{port}", **sender)["SMTP"]
        assert told is not None
        assert "no SMTP" in told

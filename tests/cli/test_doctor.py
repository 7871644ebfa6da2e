"""``hsejobs doctor``: what passes, what fails, and how to fix it."""

from __future__ import annotations

import json
import os
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from hsejobs.settings import load_settings
from hsejobs.store import registry
from hsejobs.store.holds import Holds
from hsejobs.store.registry import QueueInfo
from hsejobs.store.shares import Shares
from hsejobs_cli.doctor_holds import examine_holds
from tests.cli.test_commands import run
from tests.store.test_acts import Store


def checks(text: str) -> dict[str, str | None]:
    return {check["check"].split()[0]: check["todo"] for check in json.loads(text)["checks"]}


def test_doctor_runs_every_check(redis_url: str) -> None:
    done = run("doctor", "--json")
    seen = checks(done.stdout)
    assert set(seen) == {
        "settings",
        "JOBS_HOME",
        "Redis",
        "no",
        "rights",
        "record",
        "version",
        "eviction",
        "append-only",
        "database",
        "artifacts",
        "mails",
    }
    assert [name for name, todo in seen.items() if todo] == ["append-only"]
    assert done.returncode == 1


def test_unreachable_services_are_named_without_passwords(tmp_path: Path) -> None:
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
    # The controller connects to the port that it is given, so it must be given one.
    with socket.create_server(("127.0.0.1", 0)) as probe:
        controller.port = probe.getsockname()[1]
    controller.start()
    yield controller.port
    controller.stop()


def smtp(url: str, **env: str) -> dict[str, str | None]:
    return checks(run("doctor", "--json", SMTP_URL=url, **env).stdout)


def test_the_mail_server_is_checked_with_tls_and_login(redis_url: str) -> None:
    sender = {"SMTP_FROM": "noreply@hse.example"}
    with mail_server() as port:
        seen = smtp(f"smtp://ann:right@127.0.0.1:{port}", **sender)
        assert (seen["SMTP"], seen["SMTP_FROM"]) == (None, None)
        todo = smtp(f"smtp://ann:wr0ng@127.0.0.1:{port}", **sender)["SMTP"]
        assert todo is not None
        assert "login" in todo
        assert "wr0ng" not in todo
        assert "set it" in (smtp(f"smtp://127.0.0.1:{port}")["SMTP_FROM"] or "")
    with web_server() as port:
        todo = smtp(f"smtp://127.0.0.1:{port}", **sender)["SMTP"]
        assert todo is not None
        assert "not valid SMTP" in todo


def test_a_home_readable_by_others_is_reported(redis_url: str, tmp_path: Path) -> None:
    assert checks(run("doctor", "--json").stdout)["JOBS_HOME"] is None
    tmp_path.chmod(0o755)
    done = run("doctor", "--json")
    todo = f"others can read it; run: chmod 700 {tmp_path}"
    assert (done.returncode, checks(done.stdout)["JOBS_HOME"]) == (1, todo)
    # Others may use the folder too: only its owner changes its mode.
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_files_in_the_home_are_private(redis_url: str, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        run("doctor")
        run("sample-data", "--organizations", "1", "--rows", "20")
        assert run("tenants", "erase", "org-123", "--yes").returncode == 0
        from tasks.shared.platform.database import close_databases, database

        home = tmp_path / "by-python"
        home.mkdir()
        with database(None, home).connect():
            pass
        close_databases()
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path != home]
    assert {path.name for path in made} >= {"platform.sqlite", "audit.log"}
    assert [path.name for path in made if path.stat().st_mode & 0o077] == []


def test_what_is_held_or_paused_is_noted(redis_url: str) -> None:
    store = Store(redis_url)
    registry.save(store.redis, "t", QueueInfo("q"))
    settings = load_settings({"QUEUE_REDIS_URL": redis_url, "QUEUE_REDIS_PREFIX": "t"})
    told: list[tuple[Any, ...]] = []
    examine_holds(settings, lambda *given, **more: told.append((*given, more)))
    assert told == []
    Holds(store.redis, "t").set("q", "m.send", paused=True, who="ann")
    Shares(store.redis, "t").set("q", "org-1", paused=True, who="ann")
    # Held by an older release: by whom and since when is not known.
    store.redis.command("HSET", "t:{q}:tenants", "org-2", "1 - 1")
    store.redis.command("ZADD", "t:{q}:orgs", 1, "org-2")
    store.writer.pause("q")
    examine_holds(settings, lambda *given, **more: told.append((*given, more)))
    assert [(ok, re.sub(" for [^,]+", "", what), todo) for ok, what, todo, _ in told] == [
        (True, "q: paused", "hsejobs resume q"),
        (
            True,
            "q: the task m.send is held by ann",
            "hsejobs tasks set m.send --queue q --resumed",
        ),
        (
            True,
            "q: 2 organizations are held: org-1 by ann, org-2",
            "hsejobs tenants set org-1 --queue q --resumed",
        ),
    ]
    # It is no fault: the exit code stays.
    assert {more["note"] for *_, more in told} == {True}
    store.redis.close()

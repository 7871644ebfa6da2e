"""``hsejobs doctor``: looks at everything that the system stands on, and says what to do."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsejobs.errors import ArtifactsUnavailable, JobsError, SettingsError
from hsejobs_cli import output
from hsejobs_cli.doctor_redis import examine
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession

if TYPE_CHECKING:
    from pathlib import Path

    from hsejobs.settings import Settings

#: How long the mail server may take to greet.
SMTP_SECONDS = 10.0


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: hsejobs doctor --json")(doctor)


def doctor(
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Check every job too, as `hsejobs verify` does.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check Redis, the settings and the machine, and say what to do."""
    from hsejobs.settings import ensure_home

    session = CommandSession()
    settings = session.settings
    checks: list[dict[str, Any]] = []

    def say(good: bool, what: str, mend: str = "") -> None:
        checks.append({"ok": good, "check": what, "todo": None if good else mend})
        if not as_json:
            typer.echo(f"{'ok  ' if good else 'FAIL'} {what}" + (f": {mend}" if not good else ""))

    say(True, "settings")
    home = ensure_home(settings)
    say(*_home(home))
    away = examine(settings, say)
    if jobs and not away:
        _jobs(session, say)
    _application(settings, say)
    say(*_artifacts(settings.artifacts_url, home))
    _mail(settings, home, say)
    bad = not all(check["ok"] for check in checks)
    if as_json:
        output.document({"ok": not bad, "checks": checks})
    if bad:
        raise typer.Exit(3 if away else 1)


def _home(home: Path) -> tuple[bool, str, str]:
    """Whether it can be written, and no one else of the machine can look into it."""
    what = f"JOBS_HOME {home}"
    if not os.access(home, os.W_OK):
        return False, what, "make it writable"
    private = not home.stat().st_mode & 0o077
    return private, what, f"others can look into it; run: chmod 700 {home}"


def _jobs(session: CommandSession, say: Callable[..., None]) -> None:
    from hsejobs_cli.verify import verified

    for one in verified(session, []):
        kinds = ", ".join(sorted({fault.code for fault in one.faults}))
        say(
            not one.left,
            f"jobs of {one.queue} ({one.jobs:,} checked)",
            f"{one.left:,} faults ({kinds}); see `hsejobs verify {one.queue}`, then add --repair",
        )


def _application(settings: Settings, say: Callable[..., None]) -> None:
    """What the application has to say of what it stands on; where there is none, nothing."""
    from hsejobs import application

    try:
        found = application.find(settings)
    except SettingsError as error:
        say(False, "application", str(error))
        return
    check = found.hook("doctor_checks")
    for one in check(settings) if check else ():
        say(*one)


def _artifacts(url: str | None, home: Path) -> tuple[bool, str, str]:
    """Writes an artifact, reads it and deletes it."""
    from urllib.parse import urlsplit

    from hsejobs.services.artifacts.store import open_store

    parts = urlsplit(url or "")
    what = f"artifacts in {parts.scheme}://{parts.hostname or parts.path}" if url else "artifacts"
    probe, organization = f"doctor-{secrets.token_hex(8)}", "sys:doctor"
    try:
        store = open_store(url, home)
        soon = int(time.time() * 1000) + 60_000
        with store.write(
            organization, probe, name="probe", content_type="text/plain", expires_at=soon
        ) as file:
            file.write(b"probe")
        whole = b"".join(store.open(organization, probe)[1]) == b"probe"
        store.delete(organization, probe)
    except (ArtifactsUnavailable, OSError, JobsError) as error:
        return False, what, str(error)
    return whole, what, "what was written could not be read back; check ARTIFACTS_URL"


def _mail(settings: Settings, home: Path, say: Callable[..., None]) -> None:
    if settings.smtp_url is None:
        say(True, f"mails are files in {home / 'outbox'} (no SMTP_URL)")
        return
    say(*_smtp(settings.smtp_url))
    mend = "it is not set, and mails that name no sender (of reports and exports) cannot be sent"
    say(settings.smtp_from is not None, "SMTP_FROM", mend)


def _smtp(url: str) -> tuple[bool, str, str]:
    """As a mail would: connects, greets, starts TLS, logs in, and leaves."""
    from hsejobs.services.mail.server import parse_smtp_url
    from hsejobs.services.mail.session import SmtpSession as Conversation

    what = "SMTP"
    try:
        server = parse_smtp_url(url)
        what = f"SMTP at {server.host}:{server.port}"
        with Conversation(server, time.monotonic() + SMTP_SECONDS).talk():
            return True, what, ""
    except JobsError as error:
        return False, what, f"{error}; check SMTP_URL"

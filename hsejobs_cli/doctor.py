"""``hsejobs doctor``: checks everything that the system depends on, and says how to fix it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsejobs.errors import ArtifactsUnavailable, JobsError, SettingsError
from hsejobs_cli import output
from hsejobs_cli.doctor_holds import examine_holds
from hsejobs_cli.doctor_redis import examine
from hsejobs_cli.doctor_releases import examine_releases
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession

if TYPE_CHECKING:
    from pathlib import Path

    from hsejobs.settings import Settings

#: Seconds in which the mail server must greet.
SMTP_SECONDS = 10.0


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs doctor --json")(doctor)


def doctor(
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Check every job too, like `hsejobs verify`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check Redis, the settings and this machine, and say how to fix what is wrong."""
    from hsejobs.settings import ensure_home

    session = CommandSession()
    settings = session.settings
    checks: list[dict[str, Any]] = []

    def report(ok: bool, what: str, fix: str = "", *, note: bool = False) -> None:
        # A note is no fault, and yet there is something to do.
        told = note or not ok
        checks.append({"ok": ok, "check": what, "todo": fix if told else None})
        if not as_json:
            word = "FAIL" if not ok else "note" if note else "ok  "
            typer.echo(f"{word} {what}" + (f": {fix}" if told else ""))

    report(True, "settings")
    home = ensure_home(settings)
    report(*_home(home))
    unreachable = examine(settings, report)
    if not unreachable:
        examine_releases(settings, report)
        examine_holds(settings, report)
    if jobs and not unreachable:
        _jobs(session, report)
    _application(settings, report)
    report(*_artifacts(settings.artifacts_url, home))
    _mail(settings, home, report)
    bad = not all(check["ok"] for check in checks)
    if as_json:
        output.document({"ok": not bad, "checks": checks})
    if bad:
        raise typer.Exit(3 if unreachable else 1)


def _home(home: Path) -> tuple[bool, str, str]:
    """Checks that the folder is writable, and private to its owner."""
    what = f"JOBS_HOME {home}"
    if not os.access(home, os.W_OK):
        return False, what, "make it writable"
    private = not home.stat().st_mode & 0o077
    return private, what, f"others can read it; run: chmod 700 {home}"


def _jobs(session: CommandSession, report: Callable[..., None]) -> None:
    from hsejobs_cli.verify import verify_queues

    for one in verify_queues(session, []):
        kinds = ", ".join(sorted({fault.code for fault in one.faults}))
        report(
            not one.left,
            f"jobs of {one.queue} ({one.jobs:,} checked)",
            f"{one.left:,} faults ({kinds}); see `hsejobs verify {one.queue}`, then add --repair",
        )


def _application(settings: Settings, report: Callable[..., None]) -> None:
    """Runs the application's own checks, if there is an application."""
    from hsejobs import application

    try:
        found = application.find(settings)
    except SettingsError as error:
        report(False, "application", str(error))
        return
    check = found.hook("doctor_checks")
    try:
        with found.calling("doctor_checks"):
            for ok, what, todo in check(settings) if check else ():
                report(ok, what, todo)
    except SettingsError as error:
        report(False, "application", str(error))


def _artifacts(url: str | None, home: Path) -> tuple[bool, str, str]:
    """Writes an artifact, reads it back and deletes it."""
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
        intact = b"".join(store.open(organization, probe)[1]) == b"probe"
        store.delete(organization, probe)
    except (ArtifactsUnavailable, OSError, JobsError) as error:
        return False, what, str(error)
    return intact, what, "a test file could not be read back; check ARTIFACTS_URL"


def _mail(settings: Settings, home: Path, report: Callable[..., None]) -> None:
    if settings.smtp_url is None:
        report(True, f"mails are files in {home / 'outbox'} (no SMTP_URL)")
        return
    report(*_smtp(settings.smtp_url))
    fix = "set it: without it, mails that name no sender (of reports and exports) cannot be sent"
    report(settings.smtp_from is not None, "SMTP_FROM", fix)


def _smtp(url: str) -> tuple[bool, str, str]:
    """Does what sending a mail does first: connects, greets, starts TLS and logs in."""
    from hsejobs.services.mail.server import parse_smtp_url
    from hsejobs.services.mail.session import SmtpSession as MailSession

    what = "SMTP"
    try:
        server = parse_smtp_url(url)
        what = f"SMTP at {server.host}:{server.port}"
        with MailSession(server, time.monotonic() + SMTP_SECONDS).connected():
            return True, what, ""
    except JobsError as error:
        return False, what, f"{error}; check SMTP_URL"

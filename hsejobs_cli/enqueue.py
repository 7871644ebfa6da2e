"""``hsejobs enqueue``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hsejobs import codec
from hsejobs.control import views
from hsejobs.errors import InvalidPayload
from hsejobs_cli import output
from hsejobs_cli.session import Session


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(epilog="Example: hsejobs enqueue email @mail.json --priority 1 --wait")(enqueue)


def enqueue(
    queue: Annotated[str, typer.Argument(help="The queue's name.")],
    payload: Annotated[str, typer.Argument(help="JSON, @FILE, or - for standard input.")],
    task: Annotated[str | None, typer.Option(help="The task, when not the queue's first.")] = None,
    org: Annotated[str | None, typer.Option(help="The organisation's id.")] = None,
    user: Annotated[str | None, typer.Option(help="The user's id.")] = None,
    priority: Annotated[int | None, typer.Option(help="1 (first) to 5 (last).")] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds before it may run.")] = None,
    attempts: Annotated[int | None, typer.Option(help="Total tries.")] = None,
    backoff: Annotated[float | None, typer.Option(help="Seconds before the second try.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds one try may take.")] = None,
    job_id: Annotated[str | None, typer.Option("--id", help="The job's id.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; show the result.")
    ] = False,
) -> None:
    """Add a job; its id comes out on stdout."""
    session = Session()
    data = read_payload(payload)
    options: dict[str, Any] = {
        "task": task, "organization_id": org, "user_id": user, "priority": priority,
        "delay": delay, "attempts": attempts, "backoff": backoff, "timeout": timeout,
        "job_id": job_id,
    }  # fmt: skip
    info = session.info(queue)
    if queue in session.own:
        job = session.own[queue].submit(data, **options)
    else:
        from hsejobs.engine import remote

        job = remote.submit(session.link, session.settings.redis_prefix, info, data, **options)
    if not wait:
        typer.echo(job.id)
        return
    sys.stderr.write(f"{job.id}\n")
    _follow(job)
    typer.echo(json.dumps(views.masked(job.refresh(), session.info(queue)).result))


def read_payload(text: str) -> Any:
    """The payload from JSON, @FILE or -. Raises InvalidPayload, which repeats nothing of it."""
    if text == "-":
        raw = sys.stdin.buffer.read()
    elif text.startswith("@"):
        try:
            raw = Path(text[1:]).read_bytes()
        except OSError as error:
            raise InvalidPayload("payload", f"the file cannot be read: {error.strerror}") from None
    else:
        raw = text.encode("utf-8", "surrogateescape")
    return codec.strict(raw)


def _follow(job: Any) -> None:
    """Waits for the end; each change of state or progress is a line on stderr. Raises JobFailed."""
    from hsejobs.model import FINISHED

    before = None
    pause = 0.02
    while True:
        record = job.refresh()
        now = (record.status, record.progress, record.progress_message)
        if now != before:
            told = f" {record.progress_message}" if record.progress_message else ""
            sys.stderr.write(output.safe(f"{record.status} {record.progress:g}%{told}") + "\n")
            before, pause = now, 0.02
        if record.status in FINISHED:
            job.wait(0)
            return
        time.sleep(pause)
        pause = min(0.25, pause * 1.5)

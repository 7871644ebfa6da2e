"""``hsejobs enqueue``: adds one job."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsejobs import codec
from hsejobs.control import views
from hsejobs.errors import InvalidPayload
from hsejobs.handle import Job
from hsejobs_cli import output
from hsejobs_cli.session import CommandSession

if TYPE_CHECKING:
    from hsejobs.control.options import AddOptions


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs enqueue email @mail.json --priority 1 --wait")(enqueue)


def enqueue(
    queue: Annotated[str, typer.Argument(help="The queue's name.")],
    payload: Annotated[str, typer.Argument(help="JSON, @FILE, or - for standard input.")],
    task: Annotated[
        str | None, typer.Option(help="The task's name; default: the queue's first task.")
    ] = None,
    org: Annotated[str | None, typer.Option(help="The organization's id.")] = None,
    user: Annotated[str | None, typer.Option(help="The user's id.")] = None,
    priority: Annotated[int | None, typer.Option(help="From 1 (highest) to 5 (lowest).")] = None,
    delay: Annotated[float | None, typer.Option(help="Seconds before the job may start.")] = None,
    attempts: Annotated[
        int | None, typer.Option(help="Total attempts, the first included.")
    ] = None,
    backoff: Annotated[
        float | None, typer.Option(help="Seconds before the second attempt.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that one attempt may take.")
    ] = None,
    job_id: Annotated[str | None, typer.Option("--id", help="The job's id.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the job ends, then print its result.")
    ] = False,
) -> None:
    """Add a job and print its id."""
    # Imported here and below: every other command would pay for it at its start.
    from hsejobs.control.options import in_seconds

    session = CommandSession()
    data = read_payload(payload)
    options = in_seconds(
        priority=priority, delay=delay, attempts=attempts, backoff=backoff, timeout=timeout
    )
    job = _add(
        session, queue, data, task, options, job_id=job_id, organization_id=org, user_id=user
    )
    if not wait:
        typer.echo(job.id)
        return
    sys.stderr.write(f"{job.id}\n")
    _follow(job)
    typer.echo(json.dumps(views.masked(job.refresh(), session.info(queue)).result))


def _add(
    session: CommandSession,
    queue: str,
    data: Any,
    task: str | None,
    options: AddOptions,
    **more: Any,
) -> Job:
    """Adds the job, through its task's own code if the application has it."""
    from hsejobs.control import making

    info, own = session.info(queue), session.own.get(queue)
    if own is None:
        quota = session.settings.queue(queue).tenant_backlog
        target = making.described(info, info.task(task), session.settings.secret_key, quota)
    else:
        from hsejobs.engine.adding import target_beside

        target = target_beside(own, info, task, session.settings.secret_key)
    new = making.make(target, data, options, **more)
    if own is not None:
        own.check_importable([new.name])
    return Job(session.reader, queue, session.acts().add(info, new, quota=True))


def read_payload(text: str) -> Any:
    """Returns the payload from JSON, @FILE or -. Raises InvalidPayload, which never repeats it."""
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
    """Waits until the job ends; prints each change of state or progress to stderr. Raises JobFailed."""
    from hsejobs.model import FINISHED

    before = None
    pause = 0.02
    while True:
        record = job.refresh()
        now = (record.status, record.progress, record.progress_message)
        if now != before:
            message = f" {record.progress_message}" if record.progress_message else ""
            line = f"{record.status} {record.progress:g}%{message}"
            sys.stderr.write(output.safe(line) + "\n")
            before, pause = now, 0.02
        if record.status in FINISHED:
            job.wait(0)
            return
        time.sleep(pause)
        pause = min(0.25, pause * 1.5)

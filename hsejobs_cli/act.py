"""The commands that act: retry, remove, promote, clean, pause, resume, drain, obliterate."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated, Any

import typer

from hsejobs.control import views
from hsejobs.control.durations import parse_duration
from hsejobs.control.progress import PAST
from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs_cli import output
from hsejobs_cli.look import Json, Org, Queue
from hsejobs_cli.session import CommandSession

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Id = Annotated[str | None, typer.Argument(metavar="[ID]", help="The job's id.")]
All = Annotated[bool, typer.Option("--all", help="Every job in that state.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog="Example: hsejobs retry email --all")(retry)
    app.command(epilog="Example: hsejobs promote email welcome-42")(promote)
    app.command(epilog="Example: hsejobs remove email welcome-42 --yes")(remove)
    app.command(epilog="Example: hsejobs clean email --status completed --grace 1h")(clean)
    for command in (pause, resume, drain, obliterate):
        app.command(epilog=f"Example: hsejobs {command.__name__} email")(command)


def retry(
    queue: Queue, job_id: Id = None, every: All = False, org: Org = None, as_json: Json = False
) -> None:
    """Make failed jobs wait again, with a fresh budget of attempts."""
    _move("retry", State.FAILED, queue, job_id, every, org, as_json)


def promote(
    queue: Queue, job_id: Id = None, every: All = False, org: Org = None, as_json: Json = False
) -> None:
    """Make delayed jobs wait for a worker now."""
    _move("promote", State.DELAYED, queue, job_id, every, org, as_json)


def _move(
    act: str,
    state: State,
    queue: str,
    job_id: str | None,
    every: bool,
    org: str | None,
    as_json: bool,
) -> None:
    session = CommandSession()
    acts = session.acts(org)
    if (job_id is None) is not every:
        raise InvalidOption("id", "give an id, or --all")
    info = session.info(queue)
    past = PAST[act]
    if job_id is not None:
        acts.one(act, queue, job_id)
        if as_json:
            record = session.reader.job(queue, job_id, acts.org)
            output.document(views.job(record, info, acts.actor))
        else:
            typer.echo(f"{past} {job_id}")
        return
    for progress in acts.every(act, queue):
        if progress.total:
            sys.stderr.write(f"{past} {progress.done:,}\n")
    refused = [{"id": one.id, "found": one.found} for one in progress.refusals]
    if as_json:
        output.document({past: progress.done, "refused": refused})
    else:
        typer.echo(f"{past} {progress.done:,} jobs" + _stayed(len(refused), "changed meanwhile"))


def _stayed(count: int, why: str) -> str:
    return f"; {count:,} stay: they {why}" if count > 0 else ""


def remove(
    queue: Queue,
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    org: Org = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove one job for good."""
    session = CommandSession()
    acts = session.acts(org)
    session.info(queue)
    job = session.reader.job(queue, job_id, acts.org, limit=1)
    output.confirm(f"Remove job {job_id} of {queue}, which is {job.status}?", yes=yes)
    # Answered with --yes nothing was looked at before; else what was asked about is what goes.
    acts.one("remove", queue, job_id, seen="" if yes else job.version)
    _told({"removed": 1, "id": job_id}, f"removed {job_id}", as_json)


def clean(
    queue: Queue,
    status: Annotated[str, typer.Option(help="completed, failed, waiting or delayed.")],
    grace: Annotated[str, typer.Option(help="Younger jobs stay: 30s, 1h, 7d.")],
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    org: Org = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove the jobs of a state that are older than a time."""
    session = CommandSession()
    acts = session.acts(org)
    if status not in [state.value for state in State]:
        raise InvalidOption("status", "use completed, failed, waiting or delayed")
    state, older = State(status), parse_duration(grace, "grace")
    session.info(queue)
    asked = acts.ask_clean(queue, state, older)
    asked = replace(asked, count=min(asked.count, limit or asked.count))
    output.confirm(f"Remove {asked.count:,} {status} jobs of {queue}?", yes=yes)
    (*_, done) = acts.sweep("clean", queue, asked, state=state, grace_ms=older, limit=limit)
    _removed(done.done, _stayed(asked.count - done.done, "moved on"), as_json)


def pause(queue: Queue, as_json: Json = False) -> None:
    """Let workers begin no more jobs of a queue."""
    session = CommandSession()
    session.info(queue)
    session.acts().pause(queue, True)
    _told({"queue": queue, "isPaused": True}, f"{queue} is paused", as_json)


def resume(queue: Queue, as_json: Json = False) -> None:
    """Let workers begin jobs of a queue again."""
    session = CommandSession()
    session.info(queue)
    session.acts().pause(queue, False)
    _told({"queue": queue, "isPaused": False}, f"{queue} runs", as_json)


def drain(queue: Queue, yes: Yes = False, as_json: Json = False) -> None:
    """Remove everything that waits or is delayed; a pause stays."""
    session = CommandSession()
    session.info(queue)
    acts = session.acts()
    asked = acts.ask("drain", queue)
    output.confirm(f"Remove {asked.count:,} jobs of {queue}?", yes=yes)
    (*_, done) = acts.sweep("drain", queue, asked)
    _removed(done.done, _stayed(done.later, "came later"), as_json)


def obliterate(
    queue: Queue,
    force: Annotated[bool, typer.Option("--force", help="Running jobs too.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove every job of a queue, and its counters."""
    session = CommandSession()
    session.info(queue)
    acts = session.acts()
    asked = acts.ask("obliterate", queue)
    output.confirm(f"Remove all {asked.count:,} jobs of {queue}?", yes=yes, word=queue)
    (*_, done) = acts.sweep("obliterate", queue, asked, force=force)
    why = "came later, so the queue keeps its counters and its pause"
    _removed(done.done, _stayed(done.later, why), as_json)


def _removed(count: int, stayed: str, as_json: bool) -> None:
    _told({"removed": count}, f"removed {count:,} jobs{stayed}", as_json)


def _told(data: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        output.document(data)
    else:
        typer.echo(text)

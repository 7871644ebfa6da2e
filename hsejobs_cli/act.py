"""The commands that act: retry, remove, promote, clean, pause, resume, drain, obliterate."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsejobs.control.durations import parse_duration
from hsejobs.errors import InvalidOption
from hsejobs.model import State, check_organization
from hsejobs.watch import view
from hsejobs_cli import output
from hsejobs_cli.look import Json, Org, Queue
from hsejobs_cli.session import Session

if TYPE_CHECKING:
    from hsejobs.store.write import Refusal

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
    session = Session()
    org = check_organization(org, "org")
    if (job_id is None) is not every:
        raise InvalidOption("id", "give an id, or --all")
    info = session.info(queue)
    past = {"retry": "retried", "promote": "promoted"}[act]
    if job_id is not None:
        getattr(session.writer, act)(queue, job_id, org)
        if as_json:
            output.document(view.shown(session.reader.job(queue, job_id, org), info))
        else:
            typer.echo(f"{past} {job_id}")
        return
    done, refused = _move_all(session, act, state, queue, org, past)
    if as_json:
        output.document({past: done, "refused": [{"id": r.id, "found": r.found} for r in refused]})
    else:
        typer.echo(f"{past} {done:,} jobs" + _stayed(len(refused), "changed meanwhile"))


def _move_all(
    session: Session, act: str, state: State, queue: str, org: str | None, past: str
) -> tuple[int, list[Refusal]]:
    """Acts on the jobs that are in the state now; those that come while it works stay."""
    # By Redis' clock. The list goes on growing while it is read, so its end is no end.
    asked = session.reader.now(queue)
    many = getattr(session.writer, f"{act}_many")
    done, refused = 0, []
    for page in session.reader.walk(queue, state, org, payload_bytes=0, errors=1):
        jobs = [
            (job.id, job.version) for job in page if (job.finished_at or job.created_at) <= asked
        ]
        if not jobs:
            continue
        missed = many(queue, jobs, org, asked=asked)
        refused += missed
        done += len(jobs) - len(missed)
        sys.stderr.write(f"{past} {done:,}\n")
    return done, refused


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
    session = Session()
    session.info(queue)
    org = check_organization(org, "org")
    job = session.reader.job(queue, job_id, org, limit=1)
    output.confirm(f"Remove job {job_id} of {queue}, which is {job.status}?", yes=yes)
    # Answered with --yes nothing was looked at before; else what was asked about is what goes.
    session.writer.remove(queue, job_id, org, seen="" if yes else job.version)
    session.delete_files(queue, job_id)
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
    session = Session()
    org = check_organization(org, "org")
    if status not in [state.value for state in State]:
        raise InvalidOption("status", "use completed, failed, waiting or delayed")
    state, older = State(status), parse_duration(grace, "grace")
    session.info(queue)
    asked = session.writer.ask_clean(queue, state, older, org)
    count = min(asked.count, limit or asked.count)
    output.confirm(f"Remove {count:,} {status} jobs of {queue}?", yes=yes)
    removed = session.writer.clean(
        queue, state, older, organization_id=org, limit=limit, asked=asked.at
    )
    session.delete_files(queue)
    stayed = _stayed(count - removed, "moved on")
    _told({"removed": removed}, f"removed {removed:,} jobs{stayed}", as_json)


def pause(queue: Queue, as_json: Json = False) -> None:
    """Let workers begin no more jobs of a queue."""
    session = Session()
    session.info(queue)
    session.writer.pause(queue)
    _told({"queue": queue, "isPaused": True}, f"{queue} is paused", as_json)


def resume(queue: Queue, as_json: Json = False) -> None:
    """Let workers begin jobs of a queue again."""
    session = Session()
    session.info(queue)
    session.writer.resume(queue)
    _told({"queue": queue, "isPaused": False}, f"{queue} runs", as_json)


def drain(queue: Queue, yes: Yes = False, as_json: Json = False) -> None:
    """Remove everything that waits or is delayed; a pause stays."""
    session = Session()
    session.info(queue)
    one = session.reader.stats([queue])[0]
    output.confirm(f"Remove {one.waiting + one.delayed:,} jobs of {queue}?", yes=yes)
    removed = session.writer.drain(queue, asked=one.now)
    session.delete_files(queue)
    now = session.reader.stats([queue])[0]
    stayed = _stayed(now.waiting + now.delayed, "came later")
    _told({"removed": removed}, f"removed {removed:,} jobs{stayed}", as_json)


def obliterate(
    queue: Queue,
    force: Annotated[bool, typer.Option("--force", help="Running jobs too.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove every job of a queue, and its counters."""
    session = Session()
    session.info(queue)
    one = session.reader.stats([queue])[0]
    total = one.public()["total"]
    output.confirm(f"Remove all {total:,} jobs of {queue}?", yes=yes, word=queue)
    removed = session.writer.obliterate(queue, force=force, asked=one.now)
    session.delete_files(queue)
    left = session.reader.stats([queue])[0].public()["total"]
    stayed = _stayed(left, "came later, so the queue keeps its counters and its pause")
    _told({"removed": removed}, f"removed {removed:,} jobs{stayed}", as_json)


def _told(data: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        output.document(data)
    else:
        typer.echo(text)

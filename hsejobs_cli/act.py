"""The commands that act: retry, cancel, remove, promote, clean, pause, resume, drain, obliterate."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from hsejobs.control import views
from hsejobs.control.durations import parse_duration
from hsejobs.control.progress import PAST, why
from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs.wording import all_of, counted
from hsejobs_cli import output
from hsejobs_cli.bulk import DryRun, Status, Where, by_filter, check_target
from hsejobs_cli.look import Json, Org, Queue
from hsejobs_cli.session import CommandSession

Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
Id = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The job's id; or use --all or --where.")
]
IdOrWhere = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The job's id; or use --where.")
]
All = Annotated[bool, typer.Option("--all", help="Apply to every job in that state.")]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs retry email --all")(retry)
    app.command(epilog="Example: hsejobs promote email welcome-42")(promote)
    app.command(epilog='Example: hsejobs cancel reports q3 --reason "wrong month"')(cancel)
    app.command(epilog="Example: hsejobs remove email welcome-42 --yes")(remove)
    app.command(epilog="Example: hsejobs clean email --status completed --grace 1h")(clean)
    for command in (pause, resume, drain, obliterate):
        app.command(epilog=f"Example: hsejobs {command.__name__} email")(command)


def retry(
    queue: Queue,
    job_id: Id = None,
    every: All = False,
    where: Where = None,
    dry_run: DryRun = False,
    org: Org = None,
    as_json: Json = False,
) -> None:
    """Retry failed jobs: they wait again, with all their attempts."""
    check_target(job_id, where, every=every, dry_run=dry_run)
    _move("retry", queue, job_id, where, org, dry_run=dry_run, as_json=as_json)


def promote(
    queue: Queue,
    job_id: Id = None,
    every: All = False,
    where: Where = None,
    dry_run: DryRun = False,
    org: Org = None,
    as_json: Json = False,
) -> None:
    """Promote delayed jobs: they wait for a worker now."""
    check_target(job_id, where, every=every, dry_run=dry_run)
    _move("promote", queue, job_id, where, org, dry_run=dry_run, as_json=as_json)


def _move(
    act: str,
    queue: str,
    job_id: str | None,
    where: str | None,
    org: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Acts on the job, on those that match ``where``, or without both on all in the act's state."""
    session = CommandSession()
    if where is not None:
        by_filter(session, act, queue, where, org=org, dry_run=dry_run, as_json=as_json)
        return
    acts = session.acts(org)
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
    told = 0
    for progress in acts.every(act, queue):
        # The last step is yielded again at the end.
        if progress.done > told:
            told = progress.done
            sys.stderr.write(f"{past} {told:,}\n")
    refused = [
        {"jobId": one.id, "why": why(one), "id": one.id, "found": one.found}
        for one in progress.refusals
    ]
    if as_json:
        # Beside what an act with a filter prints, the names of earlier releases.
        counts = {"matched": progress.total, "done": progress.done}
        output.document({**counts, "refused": refused, past: progress.done})
    else:
        note = _skipped_note(len(refused), "their state changed in the meantime")
        typer.echo(f"{past} {counted(progress.done, 'job')}{note}")


def _skipped_note(count: int, reason: str) -> str:
    return f"; {count:,} skipped: {reason}" if count > 0 else ""


def cancel(
    queue: Queue,
    job_id: IdOrWhere = None,
    where: Where = None,
    status: Status = None,
    reason: Annotated[str | None, typer.Option(help="Why; kept with the job.")] = None,
    dry_run: DryRun = False,
    org: Org = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Cancel a job, or the jobs that match: they fail now, or are interrupted if they run."""
    check_target(job_id, where, status=status, dry_run=dry_run)
    session = CommandSession()
    if job_id is None:
        by_filter(
            session,
            "cancel",
            queue,
            where or "",
            status=status,
            org=org,
            reason=reason,
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )
        return
    acts = session.acts(org)
    info = session.info(queue)
    changed = acts.one("cancel", queue, job_id, reason=reason)
    record = session.reader.job(queue, job_id, acts.org)
    if as_json:
        output.document(views.job(record, info, acts.actor))
    elif not changed:
        by = record.cancel["by"] if record.cancel else "somebody"
        typer.echo(f"{job_id} was cancelled already, by {by}; nothing is changed")
    elif record.status is State.ACTIVE:
        typer.echo(f"cancelled {job_id}; its worker is ending it")
    else:
        typer.echo(f"cancelled {job_id}")


def remove(
    queue: Queue,
    job_id: IdOrWhere = None,
    where: Where = None,
    status: Status = None,
    dry_run: DryRun = False,
    org: Org = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove a job, or the jobs that match, permanently, with their files."""
    check_target(job_id, where, status=status, dry_run=dry_run)
    session = CommandSession()
    if job_id is None:
        by_filter(
            session,
            "remove",
            queue,
            where or "",
            status=status,
            org=org,
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )
        return
    acts = session.acts(org)
    session.info(queue)
    job = session.reader.job(queue, job_id, acts.org, limit=1)
    output.confirm_act("remove", f"Remove job {job_id} of {queue}, which is {job.status}?", yes=yes)
    # With --yes the job was not shown first, so any version may go; else only the one shown.
    acts.one("remove", queue, job_id, seen="" if yes else job.version)
    _print_result({"removed": 1, "id": job_id}, f"removed {job_id}", as_json)


def clean(
    queue: Queue,
    status: Annotated[
        str, typer.Option(help="The jobs' state: completed, failed, waiting or delayed.")
    ],
    grace: Annotated[str, typer.Option(help="Keep jobs that are younger: 30s, 1h, 7d.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Remove at most this many jobs.")] = None,
    org: Org = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove the jobs that are in a state and older than a given age."""
    session = CommandSession()
    acts = session.acts(org)
    if status not in [state.value for state in State]:
        raise InvalidOption("status", "must be completed, failed, waiting or delayed")
    state, older = State(status), parse_duration(grace, "grace")
    session.info(queue)
    selection = acts.select_clean(queue, state, older, limit)
    output.confirm_act(
        "clean", f"Remove {counted(selection.count, f'{status} job')} of {queue}?", yes=yes
    )
    (*_, done) = acts.sweep("clean", queue, selection, state=state, grace_ms=older, limit=limit)
    note = _skipped_note(selection.count - done.done, "they left that state")
    _print_removed(done.done, note, as_json)


def pause(queue: Queue, as_json: Json = False) -> None:
    """Pause a queue: running jobs finish, no new ones start."""
    session = CommandSession()
    session.info(queue)
    session.acts().pause(queue, True)
    _print_result({"queue": queue, "isPaused": True}, f"{queue} is paused", as_json)


def resume(queue: Queue, as_json: Json = False) -> None:
    """Resume a paused queue: workers start jobs again."""
    session = CommandSession()
    session.info(queue)
    session.acts().pause(queue, False)
    _print_result({"queue": queue, "isPaused": False}, f"{queue} is running", as_json)


def drain(queue: Queue, yes: Yes = False, as_json: Json = False) -> None:
    """Remove all waiting and delayed jobs of a queue; a paused queue stays paused."""
    session = CommandSession()
    session.info(queue)
    acts = session.acts()
    selection = acts.select("drain", queue)
    output.confirm_act("drain", f"Remove {counted(selection.count, 'job')} of {queue}?", yes=yes)
    (*_, done) = acts.sweep("drain", queue, selection)
    _print_removed(done.done, _skipped_note(done.later, "added in the meantime"), as_json)


def obliterate(
    queue: Queue,
    force: Annotated[bool, typer.Option("--force", help="Remove running jobs too.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove all jobs of a queue, and what is set for its tenants."""
    session = CommandSession()
    session.info(queue)
    acts = session.acts()
    selection = acts.select("obliterate", queue)
    question = f"Remove {all_of(selection.count, 'job')} of {queue}?"
    output.confirm_act("obliterate", question, yes=yes, word=queue)
    (*_, done) = acts.sweep("obliterate", queue, selection, force=force)
    kept = "added in the meantime, so the queue keeps its settings and stays paused if it was"
    _print_removed(done.done, _skipped_note(done.later, kept), as_json)


def _print_removed(count: int, note: str, as_json: bool) -> None:
    _print_result({"removed": count}, f"removed {counted(count, 'job')}{note}", as_json)


def _print_result(data: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        output.document(data)
    else:
        typer.echo(text)

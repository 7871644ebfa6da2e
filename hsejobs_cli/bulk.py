"""`retry`, `promote`, `cancel` and `remove` with `--where`: acts on the jobs that match a filter."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hsejobs.control import bulk
from hsejobs.control.progress import PAST, Progress
from hsejobs.errors import InvalidOption
from hsejobs.wording import counted, verb
from hsejobs_cli import output
from hsejobs_cli.session import REFUSED, CommandSession

Where = Annotated[
    str | None,
    typer.Option("--where", help="Apply to the jobs that match, such as 'error~timeout since=1h'."),
]
Status = Annotated[
    str | None,
    typer.Option(
        "--status", help="With --where: only jobs in this state; default: every one it applies to."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --where: count the jobs that match, change nothing.")
]


def check_target(
    job_id: str | None,
    where: str | None,
    *,
    every: bool | None = None,
    status: str | None = None,
    dry_run: bool = False,
) -> None:
    """Raises InvalidOption unless exactly one of the id, `--where` and `--all` is given.

    ``every`` None: the command has no `--all`. `--status` and `--dry-run` need `--where`.
    """
    if [job_id is not None, where is not None, bool(every)].count(True) != 1:
        other = "--where" if every is None else "--all or --where"
        raise InvalidOption("id", f"must be given, unless {other} is used; give only one of them")
    for name, given in (("status", status is not None), ("dry-run", dry_run)):
        if given and where is None:
            raise InvalidOption(name, "needs --where")


def by_filter(
    session: CommandSession,
    act: str,
    queue: str,
    where: str,
    *,
    status: str | None = None,
    org: str | None = None,
    reason: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    as_json: bool = False,
) -> None:
    """Finds the jobs, acts on those and no others, and prints the report.

    Asks before if the command of this act does, unless ``yes``.
    """
    acts = session.acts(org)
    found = bulk.match(acts, session.reader, session.info(queue), act, status, where)
    count = len(found.jobs)
    if dry_run:
        if as_json:
            output.document(bulk.report(found, None))
        else:
            match = verb(count, "matches", "match")
            typer.echo(f"{counted(count, 'job')} {match}; nothing was changed")
        return
    if count:
        match = verb(count, "matches", "match")
        question = f"{act.capitalize()} {counted(count, 'job')} of {queue} that {match}?"
        output.confirm_act(act, question, yes=yes, matching=True)
    progress, told = Progress(act, queue, 0), 0
    for progress in bulk.carry_out(acts, found, reason=reason):
        # The last step is yielded again at the end.
        if count > 1 and progress.done > told:
            told = progress.done
            sys.stderr.write(f"{PAST[act]} {told:,} of {count:,}\n")
    if as_json:
        output.document(bulk.report(found, progress))
    else:
        typer.echo(progress.report() if count else "no job matches; nothing was changed")
    if progress.error is not None:
        raise progress.error
    if progress.refusals and not progress.done:
        raise typer.Exit(REFUSED)

"""The commands that only read: stats, job, family, schedules (and `schedules run`)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hsejobs.control import families, views, why
from hsejobs.control.durations import duration
from hsejobs.store.read import QueueStats
from hsejobs.wording import counted, during
from hsejobs_cli import output
from hsejobs_cli.session import CommandSession

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Queue = Annotated[str, typer.Argument(help="The queue's name.")]
Org = Annotated[
    str | None, typer.Option("--org", help="Limit the command to this organization's jobs.")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs stats --json")(stats)
    app.command(epilog="Example: hsejobs job email welcome-42")(job)
    app.command(epilog="Example: hsejobs family data-exports export-7")(family)
    schedules = typer.Typer(
        invoke_without_command=True,
        help="List the periodic tasks with their next and last run, or run one now.",
        epilog="Example: hsejobs schedules --json",
    )
    schedules.callback()(list_schedules)
    schedules.command("run", epilog="Example: hsejobs schedules run nightly")(run_schedule)
    app.add_typer(schedules, name="schedules")


def _held(stats: QueueStats) -> str:
    return f" ({counted(len(stats.held_tasks), 'task')} held)" if stats.held_tasks else ""


def stats(as_json: Json = False, org: Org = None) -> None:
    """Show the counts, rates and durations of every queue."""
    session = CommandSession()
    names = [info.name for info in session.infos()]
    found = session.reader.stats(names, session.actor(org).organization_id)
    if as_json:
        output.document({one.name: one.public() for one in found})
        return
    rows = []
    for one in found:
        values = one.public()
        rows.append(
            (
                one.name + (" (paused)" if one.is_paused else "") + _held(one),
                *(
                    values[state]
                    for state in ("waiting", "paused", "active", "delayed", "completed", "failed")
                ),
                values["rate"],
                duration(values["averageDuration"]),
                f"{100 * values['failureRate']:.1f} %",
                duration(values["oldestWaiting"]),
                one.consumers,
            )
        )
    output.table(
        (
            "queue",
            "waiting",
            "paused",
            "active",
            "delayed",
            "completed",
            "failed",
            "rate/min",
            "average",
            "failing",
            "oldest",
            "consumers",
        ),
        rows,
        right=range(1, 12),
    )


def job(
    queue: Queue,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    org: Org = None,
    as_json: Json = False,
) -> None:
    """Show one job: payload, progress, result, errors, why it waits, and the last lines of its log."""
    session = CommandSession()
    info = session.info(queue)
    actor = session.actor(org)
    record = why.read(session.reader, queue, job_id, actor)
    if as_json:
        output.document(views.job(record, info, actor))
        return
    lines, _ = views.logs(session.reader, record, info, actor, tail=20)
    _print_job(views.job(record, info, actor), lines or [])


def family(
    queue: Queue,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    limit: Annotated[int, typer.Option(help="Children that are listed, 1 to 200.")] = 50,
    org: Org = None,
    as_json: Json = False,
) -> None:
    """Show the job that added this one, the first of its family, and the jobs that it added."""
    session = CommandSession()
    session.info(queue)
    actor = session.actor(org)
    record = session.reader.job(queue, job_id, actor.organization_id)
    names = [info.name for info in session.infos()]
    found = families.public(families.of(session.reader, names, record, actor, limit=limit))
    if as_json:
        output.document(found)
        return
    rows = [(word, found[word]) for word in ("root", "parent") if found[word] is not None]
    rows += [("child", one) for one in found["children"]]
    output.table(
        ("relation", "queue", "id", "task", "state", "added"),
        [
            (
                relation,
                one["queue"],
                one["id"],
                (one["name"] or "-").rpartition(".")[2],
                one["status"] or "removed",
                one["createdAt"],
            )
            for relation, one in rows
        ],
    )
    typer.echo(f"{len(found['children'])} of {counted(found['total'], 'child', 'children')}")


def _print_job(shown: dict[str, Any], lines: list[str]) -> None:
    import json

    for name, value in shown.items():
        if name == "errors" or value is None:
            continue
        if name == "why":
            value = why.line(value)
        text = json.dumps(value, indent=2) if name in ("data", "result", "cancel") else value
        typer.echo(f"{name:<16} " + "\n".join(map(output.safe, str(text).split("\n"))))
    for error in shown["errors"]:
        typer.echo(
            output.safe(f"{during(error)}, {error['failedAt']}: {error['error']} ({error['code']})")
        )
    for line in lines:
        typer.echo(f"| {output.safe(line)}")


def list_schedules(context: typer.Context, as_json: Json = False) -> None:
    """List the periodic tasks: cron, next run, last run and its outcome."""
    if context.invoked_subcommand is not None:
        return
    from hsejobs.control.schedules import list_schedules as listed

    session = CommandSession()
    found = listed(session.reader, session.infos())
    if as_json:
        output.document(found)
        return
    output.table(
        ("name", "queue", "cron", "next", "last", "job", "outcome"),
        [tuple(one.values()) for one in found],
    )


def run_schedule(
    name: Annotated[str, typer.Argument(help="The schedule's name.")], as_json: Json = False
) -> None:
    """Run a periodic task once, now, and print the job's id."""
    from hsejobs.errors import UnknownSchedule

    session = CommandSession()
    for info in session.infos():
        for one in info.schedules:
            if name in (one.name, one.task):
                added = session.acts().run_schedule(info, one)
                if as_json:
                    status = str(added.status)
                    output.document({"jobId": added.id, "queue": info.name, "status": status})
                else:
                    typer.echo(added.id)
                return
    raise UnknownSchedule("no queue has a schedule with this name; see `hsejobs schedules`")

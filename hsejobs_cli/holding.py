"""The commands that list the tasks of a queue, hold one, and let it go."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hsejobs.errors import InvalidOption
from hsejobs_cli import output
from hsejobs_cli.look import Json, Queue
from hsejobs_cli.session import CommandSession
from hsejobs_cli.sharing import Tenants


class Tasks(Tenants):
    """`hsejobs tasks QUEUE` is short for `hsejobs tasks list QUEUE`."""


def register(app: typer.Typer) -> None:
    tasks = typer.Typer(
        cls=Tasks,
        no_args_is_help=True,
        help="List the tasks of a queue; hold one, or let it go. `hsejobs tasks QUEUE` lists those of a"
        " queue.",
        epilog="Example: hsejobs tasks email",
    )
    tasks.command("list", epilog="Example: hsejobs tasks list email")(list_tasks)
    tasks.command("set", epilog="Example: hsejobs tasks set send_email --queue email --paused")(
        set_task
    )
    app.add_typer(tasks, name="tasks")


def list_tasks(queue: Queue, as_json: Json = False) -> None:
    """List the tasks of a queue, those that are held first."""
    from hsejobs.control import holding

    session = CommandSession()
    found = holding.list_tasks(session.acts(), session.info(queue))
    if as_json:
        output.document(found.public())
        return
    rows: list[tuple[Any, ...]] = []
    for one in found.tasks:
        known = one.public()
        state = "held" if one.paused else "runs"
        rows.append((one.name, state, known["pausedAt"], known["pausedBy"], known["aside"]))
    output.table(("task", "state", "since", "by", "aside"), rows, right=(4,))


def set_task(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's full or short name.")],
    queue: Annotated[str, typer.Option(help="The queue's name.")],
    paused: Annotated[
        bool | None,
        typer.Option("--paused/--resumed", help="Whether its jobs stay waiting."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hold a task: its running jobs finish, no others start; or let it go."""
    from hsejobs.control import holding

    if paused is None:
        raise InvalidOption("paused", "must be given: --paused, or --resumed")
    session = CommandSession()
    found = holding.set_task(session.acts(), session.info(queue), task, paused=paused)
    if as_json:
        output.document(found.public())
        return
    state = "held: its running jobs finish, no others start" if found.paused else "running"
    typer.echo(output.safe(f"{found.name} in {queue} is {state}"))

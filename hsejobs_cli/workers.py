"""The commands for consumers: list them, make them quiet, wake them, restart them."""

from __future__ import annotations

from typing import Annotated

import typer

from hsejobs.control import consumers, views
from hsejobs.control.durations import duration
from hsejobs_cli import output
from hsejobs_cli.look import Json
from hsejobs_cli.session import REFUSED, CommandSession

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="The consumers' ids, as in `hsejobs workers`."),
]
Host = Annotated[str | None, typer.Option("--host", help="All consumers of this host.")]


def register(app: typer.Typer) -> None:
    workers = typer.Typer(
        invoke_without_command=True,
        help="List the live consumers, make them quiet, wake and restart them.",
        epilog="Example: hsejobs workers --json",
    )
    workers.callback()(list_workers)
    for command in (quiet, wake, restart):
        name = command.__name__
        workers.command(name, epilog=f"Example: hsejobs workers {name} --host worker-3")(command)
    app.add_typer(workers, name="workers")


def list_workers(context: typer.Context, as_json: Json = False) -> None:
    """List the live consumers, and the job in each of their slots."""
    if context.invoked_subcommand is not None:
        return
    session = CommandSession()
    found = views.workers(session.reader, [info.name for info in session.infos()])
    if as_json:
        output.document(found)
        return
    output.table(
        ("queue", "host", "pid", "kind", "slots", "runs", "heartbeat", "state", "id"),
        [
            (
                one["queue"],
                one["host"],
                one["pid"],
                one["workers"],
                one["concurrency"] or 0,
                ", ".join(slot["job"] for slot in one["slots"] or () if slot) or "-",
                duration(one["heartbeatAge"]),
                one["state"],
                one["id"],
            )
            for one in found
        ],
    )


def quiet(ids: Ids = None, host: Host = None, as_json: Json = False) -> None:
    """Make consumers quiet: they finish what they run and claim nothing more."""
    _order("quiet", ids, host, as_json)


def wake(ids: Ids = None, host: Host = None, as_json: Json = False) -> None:
    """Wake quiet consumers: they claim jobs again."""
    _order("wake", ids, host, as_json)


def restart(ids: Ids = None, host: Host = None, as_json: Json = False) -> None:
    """Restart consumers, once they have finished what they run."""
    _order("restart", ids, host, as_json)


#: What is said of a consumer that was asked.
_ASKED = {
    "quiet": "claims nothing more; `hsejobs workers wake` undoes it",
    "wake": "claims jobs again",
    "restart": "restarts once it runs nothing",
}


def _order(order: str, ids: list[str] | None, host: str | None, as_json: bool) -> None:
    session = CommandSession()
    found = session.reader.workers([info.name for info in session.infos()])
    chosen = consumers.choose(found, ids or (), host)
    alone = [] if order == "wake" else consumers.without_others(found, chosen)
    done = consumers.order(session.acts(), order, chosen)
    if as_json:
        output.document(consumers.report(order, done, alone))
    else:
        for one in done:
            typer.echo(output.safe(f"{one.id} of {one.queue} {_said(order, one)}"))
        for queue in alone:
            typer.echo(output.safe(f"{queue} has no other worker: its jobs wait meanwhile"))
    if all(one.why for one in done):
        raise typer.Exit(REFUSED)


def _said(order: str, one: consumers.Ordered) -> str:
    return f"was not asked: {one.why}" if one.why else _ASKED[order]

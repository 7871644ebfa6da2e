"""The commands for what happened: the history of queues, and marks in it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hsejobs.control.durations import duration
from hsejobs_cli import output
from hsejobs_cli.look import Json, Org
from hsejobs_cli.session import CommandSession


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs history email --from 24h --step 1h")(history)
    app.command(epilog='Example: hsejobs mark "deploy 4f1c"')(mark)


def history(
    queue: Annotated[str | None, typer.Argument(help="The queue's name; default: all.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--from", help="Begin at a time, or a duration before now, such as 24h. Default: 3h."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", help="End at a time, or a duration before now. Default: now."),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(help="Length of a step, such as 1m, 10m or 1h. Default: the shortest kept."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Divide by task, error or org (the busiest 50).")
    ] = None,
    org: Org = None,
    as_json: Json = False,
) -> None:
    """Show what happened in a queue, or in all: counters, depth and times of each step."""
    from hsejobs.control import history as control

    session = CommandSession()
    names = [info.name for info in session.infos()] if queue is None else [session.info(queue).name]
    actor, prefix = session.actor(org), session.settings.redis_prefix
    found = control.read(
        session.redis,
        prefix,
        names,
        control.span(control.now(session.redis, prefix), since, until, step),
        actor,
        by=by,
        organization_id=actor.organization_id,
    ).public()
    if as_json:
        output.document(found)
        return
    _print(found)


_HEAD = ("added", "completed", "failed", "retried", "removed", "waiting", "active")


def _print(found: dict[str, Any]) -> None:
    """One line for each step in which something happened, or, divided, for each part."""
    rows: list[tuple[Any, ...]] = []
    for series in found["series"]:
        if found["by"] is not None:
            named = series.get("task") or series.get("organizationId") or series.get("error") or "-"
            sums = [sum(one[name] for one in series["points"]) for name in _HEAD[:5]]
            rows.append((series["queue"], named, *sums))
            continue
        for one in series["points"]:
            if any(one[name] for name in _HEAD):
                times = [duration(one[name]["p95"]) for name in ("wait", "run")]
                times.append(duration(one["oldestWaiting"]))
                rows.append((series["queue"], one["at"], *(one[name] for name in _HEAD), *times))
    if found["by"] is not None:
        output.table(("queue", found["by"], *_HEAD[:5]), rows, right=range(2, 7))
    else:
        head = ("queue", "at", *_HEAD, "wait p95", "run p95", "oldest")
        output.table(head, rows, right=range(2, 12))
    for one in found["marks"]:
        about = f" ({one['queue']})" if one["queue"] else ""
        typer.echo(output.safe(f"{one['at']}  {one['kind']}: {one['text']}{about}, {one['who']}"))


def mark(
    text: Annotated[str, typer.Argument(help="What happened, such as `deploy 4f1c`.")],
    as_json: Json = False,
) -> None:
    """Mark a deploy in the history, now."""
    from hsejobs.control import history as control

    session = CommandSession()
    made = control.public_mark(
        control.add_mark(session.redis, session.settings.redis_prefix, text, session.actor())
    )
    if as_json:
        output.document(made)
    else:
        typer.echo(output.safe(f"{made['at']}  {made['text']}"))

"""The commands for what happened: the history of queues, and marks in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hsejobs.control.durations import duration
from hsejobs.model import iso_time
from hsejobs_cli import output
from hsejobs_cli.look import Json, Org
from hsejobs_cli.session import CommandSession

if TYPE_CHECKING:
    from hsejobs.store.marks import Mark


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs history email --from 24h --step 1h")(history)
    app.command(epilog='Example: hsejobs mark "deploy 4f1c"')(mark)
    app.command(epilog="Example: hsejobs marks --from 24h")(marks)


From = Annotated[
    str | None,
    typer.Option(
        "--from", help="Begin at a time, or a duration before now, such as 24h. Default: 3h."
    ),
]
To = Annotated[
    str | None, typer.Option("--to", help="End at a time, or a duration before now. Default: now.")
]


def history(
    queue: Annotated[str | None, typer.Argument(help="The queue's name; default: all.")] = None,
    since: From = None,
    until: To = None,
    step: Annotated[
        str | None,
        typer.Option(help="Length of a step, such as 1m, 10m or 1h. Default: the shortest kept."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Divide by task, error or org (the busiest 50): one line each, with its sums."
        ),
    ] = None,
    org: Org = None,
    as_json: Json = False,
) -> None:
    """Show what happened in a queue, or in all: counters, depth and times of each step."""
    from hsejobs.control import history as control

    session = CommandSession()
    names = [info.name for info in session.infos()] if queue is None else [session.info(queue).name]
    actor, prefix = session.actor(org), session.settings.redis_prefix
    divided = len(names) if by else 0
    now = control.now(session.redis, prefix)
    wanted = control.span(now, since, until, step, divided=divided)
    # The table of a divided history has only sums.
    sums = bool(by) and not as_json
    found = control.read(
        session.redis,
        prefix,
        names,
        wanted.whole() if sums else wanted,
        actor,
        by=by,
        organization_id=actor.organization_id,
        brief=sums,
    )
    if as_json:
        for piece in found.pieces(lambda value: json.dumps(value).encode()):
            sys.stdout.write(piece.decode())
        return
    _print(found.public())
    _print_marks(found.marks)


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


def _print_marks(found: Iterable[Mark]) -> None:
    """A line for each mark; an act on several queues is one."""
    from hsejobs.control.act_words import acts_together

    for one, act in acts_together(found):
        about = f" ({one.queue})" if one.queue else ""
        text = f"{one.text}{about}, {one.who}"
        if act is not None:
            text = "".join(part for part, _ in act.parts())
        typer.echo(output.safe(f"{iso_time(one.at)}  {one.kind}: {text}"))


def marks(since: From = None, until: To = None, org: Org = None, as_json: Json = False) -> None:
    """List the marks of a time, the oldest first: deploys, acts, alerts that began or ended."""
    from hsejobs.control import history as control

    session = CommandSession()
    actor = session.actor(org)
    found = control.marks_between(
        session.redis,
        session.settings.redis_prefix,
        actor,
        since=since,
        until=until,
        organization_id=actor.organization_id,
    )
    if as_json:
        output.document({"marks": [control.public_mark(one) for one in found]})
        return
    _print_marks(found)


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

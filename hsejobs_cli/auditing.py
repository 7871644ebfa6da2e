"""``hsejobs audit``: who did what, through which interface."""

from __future__ import annotations

from typing import Annotated

import typer

from hsejobs_cli import output
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs audit --queue email --since 1d")(audit)


def audit(
    queue: Annotated[str | None, typer.Option(help="Show only acts on this queue.")] = None,
    who: Annotated[str | None, typer.Option(help="Show only acts of this user.")] = None,
    act: Annotated[
        str | None, typer.Option(help="Show only acts of this kind: retry, cancel, pause ...")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Only acts from a time on, or a duration before now: 30m, 7d."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Only acts before a time, or a duration before now.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Acts on the page, 1 to 200.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Continue after a page: its `next` value.")
    ] = None,
    org: Annotated[
        str | None, typer.Option("--org", help="Show only acts on this organization's jobs.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show who did what in the last 90 days, the newest first."""
    from hsejobs.control.audit import page

    session = CommandSession()
    names = [info.name for info in session.infos()]
    if queue is not None:
        session.info(queue)
    found = page(
        session.redis,
        session.settings.redis_prefix,
        session.actor(org),
        names,
        queue=queue,
        who=who,
        act=act,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    if as_json:
        output.document(found.public())
        return
    output.table(
        ("at", "who", "door", "act", "queue", "count", "what", "reason"),
        [
            (
                shown["at"],
                shown["who"],
                shown["door"],
                shown["act"],
                shown["queue"],
                shown["count"],
                shown["where"] or _ids(shown["ids"], shown["count"]),
                shown["reason"],
            )
            for shown in (one.public() for one in found.entries)
        ],
        right=(5,),
    )
    if found.next:
        typer.echo(f"more: --cursor {found.next}")


def _ids(ids: list[str], count: int) -> str | None:
    """The first ids, and how many more there are; an act that was refused has the count 0."""
    rest = max(count, len(ids)) - 3
    more = f" and {rest:,} more" if rest > 0 else ""
    return ", ".join(ids[:3]) + more if ids else None

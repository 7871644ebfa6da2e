"""`hsejobs jobs`: the jobs in a state, by page or all of them, as a table, JSON or CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hsejobs.control import export, views
from hsejobs.control.filters import FIELDS
from hsejobs.control.search import Search, listing, prepare
from hsejobs.errors import InvalidOption
from hsejobs.store.read import JobReader
from hsejobs.wording import counted
from hsejobs_cli import output
from hsejobs_cli.look import Json, Org, Queue
from hsejobs_cli.session import CommandSession

FORMATS = ("table", *export.FORMATS)
#: `state` only if jobs of several states are listed.
COLUMNS = ("id", "task", "state", "organization", "priority", "attempts", "added", "error")
Where = Annotated[
    str,
    typer.Option(
        "--where",
        help="Only jobs that match, such as 'error~timeout org=org-7 since=1h';"
        f" fields: {', '.join(FIELDS)}.",
    ),
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs jobs email --status failed --where 'error~timeout'")(jobs)


def jobs(
    queue: Queue,
    status: Annotated[
        str | None,
        typer.Option(
            help="The jobs' state: waiting, active, delayed, completed, failed or paused."
            " Default: waiting, or every state with --where."
        ),
    ] = None,
    where: Where = "",
    limit: Annotated[int, typer.Option(help="Jobs on the page, 1 to 200.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Continue after a page: its `next` value.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All jobs, not one page.")] = False,
    form: Annotated[
        str, typer.Option("--format", help="table, jsonl (a JSON object per line) or csv.")
    ] = "table",
    org: Org = None,
    as_json: Json = False,
) -> None:
    """List the jobs in a state: a page of them, or all."""
    export.check_format(form, FORMATS)
    if as_json and form != "table":
        raise InvalidOption("format", "must not be given together with --json")
    session = CommandSession()
    info, actor = session.info(queue), session.actor(org)
    scope = actor.organization_id
    if not every and form == "table":
        page = listing(
            session.reader,
            info,
            status,
            actor,
            limit=limit,
            cursor=cursor,
            organization_id=scope,
            where=where,
        )
        _show_page(page, as_json)
        return
    needs = export.needs("jsonl" if as_json else form)
    search = prepare(session.reader, info, status, where, actor, organization_id=scope, **needs)
    most = None if every else limit
    if as_json:
        _write_document(search, session.reader, status, cursor)
    elif form == "table":
        _print_all(search, session.reader, cursor)
    else:
        for piece in export.pieces(search, session.reader, form, limit=most, cursor=cursor):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _show_page(page: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.document(page)
        return
    shown = page["jobs"]
    several = page["status"] is None
    output.table(_columns(several=several), [_row(one, several=several) for one in shown])
    total = page["total"]
    typer.echo(f"{len(shown)}" + ("" if total is None else f" of {total:,}"))
    if page["next"]:
        typer.echo(f"more: --cursor {page['next']}")


def _columns(*, several: bool) -> Sequence[str]:
    return COLUMNS if several else [name for name in COLUMNS if name != "state"]


def _row(shown: dict[str, Any], *, several: bool) -> Sequence[Any]:
    return (
        shown["id"],
        shown["name"].rpartition(".")[2],
        *([shown["status"]] if several else []),
        shown["organizationId"],
        shown["priority"],
        f"{shown['attemptsMade']}/{shown['attempts']}",
        shown["createdAt"],
        (shown["failedReason"] or "").partition("\n")[0],
    )


def _print_all(search: Search, reader: JobReader, cursor: str | None) -> None:
    """Prints a table row by row: the widths of its columns are those of the first page's cells."""
    several = len(search.states) > 1
    columns = _columns(several=several)
    widths = [len(name) for name in columns]
    count = 0
    for step in search.steps(reader, cursor):
        rows = [
            [
                output.safe(value)
                for value in _row(views.visible(job, search.actor), several=several)
            ]
            for job in step.jobs
        ]
        if rows and not count:
            widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
            _print_row(columns, widths)
        count += len(rows)
        for row in rows:
            _print_row(row, widths)
    typer.echo(counted(count, "job"))


def _print_row(row: Sequence[str], widths: Sequence[int]) -> None:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _write_document(
    search: Search, reader: JobReader, status: str | None, cursor: str | None
) -> None:
    """Prints the same document as for a page, with all jobs in it, as they are read."""
    head = {"queue": search.queue, "status": status or _only_state(search)}
    sys.stdout.write(json.dumps(head)[:-1] + ', "jobs": [')
    count = 0
    for step in search.steps(reader, cursor):
        for job in step.jobs:
            sys.stdout.write(",\n" if count else "\n")
            sys.stdout.write(json.dumps(views.visible(job, search.actor)))
            count += 1
    sys.stdout.write(f'\n], "total": {count}, "next": null}}\n')


def _only_state(search: Search) -> str | None:
    return search.states[0].value if len(search.states) == 1 else None

"""The application's own commands: ``hsejobs sample-data``."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from hsejobs.errors import Refused
from hsejobs_cli import output
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession


def sample_data(
    organizations: Annotated[
        int, typer.Option(help="How many organizations: org-123, org-124 and so on.")
    ] = 3,
    rows: Annotated[int, typer.Option(help="Rows of all tables, shared out evenly.")] = 3000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same rows.")] = 1,
    as_json: Json = False,
) -> None:
    """Fill the platform's database with believable data; rows that are there stay as they are."""
    from hsejobs.settings import ensure_home
    from tasks.shared.platform.database import database
    from tasks.shared.platform.reading import writing
    from tasks.shared.platform.sample import fill, has_others

    settings = CommandSession().settings
    began = time.monotonic()
    shown = 0.0

    def progress(done: int, of: int) -> None:
        nonlocal shown
        if sys.stderr.isatty() and (time.monotonic() - shown > 0.2 or done == of):
            shown = time.monotonic()
            sys.stderr.write(f"\r{done:,} of {of:,} rows" + ("\n" if done == of else ""))

    with writing():
        engine = database(settings.platform_database_url, ensure_home(settings))
        if settings.platform_database_url is not None and has_others(engine):
            raise Refused(
                "the database of PLATFORM_DATABASE_URL has organizations that are not sample data;"
                " nothing was written; use an empty database"
            )
        added = fill(engine, organizations, rows, seed, progress)
    seconds = time.monotonic() - began
    if as_json:
        output.document({"added": added, "seconds": round(seconds, 2)})
        return
    output.table(["table", "added"], sorted(added.items()), right=[1])
    typer.echo(f"{sum(added.values()):,} rows in {seconds:.1f} s")

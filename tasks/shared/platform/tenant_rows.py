"""Count, export and erase one organization's rows in the database in ``JOBS_HOME``.

A database that PLATFORM_DATABASE_URL names belongs to the platform and is never touched here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.shared.platform.errors import PlatformUnavailable

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine, Table

    from hsejobs.settings import Settings

#: How many rows an erasure removes per transaction.
ROWS = 5_000
#: Seconds to wait for readers of the database.
VACUUM_SECONDS = 30.0


def _tables(organization_id: str) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Yield every table (referenced ones last) with the condition for the organization's rows."""
    from tasks.shared.platform.schema import METADATA, ORGANIZATIONS

    for table in reversed(METADATA.sorted_tables):
        column = table.c.id if table is ORGANIZATIONS else table.c.organization_id
        yield table, column == organization_id


def _has_local_database(settings: Settings) -> bool:
    from tasks.shared.platform.database import FILE

    return settings.platform_database_url is None and (settings.jobs_home / FILE).is_file()


def count(settings: Settings, organization_id: str) -> int:
    """Return the number of rows. Raises PlatformUnavailable."""
    from sqlalchemy import func, select

    from tasks.shared.platform.database import database
    from tasks.shared.platform.reading import reading

    if not _has_local_database(settings):
        return 0
    with reading(), database(None, settings.jobs_home).connect() as connection:
        return sum(
            connection.execute(
                select(func.count()).select_from(table).where(condition)
            ).scalar_one()
            for table, condition in _tables(organization_id)
        )


def rows(
    settings: Settings, organization_id: str
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield each table's name and its rows, streamed. Raises PlatformUnavailable."""
    from sqlalchemy import select

    from tasks.shared.platform.database import database
    from tasks.shared.platform.reading import reading

    if not _has_local_database(settings):
        return
    with reading(), database(None, settings.jobs_home).connect() as connection:
        streaming = connection.execution_options(yield_per=1_000)
        for table, condition in _tables(organization_id):
            found = streaming.execute(select(table).where(condition)).mappings()
            yield table.name, (dict(row) for row in found)


def erase(settings: Settings, organization_id: str) -> int:
    """Remove them, so that their bytes are removed too; how many. Raises PlatformUnavailable."""
    from tasks.shared.platform.database import database
    from tasks.shared.platform.reading import writing

    if not count(settings, organization_id):
        return 0
    removed = 0
    with writing():
        engine = database(None, settings.jobs_home)
        for table, _ in _tables(organization_id):
            removed += _erase(engine, table, organization_id)
        _vacuum(engine)
    return removed


def left_alone(settings: Settings) -> str | None:
    """Return a sentence that names the data an erasure does not touch; None if there is none."""
    if settings.platform_database_url is None:
        return None
    return "the database of PLATFORM_DATABASE_URL was not changed: its rows belong to the platform"


def _erase(engine: Engine, table: Table, organization_id: str) -> int:
    from sqlalchemy import text

    column = "id" if table.name == "organizations" else "organization_id"
    # The names come from the schema, never from a tenant.
    step = text(
        f"DELETE FROM {table.name} WHERE rowid IN"  # noqa: S608
        f" (SELECT rowid FROM {table.name} WHERE {column} = :own LIMIT {ROWS})"
    )
    removed = 0
    while True:
        with engine.begin() as connection:
            removed = connection.execute(step, {"own": organization_id}).rowcount
        removed += removed
        if removed < ROWS:
            return removed


def _vacuum(engine: Engine) -> None:
    """Rewrite the database and its log, which still contain the data of deleted rows."""
    from sqlalchemy import text

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM"))
        until = time.monotonic() + VACUUM_SECONDS
        # 1: another connection reads from the log.
        while connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]:
            if time.monotonic() >= until:
                raise PlatformUnavailable("the database in JOBS_HOME is in use: try again later")
            time.sleep(0.1)

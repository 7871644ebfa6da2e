"""One organization's rows in the database that lies in ``JOBS_HOME``.

A database that PLATFORM_DATABASE_URL names is the platform's own: nothing here touches it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.shared.platform.errors import PlatformUnavailable

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine, Table

    from hsejobs.settings import Settings

#: Rows in one transaction of an erasure.
ROWS = 5_000
#: Seconds that readers of the database are waited for.
VACUUM_SECONDS = 30.0


def _tables(organization_id: str) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Every table, those that others refer to last, and which rows are the organization's."""
    from tasks.shared.platform.schema import METADATA, ORGANIZATIONS

    for table in reversed(METADATA.sorted_tables):
        column = table.c.id if table is ORGANIZATIONS else table.c.organization_id
        yield table, column == organization_id


def _there(settings: Settings) -> bool:
    from tasks.shared.platform.database import FILE

    return settings.platform_database_url is None and (settings.jobs_home / FILE).is_file()


def count(settings: Settings, organization_id: str) -> int:
    """How many rows there are. Raises PlatformUnavailable."""
    from sqlalchemy import func, select

    from tasks.shared.platform.database import database
    from tasks.shared.platform.reading import reading

    if not _there(settings):
        return 0
    with reading(), database(None, settings.jobs_home).connect() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table).where(its)).scalar_one()
            for table, its in _tables(organization_id)
        )


def rows(
    settings: Settings, organization_id: str
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Each table's name and its rows, streamed. Raises PlatformUnavailable."""
    from sqlalchemy import select

    from tasks.shared.platform.database import database
    from tasks.shared.platform.reading import reading

    if not _there(settings):
        return
    with reading(), database(None, settings.jobs_home).connect() as connection:
        streaming = connection.execution_options(yield_per=1_000)
        for table, its in _tables(organization_id):
            found = streaming.execute(select(table).where(its)).mappings()
            yield table.name, (dict(row) for row in found)


def erase(settings: Settings, organization_id: str) -> int:
    """Removes them, so that their bytes are gone too; how many. Raises PlatformUnavailable."""
    from tasks.shared.platform.database import database
    from tasks.shared.platform.reading import writing

    if not count(settings, organization_id):
        return 0
    gone = 0
    with writing():
        engine = database(None, settings.jobs_home)
        for table, _ in _tables(organization_id):
            gone += _erase(engine, table, organization_id)
        _vacuum(engine)
    return gone


def left_alone(settings: Settings) -> str | None:
    """What an erasure does not touch, in a sentence."""
    if settings.platform_database_url is None:
        return None
    return "PLATFORM_DATABASE_URL was left alone: its rows are the platform's own"


def _erase(engine: Engine, table: Table, organization_id: str) -> int:
    from sqlalchemy import text

    column = "id" if table.name == "organizations" else "organization_id"
    # Names of ours: nothing of it is anybody's text.
    step = text(
        f"DELETE FROM {table.name} WHERE rowid IN"  # noqa: S608
        f" (SELECT rowid FROM {table.name} WHERE {column} = :own LIMIT {ROWS})"
    )
    gone = 0
    while True:
        with engine.begin() as connection:
            removed = connection.execute(step, {"own": organization_id}).rowcount
        gone += removed
        if removed < ROWS:
            return gone


def _vacuum(engine: Engine) -> None:
    """What a deleted row held stays in its page, and in the log, until both are written anew."""
    from sqlalchemy import text

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM"))
        until = time.monotonic() + VACUUM_SECONDS
        # 1: somebody reads from the log.
        while connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]:
            if time.monotonic() >= until:
                raise PlatformUnavailable("the database in JOBS_HOME is in use: try again")
            time.sleep(0.1)

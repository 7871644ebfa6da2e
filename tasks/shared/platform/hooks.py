"""The application's extensions of the library's commands, see ``docs/application.md``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.shared.platform import tenant_rows

if TYPE_CHECKING:
    import typer

    from hsejobs.settings import Settings

__all__ = ["add_commands", "doctor_checks", "tenant_rows"]


def add_commands(app: typer.Typer) -> None:
    """Add ``hsejobs sample-data`` to ``app``."""
    from tasks.shared.platform.commands import sample_data

    app.command(
        "sample-data", epilog="Example: hsejobs sample-data --organizations 20 --rows 1000000"
    )(sample_data)


def doctor_checks(settings: Settings) -> Iterator[tuple[bool, str, str]]:
    """Check that the platform's database responds."""
    from sqlalchemy import select
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from hsejobs.errors import JobsError
    from tasks.shared.platform.database import database
    from tasks.shared.platform.schema import ORGANIZATIONS

    url = settings.platform_database_url
    what = "database platform.sqlite in JOBS_HOME"
    try:
        if url:
            what = f"database {make_url(url).render_as_string(hide_password=True)}"
        with database(url, settings.jobs_home).connect() as connection:
            connection.execute(select(ORGANIZATIONS.c.id).limit(1)).all()
    except JobsError as error:
        yield False, "database", str(error)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()
        yield False, what, f"{reason[0] if reason else 'away'}; check PLATFORM_DATABASE_URL"
    else:
        yield True, what, ""

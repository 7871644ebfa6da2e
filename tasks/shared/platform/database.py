"""The platform's database: one engine per process and URL, created at the first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hsejobs import forks

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

FILE = "platform.sqlite"

_engines: dict[str, Engine] = {}
_lock = forks.lock()


def database(url: str | None, home: Path) -> Engine:
    """Return the engine for ``PLATFORM_DATABASE_URL``, or for ``platform.sqlite`` in *home* if None.

    Creates missing tables at the first use. ``postgres://`` and ``postgresql://`` use psycopg.
    Raises SettingsError for a URL that SQLAlchemy cannot use, and SQLAlchemy's OperationalError
    if the database is unavailable.
    """
    place = url or f"sqlite:///{home / FILE}"
    with _lock:
        if place not in _engines:
            if url is None:
                _private(home / FILE)
            _engines[place] = _make(place)
        return _engines[place]


def _private(path: Path) -> None:
    """Create SQLite's file with mode 0600 if it does not exist."""
    import contextlib
    import os

    # If the folder is unusable, SQLite reports the error.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def close_databases() -> None:
    """Close all connections of this process: for tests, and at the end of a program."""
    with _lock:
        for engine in _engines.values():
            engine.dispose()
        _engines.clear()


def _make(place: str) -> Engine:
    import os

    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    from hsejobs.errors import SettingsError

    problem = "must be a database URL: postgresql://user@host/name or sqlite:///path"
    try:
        url = make_url(place)
        if url.drivername in {"postgres", "postgresql"}:
            url = url.set(drivername="postgresql+psycopg")
            if "connect_timeout" not in url.query:
                # Seconds; without it a host that drops packets blocks a worker for minutes.
                url = url.update_query_dict({"connect_timeout": "10"})
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise SettingsError("PLATFORM_DATABASE_URL", problem) from None
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            # WAL and the busy timeout: a long read must not block a writer, nor fail during a write.
            for pragma in ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")

    _make_tables(engine)
    # A child process must not use its parent's connections.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))
    return engine


def _make_tables(engine: Engine) -> None:
    """Create the missing tables; two processes may do so at the same time."""
    from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

    from tasks.shared.platform.schema import METADATA

    # The error of each database for a table that another process has just created. On PostgreSQL
    # an OperationalError means that the server is unavailable: do not retry it.
    already_exists: tuple[type[DBAPIError], ...] = (IntegrityError, ProgrammingError)
    if engine.dialect.name == "sqlite":
        already_exists = (OperationalError,)
    for _ in METADATA.tables:
        try:
            METADATA.create_all(engine)
        except already_exists:
            continue
        return
    METADATA.create_all(engine)

"""Where the platform's data is: one engine a process, made at the first use."""

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
    """The engine for ``PLATFORM_DATABASE_URL``, or for ``platform.sqlite`` in *home* if None.

    Tables that are missing are made at the first use. ``postgres://`` and ``postgresql://``
    mean psycopg. Raises SettingsError for a URL that SQLAlchemy cannot use, and its
    OperationalError when the database is away.
    """
    place = url or f"sqlite:///{home / FILE}"
    with _lock:
        if place not in _engines:
            if url is None:
                _private(home / FILE)
            _engines[place] = _make(place)
        return _engines[place]


def _private(path: Path) -> None:
    """Makes the file that SQLite would make, for its owner alone; what lies beside it is as it is."""
    import contextlib
    import os

    # What is wrong with the folder the database says.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))


def close_databases() -> None:
    """Closes all connections of this process, for tests and at the end of a program."""
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
                # Seconds; without it a host that swallows packets holds a worker for minutes.
                url = url.update_query_dict({"connect_timeout": "10"})
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise SettingsError("PLATFORM_DATABASE_URL", problem) from None
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: Any) -> None:
            # A reader of a million rows must not stop a writer, nor fail at once beside one.
            for pragma in ("journal_mode=WAL", "busy_timeout=10000", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")

    _make_tables(engine)
    # A child process must not talk on its parent's connections.
    os.register_at_fork(after_in_child=lambda: engine.dispose(close=False))
    return engine


def _make_tables(engine: Engine) -> None:
    """Makes the tables that are missing; two processes may do it at once."""
    from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

    from tasks.shared.platform.schema import METADATA

    # What each database says of a table that somebody made a moment ago. On PostgreSQL an
    # OperationalError is a server that is away, and waiting for it several times helps nobody.
    twice: tuple[type[DBAPIError], ...] = (IntegrityError, ProgrammingError)
    if engine.dialect.name == "sqlite":
        twice = (OperationalError,)
    for _ in METADATA.tables:
        try:
            METADATA.create_all(engine)
        except twice:
            continue
        return
    METADATA.create_all(engine)

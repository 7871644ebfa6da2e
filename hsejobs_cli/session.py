"""What every command needs: settings, Redis, the queues, and the exit status for each error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hsejobs.errors import (
    InvalidInput,
    JobFailed,
    JobsError,
    RedisUnavailable,
    SettingsError,
)
from hsejobs.forks import cached_property
from hsejobs.store import lean

if TYPE_CHECKING:
    from hsejobs.application import Application
    from hsejobs.control.actors import Actor
    from hsejobs.control.acts import Acts
    from hsejobs.control.audit import FileLog
    from hsejobs.services.artifacts.access import Files
    from hsejobs.settings import Settings
    from hsejobs.store.client import RedisClient
    from hsejobs.store.read import JobReader
    from hsejobs.store.registry import QueueInfo
    from hsejobs.store.write import JobWriter

DONE, REFUSED, USAGE, UNREACHABLE = 0, 1, 2, 3


class CommandSession:
    """One command's access to the system. Connects on first use."""

    @cached_property
    def settings(self) -> Settings:
        """The validated settings. Raises SettingsError."""
        from hsejobs.settings import load_settings

        return load_settings()

    @cached_property
    def redis(self) -> RedisClient:
        """The connection; the application's queues are registered on it, unless it is read-only."""
        lean.import_redis()
        from hsejobs.engine.register import announce
        from hsejobs.engine.runtime import runtime

        client = runtime().redis
        client.ping()
        announce(self.own.values())
        return client

    def check_format(self) -> None:
        """Raises UnknownFormat if Redis answers and has records that this release cannot work with."""
        from hsejobs.settings import redis_target
        from hsejobs.store.client import RedisClient

        client = RedisClient(redis_target(self.settings), prefix=self.settings.redis_prefix)
        client.check_format()
        client.close()

    @cached_property
    def own(self) -> dict[str, Any]:
        """The application's queues by name; empty without an application."""
        return dict(self.application.queues)

    @cached_property
    def application(self) -> Application:
        """The application, for commands that need none: if it cannot be loaded, warns once and goes on."""
        lean.import_redis()
        from hsejobs import application

        try:
            return application.find(self.settings)
        except SettingsError as error:
            _write(f"warning: {error}; continuing with what Redis knows of the queues")
            return application.NONE

    @cached_property
    def reader(self) -> JobReader:
        from hsejobs.store.read import JobReader

        return JobReader(self.redis, self.settings.redis_prefix)

    @cached_property
    def writer(self) -> JobWriter:
        from hsejobs.store.write import JobWriter

        return JobWriter(self.redis, self.settings.redis_prefix)

    @property
    def files(self) -> Files:
        """Access to artifacts, the files that jobs produced."""
        from hsejobs.services.artifacts.access import Files
        from hsejobs.services.artifacts.store import open_store

        store = open_store(self.settings.artifacts_url, self.settings.jobs_home)
        return Files(store, self.redis, self.settings.redis_prefix)

    @cached_property
    def audit_log(self) -> FileLog:
        """The copy of the audit log in JOBS_HOME."""
        from hsejobs.control.audit import FileLog
        from hsejobs.settings import redact_url, redis_target

        return FileLog(self.settings.jobs_home, redact_url(redis_target(self.settings)))

    def acts(self, org: str | None = None) -> Acts:
        """Returns the acts of the user who runs the command, limited to ``org``'s jobs if given.

        Removing a job removes its files too. Raises InvalidOption.
        """
        from hsejobs.control.acts import Acts, Hooks

        hooks = Hooks(self._delete_files, _warn_audit_failed)
        prefix = self.settings.redis_prefix
        return Acts(self.redis, prefix, self.actor(org), self.audit_log, hooks=hooks)

    @staticmethod
    def actor(org: str | None = None) -> Actor:
        """Returns the user who runs the command, limited to ``org`` if given. Raises InvalidOption."""
        from hsejobs.control.actors import Actor
        from hsejobs.model import check_organization

        return Actor("cli", organization_id=check_organization(org, "org"))

    def _delete_files(self, queue: str, job_id: str | None) -> None:
        from hsejobs.services.artifacts.removal import after_act

        after_act(self.files, queue, job_id)

    def info(self, queue: str) -> QueueInfo:
        """Returns a queue's description. Raises UnknownQueue."""
        from hsejobs.store import registry

        return registry.load(self.redis, self.settings.redis_prefix, queue)

    def infos(self) -> list[QueueInfo]:
        """Returns the descriptions of all queues."""
        from hsejobs.store import registry

        return registry.load_all(self.redis, self.settings.redis_prefix)


def _warn_audit_failed() -> None:
    sys.stderr.write("the copy of the audit log in JOBS_HOME could not be written\n")


def exit_code(error: JobsError) -> int:
    """Returns the exit status for an error."""
    if isinstance(error, RedisUnavailable):
        return UNREACHABLE
    if isinstance(error, InvalidInput | SettingsError):
        return USAGE
    return REFUSED


def guarded(command: Callable[[], Any]) -> int:
    """Runs a command and returns its status; prints any error as one line, never a traceback."""
    try:
        command()
    except JobFailed as error:
        return _fail(f"error: the job failed: {error} ({error.failure_code})", REFUSED)
    except JobsError as error:
        return _fail(f"error: {error} ({error.code})", exit_code(error))
    except BrokenPipeError:
        # Otherwise Python would fail again when it flushes stdout at exit.
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        return DONE
    except OSError as error:
        return _fail(f"error: {error.strerror or type(error).__name__}", REFUSED)
    except ModuleNotFoundError as error:
        from hsejobs.extras import missing_extra_message

        text = missing_extra_message(error)
        return _fail(f"error: {text} (missing_extra)", REFUSED) if text else _unexpected(error)
    except Exception as error:
        return _unexpected(error)
    return DONE


def _unexpected(error: Exception) -> int:
    """Prints errors of typer (whose base class is private), and unexpected ones."""
    import typer

    if isinstance(error, typer.Abort):
        return _fail("error: not confirmed; nothing was done", REFUSED)
    # Without a command, typer raises its help text as an error.
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return USAGE
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "hsejobs"
        return _fail(f"error: {error.format_message()} See `{path} --help`.", USAGE)
    # The error's text may contain a payload value, so only its type and place are shown.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else ""
    return _fail(f"error: unexpected {type(error).__name__}{place}; please report it", REFUSED)


def _fail(text: str, code: int) -> int:
    _write(text)
    return code


def _write(text: str) -> None:
    text = " ".join(text.split())
    sys.stderr.write("".join(c if c.isprintable() else "?" for c in text) + "\n")

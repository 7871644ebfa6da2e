"""What every command needs: the settings, Redis, the queues; and how an error ends a command."""

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

DONE, REFUSED, USAGE, AWAY = 0, 1, 2, 3


class CommandSession:
    """One command's view of the system. Connects at the first use."""

    @cached_property
    def settings(self) -> Settings:
        """The environment, checked. Raises SettingsError."""
        from hsejobs.settings import load_settings

        return load_settings()

    @cached_property
    def link(self) -> RedisClient:
        """The connection; our own queues have described themselves on it, if it takes writes."""
        from hsejobs.engine.register import announce
        from hsejobs.engine.runtime import runtime

        link = runtime().link
        link.ping()
        announce(self.own.values())
        return link

    @cached_property
    def own(self) -> dict[str, Any]:
        """The application's queues by name; none where there is no application."""
        return dict(self.application.queues)

    @cached_property
    def application(self) -> Application:
        """The application, for commands that do without: one that cannot be loaded is told of, once."""
        from hsejobs import application

        try:
            return application.find(self.settings)
        except SettingsError as error:
            _write(f"warning: {error}; this goes by what the queues say of themselves in Redis")
            return application.NONE

    @cached_property
    def reader(self) -> JobReader:
        """All reads."""
        from hsejobs.store.read import JobReader

        return JobReader(self.link, self.settings.redis_prefix)

    @cached_property
    def writer(self) -> JobWriter:
        """All writes."""
        from hsejobs.store.write import JobWriter

        return JobWriter(self.link, self.settings.redis_prefix)

    @property
    def files(self) -> Files:
        """The files of jobs."""
        from hsejobs.services.artifacts.access import Files
        from hsejobs.services.artifacts.store import open_store

        store = open_store(self.settings.artifacts_url, self.settings.jobs_home)
        return Files(store, self.link, self.settings.redis_prefix)

    @cached_property
    def audit_log(self) -> FileLog:
        """Where acts are written down."""
        from hsejobs.control.audit import FileLog
        from hsejobs.settings import redact_url, redis_target

        return FileLog(self.settings.jobs_home, redact_url(redis_target(self.settings)))

    def acts(self, org: str | None = None) -> Acts:
        """What whoever runs the command may do, to ``org``'s jobs only if that is given.

        The files of removed jobs go with them. Raises InvalidOption.
        """
        from hsejobs.control.acts import Acts, Hooks

        hooks = Hooks(self._delete_files, _unwritten)
        prefix = self.settings.redis_prefix
        return Acts(self.link, prefix, self.actor(org), self.audit_log, hooks=hooks)

    @staticmethod
    def actor(org: str | None = None) -> Actor:
        """Whoever runs the command, confined to ``org`` if that is given. Raises InvalidOption."""
        from hsejobs.control.actors import Actor
        from hsejobs.model import check_organization

        return Actor("cli", organization_id=check_organization(org, "org"))

    def _delete_files(self, queue: str, job_id: str | None) -> None:
        from hsejobs.services.artifacts.removal import after_act

        after_act(self.files, queue, job_id)

    def info(self, queue: str) -> QueueInfo:
        """A queue's description. Raises UnknownQueue."""
        from hsejobs.store import registry

        return registry.load(self.link, self.settings.redis_prefix, queue)

    def infos(self) -> list[QueueInfo]:
        """Every queue's description."""
        from hsejobs.store import registry

        return registry.load_all(self.link, self.settings.redis_prefix)


def _unwritten() -> None:
    sys.stderr.write("the audit log in JOBS_HOME could not be written\n")


def exit_code(error: JobsError) -> int:
    """Which exit status an error is."""
    if isinstance(error, RedisUnavailable):
        return AWAY
    if isinstance(error, InvalidInput | SettingsError):
        return USAGE
    return REFUSED


def guarded(command: Callable[[], Any]) -> int:
    """Runs a command; whatever goes wrong is one line on stderr and a status, never a traceback."""
    try:
        command()
    except JobFailed as error:
        return _say(f"error: the job failed: {error} ({error.failure_code})", REFUSED)
    except JobsError as error:
        return _say(f"error: {error} ({error.code})", exit_code(error))
    except BrokenPipeError:
        # Python would complain again when it flushes stdout at its end.
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 1)
        return DONE
    except OSError as error:
        return _say(f"error: {error.strerror or type(error).__name__}", REFUSED)
    except ModuleNotFoundError as error:
        from hsejobs.extras import sentence

        told = sentence(error)
        return _say(f"error: {told} (missing_extra)", REFUSED) if told else _other(error)
    except Exception as error:
        return _other(error)
    return DONE


def _other(error: Exception) -> int:
    """Errors of typer (whose base class has no public name), and mistakes of our own."""
    import typer

    if isinstance(error, typer.Abort):
        return _say("error: the question was not answered; nothing was done", REFUSED)
    # Given no command at all, typer raises its help as an error.
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return USAGE
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "hsejobs"
        return _say(f"error: {error.format_message()} See `{path} --help`.", USAGE)
    # Its text may hold a value of a payload, so only its kind and place are told.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else ""
    return _say(f"error: unexpected {type(error).__name__}{place}; please report it", REFUSED)


def _say(text: str, code: int) -> int:
    _write(text)
    return code


def _write(text: str) -> None:
    text = " ".join(text.split())
    sys.stderr.write("".join(c if c.isprintable() else "?" for c in text) + "\n")

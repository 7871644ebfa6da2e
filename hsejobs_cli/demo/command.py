"""The command ``hsejobs demo``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from hsejobs.errors import Refused
from hsejobs.extras import require

if TYPE_CHECKING:
    from hsejobs.settings import Settings

#: Seconds that the workers get to end.
_LEAVE = 5.0
#: Variables that no setting names and that would reach the demo: of the engine and of tracing.
_OTHERS = ("QUEUE_", "HSEJOBS_", "OTEL_")
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
) -> None:
    """Open the TUI on an invented shop with three hours of history; leaves nothing behind."""
    require("worker", "tui")
    from hsejobs_cli.demo.place import temporary_place

    with _ending_by_signal(), temporary_place() as (folder, lock):
        settings = _own_settings(folder)
        still = once or not (sys.stdin.isatty() and sys.stdout.isatty())
        with _server(settings), _workers(lock, still=still), _undisturbed_end():
            _show(settings, still=still)


def _show(settings: Settings, *, still: bool) -> None:
    from hsejobs.settings import redis_target
    from hsejobs_tui.core.options import load
    from hsejobs_tui.once import show
    from hsejobs_tui.start import run

    options = replace(load(settings=settings), url=redis_target(settings), place="demo")
    if still:
        show(options)
    else:
        run(options)


@contextlib.contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Lets a signal end the block as an exception, so that nothing is left behind; one that comes during
    the clean-up is ignored.
    """

    def end(signum: int, frame: Any) -> None:
        _ignore_signals()
        raise SystemExit(128 + signum)

    for signum in _SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, end)
    yield


@contextlib.contextmanager
def _undisturbed_end() -> Iterator[None]:
    """After the block, signals are ignored: what remains is the clean-up, which ends by itself."""
    try:
        yield
    finally:
        _ignore_signals()


def _ignore_signals() -> None:
    for signum in _SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def _own_settings(folder: Path) -> Settings:
    """The demo's settings: the defaults, with its own folder. Nothing of the user's reaches it."""
    from hsejobs.setting_list import SETTINGS
    from hsejobs.settings import load_settings

    names = {one.name for one in SETTINGS}
    for name in list(os.environ):
        if name in names or name.startswith(_OTHERS):
            del os.environ[name]
    os.environ.update(JOBS_HOME=str(folder), QUEUE_SHUTDOWN_GRACE_MS="0", JOBS_LOG_LEVEL="CRITICAL")
    return load_settings()


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[None]:
    from hsejobs_cli.embedded import Embedded

    server = Embedded(settings)
    server.start()
    try:
        yield
    finally:
        server.stop()


@contextlib.contextmanager
def _workers(lock: IO[str], *, still: bool) -> Iterator[None]:
    """The process that fills Redis and then runs the workers. Raises Refused if it cannot."""
    words = [sys.executable, "-P", "-m", "hsejobs_cli.demo.workers", *(["--still"] * still)]
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(lock.fileno(),),
    )
    asked, answer = process.stdin, process.stdout
    try:
        if not still:
            # Meanwhile, what the first frame needs.
            import hsejobs_tui.app
            import hsejobs_tui.terminal  # noqa: F401
        if answer is None or not answer.readline():
            raise Refused("the demo's workers did not start")
        yield
    finally:
        if asked is not None:
            # They end when it is closed.
            asked.close()
        try:
            process.wait(_LEAVE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

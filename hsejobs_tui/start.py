"""The entry point of ``hsejobs-tui``, ``hsejobs tui`` and ``hsejobs up``."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hsejobs.errors import InvalidInput, JobsError, RedisUnavailable, SettingsError
from hsejobs.store.lean import import_redis

if TYPE_CHECKING:
    from textual.driver import Driver

    from hsejobs_tui.core.options import Options


def main(argv: list[str] | None = None) -> None:
    """Parses the command line and runs the TUI; exit status 2 for an invalid option or setting."""
    parser = argparse.ArgumentParser(prog="hsejobs-tui", description="The operator's TUI.")
    parser.add_argument(
        "--read-only", action="store_true", help="remove all commands that change data"
    )
    parser.add_argument("--org", metavar="ORG", help="show only this organization's jobs")
    parser.add_argument("--once", action="store_true", help="print one frame and exit")
    parser.add_argument(
        "--profile", metavar="NAME", help="use a Redis from JOBS_HOME/profiles.toml"
    )
    given = parser.parse_args(argv)
    if sys.stdout is None:
        sys.stderr.write("error: standard output is closed; redirect it to a file or /dev/null\n")
        sys.exit(2)
    try:
        start(given.read_only, given.org, given.once, given.profile)
    except JobsError as error:
        sys.stderr.write(f"error: {error} ({error.code})\n")
        if isinstance(error, InvalidInput | SettingsError):
            sys.exit(2)
        sys.exit(3 if isinstance(error, RedisUnavailable) else 1)


def start(read_only: bool, org: str | None, once: bool, profile: str | None) -> None:
    """Runs the TUI until the user quits. Raises SettingsError, and with ``once`` RedisUnavailable."""
    from hsejobs.extras import require
    from hsejobs_tui.core.options import load

    require("tui")
    import_redis()
    options = load(read_only=read_only, org=org, once=once, profile=profile)
    # Without a terminal for output or for keys, one frame is all there is to show.
    if once or not sys.stdout.isatty() or sys.stdin is None or not sys.stdin.isatty():
        from hsejobs_tui.once import show

        show(options)
        return
    run(options)


def run(options: Options, ended: Callable[[], bool] | None = None, address: str = "") -> None:
    """Runs the TUI in this terminal, or in a browser; also ends when ``ended`` returns True.

    ``address``: of the place to show first, in a browser.
    """
    # Before the first frame nothing is worth collecting, and to look for it takes a tenth of the time. The
    # session starts it again.
    gc.disable()
    try:
        _run(options, ended, address)
    finally:
        gc.enable()


def _run(options: Options, ended: Callable[[], bool] | None, address: str) -> None:
    from hsejobs.store.client import RedisClient
    from hsejobs_tui.app import JobsApp
    from hsejobs_tui.signals import kept

    link = RedisClient(options.url, prefix=options.prefix)
    link.check_format()
    link.close()
    app = JobsApp(options, ended=ended, driver_class=_driver(options), address=address)
    if ended is None:
        # Without ``ended`` nothing else handles signals, and a killed TUI leaves the terminal unusable.
        # An interrupt is intentional, so its exit status is 0.
        app.exit_signals = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 0}
    with kept(app.exit_signals):
        app.run()
    app.session.finish()
    if app.return_code:
        sys.exit(app.return_code)


def _driver(options: Options) -> type[Driver]:
    """The driver of a session: of this terminal, or of a browser."""
    if options.viewer is None:
        from hsejobs_tui.terminal import Terminal

        return Terminal
    from hsejobs_tui.browser import BrowserDriver

    return BrowserDriver

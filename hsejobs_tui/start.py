"""The entry: ``hsejobs-tui``, and what ``hsejobs tui`` and ``hsejobs up`` call."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from hsejobs.errors import InvalidInput, JobsError, RedisUnavailable, SettingsError

if TYPE_CHECKING:
    from hsejobs_tui.core.options import Options


def main(argv: list[str] | None = None) -> None:
    """Parses the command line and runs; exit status 2 for a bad option or setting."""
    parser = argparse.ArgumentParser(prog="hsejobs-tui", description="The operator's TUI.")
    parser.add_argument("--read-only", action="store_true", help="nothing can be changed")
    parser.add_argument("--org", metavar="ORG", help="only this organization's jobs")
    parser.add_argument("--once", action="store_true", help="print one frame and end")
    parser.add_argument("--profile", metavar="NAME", help="a Redis of JOBS_HOME/profiles.toml")
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
    """Runs the TUI until the person quits. Raises SettingsError, and with --once RedisUnavailable."""
    from hsejobs.extras import require
    from hsejobs_tui.core.options import load

    require("tui")
    options = load(read_only=read_only, org=org, once=once, profile=profile)
    # Without a terminal to draw on, or keys to come from one, there is no more than a look.
    if once or not sys.stdout.isatty() or sys.stdin is None or not sys.stdin.isatty():
        from hsejobs_tui.once import show

        show(options)
        return
    run(options)


def run(options: Options, ended: Callable[[], bool] | None = None) -> None:
    """The TUI in this terminal; ends too when ``ended`` says so."""
    from hsejobs_tui.app import JobsApp
    from hsejobs_tui.terminal import Terminal

    # A browser's has a driver of its own.
    app = JobsApp(options, ended=ended, driver_class=None if options.viewer else Terminal)
    if ended is None:
        # Where nobody else minds them: killed outright it would leave the terminal unusable.
        # An interrupt is a person's wish, and no failure.
        app.ends_on = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 0}
    app.run()
    if app.return_code:
        sys.exit(app.return_code)

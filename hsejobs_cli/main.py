"""The entry point of ``hsejobs``. It imports almost nothing, so that no import can fail before ``main``."""

from __future__ import annotations

import os
import signal
import sys

#: The exit status that a shell gives to a program that Ctrl-C ended.
INTERRUPTED = 130


def main() -> None:
    """Runs the command and exits with its status."""
    try:
        if os.getpid() == 1:
            _obey_signals()
        _open_streams()
        # Files in JOBS_HOME, made by this process or by the servers and workers that it starts,
        # are private to their owner.
        os.umask(0o077)
        # Importing the commands takes a moment, and Ctrl-C may come during it.
        status = _run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    if "hsejobs.application" in sys.modules:
        from hsejobs.leaving import leave_in_time

        leave_in_time(status)
    sys.exit(status)


def _obey_signals() -> None:
    """Ends the first process of a container on SIGTERM, as the kernel ends any other process.

    The kernel ignores what process 1 does not handle. Commands that run on set their own handlers.
    """
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda received, _: os._exit(128 + received))


def _run() -> int:
    try:
        from hsejobs.garbage import not_sought

        with not_sought(stays=True):
            from hsejobs_cli.app import run_command
    except ModuleNotFoundError as error:
        from hsejobs.extras import missing_extra_message

        text = missing_extra_message(error)
        if text is None:
            raise
        if sys.argv[1:] == ["--version"]:
            from hsejobs import __version__

            sys.stdout.write(f"hsejobs {__version__}\n")
            return 0
        sys.stderr.write(f"error: {text} (missing_extra)\n")
        return 1
    return run_command()


def _open_streams() -> None:
    """Opens closed standard streams on the null device.

    Otherwise the next files that are opened, Redis's connection among them, would get their
    numbers, and a child process would write into these files.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # open() takes the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115

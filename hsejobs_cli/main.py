"""The entry of ``hsejobs``. Loads next to nothing itself, so that nothing can go wrong before it."""

from __future__ import annotations

import os
import sys

#: What a shell says of a program that Ctrl-C ended.
INTERRUPTED = 130


def main() -> None:
    """What ``hsejobs`` runs."""
    try:
        _open_streams()
        # Whatever is made in JOBS_HOME, by us or by the servers and workers that we start, is its
        # owner's alone.
        os.umask(0o077)
        # Loading the commands takes a moment, in which Ctrl-C may come too.
        status = _run()
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _run() -> int:
    try:
        from hsejobs_cli.app import run_command
    except ModuleNotFoundError as error:
        from hsejobs.extras import sentence

        told = sentence(error)
        if told is None:
            raise
        sys.stderr.write(f"error: {told} (missing_extra)\n")
        return 1
    return run_command()


def _open_streams() -> None:
    """Where standard streams are closed, nothing is read and what is written goes nowhere.

    Left closed, their numbers would be those of the next files that are opened, Redis's
    connection among them, and a child process would write into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115

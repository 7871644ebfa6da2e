"""A folder for the temporary files of one piece of work, gone with it however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hsejobs.errors import ArtifactsUnavailable

FOLDER = "tmp"


@contextlib.contextmanager
def spool(home: Path) -> Iterator[Path]:
    """A new folder (mode 0700) below ``home/tmp``, removed with all that is in it at the end.

    The folder is locked while it is in use. A killed process leaves it without a lock: whoever
    opens the next one, or the hourly cleanup, removes it. Errors of the disk in the block become
    ArtifactsUnavailable, which another attempt may be spared.
    """
    root = home / FOLDER
    with _errors():
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Under the root's lock: nobody takes the folder for a dead one before it has its own.
        with _locked(root):
            _sweep(root)
            folder = Path(tempfile.mkdtemp(dir=root))
            held = os.open(folder, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def sweep_spool(home: Path) -> int:
    """Removes the folders that killed processes left; how many."""
    root = home / FOLDER
    # One that is missing, or not ours, must not end the cleanup.
    with contextlib.suppress(OSError), _locked(root):
        return _sweep(root)
    return 0


def _sweep(root: Path) -> int:
    gone = 0
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                gone += 1
            finally:
                os.close(held)
    return gone


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Turns the machine's errors into ours, which name no path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArtifactsUnavailable(
            f"temporary files cannot be written below JOBS_HOME: {reason}; check its rights and space"
        ) from None

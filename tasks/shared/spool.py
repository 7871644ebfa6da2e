"""A temporary folder for one job, which is removed however the job ends."""

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
    """Create a folder (mode 0700) below ``home/tmp``, and remove it with its content at the end.

    The folder is locked while it is in use. A killed process leaves it unlocked: the next call, or
    the hourly cleanup, removes it. Disk errors in the block become ArtifactsUnavailable: another
    attempt may succeed.
    """
    root = home / FOLDER
    with _translate_errors():
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Hold the root's lock until the folder is locked: otherwise a sweep could remove it.
        with _locked(root):
            _sweep(root)
            folder = Path(tempfile.mkdtemp(dir=root))
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def sweep_spool(home: Path) -> int:
    """Remove the folders that killed processes left; return how many."""
    root = home / FOLDER
    # A missing or inaccessible folder must not stop the cleanup.
    with contextlib.suppress(OSError), _locked(root):
        return _sweep(root)
    return 0


def _sweep(root: Path) -> int:
    removed = 0
    for folder in root.iterdir():
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed += 1
            finally:
                os.close(descriptor)
    return removed


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    """Convert OSError to ArtifactsUnavailable, which names no path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArtifactsUnavailable(
            f"temporary files cannot be written below JOBS_HOME: {reason};"
            " check its permissions and free space"
        ) from None

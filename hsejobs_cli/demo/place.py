"""The demo's folder: made for one run and removed at its end, that of a killed run at the next start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PREFIX = "hsejobs-demo-"
#: Held by the demo and its workers, and by its Redis, while they run.
_LOCKS = ("demo.lock", "redis/server.lock")


@contextlib.contextmanager
def temporary_place() -> Iterator[tuple[Path, IO[str]]]:
    """A private folder and its lock, for processes that use it to inherit. Raises OSError."""
    remove_left_behind()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with (folder / _LOCKS[0]).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield folder, lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_behind() -> None:
    """Removes the folders of this user's runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            # A folder that is being made has no lock yet.
            if found.st_uid == os.getuid() and not folder.is_symlink() and _is_free(folder):
                shutil.rmtree(folder)


def _is_free(folder: Path) -> bool:
    for name in _LOCKS:
        path = folder / name
        if name == _LOCKS[0] or path.exists():
            with path.open("r+") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    return False
    return True

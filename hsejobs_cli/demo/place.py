"""The demo's folder: made for one run and removed at its end, however that comes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PREFIX = "hsejobs-demo-"
#: Held by the demo and its workers, and by its Redis, while they run.
_LOCKS = ("demo.lock", "redis/server.lock")
#: A shell that reads until the demo's process has ended, by whatever signal, and then removes its folder:
#: for at most ten seconds, as its Redis may still write there.
_REMOVER = """read _; n=0
while [ -e "$1" ] && [ $n -lt 100 ]; do n=$((n + 1)); rm -rf -- "$1" || sleep 0.1; done"""
#: Seconds that the shell gets to end.
_LEAVE = 15.0


@contextlib.contextmanager
def temporary_place() -> Iterator[tuple[Path, IO[str]]]:
    """A private folder and its lock, for processes that use it to inherit. Raises OSError."""
    remove_left_behind()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    try:
        with _removed_at_the_end(folder), (folder / _LOCKS[0]).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield folder, lock
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _removed_at_the_end(folder: Path) -> Iterator[None]:
    remover = subprocess.Popen(
        ["/bin/sh", "-c", _REMOVER, "sh", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # What ends the demo, such as its terminal when it closes, does not end it.
        start_new_session=True,
    )
    try:
        yield
    finally:
        if remover.stdin is not None:
            remover.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            remover.wait(_LEAVE)


def remove_left_behind() -> None:
    """Removes the folders of this user's runs that were killed together with all their processes."""
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

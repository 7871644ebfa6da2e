"""The storage interface below the artifact store: small files by name, read and written whole.

A name is ``<folder>/<file>``, built from hashes and numbers by ``store``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from hsejobs.errors import ArtifactsUnavailable

TEMPORARY = ".tmp"


class ShelfEntry(NamedTuple):
    """One file: its name, and its last modification in seconds since the epoch."""

    name: str
    modified: float


class Shelf(Protocol):
    """Storage for files of a few MB. Each method raises ArtifactsUnavailable."""

    def put(self, name: str, data: bytes) -> None:
        """Write a file atomically and durably."""

    def get(self, name: str) -> bytes | None:
        """Return a file's content; None if there is no such file."""

    def remove(self, names: Sequence[str]) -> None:
        """Remove files; missing ones are not an error."""

    def entries(self, folder: str | None = None) -> Iterator[ShelfEntry]:
        """Yield all files, or those of one folder, sorted by name, in bounded memory."""

    def forget(self, folder: str) -> None:
        """Remove an organization's folder if it is empty."""

    def lock(self, folder: str) -> AbstractContextManager[None]:
        """Prevent other processes of this machine from changing the files of a folder."""


class Folder:
    """A local folder (mode 0700), created at the first write; files have mode 0600."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, data: bytes) -> None:
        """Write a temporary file, sync it, rename it, and sync the folder."""
        path = self.root / name
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}{TEMPORARY}")
        with _translate_errors("written"):
            self._make(path.parent)
            try:
                with open(temporary, "xb", buffering=0, opener=_private) as file:
                    view = memoryview(data)
                    while view:
                        view = view[file.write(view) :]
                    os.fsync(file.fileno())
                temporary.rename(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
            _sync(path.parent)

    def get(self, name: str) -> bytes | None:
        """Return a file's content; None if there is no such file."""
        with _translate_errors("read"):
            try:
                return (self.root / name).read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, names: Sequence[str]) -> None:
        """Unlink files; after a crash some may reappear, until a sweep or the next expiry."""
        with _translate_errors("removed"):
            for name in names:
                (self.root / name).unlink(missing_ok=True)

    def forget(self, folder: str) -> None:
        """Call ``rmdir``, which fails for a folder that is not empty."""
        with contextlib.suppress(OSError):
            (self.root / folder).rmdir()

    def entries(self, folder: str | None = None) -> Iterator[ShelfEntry]:
        """Yield the files, one organization's folder after the other."""
        with _translate_errors("listed"):
            for place in self._names(self.root) if folder is None else (folder,):
                for file in self._names(self.root / place):
                    try:
                        modified = (self.root / place / file).stat().st_mtime
                    except FileNotFoundError:
                        continue
                    yield ShelfEntry(f"{place}/{file}", modified)

    @contextlib.contextmanager
    def lock(self, folder: str) -> Iterator[None]:
        """Lock the organization's folder; the lock ends with the process at the latest."""
        path = self.root / folder
        with _translate_errors("locked"):
            self._make(path)
            descriptor = os.open(path, os.O_RDONLY)
        try:
            with _translate_errors("locked"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(self.root.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(self.root)

    @staticmethod
    def _names(folder: Path) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _translate_errors(what: str) -> Iterator[None]:
    """Convert OSError to ArtifactsUnavailable, which names no path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArtifactsUnavailable(
            f"artifacts cannot be {what} in their folder: {reason}; check ARTIFACTS_URL or JOBS_HOME"
        ) from None


_HASH = "[0-9a-f]{64}"
NAME = re.compile(
    rf"(?P<key>{_HASH}/{_HASH})"
    r"\.(?:(?P<meta>json)|(?P<data>(?P<expires>[0-9]{15})\.[0-9a-f]{16})\.(?P<part>[0-9]{6}))"
    rf"(?P<temporary>\.[0-9a-f]{{16}}\{TEMPORARY})?"
)
"""The names of artifact files, see ``store``."""

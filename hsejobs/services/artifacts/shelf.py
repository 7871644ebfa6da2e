"""The little that an artifact store needs of a place: small whole files by name.

A name is ``<folder>/<file>``, made of hashes and numbers by ``store``.
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
    """One file: its name, and when it was last written, in seconds since the epoch."""

    name: str
    modified: float


class Shelf(Protocol):
    """A place for files of some MB. Each method raises ArtifactsUnavailable."""

    def put(self, name: str, data: bytes) -> None:
        """Writes a file: there whole and for good when this returns, or not at all."""

    def get(self, name: str) -> bytes | None:
        """A file's content; None when there is none of that name."""

    def remove(self, names: Sequence[str]) -> None:
        """Removes files; those that are gone already are no error."""

    def entries(self, folder: str | None = None) -> Iterator[ShelfEntry]:
        """All files, or those of one folder, sorted by name; bounded memory however many there are."""

    def forget(self, folder: str) -> None:
        """Removes an organization's folder if it is empty; another that is made meanwhile is none."""

    def lock(self, folder: str) -> AbstractContextManager[None]:
        """Keeps others of the same machine from changing what is in place in a folder."""


class Folder:
    """A folder of this machine (mode 0700), made at the first write; files have mode 0600."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, name: str, data: bytes) -> None:
        """Writes a temporary file, syncs it, renames it, syncs the folder."""
        path = self.root / name
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}{TEMPORARY}")
        with _told("written"):
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
        """The file's bytes."""
        with _told("read"):
            try:
                return (self.root / name).read_bytes()
            except FileNotFoundError:
                return None

    def remove(self, names: Sequence[str]) -> None:
        """Unlinks; a crash may bring some back, which a sweep or the next expiry removes."""
        with _told("removed"):
            for name in names:
                (self.root / name).unlink(missing_ok=True)

    def forget(self, folder: str) -> None:
        """``rmdir``, which leaves one that is in use."""
        with contextlib.suppress(OSError):
            (self.root / folder).rmdir()

    def entries(self, folder: str | None = None) -> Iterator[ShelfEntry]:
        """One organization's folder after the other."""
        with _told("listed"):
            for place in self._names(self.root) if folder is None else (folder,):
                for file in self._names(self.root / place):
                    try:
                        modified = (self.root / place / file).stat().st_mtime
                    except FileNotFoundError:
                        continue
                    yield ShelfEntry(f"{place}/{file}", modified)

    @contextlib.contextmanager
    def lock(self, folder: str) -> Iterator[None]:
        """A lock on the organization's folder, gone with the process that holds it."""
        path = self.root / folder
        with _told("locked"):
            self._make(path)
            held = os.open(path, os.O_RDONLY)
        try:
            with _told("locked"):
                fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)

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
def _told(what: str) -> Iterator[None]:
    """Turns the machine's errors into ours, which name no path."""
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
"""What the files of artifacts are called; ``store`` says why."""

"""The audit log: who did what to which queue, through which interface. It never contains a payload.

Every interface writes entries with ``note``. A ``Log`` is where they go: today a file on this
machine, with one JSON object per line.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hsejobs.control.actors import Actor
from hsejobs.mentions import mentions

FILE = "audit.log"
#: Maximum number of ids in an entry; for an action on more jobs, the entry lists none.
IDS = 20


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action. ``at`` is in seconds since the epoch; ``count`` is the number of jobs affected."""

    at: float
    actor: Actor
    act: str
    queue: str
    count: int = 0
    ids: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)


class Log(Protocol):
    """A place that stores audit entries, such as a file."""

    def append(self, entry: AuditEntry) -> bool:
        """Stores an entry; False when it could not be stored."""


def note(
    log: Log,
    actor: Actor,
    act: str,
    queue: str,
    *,
    count: int = 0,
    ids: Sequence[str] = (),
    **about: Any,
) -> bool:
    """Records one action; False when it could not be written. ``about``: further fields, as JSON data."""
    listed = tuple(ids) if len(ids) <= IDS else ()
    return log.append(AuditEntry(time.time(), actor, act, queue, count, listed, about))


class FileLog:
    """``JOBS_HOME/audit.log`` (mode 0600). ``place`` identifies the Redis, without secrets."""

    def __init__(self, home: Path, place: str) -> None:
        self.path, self.place = home / FILE, place

    def append(self, entry: AuditEntry) -> bool:
        """Appends a line; False when the file cannot be written."""
        try:
            with _locked(self.path) as handle:
                os.write(handle, json.dumps(self._line(entry)).encode() + b"\n")
        except OSError:
            return False
        return True

    def _line(self, entry: AuditEntry) -> dict[str, Any]:
        actor = entry.actor
        return {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.at)),
            "user": actor.who,
            "role": actor.role,
            "door": actor.door,
            "act": entry.act,
            "queue": entry.queue,
            "count": entry.count,
            "ids": list(entry.ids),
            "redis": self.place,
            "organizationId": actor.organization_id,
            **entry.about,
        }


def forget(home: Path, organization_id: str) -> int:
    """Erases an organization from the log and returns the number of lines changed.

    A line about it keeps its time, user and action. Raises OSError when the log cannot be written.
    """
    path, changed = home / FILE, 0
    if not path.exists():
        return 0
    with _locked(path):
        fresh = path.with_name(f".{FILE}.new")
        with (
            path.open("rb") as old,
            open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new,
        ):
            for line in old:
                kept = _without(line, organization_id)
                changed += kept is not line
                new.write(kept)
            new.flush()
            os.fsync(new.fileno())
        fresh.replace(path)
    return changed


def _without(line: bytes, organization_id: str) -> bytes:
    try:
        raw = json.loads(line)
        about = raw.get("organizationId") == organization_id or mentions(raw, organization_id)
    except (ValueError, AttributeError):
        # An incomplete line, from a write that was cut off.
        return line
    if not about:
        return line
    kept = {name: raw.get(name) for name in ("time", "user", "door", "act", "queue", "redis")}
    return json.dumps(kept | {"organizationId": None, "erased": True}).encode() + b"\n"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The log, open for appending and locked, so that no other process replaces the file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(handle).st_ino:
                    yield handle
                    return
        finally:
            os.close(handle)

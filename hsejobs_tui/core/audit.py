"""The local audit log: who did what to which queue, one JSON object a line, never a payload."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hsejobs.watch.forgetting import names

FILE = "audit.log"


class Audit:
    """Appends to ``JOBS_HOME/audit.log`` (mode 0600). ``user``: who acts, if not this process's."""

    def __init__(
        self, home: Path, place: str, organization_id: str | None, user: str | None = None
    ) -> None:
        self.path = home / FILE
        self.user = user
        self.fixed = {"redis": place, "organizationId": organization_id}

    def write(self, act: str, queue: str, **about: Any) -> bool:
        """Adds a line; False when the file cannot be written."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        who = {"time": stamp, "user": self.user or _user()}
        line = {**who, "act": act, "queue": queue, **self.fixed, **about}
        try:
            with _locked(self.path) as handle:
                os.write(handle, json.dumps(line).encode() + b"\n")
        except OSError:
            return False
        return True


def forget(home: Path, organization_id: str) -> int:
    """Takes an organisation out of the log: of each line about it time, user and act stay; how many.

    Raises OSError when the log cannot be written.
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
        about = raw.get("organizationId") == organization_id or names(raw, organization_id)
    except (ValueError, AttributeError):
        # Half a line of a write that was cut.
        return line
    if not about:
        return line
    kept = {name: raw.get(name) for name in ("time", "user", "act", "queue", "redis")}
    return json.dumps(kept | {"organizationId": None, "erased": True}).encode() + b"\n"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The log, open for appending, while nobody puts another in its place."""
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


def _user() -> str:
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return str(os.getuid())

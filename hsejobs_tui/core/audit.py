"""The local audit log: who did what to which queue, one JSON object a line, never a payload."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import time
from pathlib import Path
from typing import Any

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
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(handle, json.dumps(line).encode() + b"\n")
            finally:
                os.close(handle)
        except OSError:
            return False
        return True


def _user() -> str:
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return str(os.getuid())

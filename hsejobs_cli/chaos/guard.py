"""Cleans up after a run, also when the command itself was killed: no process, no key is left.

The command starts ``python -m hsejobs_cli.chaos.guard`` and tells it, as a JSON document a line on
its standard input, what would have to be done now. When the input ends without a last ``null``, it
does it. What it is told holds a URL with its password, so it is nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from hsejobs.errors import JobsError
from hsejobs.store import keys
from hsejobs.store.client import RedisClient

NAME = "chaos"
#: Keys looked at in one step, while the server serves others.
STEP = 500


@dataclass
class Order:
    """What is to be undone: process groups to kill, a process to wake, commands, keys, a folder.

    ``after``: commands for when the keys are gone.
    """

    url: str
    prefix: str
    groups: list[int] = field(default_factory=list)
    frozen: int | None = None
    undo: list[list[str]] = field(default_factory=list)
    after: list[list[str]] = field(default_factory=list)
    folder: str | None = None


def clean(order: Order) -> None:
    """Does all of it, each part whatever becomes of the others. Raises JobsError for the keys."""
    for group in order.groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    if order.frozen is not None:
        with contextlib.suppress(OSError):
            os.kill(order.frozen, signal.SIGCONT)
    _send(order.url, order.undo)
    try:
        remove_keys(order.url, order.prefix)
    finally:
        _send(order.url, order.after)
        if order.folder is not None:
            shutil.rmtree(order.folder, ignore_errors=True)


def _send(url: str, commands: list[list[str]]) -> None:
    if not commands:
        return
    from redis.exceptions import RedisError

    from hsejobs.store.connect import connect

    with connect(url) as client:
        for words in commands:
            with contextlib.suppress(RedisError):
                client.execute_command(*words)


def remove_keys(url: str, prefix: str) -> int:
    """Removes every key of the run, and says how many. Raises RedisUnavailable."""
    link, removed = RedisClient(url), 0
    # The nodes of a Cluster hold nothing else of the run than what is named here.
    base = keys.base(prefix, NAME) if link.cluster else f"{prefix}:"
    for found in link.scan(base, STEP):
        if found:
            removed += int(link.command("UNLINK", *found))
    for key in (keys.queues(prefix), keys.alerts(prefix)):
        removed += int(link.command("UNLINK", key))
    link.close()
    return removed


class Guard:
    """The guardian, from the side of the command."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is the command's alone.
            start_new_session=True,
        )
        self.tell()

    def tell(self) -> None:
        """The order has changed; call it before what it undoes is done. Raises OSError."""
        self._write(asdict(self.order))

    def end(self) -> None:
        """All was cleaned up already."""
        with contextlib.suppress(OSError):
            self._write(None)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)

    def _write(self, data: Any) -> None:
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.write(json.dumps(data).encode() + b"\n")
        self._process.stdin.flush()


def _main() -> None:
    last: Any = None
    for line in sys.stdin.buffer:
        # One that was cut off by a kill is not counted.
        if line.endswith(b"\n"):
            last = json.loads(line)
    if last is not None:
        with contextlib.suppress(JobsError):
            clean(Order(**last))


if __name__ == "__main__":
    _main()

"""Cleans up after a run, also when the command itself was killed: leaves no process and no key.

The command starts ``python -m hsejobs_cli.chaos.guard`` and writes to its standard input, one JSON
document per line, what would have to be cleaned up. When the input ends without a last ``null``, the
guard does it. The documents contain a URL with its password, so they are written nowhere else.
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
from hsejobs_cli.chaos.consumers import send_to_all

NAME = "chaos"
#: Keys scanned in one step, so that the server can serve others in between.
STEP = 500


@dataclass
class Order:
    """What to clean up: process groups to kill, a process to resume, commands, keys, a folder.

    ``after``: commands to send once the keys are removed.
    """

    url: str
    prefix: str
    groups: list[int] = field(default_factory=list)
    frozen: int | None = None
    undo: list[list[str]] = field(default_factory=list)
    after: list[list[str]] = field(default_factory=list)
    folder: str | None = None


def clean(order: Order) -> None:
    """Does all of it, each step even if others fail. Raises JobsError if keys could not be removed."""
    for group in order.groups:
        send_to_all(group, signal.SIGKILL)
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
    """Removes all keys of the run and returns how many. Raises RedisUnavailable."""
    client, removed = RedisClient(url), 0
    # On a Cluster, the run has only the keys named here.
    base = keys.base(prefix, NAME) if client.cluster else f"{prefix}:"
    for found in client.scan(base, STEP):
        if found:
            removed += int(client.command("UNLINK", *found))
    for key in (keys.queues(prefix), keys.alerts(prefix)):
        removed += int(client.command("UNLINK", key))
    client.close()
    return removed


class Guard:
    """The command's handle on the guard process."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C must reach the command only.
            start_new_session=True,
        )
        self.send_order()

    def send_order(self) -> None:
        """Sends the changed order; call it before the step that the order undoes. Raises OSError."""
        self._write(asdict(self.order))

    def end(self) -> None:
        """Ends the guard process after everything has been cleaned up."""
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
        # A line that was cut off by a kill is ignored.
        if line.endswith(b"\n"):
            last = json.loads(line)
    if last is not None:
        with contextlib.suppress(JobsError):
            clean(Order(**last))


if __name__ == "__main__":
    _main()

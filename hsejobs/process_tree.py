"""The processes of this machine as ``/proc`` shows them, and how to signal one and no other.

A process id alone is not an identity: once its process has ended and been waited for, another may get it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

#: An option of Linux' prctl.
CHILD_SUBREAPER = 36


class Process(NamedTuple):
    """A process at the moment when it was read."""

    pid: int
    #: The kernel's letter, such as ``Z`` for a zombie.
    state: str
    parent: int
    session: int
    #: When it started, in the kernel's own unit.
    started: int

    @property
    def identity(self) -> tuple[int, int]:
        """What no other process has, before or after it."""
        return self.pid, self.started


def prctl(option: int, value: Any) -> None:
    """Calls Linux' prctl; does nothing on other systems."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """Makes this process the parent of its descendants whose parents end. Linux only."""
    prctl(CHILD_SUBREAPER, 1)


def read(pid: int) -> Process | None:
    """The process with this id; None if there is none, or no ``/proc``."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name, in parentheses, may contain anything; a process that ends may have no text.
    fields = text.rpartition(b")")[2].split()
    if len(fields) < 20:
        return None
    return Process(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def processes() -> Iterator[Process]:
    """All processes; none if there is no ``/proc``."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = os.listdir("/proc")
    for name in names:
        one = read(int(name)) if name.isdecimal() else None
        if one is not None:
            yield one


def children(parent: int) -> list[Process]:
    """The children of a process, zombies included."""
    return [one for one in processes() if one.parent == parent]


def descendants(
    ancestor: int, spared: Callable[[Process], bool] = lambda one: False
) -> list[Process]:
    """The descendants of a process, parents before their children; ``spared`` ones and theirs excepted."""
    below = defaultdict(list)
    for one in processes():
        below[one.parent].append(one)
    found, at = [one for one in below[ancestor] if not spared(one)], 0
    while at < len(found):
        found += [one for one in below.pop(found[at].pid, ()) if not spared(one)]
        at += 1
    return found


def send(one: Process, signum: int) -> bool:
    """Sends a signal to a process, and never to another that has got its id; returns whether it was sent.

    A descriptor of the process (``pidfd``) keeps naming it. Where there is none (a kernel before 5.3, a
    sandbox that forbids it), the identity is read again just before the signal, and a process that
    ended within those microseconds could be confused. Without ``/proc`` (macOS) nothing is sent.
    """
    try:
        handle = os.pidfd_open(one.pid)
    except ProcessLookupError:
        return False
    except (OSError, AttributeError):
        return _is_same(one) and _sent(lambda: os.kill(one.pid, signum))
    try:
        return _is_same(one) and _sent(lambda: signal.pidfd_send_signal(handle, signum))
    finally:
        os.close(handle)


def _is_same(one: Process) -> bool:
    again = read(one.pid)
    return again is not None and again.identity == one.identity


def _sent(act: Callable[[], None]) -> bool:
    try:
        act()
    except OSError:
        return False
    return True


def kill_descendants(spared: Callable[[Process], bool] = lambda one: False) -> None:
    """Kills every descendant of this process, on Linux only; ``spared`` ones and theirs excepted."""
    # Parents first: what a process starts meanwhile becomes this process's child.
    for one in descendants(os.getpid(), spared):
        send(one, signal.SIGKILL)

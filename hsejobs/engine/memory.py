"""The memory of this process, and what the kernel has killed because memory ran out."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path, PurePosixPath

#: Seconds between two looks at memory: each costs a few microseconds.
LOOK_EVERY = 1.0
#: Seconds within which a rise of the kernel's counter explains a killed process: a large process
#: needs some time to end.
EXPLAINS_FOR = 10.0

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """The resident memory of this process in MB (2**20 bytes); 0 if the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE / 2**20
    except OSError:
        return 0.0


class MemoryLimit:
    """Tells whether this process has grown beyond a limit in MB; 0 is none."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next = 0.0

    def exceeded(self) -> bool:
        """Whether the process is too large; looks at most once a second."""
        if not self._limit:
            return False
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LOOK_EVERY
        return resident_mb() > self._limit


class OutOfMemory:
    """Whether the kernel killed processes lately because memory ran out.

    The counter is that of this process's cgroup (version 2 or 1), or else of the whole machine.
    ``root`` is the folder that holds ``proc``.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._file = counter_file(root)
        self._seen = self._read()
        self._next = self._rose_at = -float("inf")

    def look(self) -> None:
        """Notes whether the counter has risen; call it about once a second, and when a process died."""
        killed = self._read()
        if killed > self._seen:
            self._rose_at = time.monotonic()
        self._seen = killed

    def look_at_times(self) -> None:
        """``look``, at most once a second."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LOOK_EVERY
            self.look()

    def explains(self) -> bool:
        """Whether a process that was just killed may have been killed for memory."""
        self.look()
        return time.monotonic() - self._rose_at <= EXPLAINS_FOR

    def _read(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            for line in self._file.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
        return 0


def counter_file(root: Path = Path("/")) -> Path:
    """The file with the line ``oom_kill N`` that counts for this process."""
    with contextlib.suppress(OSError, ValueError):
        groups = [
            line.split(":", 2) for line in Path(root, "proc/self/cgroup").read_text().splitlines()
        ]
        for line in Path(root, "proc/self/mountinfo").read_text().splitlines():
            mount, _, kind = line.partition(" - ")
            shown, place = mount.split()[3:5]
            system, _, options = kind.split(" ", 2)
            for _, controllers, group in groups:
                if system == "cgroup2" and not controllers:
                    name = "memory.events"
                elif (
                    system == "cgroup"
                    and "memory" in options.split(",")
                    and "memory" in controllers.split(",")
                ):
                    name = "memory.oom_control"
                else:
                    continue
                file = Path(root, place.lstrip("/"), _below(group, shown), name)
                if "oom_kill " in _text(file):
                    return file
    return Path(root, "proc/vmstat")


def _below(group: str, shown: str) -> str:
    """The path of a group below the mount that shows the groups from ``shown`` on."""
    try:
        return str(PurePosixPath(group).relative_to(shown))
    except ValueError:
        # A container's mount shows its own group as the root.
        return "."


def _text(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text()
    return ""

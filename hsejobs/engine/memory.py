"""The memory of this process, and what the kernel has killed because memory ran out."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hsejobs import process_tree

#: Seconds between two looks at this process's memory: each costs a few microseconds.
LOOK_EVERY = 1.0
#: Seconds between two looks at the kernel's counter, and seconds within which a rise explains a killed
#: process: a large one needs some time to end.
COUNTER_EVERY, EXPLAINS_FOR = 0.1, 2.0

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """The resident memory of this process in MB (2**20 bytes); 0 if the system does not tell."""
    return resident_bytes() / 2**20


def resident_bytes(pid: int | None = None) -> int:
    """The resident memory of a process, None for this one; 0 if the system does not tell."""
    try:
        with open(f"/proc/{'self' if pid is None else pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def resident_with_children() -> int:
    """The resident memory of this process and all that it started, in bytes; shared pages count in each."""
    others = process_tree.descendants(os.getpid())
    return resident_bytes() + sum(resident_bytes(one.pid) for one in others)


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


class SlotUse(NamedTuple):
    """Whether a worker's slot runs a job, and when its last job was started, by the monotonic clock."""

    number: int
    running: bool
    started: float


class OutOfMemory:
    """Whether the kernel killed a worker process because memory ran out, and for which job.

    The evidence is the counter ``oom_kill`` of this process's own cgroup, which counts the processes of
    that group that the kernel killed, whether the memory of the group, of a group above it or of the
    machine ran out. The counter of the whole machine (``/proc/vmstat``) is none: it may have
    counted anything. Where the group has no counter of its own, as the root of version 2, nothing is
    explained.

    The kernel kills the largest process, not the one that grew, and counts without naming it. So a
    rise explains the death of a worker only if

    - this consumer ran no other job between the last look before the rise and the death: neither
      can the memory have been another job's, nor can the kernel have killed a process that another
      job had started;
    - no other program is in the group, which could be what grew or what was killed. The processes
      that this one descends from and those that descend from it do not count. A job that runs
      alone in its consumer, because workers have died under it before, needs no such group;
    - it was seen at most ``EXPLAINS_FOR`` ago and has explained no other death.

    Otherwise the job stalls, and is run alone after its second stall; then the cause is certain.

    ``root`` is the folder that holds ``proc``.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._file = counter_file(root)
        self._seen = self._read()
        self._rose_at = -float("inf")
        self._looked_at = time.monotonic()
        #: The jobs that ran at the last look, and those that did since the look before the newest rise;
        #: each as its slot's number and when it was started.
        self._running: set[tuple[int, float]] = set()
        self._suspects: set[tuple[int, float]] = set()

    def look(self, slots: Iterable[SlotUse]) -> None:
        """Notes whether the counter has risen, and what ran meanwhile; call it when a process died."""
        now, killed = time.monotonic(), self._read()
        slots = list(slots)
        running = {(one.number, one.started) for one in slots if one.running}
        begun = {(one.number, one.started) for one in slots if one.started >= self._looked_at}
        if killed > self._seen:
            self._rose_at, self._suspects = now, self._running
        if now - self._rose_at <= EXPLAINS_FOR:
            self._suspects = self._suspects | running | begun
        self._seen, self._running, self._looked_at = killed, running, now

    def look_at_times(self, slots: Callable[[], Iterable[SlotUse]]) -> None:
        """``look``, at most ten times a second."""
        if self._file is not None and time.monotonic() - self._looked_at >= COUNTER_EVERY:
            self.look(slots())

    def explains(self, number: int, started: float, *, alone: bool) -> bool:
        """Whether the process that ran the job of this slot, started then, was killed for its memory.

        Call ``look`` before. ``alone``: the job ran alone because workers have died under it.
        """
        certain = (
            time.monotonic() - self._rose_at <= EXPLAINS_FOR
            and self._suspects == {(number, started)}
            and (alone or not self._is_shared())
        )
        if certain:
            self._rose_at, self._suspects = -float("inf"), set()
        return certain

    def _is_shared(self) -> bool:
        """Whether other programs are in the cgroup, or in one below it."""
        if self._file is None:
            return True
        try:
            texts = [file.read_text() for file in self._file.parent.rglob("cgroup.procs")]
        except OSError:
            return True
        family, one = {os.getpid()}, process_tree.read(os.getpid())
        while one is not None:
            family.add(one.pid)
            one = process_tree.read(one.parent)
        family.update(below.pid for below in process_tree.descendants(os.getpid()))
        # 0 is a process that this one cannot see.
        others = {int(pid) for text in texts for pid in text.split()} - family
        return any(not pid or process_tree.read(pid) is not None for pid in others)

    def _read(self) -> int:
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError):
                for line in self._file.read_text().splitlines():
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        return int(value)
        return 0


def counter_file(root: Path = Path("/")) -> Path | None:
    """The file of this process's cgroup with the line ``oom_kill N``; None if it has none."""
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
    return None


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

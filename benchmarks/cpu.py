"""CPU time of processes, from the kernel: other load on the machine changes it least."""

from __future__ import annotations

import os
from pathlib import Path


def of_process(pid: int) -> float:
    """The CPU seconds of a process and its threads; the clock ticks of ``stat`` are too coarse."""
    folder = Path(f"/proc/{pid}/task")
    try:
        tasks = [(folder / one / "schedstat").read_text() for one in os.listdir(folder)]
        return sum(int(one.split()[0]) for one in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def of_tree(pid: int) -> float:
    """The CPU seconds of a process and of its descendants that live; 0 for one that has ended."""
    try:
        spent = of_process(pid)
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0.0
    for thread in threads:
        try:
            children = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        except OSError:
            continue
        spent += sum(of_tree(int(child)) for child in children)
    return spent

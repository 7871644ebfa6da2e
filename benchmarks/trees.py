"""Compare two checkouts: CPU seconds of adding and draining, interleaved.

Run it in any folder; the contestants' code comes from the trees, this program from its own tree::

    python benchmarks/trees.py ../before . --rounds 9 --jobs 4000

CPU time of the adding or working process alone, because a busy machine changes it least. A round
measures both trees, in turn the one or the other first; ratios are taken inside a round, above 1
when the second tree is slower. ``start`` is a process that adds one job.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.arena import Arena
from benchmarks.contestants import Subject
from benchmarks.server import Server, find_binary


class Tree(Subject):
    """hsejobs from one checkout."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = str(root.resolve())

    def env(self, server: Server, scratch: Path) -> dict[str, str]:
        return {**super().env(server, scratch), "PYTHONPATH": self._root}


def cpu_of(act: Callable[[], object]) -> float:
    """Return the CPU seconds of the child processes that end during the call."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(tree: Tree, binary: str, jobs: int) -> dict[str, float]:
    """Run one round with one checkout."""
    with Arena(tree, binary) as arena:
        found = {
            "start": cpu_of(lambda: arena.add("add", 1)),
            "add": cpu_of(lambda: arena.add("add", jobs)),
            "bulk": cpu_of(lambda: arena.add("bulk", 2 * jobs)),
        }

        def drain() -> None:
            arena.start_workers(tree.one[0])
            arena.wait(lambda: arena.completed() >= 3 * jobs + 1, 300)
            arena.stop_workers()

        return {**found, "drain": cpu_of(drain)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trees", nargs=2, type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=4000)
    arguments = parser.parse_args()
    binary = find_binary(None)
    trees = [Tree(root) for root in arguments.trees]
    samples: list[list[dict[str, float]]] = [[], []]
    for number in range(arguments.rounds):
        for place in (0, 1) if number % 2 == 0 else (1, 0):
            samples[place].append(measure(trees[place], binary, arguments.jobs))
    report = {}
    for name in samples[0][0]:
        before, after = ([one[name] for one in side] for side in samples)
        report[name] = {
            "before": round(statistics.median(before), 3),
            "after": round(statistics.median(after), 3),
            "ratio": round(statistics.median(b / a for a, b in zip(before, after, strict=True)), 3),
            "ratioOfFastest": round(min(after) / min(before), 3),
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

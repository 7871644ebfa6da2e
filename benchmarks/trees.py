"""Compare two checkouts: CPU seconds of adding and draining, interleaved.

Run it in any folder; hsejobs' code comes from the trees, the benchmark's from its own tree::

    python benchmarks/trees.py ../before . --rounds 9 --jobs 4000
    python benchmarks/trees.py . . --noise

CPU time of the adding or working process alone, because a busy machine changes it least. A round
measures both trees, in turn the one or the other first; ratios are taken inside a round, above 1
when the second tree is slower. ``start`` is a process that adds one job, ``first`` a consumer with four
threads that runs it and stops, and ``first, elapsed`` the seconds from its start until the job has ended.
Jobs carry a mail and return a small result, over TCP (``--case`` chooses another condition of `cases`);
all results are looked at.
Trees with the same code are refused, unless ``--noise`` asks for what the machine's noise is.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import checkout
from benchmarks.arena import Arena
from benchmarks.cases import CASES, Case
from benchmarks.contestants import Address, Subject
from benchmarks.server import find_binary


class Tree(Subject):
    """hsejobs from one checkout, worked and filled by this tree's programs."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def env(self, address: Address, scratch: Path) -> dict[str, str]:
        path = checkout.program(scratch / "program", self._root)
        return {**super().env(address, scratch), "PYTHONPATH": path}


def cpu_of(act: Callable[[], object]) -> float:
    """Return the CPU seconds of the child processes that end during the call."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(tree: Tree, binary: str, case: Case, jobs: int) -> dict[str, float]:
    """Run one round with one checkout."""
    with Arena(tree, binary, case) as arena:
        found = {"start": cpu_of(lambda: arena.add("add", 1))}

        def first() -> None:
            began = time.perf_counter()
            arena.start_workers(tree.one[2])
            arena.wait(lambda: arena.completed() >= 1, 300)
            found["first, elapsed"] = time.perf_counter() - began
            arena.stop_workers()

        def drain() -> None:
            arena.start_workers(tree.one[0])
            arena.wait(lambda: arena.completed() >= 3 * jobs + 1, 300)
            arena.stop_workers()

        found["first"] = cpu_of(first)
        found["add"] = cpu_of(lambda: arena.add("add", jobs))
        found["bulk"] = cpu_of(lambda: arena.add("bulk", 2 * jobs))
        found["drain"] = cpu_of(drain)
        arena.check()
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trees", nargs=2, type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--case", choices=CASES, default="tcp")
    parser.add_argument("--noise", action="store_true", help="allow trees with the same code")
    arguments = parser.parse_args()
    if not arguments.noise:
        try:
            checkout.differ(arguments.trees)
        except checkout.SameCode as error:
            parser.error(str(error))
    binary, case = find_binary(None), CASES[arguments.case]
    trees = [Tree(root) for root in arguments.trees]
    samples: list[list[dict[str, float]]] = [[], []]
    for number in range(arguments.rounds):
        for place in (0, 1) if number % 2 == 0 else (1, 0):
            samples[place].append(measure(trees[place], binary, case, arguments.jobs))
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

"""Compare two checkouts: CPU time of one ordinary job, added alone while a worker waits for it.

``python -m benchmarks.ordinary BEFORE AFTER`` prints one JSON document. The code of both sides comes from
the checkouts, this program and its task from its own tree.

Each side has a server and a consumer as shipped (the default log level, one thread), which waits at the
doorbell. One job of an organization is added at a time; it takes 2 ms and returns a small result.
``redis`` and ``worker`` are µs of CPU time a job, without what the idle side uses; ``calls`` is the
number of commands that clients have sent, ``inside`` that of the commands in scripts. The sides take
turns, block by block; ``ratio`` is the median over the rounds, below 1 when the second checkout needs less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.server import Server, find_binary

PROGRAM = Path(__file__).resolve().parent / "ordinary_app"
ORGANIZATION = "org-1"
#: Seconds between two jobs; seconds in which the costs of an idle side are measured.
GAP, IDLE = 0.008, 3.0
#: Jobs before the measurement; seconds that the last job of a block may take.
WARM, END = 100, 30.0
#: What clients send; the other commands that Redis counts are those in scripts.
SENT = ("evalsha", "eval", "blpop", "ping", "script|load")


class Side:
    """One checkout with its server and its consumer."""

    def __init__(self, tree: Path, server: Server, folder: Path, organization: str) -> None:
        self._server, self._organization = server, organization
        # Not the caller's folder: ``-m`` would import from it first.
        self._folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("QUEUE_", "JOBS_"))}
        path = f"{tree.resolve()}{os.pathsep}{PROGRAM}"
        self._env = kept | {"PYTHONPATH": path, "QUEUE_REDIS_URL": server.url}
        with (folder / "consumer.log").open("wb") as log:
            self.consumer = subprocess.Popen(
                [sys.executable, "-m", "huey.bin.huey_consumer", "ordinary_jobs.huey", "-w", "1"],
                cwd=folder,
                env=self._env,
                stdout=log,
                stderr=log,
            )
        self._added = 0

    def add(self, number: int) -> None:
        """Adds jobs in a process of its own and waits until they are completed."""
        command = [sys.executable, "-m", "ordinary_jobs", str(number), str(GAP), self._organization]
        subprocess.run(command, cwd=self._folder, env=self._env, check=True, timeout=60 + number)
        self._added += number
        give_up = time.monotonic() + END
        while int(self._server.ask("ZCARD", "hsejobs:{ordinary}:completed")) < self._added:
            if time.monotonic() > give_up or self.consumer.poll() is not None:
                raise RuntimeError(f"not all of {self._added} jobs completed")
            time.sleep(0.02)

    def spent(self) -> dict[str, float]:
        """CPU seconds, and commands, since the start."""
        calls = {
            name.removeprefix("cmdstat_"): one["calls"]
            for name, one in self._server.ask("INFO", "commandstats").items()
        }
        sent = sum(calls.get(name, 0) for name in SENT)
        info = self._server.ask("INFO", "cpu")
        return {
            "redis": info["used_cpu_user"] + info["used_cpu_sys"],
            "worker": _of_process(self.consumer.pid),
            "calls": sent,
            "inside": sum(calls.values()) - sent,
            "at": time.monotonic(),
        }

    def measure(self, jobs: int, idle: dict[str, float]) -> dict[str, float]:
        """What one job of a block costs, in µs and in commands."""
        before = self.spent()
        self.add(jobs)
        spent = _since(before, self.spent())
        seconds = spent.pop("at")
        unit = {"redis": 1e6, "worker": 1e6}
        return {
            name: (value - idle[name] * seconds) / jobs * unit.get(name, 1)
            for name, value in spent.items()
        }

    def idle(self) -> dict[str, float]:
        """What the side uses each second without jobs."""
        before = self.spent()
        time.sleep(IDLE)
        spent = _since(before, self.spent())
        seconds = spent.pop("at")
        return {name: value / seconds for name, value in spent.items()}


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def _of_process(pid: int) -> float:
    """The CPU seconds of a process and its threads; the clock ticks of ``stat`` are too coarse."""
    folder = Path(f"/proc/{pid}/task")
    try:
        tasks = [(folder / one / "schedstat").read_text() for one in os.listdir(folder)]
        return sum(int(one.split()[0]) for one in tasks) / 1e9
    except (OSError, ValueError, IndexError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def sides(trees: list[Path], binary: str, organization: str) -> Iterator[list[Side]]:
    """Starts both sides; ends their processes."""
    with (
        tempfile.TemporaryDirectory(prefix="hj-ordinary-") as name,
        contextlib.ExitStack() as stack,
    ):
        found = []
        for place, tree in enumerate(trees):
            folder = Path(name, str(place))
            folder.mkdir()
            server = stack.enter_context(Server(binary, folder))
            side = Side(tree, server, folder, organization)
            stack.callback(_end, side.consumer)
            found.append(side)
        yield found


def _end(consumer: subprocess.Popen[bytes]) -> None:
    consumer.send_signal(signal.SIGTERM)
    try:
        consumer.wait(10)
    except subprocess.TimeoutExpired:
        consumer.kill()
        consumer.wait()


def compare(
    trees: list[Path], binary: str, organization: str, rounds: int, jobs: int
) -> dict[str, dict[str, float]]:
    samples: list[list[dict[str, float]]] = [[], []]
    with sides(trees, binary, organization) as both:
        for side in both:
            side.add(WARM)
        idle = [side.idle() for side in both]
        for number in range(rounds):
            for place in (0, 1) if number % 2 == 0 else (1, 0):
                samples[place].append(both[place].measure(jobs, idle[place]))
    report = {}
    for name in samples[0][0]:
        before, after = ([one[name] for one in side] for side in samples)
        report[name] = {
            "before": round(statistics.median(before), 1),
            "after": round(statistics.median(after), 1),
            "ratio": round(statistics.median(b / a for a, b in zip(before, after, strict=True)), 3),
            "spreadBefore": round(max(before) - min(before), 1),
            "spreadAfter": round(max(after) - min(after), 1),
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ordinary", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("trees", nargs=2, type=Path, metavar="TREE")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=200, help="in each block")
    parser.add_argument("--organization", default=ORGANIZATION, help="'' for jobs of none")
    arguments = parser.parse_args()
    found = compare(
        arguments.trees,
        find_binary(None),
        arguments.organization,
        arguments.rounds,
        arguments.jobs,
    )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

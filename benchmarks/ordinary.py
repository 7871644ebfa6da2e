"""Compare two checkouts: CPU time of one ordinary job, which arrives alone, or waits behind others.

``python -m benchmarks.ordinary BEFORE AFTER`` prints one JSON document; with one checkout, its figures
alone. hsejobs' code comes from the checkouts, this program and its task from its own tree.

Each side has a server and a consumer as shipped (the default log level, one thread), which waits at the
doorbell. One job of an organization is added at a time; it carries a mail of 330 bytes, takes 2 ms and
returns a small result; all results are looked at. With ``--gap 0`` jobs arrive faster than they are
run, so that most of them wait; ``--organization a,b`` adds them for each in turn.

``redis`` and ``worker`` are µs of CPU time a job, without what the idle side uses; ``calls`` is the
number of commands that clients have sent, ``inside`` that of the commands in scripts. The sides take
turns, block by block; ``ratio`` is the median over the rounds, below 1 when the second checkout needs
less.

``commands`` (from ``INFO commandstats``) and ``scripts`` (from the slow log, in blocks of their own)
say where Redis spends its time: calls and µs a job, for each side. They are wall times: a busy machine
stretches them, so a script's ``us`` is its calls times their median. ``evalsha`` includes what its
commands take.
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
from typing import Any

from benchmarks import checkout, cpu
from benchmarks.cases import LINKS, ROUND_TRIP
from benchmarks.distance import Distance
from benchmarks.server import Server, find_binary

PROGRAM = Path(__file__).resolve().parent / "ordinary_app"
ORGANIZATION = "org-1"
#: Seconds between two jobs; seconds in which the costs of an idle side are measured.
GAP, IDLE = 0.008, 3.0
#: Seconds that the last job of a block may take.
END = 30.0
#: What clients send; the other commands that Redis counts are those in scripts.
SENT = ("evalsha", "eval", "blpop", "ping", "script|load")


#: Prints the name of each script of a checkout by its SHA-1.
NAMES = (
    "import json; from hsejobs.store import scripts as all_;"
    "print(json.dumps({one.sha: one.name for one in vars(all_).values()"
    " if isinstance(one, all_.Script)}))"
)


class Side:
    """One checkout with its server and its consumer."""

    def __init__(
        self, tree: Path, server: Server, url: str, folder: Path, given: argparse.Namespace
    ) -> None:
        self._server, self._jobs = server, [str(given.gap), given.organization]
        # Not the caller's folder: ``-m`` would import from it first.
        self._folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("QUEUE_", "JOBS_"))}
        path = checkout.program(folder / "program", tree, PROGRAM)
        self._env = kept | {"PYTHONPATH": path, "QUEUE_REDIS_URL": url}
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
        command = [sys.executable, "-m", "ordinary_jobs", str(number), *self._jobs]
        subprocess.run(command, cwd=self._folder, env=self._env, check=True, timeout=60 + number)
        self._added += number
        give_up = time.monotonic() + END
        while int(self._server.ask("ZCARD", "hsejobs:{ordinary}:completed")) < self._added:
            if time.monotonic() > give_up or self.consumer.poll() is not None:
                raise RuntimeError(f"not all of {self._added} jobs completed")
            time.sleep(0.02)

    def check(self) -> int:
        """Return how many results there are. Raises RuntimeError unless every job has its own."""
        base = "hsejobs:{ordinary}:"
        ids = self._server.ask("ZRANGE", base + "completed", "0", "-1")
        kept = self._server.ask_many([("HGET", f"{base}j:{one.decode()}", "r") for one in ids])
        found = sum(bool(one) and json.loads(one).get("ok") is True for one in kept)
        if found != self._added:
            raise RuntimeError(f"{found} of {self._added} jobs have their result")
        return found

    def commands(self) -> dict[str, tuple[float, float]]:
        """The calls and µs of each command since the start."""
        return {
            name.removeprefix("cmdstat_"): (one["calls"], one["usec"])
            for name, one in self._server.ask("INFO", "commandstats").items()
        }

    def scripts(self, jobs: int) -> dict[str, dict[str, float]]:
        """The calls and µs a job of each script, from a block in which Redis logs every command."""
        told = subprocess.run(
            [sys.executable, "-c", NAMES],
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            check=False,
        )
        names = json.loads(told.stdout) if told.returncode == 0 else {}
        for setting in (("slowlog-max-len", str(jobs * 100)), ("slowlog-log-slower-than", "0")):
            self._server.ask("CONFIG", "SET", *setting)
        self._server.ask("SLOWLOG", "RESET")
        self.add(jobs)
        self._server.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        took: dict[str, list[int]] = {}
        for _, _, us, words, *_ in self._server.ask("SLOWLOG", "GET", "-1"):
            if words[0].upper() == b"EVALSHA":
                sha = words[1].decode()
                took.setdefault(names.get(sha, sha[:8]), []).append(us)
        return {
            name: {
                "calls": round(len(all_) / jobs, 2),
                "us": round(len(all_) * statistics.median(all_) / jobs, 1),
            }
            for name, all_ in sorted(took.items(), key=lambda item: -sum(item[1]))
        }

    def spent(self) -> dict[str, float]:
        """CPU seconds, and commands, since the start."""
        calls = {name: one[0] for name, one in self.commands().items()}
        sent = sum(calls.get(name, 0) for name in SENT)
        return {
            "redis": self._server.cpu(),
            "worker": cpu.of_process(self.consumer.pid),
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

    def idle(self, seconds: float) -> dict[str, float]:
        """What the side uses each second without jobs."""
        before = self.spent()
        time.sleep(seconds)
        spent = _since(before, self.spent())
        passed = spent.pop("at")
        return {name: value / passed for name, value in spent.items()}


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


@contextlib.contextmanager
def sides(trees: list[Path], binary: str, given: argparse.Namespace) -> Iterator[list[Side]]:
    """Starts the sides; ends their processes."""
    with (
        tempfile.TemporaryDirectory(prefix="hj-ordinary-") as name,
        contextlib.ExitStack() as stack,
    ):
        found = []
        for place, tree in enumerate(trees):
            folder = Path(name, str(place))
            folder.mkdir()
            server = stack.enter_context(Server(binary, folder, tcp=given.link == "tcp"))
            url = f"redis://127.0.0.1:{server.port}/0" if server.port else server.url
            if given.link == "1ms":
                url = stack.enter_context(Distance(server.socket, ROUND_TRIP)).url
            side = Side(tree, server, url, folder, given)
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


def compare(trees: list[Path], binary: str, given: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds and return the report."""
    samples: list[list[dict[str, float]]] = [[] for _ in trees]
    with sides(trees, binary, given) as all_:
        for side in all_:
            side.add(given.warm)
        idle = [side.idle(given.idle) for side in all_]
        before = [side.commands() for side in all_]
        order = list(range(len(trees)))
        for number in range(given.rounds):
            for place in order if number % 2 == 0 else order[::-1]:
                samples[place].append(all_[place].measure(given.jobs, idle[place]))
        jobs = given.rounds * given.jobs
        commands = [
            _each(jobs, old, side.commands()) for old, side in zip(before, all_, strict=True)
        ]
        scripts = [side.scripts(given.jobs) for side in all_]
        results = [side.check() for side in all_]
    names = ("before", "after") if len(trees) > 1 else ("alone",)
    report: dict[str, Any] = {
        figure: _summary(names, [[one[figure] for one in side] for side in samples])
        for figure in samples[0][0]
    }
    for what, found in (("results", results), ("scripts", scripts), ("commands", commands)):
        report[what] = dict(zip(names, found, strict=True))
    return report


def _summary(names: tuple[str, ...], sides: list[list[float]]) -> dict[str, float]:
    found = {name: round(statistics.median(one), 1) for name, one in zip(names, sides, strict=True)}
    if len(sides) > 1:
        ratios = [b / a for a, b in zip(*sides, strict=True)]
        found["ratio"] = round(statistics.median(ratios), 3)
    for name, one in zip(names, sides, strict=True):
        found[f"spread{name.capitalize()}"] = round(max(one) - min(one), 1)
    return found


def _each(
    jobs: int, before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> dict[str, dict[str, float]]:
    """Calls and µs a job of the commands that were called between, the costliest first."""
    grown = {
        name: (calls - before.get(name, (0, 0))[0], us - before.get(name, (0, 0))[1])
        for name, (calls, us) in after.items()
    }
    return {
        name: {"calls": round(calls / jobs, 2), "us": round(us / jobs, 1)}
        for name, (calls, us) in sorted(grown.items(), key=lambda item: -item[1][1])
        if calls >= jobs / 100
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ordinary", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("trees", nargs="+", type=Path, metavar="TREE", help="one or two")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=200, help="in each block")
    parser.add_argument("--warm", type=int, default=100, help="jobs before the measurement")
    parser.add_argument(
        "--organization", default=ORGANIZATION, help="'' for jobs of none; names with commas"
    )
    parser.add_argument("--gap", type=float, default=GAP, help="seconds between two jobs")
    parser.add_argument("--link", choices=LINKS, default="tcp")
    parser.add_argument(
        "--idle", type=float, default=IDLE, help="seconds in which the idle side is measured"
    )
    parser.add_argument("--noise", action="store_true", help="allow trees with the same code")
    arguments = parser.parse_args()
    if len(arguments.trees) > 2:
        parser.error("one or two checkouts can be measured")
    if not arguments.noise:
        try:
            checkout.differ(arguments.trees)
        except checkout.SameCode as error:
            parser.error(str(error))
    print(json.dumps(compare(arguments.trees, find_binary(None), arguments), indent=2))


if __name__ == "__main__":
    main()

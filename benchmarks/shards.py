"""A trial: one queue over one, two or three bases, each on a Redis process of its own.

``python -m benchmarks.shards [--rounds 3] [--jobs 20000] [--bases 1,2,3]`` prints one JSON document:
by measure and number of bases the median and the spread of each figure, and the ratios to one base,
round by round. ``shipped`` is hsejobs without the trial's changes. The measures:

- ``drain1``, ``drain2``, ``ordinary``, ``add``, ``bulk``, ``pickup``: those of `measures`, over TCP, with one
  worker thread, two worker processes and one adding process. ``busiest redis CPU us`` is what a job
  costs the busiest server: a million through it is the most that the queue could do a second;
- ``single``: jobs added one at a time to two waiting workers: CPU, commands and round trips a job;
- ``idle``: two waiting workers without jobs: CPU and round trips a second;
- ``scripts``: the script that adds a job alone, from clients that prepared all calls before: what the
  servers can do while nothing else needs the cores.

`shard_queue` is the queue, docs/scaling.md what it lacks.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
import time
from typing import Any

from benchmarks import figures
from benchmarks.arena import Arena
from benchmarks.cases import CASES
from benchmarks.contestants import Shape, Subject, huey_shape
from benchmarks.measures import FAILURES, MEASURES, Plan, Sample
from benchmarks.server import Server, find_binary
from hsejobs import codec
from hsejobs.model import new_job_id
from hsejobs.store import adds, keys, scripts
from hsejobs.store.new_job import NewJob
from hsejobs.store.words import packed

TCP = CASES["tcp"]
BLOCK, IDLE = 300, 5.0


class Shipped(Subject):
    """hsejobs as it is, in the shapes of the trial."""

    name = "shipped"
    one: tuple[Shape, ...] = (huey_shape("thread", 1),)
    two: tuple[Shape, ...] = (huey_shape("process", 2),)


class Sharded(Shipped):
    """The trial's queue over ``bases`` servers."""

    module = "benchmarks.shard_queue"

    def __init__(self, bases: int) -> None:
        super().__init__()
        self.bases, self.name = bases, str(bases)


def single(contestant: Shipped, plan: Plan) -> Sample:
    """One job at a time, every 12 ms on average, for two waiting workers."""
    with Arena(contestant, plan.binary, TCP) as arena:
        _start(arena, contestant)
        cpu, totals = arena.spent(), arena.totals()
        arena.add("pickup", BLOCK, "probe")
        arena.wait(lambda: arena.completed() >= arena.added, 60)
        spent, after = arena.spent().since(cpu), arena.totals()
        arena.check()
    return {
        "worker CPU us": spent.workers / BLOCK * 1e6,
        "redis CPU us": sum(spent.servers) / BLOCK * 1e6,
        "commands": (after.commands - totals.commands) / BLOCK,
        "round trips": (after.reads - totals.reads) / BLOCK,
    }


def idle(contestant: Shipped, plan: Plan) -> Sample:
    """Two waiting workers, each second."""
    with Arena(contestant, plan.binary, TCP) as arena:
        _start(arena, contestant)
        cpu, totals = arena.spent(), arena.totals()
        time.sleep(IDLE)
        spent, after = arena.spent().since(cpu), arena.totals()
    return {
        "worker CPU us/s": spent.workers / IDLE * 1e6,
        "redis CPU us/s": sum(spent.servers) / IDLE * 1e6,
        "round trips/s": (after.reads - totals.reads) / IDLE,
    }


def _start(arena: Arena, contestant: Shipped) -> None:
    """Start two workers, and wait until they have worked and wait."""
    arena.start_workers(contestant.two[0], "probe")
    arena.add("bulk", 100, "probe")
    arena.wait(lambda: arena.completed() >= 100, 60)
    time.sleep(1.0)


def scripts_alone(contestant: Shipped, plan: Plan) -> Sample:
    """Add jobs by calls that were made before, with one thread for each server that only sends."""
    each = plan.jobs // contestant.bases
    with Arena(contestant, plan.binary, TCP) as arena:
        calls = [_calls(server, each) for server in arena.servers]
        before, began = arena.spent(), time.perf_counter()
        threads = [
            threading.Thread(target=_send, args=(server, call))
            for server, call in zip(arena.servers, calls, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds, spent = time.perf_counter() - began, arena.spent().since(before)
        there = sum(server.ask("ZCARD", f"{_base()}waiting") for server in arena.servers)
        if there != each * contestant.bases:
            raise RuntimeError(f"{there} of {each * contestant.bases} jobs are there")
    return {"jobs/s": there / seconds, "redis CPU us": sum(spent.servers) / there * 1e6}


def _base() -> str:
    return keys.base("hsejobs", "bench")


def _calls(server: Server, number: int) -> bytes:
    """The bytes of ``number`` calls that add one job each; loads the script."""
    server.ask("SCRIPT", "LOAD", scripts.ADD.text)
    payload = codec.dumps(TCP.payload)
    sent = bytearray()
    for _ in range(number):
        job = NewJob(new_job_id(), "bench:mail", payload, 3, 3, 5000, 60000)
        for part in packed(
            ("EVALSHA", scripts.ADD.sha, 1, _base(), *adds.args((scripts.ADD, [job])))
        ):
            sent += part
    return bytes(sent)


def _send(server: Server, calls: bytes) -> None:
    """Send the calls, and read their replies, which are not looked at, up to that of a PING."""
    with socket.create_connection(("127.0.0.1", server.port)) as link:
        sender = threading.Thread(target=link.sendall, args=(calls + b"PING\r\n",))
        sender.start()
        tail = b""
        while not tail.endswith(b"+PONG\r\n"):
            more = link.recv(1 << 20)
            if not more:
                raise RuntimeError("the server closed the connection")
            tail = (tail + more)[-16:]
        sender.join()


OWN = {"single": single, "idle": idle, "scripts": scripts_alone}
ALL = ("drain1", "drain2", "ordinary", "add", "bulk", "pickup", *OWN)


def _sample(measure: str, contestant: Shipped, plan: Plan) -> dict[str, Any]:
    sys.stderr.write(f"{measure}: {contestant.name}\n")
    try:
        if measure in OWN:
            return figures.rounded(OWN[measure](contestant, plan))
        return figures.rounded(MEASURES[measure](contestant, plan, TCP))
    except FAILURES as error:
        sys.stderr.write(f"{measure}: {contestant.name} failed: {error}\n")
        return {"error": str(error)}


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all measures, the contestants in turn within each round."""
    plan = Plan(arguments.jobs, find_binary(None))
    numbers = [int(one) for one in arguments.bases.split(",")]
    contestants: list[Shipped] = [Shipped(), *map(Sharded, numbers)]
    report: dict[str, Any] = {"cpus": os.cpu_count(), "jobs": plan.jobs, "measures": {}}
    for measure in arguments.only.split(","):
        samples: dict[str, list[dict[str, Any]]] = {one.name: [] for one in contestants}
        for number in range(arguments.rounds):
            first = number % len(contestants)
            for one in contestants[first:] + contestants[:first]:
                samples[one.name].append(_sample(measure, one, plan))
        report["measures"][measure] = {
            name: {
                "median": figures.medians(all_),
                "spread": figures.spreads(all_),
                "to one base": figures.ratios(all_, samples[str(numbers[0])]),
                "errors": [one["error"] for one in all_ if "error" in one],
            }
            for name, all_ in samples.items()
        }
    report["load average after"] = round(os.getloadavg()[0], 2)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shards", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=20000)
    parser.add_argument("--bases", default="1,2,3", help="the first is what ratios are taken to")
    parser.add_argument("--only", default=",".join(ALL), metavar="MEASURE,...")
    arguments = parser.parse_args()
    if unknown := set(arguments.only.split(",")) - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    print(json.dumps(compare(arguments), indent=2))


if __name__ == "__main__":
    main()

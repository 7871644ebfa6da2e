"""Adds jobs for a Python contestant; `peers/bull/add.js` is its twin.

``python -m benchmarks.adder MODULE ORDER`` where the order is a JSON object:
``mode`` (bulk, add, pickup, delayed), ``task``, ``n``, ``first`` (the number of the
first job), ``warm`` (jobs added first, off the clock), ``payload`` (a template),
``seed``, ``organization`` (or null). Prints ``{"seconds": ..., "cpu": ...}``: what
the ``n`` jobs took to add, and this process's CPU seconds for them.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

Order = dict[str, Any]

CHUNK = 1000


def _bulk(add_many: Callable[..., None], order: Order, jobs: range, timed: bool) -> None:
    for start in range(jobs.start, jobs.stop, CHUNK):
        chunk = range(start, min(start + CHUNK, jobs.stop))
        payloads = [{**order["payload"], "i": i} for i in chunk]
        add_many(order["task"], payloads, order["organization"])


def _add(add: Callable[..., None], order: Order, jobs: range, timed: bool) -> None:
    for i in jobs:
        add(order["task"], {**order["payload"], "i": i}, order["organization"])


def _pickup(add: Callable[..., None], order: Order, jobs: range, timed: bool) -> None:
    chance = random.Random(order["seed"])
    for i in jobs:
        time.sleep(chance.uniform(0.005, 0.020))
        payload = {**order["payload"], "i": i, "t": time.time() if timed else 0}
        add(order["task"], payload, order["organization"])


def _delayed(add: Callable[..., None], order: Order, jobs: range, timed: bool) -> None:
    chance = random.Random(order["seed"])
    for i in jobs:
        delay = chance.uniform(0.5, 2.5) if timed else None
        payload = {**order["payload"], "i": i, "t": time.time() + delay if delay else 0}
        add(order["task"], payload, order["organization"], delay)


def main() -> None:
    contestant = importlib.import_module(sys.argv[1])
    order = json.loads(sys.argv[2])
    modes: dict[str, tuple[Callable[..., None], Callable[..., None]]] = {
        "bulk": (_bulk, contestant.add_many),
        "add": (_add, contestant.add),
        "pickup": (_pickup, contestant.add),
        "delayed": (_delayed, contestant.add),
    }
    run, using = modes[order["mode"]]
    start = order["first"] + order["warm"]
    run(using, order, range(order["first"], start), False)
    cpu, began = time.process_time(), time.perf_counter()
    run(using, order, range(start, start + order["n"]), True)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    main()

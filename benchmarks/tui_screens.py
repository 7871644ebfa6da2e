"""The share of a core that each screen of the TUI takes while jobs are added and run.

``python -m benchmarks.tui_screens`` prints them alone. The data are the demo's, so that every screen has
something to show.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from benchmarks.tui import program, rest, see
from hsejobs import codec
from hsejobs.model import new_job_id
from hsejobs.store.client import RedisClient
from hsejobs.store.work import Done, WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from hsejobs_cli import demo
from tests.support.server import Server, server_binary

#: Jobs added and run each second, in how many steps, and their queue and task.
RATE, STEPS = 200, 10
QUEUE, TASK = "email", "shop.send"
#: The screens by the keys that open them from the overview.
SCREENS = {
    "overview": b"1",
    "failures": b"2",
    "workers": b"3",
    "insight": b"4",
    "alerts": b"5",
    "circuits": b"6",
    "events": b"7",
    "tenants": b"8",
    "schedules": b"9",
    "queue": b"1\r",
    "job": b"1\r\r",
}
#: Seconds that a screen gets to settle, and for which it is measured.
SETTLING, MEASURED = 2.0, 8.0


def load(url: str) -> None:
    """Adds and runs jobs until this process, or the one that started it, is ended."""
    client = RedisClient(url)
    writer, work = JobWriter(client, "hsejobs"), WorkerStore(client, "hsejobs", QUEUE, patience=5)
    done: list[Done] = []
    number, due, parent = 0, time.monotonic(), os.getppid()
    while os.getppid() == parent:
        number += 1
        jobs = [
            NewJob(
                new_job_id(),
                TASK,
                codec.dumps({"to": f"customer-{n}@example.com", "number": number}),
                3,
                3,
                1000,
                0,
                organization_id=f"org-{n % 40 + 1:03}",
            )
            for n in range(RATE // STEPS)
        ]
        writer.add_many(QUEUE, jobs)
        _, claims = work.step(done, len(jobs), f"load{number}", 60_000)
        done = [Done(one.id, one.token, 20_000, b"null") for one in claims]
        due += 1 / STEPS
        time.sleep(max(0.0, due - time.monotonic()))


def screens() -> dict[str, float]:
    """The percent of a core that each screen takes under load."""
    found: dict[str, float] = {}
    with Server(server_binary()) as server:
        client = RedisClient(server.url)
        seconds, us = client.command("TIME")
        demo.fill(client, "hsejobs", int(seconds) * 1000 + int(us) // 1000)
        client.close()
        words = [sys.executable, "-m", "benchmarks.tui_screens", "load", server.url]
        with subprocess.Popen(words) as loading:
            try:
                with program(server.url) as (pid, leader):
                    see(leader, b"webhooks")
                    for name, keys in SCREENS.items():
                        os.write(leader, keys)
                        _, found[name], _ = rest(pid, leader, MEASURED, SETTLING)
            finally:
                loading.kill()
    return found


def main() -> None:
    """Measures, or runs the load."""
    if sys.argv[1:2] == ["load"]:
        load(sys.argv[2])
        return
    print(json.dumps({name: round(value, 2) for name, value in screens().items()}, indent=2))


if __name__ == "__main__":
    main()

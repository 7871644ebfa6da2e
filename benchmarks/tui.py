"""The TUI on many jobs: first frame, memory, idle cost, commands a refresh, jump to the last row.

``python -m benchmarks.tui [JOBS]``: fills a private Redis with JOBS (200,000) jobs over six queues.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import resource
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

from hsejobs import codec
from hsejobs.model import new_job_id
from hsejobs.store import registry
from hsejobs.store.client import Link
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob, Writer
from tests.support.server import Server, server_binary

QUEUES = ("email", "reports", "data-exports", "webhooks", "tenant-onboarding", "cleanup")


def fill(url: str, jobs: int) -> None:
    """So many waiting jobs, two thirds of them in the first queue."""
    link = Link(url)
    writer = Writer(link, "hsejobs")
    for n, queue in enumerate(QUEUES):
        registry.save(link, "hsejobs", QueueInfo(queue, [TaskInfo("m.task")], "m.task"))
        count = jobs * 2 // 3 if n == 0 else jobs // 15
        writer.add_many(queue, [
            NewJob(new_job_id(), "m.task", codec.dumps({"to": f"user{i}@example.com", "n": i}),
                   3, 3, 1000, 0, organization_id=f"org-{i % 50}") for i in range(count)
        ])  # fmt: skip
    link.close()


def first_frame(url: str) -> float:
    """Seconds from the process's start until a queue's count is drawn in a terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    env = {**os.environ, "QUEUE_REDIS_URL": url, "TERM": "xterm-256color", "LANG": "C.UTF-8",
           "COLUMNS": "120", "LINES": "36"}  # fmt: skip
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "hsejobs_tui"], stdin=follower, stdout=follower,
                          stderr=follower, env=env) as child:  # fmt: skip
        seen = b""
        while b"webhooks" not in seen and time.perf_counter() - started < 20:
            if select.select([leader], [], [], 0.5)[0]:
                seen += os.read(leader, 65_536)
        took = time.perf_counter() - started
        child.kill()
    os.close(leader)
    os.close(follower)
    return took


async def inside(url: str, home: Path) -> dict[str, Any]:
    """What can only be measured inside the process."""
    from hsejobs.model import State
    from hsejobs_tui.app import JobsApp
    from hsejobs_tui.core.options import Options
    from hsejobs_tui.screens.queue import QueueView

    app = JobsApp(Options(url, "hsejobs", home, "benchmark"))
    found: dict[str, Any] = {}
    async with app.run_test(size=(120, 36)) as pilot:
        while app.glance is None:
            await asyncio.sleep(0.01)
        found["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(10)
        found["idle_percent"] = 100 * (time.process_time() - before) / (time.perf_counter() - began)
        found["commands"], found["refresh_ms"] = app.glance.cost
        view = QueueView("email", State.WAITING)
        await app.push_screen(view)
        while not view.rows.total:
            await asyncio.sleep(0.005)
        began = time.perf_counter()
        view.do_bottom()
        while view.rows.key is None:
            await asyncio.sleep(0.002)
        found["jump_ms"] = 1000 * (time.perf_counter() - began)
        from hsejobs_tui.core.filters import parse

        began = time.perf_counter()
        hits = [0]
        steps = app.source.search("email", State.WAITING, parse("data.to=user77777@"))
        await app.each(steps, lambda step: hits.__setitem__(0, step.seen))
        found["search_s"], found["searched"] = time.perf_counter() - began, hits[0]
        await pilot.pause()
    found["memory_after_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def main() -> None:
    """Fills, measures, prints one JSON document."""
    if len(sys.argv) == 4 and sys.argv[1] == "inside":
        print(json.dumps(asyncio.run(inside(sys.argv[2], Path(sys.argv[3])))))
        return
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with Server(server_binary()) as server, tempfile.TemporaryDirectory() as home:
        fill(server.url, jobs)
        starts = [first_frame(server.url) for _ in range(8)][1:]
        # In a process of its own: filling would count as memory.
        words = [sys.executable, "-m", "benchmarks.tui", "inside", server.url, home]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.strip().splitlines()[-1])
    found["first_frame_s"] = statistics.median(starts)
    print(json.dumps({"jobs": jobs, **found}, indent=2))


if __name__ == "__main__":
    main()

"""The TUI on many jobs: first frame, memory, idle cost, a refresh, jumps, a search, a large retry; its memory
after 2,000 changes of screen, jobs opened and searches; the share of a core that each screen takes.

``python -m benchmarks.tui [JOBS] [--hold SECONDS]``: fills a private Redis with JOBS (200,000) jobs over six
queues, a quarter of them failed. After the changes of screen it holds still for SECONDS (15) and measures
again: 3600 is an hour. The screens are measured on the demo's data, while 200 jobs a second are added and
run. Prints one JSON document; ends with an error when a figure is outside ``LIMITS``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hsejobs import codec
from hsejobs.model import new_job_id
from hsejobs.store import registry
from hsejobs.store.client import RedisClient
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from tests.support.server import Server, server_binary

QUEUES = ("email", "reports", "data-exports", "webhooks", "tenant-onboarding", "cleanup")


#: The limits of the figures.
LIMITS = {
    "first_frame_s": 0.6,
    "memory_mb": 70.0,
    "idle_percent": 2.0,
    "longest_gap_ms": 250.0,
    "memory_after_changes_mb": 70.0,
    "memory_after_hold_mb": 70.0,
    "idle_after_hold_percent": 2.0,
    "most_of_a_screen_percent": 4.0,
}
#: The number of screen changes, and how many are sent in one write.
CHANGES, AT_ONCE = 2_000, 100
#: Seconds after these changes until what they asked to be read has been read and drawn.
SETTLING = 10.0
#: Seconds after which a step fails the benchmark.
PATIENCE = 60.0


def fill(url: str, jobs: int) -> None:
    """Add ``jobs`` jobs: five twelfths wait in the first queue, a quarter failed in `webhooks`."""
    client = RedisClient(url)
    writer = JobWriter(client, "hsejobs")
    counts = dict.fromkeys(QUEUES, jobs // 12) | {"email": jobs * 5 // 12, "webhooks": jobs // 4}
    for queue, count in counts.items():
        registry.save(client, "hsejobs", QueueInfo(queue, [TaskInfo("m.task")], "m.task"))
        writer.add_many(
            queue,
            [
                NewJob(
                    new_job_id(),
                    "m.task",
                    codec.dumps({"to": f"user{i}@example.com", "n": i}),
                    3,
                    3,
                    1000,
                    0,
                    organization_id=f"org-{i % 50}",
                )
                for i in range(count)
            ],
        )
    work = WorkerStore(client, "hsejobs", "webhooks", patience=5)
    batch = 0
    while True:
        batch += 1
        _, claims = work.step([], 100, f"token{batch}", 600_000)
        if not claims:
            break
        for n, claim in enumerate(claims):
            error = codec.dumps(
                {"error": f"no answer within {n} s", "attempt": 1, "code": "timeout"}
            )
            work.fail(
                claim.id,
                claim.token,
                code="timeout",
                error=error,
                run_us=10,
                final=True,
                delay_ms=None,
            )
    client.close()


@contextlib.contextmanager
def program(url: str) -> Iterator[tuple[int, int]]:
    """The real program in a terminal of 120x36: its process id, and the terminal."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    env = {
        **os.environ,
        "QUEUE_REDIS_URL": url,
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "COLUMNS": "120",
        "LINES": "36",
    }
    # As installed, the program is compiled; with this, each start would compile a working tree.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with subprocess.Popen(
        [sys.executable, "-m", "hsejobs_tui"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=env,
    ) as child:
        try:
            yield child.pid, leader
        finally:
            child.kill()
            os.close(leader)
            os.close(follower)


def first_frame(url: str) -> float:
    """Seconds from the program's start until a queue's count is drawn."""
    started = time.perf_counter()
    with program(url) as (_, leader):
        see(leader, b"webhooks")
        return time.perf_counter() - started


def at_rest(url: str, seconds: float) -> tuple[float, float, float]:
    """Of ``seconds`` of rest after the first frame: see `rest`."""
    with program(url) as (pid, leader):
        see(leader, b"webhooks")
        return rest(pid, leader, seconds)


def _read(leader: int, seconds: float = 0.5) -> bytes:
    return os.read(leader, 65_536) if select.select([leader], [], [], seconds)[0] else b""


def rest(
    pid: int, leader: int, seconds: float, settling: float = 3.0
) -> tuple[float, float, float]:
    """Resident MB, share of a core in percent, and bytes a second to the terminal, once it has settled."""
    settled = time.perf_counter() + settling
    while time.perf_counter() < settled:
        _read(leader)
    before, began, drawn = _cpu(pid), time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        drawn += len(_read(leader))
    passed = time.perf_counter() - began
    return _memory(pid), 100 * (_cpu(pid) - before) / passed, drawn / passed


def _memory(pid: int) -> float:
    """Return the resident memory in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


def changing(url: str, hold: float, changes: int = CHANGES) -> tuple[list[float], float, float]:
    """Resident MB of the program after every ``AT_ONCE`` of ``changes`` changes of screen, jobs opened and
    searches; then its MB, and its share of a core in percent, after ``hold`` seconds of rest.
    """
    found: list[float] = []
    with program(url) as (pid, leader):
        see(leader, b"webhooks")
        # Every screen and a job; at the end a search.
        keys = (b"1\r\r23456789" * AT_ONCE)[:AT_ONCE] + b"1/zz\r1"
        for at in range(changes // AT_ONCE):
            # What the last round drew may be drawn once more.
            key, words = ((b"1", b"Keys: overview"), (b"2", b"Keys: failures"))[at % 2]
            os.write(leader, keys + key + b"?")
            see(leader, words, 5 * PATIENCE)
            os.write(leader, b"\x1b")
            found.append(_memory(pid))
        memory, idle, _ = rest(pid, leader, hold, SETTLING)
    return found, memory, idle


def see(leader: int, words: bytes, patience: float = PATIENCE) -> None:
    """Waits until the program draws the words, for ``patience`` seconds."""
    seen, began = b"", time.perf_counter()
    while words not in seen:
        seen = seen[-1000:] + _read(leader)
        if time.perf_counter() - began > patience:
            raise SystemExit(f"not drawn in {patience:.0f} s: {words!r}; drawn: {seen[-500:]!r}")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _until(seen: Callable[[], object], what: str) -> float:
    """Return the milliseconds until ``seen()`` is true."""
    began = time.perf_counter()
    while not seen():
        if time.perf_counter() - began > PATIENCE:
            raise SystemExit(f"not seen in {PATIENCE:.0f} s: {what}")
        await asyncio.sleep(0.002)
    return 1000 * (time.perf_counter() - began)


async def _gaps(found: list[float]) -> None:
    """Record continuously for how many ms the event loop was blocked."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.01)
        found.append(1000 * (time.perf_counter() - began) - 10)


async def inside(url: str, home: Path) -> dict[str, Any]:
    """Measure what can only be measured inside the process."""
    from hsejobs.control.filters import parse
    from hsejobs.model import State
    from hsejobs_tui.app import JobsApp
    from hsejobs_tui.core.options import Options
    from hsejobs_tui.dialogs.questions import Confirm, Working
    from hsejobs_tui.screens.queue import QueueView

    app = JobsApp(Options(url, "hsejobs", home, "benchmark"))
    found: dict[str, Any] = {}
    async with app.run_test(size=(120, 36)) as pilot:
        # The first read takes two round trips.
        await _until(lambda: app.session.snapshot, "the queues")
        first = app.session.snapshot
        await _until(lambda: app.session.snapshot is not first, "the second look")
        assert app.session.snapshot is not None
        found["commands"], found["refresh_ms"] = app.session.snapshot.cost
        view = QueueView("email", State.WAITING)
        await app.push_screen(view)
        await _until(lambda: view.rows.total, "the rows")
        view.do_bottom()
        found["jump_ms"] = await _until(lambda: view.rows.key, "the last row")
        began = time.perf_counter()
        searched = [0]
        steps = app.session.source.search("email", State.WAITING, parse("data.to~user77777@"))
        await app.session.each(steps, lambda step: searched.__setitem__(0, step.seen))
        found["search_s"], found["searched"] = time.perf_counter() - began, searched[0]
        view.dismiss()
        await app.push_screen(QueueView("webhooks", State.FAILED))
        began = time.perf_counter()
        await pilot.press("asterisk", "r")
        await _until(lambda: isinstance(app.screen, Confirm), "the question")
        found["count_s"] = time.perf_counter() - began
        total = next(one.failed for one in app.session.snapshot.queues if one.name == "webhooks")
        gaps: list[float] = []
        watch = asyncio.create_task(_gaps(gaps))
        began = time.perf_counter()
        question = app.screen
        while app.screen is question:
            # It takes the key once all jobs are counted.
            await pilot.press("y")
        # Of more than 10,000 jobs, a second one asks for the number.
        await _until(lambda: isinstance(app.screen, Confirm), "the second question")
        await pilot.press(*str(total), "enter")
        await _until(lambda: isinstance(app.screen, Working) and app.screen.finished, "the report")
        found["retry_s"] = time.perf_counter() - began
        left = app.session.source.reader.stats(["webhooks"])[0].failed
        if left:
            raise SystemExit(f"{left} of {total} were not retried")
        found["retried"] = total
        found["longest_gap_ms"] = max(gaps)
        watch.cancel()
    return found


def main() -> None:
    """Fill the queues, measure, and print one JSON document."""
    if len(sys.argv) == 4 and sys.argv[1] == "inside":
        print(json.dumps(asyncio.run(inside(sys.argv[2], Path(sys.argv[3])))))
        return
    from benchmarks.tui_screens import screens

    parser = argparse.ArgumentParser(prog="python -m benchmarks.tui", description=__doc__)
    parser.add_argument("jobs", nargs="?", type=int, default=200_000)
    parser.add_argument("--hold", type=float, default=15.0, metavar="SECONDS")
    plan = parser.parse_args()
    with Server(server_binary()) as server, tempfile.TemporaryDirectory() as home:
        fill(server.url, plan.jobs)
        starts = [first_frame(server.url) for _ in range(8)][1:]
        memory, idle, drawn = at_rest(server.url, 15.0)
        changed, held, after = changing(server.url, plan.hold)
        # In a separate process: otherwise filling would count as memory.
        words = [sys.executable, "-m", "benchmarks.tui", "inside", server.url, home]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    shown = screens()
    found: dict[str, Any] = {
        "jobs": plan.jobs,
        "first_frame_s": statistics.median(starts),
        "memory_mb": memory,
        "idle_percent": idle,
        "idle_bytes_s": drawn,
        "memory_after_100_changes_mb": changed[0],
        "memory_after_changes_mb": changed[-1],
        "hold_s": plan.hold,
        "memory_after_hold_mb": held,
        "idle_after_hold_percent": after,
        **json.loads(done.stdout.strip().splitlines()[-1]),
        "most_of_a_screen_percent": max(shown.values()),
    }
    rounded: dict[str, Any] = {name: round(value, 3) for name, value in found.items()}
    rounded["screens_percent"] = {name: round(value, 2) for name, value in shown.items()}
    print(json.dumps(rounded, indent=2))
    outside = [
        f"{name} {found[name]:.3g} > {most}" for name, most in LIMITS.items() if found[name] > most
    ]
    if outside:
        raise SystemExit("outside the limits: " + ", ".join(outside))


if __name__ == "__main__":
    main()

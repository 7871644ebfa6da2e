"""Jobs that share one lock, compared with plain Huey's ``lock_task`` and retries, in turn.

Run it in any folder::

    python benchmarks/locks.py
    python benchmarks/locks.py --jobs 300 --seconds 0.02 --rounds 3

One JSON document on stdout, medians: seconds from the first job's begin to the last one's end,
relative to the time of the work alone (jobs x seconds), how many jobs began out of the order in
which they were added, and how often a task was begun per job. Four worker threads each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.server import Server, find_binary

ROOT = Path(__file__).resolve().parent.parent

_BODY = """
import os, time
{setup}

def note(word, n):
    line = f"{{word}} {{n}} {{time.time()}}\\n".encode()
    file = os.open(os.environ["LOCKS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)

@huey.task({options})
def hold(payload):
    note("try", payload["n"])
    with huey.lock_task("one"):
        note("begin", payload["n"])
        time.sleep(payload["seconds"])
        note("end", payload["n"])
"""
_OURS = _BODY.format(
    setup='from hsejobs.engine import JobHuey\nhuey = JobHuey("locks")', options=""
)
#: Retries often and soon: a job that finds the lock taken is lost when it has none left.
_PEER = _BODY.format(
    setup=(
        "from huey import PriorityRedisHuey\n"
        'huey = PriorityRedisHuey("locks", url=os.environ["QUEUE_REDIS_URL"])'
    ),
    options="retries=100000, retry_delay=0",
)
_ADD = {
    "hsejobs": "locks_ours.hold.add_many([{'n': n, 'seconds': s} for n in range(jobs)])",
    "plain Huey": "[locks_ours.hold({'n': n, 'seconds': s}) for n in range(jobs)]",
}


def measure(name: str, jobs: int, seconds: float) -> dict[str, float]:
    """Run all jobs once with one of the two."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "locks_ours.py").write_text(_OURS if name == "hsejobs" else _PEER)
        notes = home / "notes"
        notes.touch()
        with Server(find_binary(None), home) as server:
            env = os.environ | {
                "QUEUE_REDIS_URL": server.url,
                "JOBS_HOME": folder,
                "LOCKS_FILE": str(notes),
                "PYTHONPATH": f"{ROOT}:{folder}",
            }
            add = f"import locks_ours; s = {seconds}; jobs = {jobs}; {_ADD[name]}"
            subprocess.run([sys.executable, "-c", add], env=env, check=True)
            command = [sys.executable, "-m", "huey.bin.huey_consumer", "locks_ours.huey", "-w", "4"]
            with (home / "log").open("wb") as log:
                consumer = subprocess.Popen(command, env=env, stdout=log, stderr=log)
                try:
                    give_up = time.monotonic() + 600
                    while notes.read_text().count("end ") < jobs and time.monotonic() < give_up:
                        time.sleep(0.05)
                finally:
                    consumer.kill()
                    consumer.wait()
        lines = [line.split() for line in notes.read_text().splitlines()]
    begun = [(int(n), float(at)) for word, n, at in lines if word == "begin"]
    ended = [float(at) for word, _, at in lines if word == "end"]
    order = [n for n, _ in begun]
    return {
        "of the work's time": round((ended[-1] - begun[0][1]) / (jobs * seconds), 3),
        "out of order": sum(a > b for a, b in itertools.pairwise(order)),
        "begun per job": round(sum(word == "try" for word, _, _ in lines) / jobs, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in _ADD}
    for _ in range(given.rounds):
        for name, rounds in found.items():
            rounds.append(measure(name, given.jobs, given.seconds))
    report: dict[str, Any] = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in found.items()
    }
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

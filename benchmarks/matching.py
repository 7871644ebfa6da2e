"""`hsejobs jobs QUEUE --where ... --all --format csv` over many failed jobs, and the same over HTTP.

    python -m benchmarks.matching [JOBS]     # 100,000 by default

Prints one JSON document: seconds and memory (MB) of the command and of the shim, for a filter that a
fiftieth of the jobs match, for one that half of them match, and for all jobs; and checks that the TUI's
search finds the same. Exits with 1 if the command takes more than 10 s or 80 MB.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hsejobs import codec
from hsejobs.control.filters import parse
from hsejobs.model import State
from hsejobs.store.client import RedisClient
from hsejobs.store.work import WorkerStore
from hsejobs.store.write import JobWriter, NewJob
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import LiveSource
from tests.support.server import Server, server_binary

FILTERS = ("error~timeout org=org-7 since=1h", "error~timeout", "")
SECONDS, MEGABYTES = 10.0, 80.0
TRACE = (
    "Traceback (most recent call last):\n" + '  File "/app/lib/module.py", line 1, in call\n' * 20
)
SECRET = "0123456789abcdef0123456789abcdef"


def fill(url: str, jobs: int) -> None:
    """Adds failed jobs of a hundred organizations; half of them with a timeout."""
    client = RedisClient(url)
    writer, work = JobWriter(client, "hsejobs"), WorkerStore(client, "hsejobs", "email", patience=1)
    for start in range(0, jobs, 500):
        numbers = range(start, min(start + 500, jobs))
        writer.add_each("email", [_job(n) for n in numbers])
        _, claims = work.step([], len(numbers), f"t{start}", 60_000)
        for claim in claims:
            text = "SMTPTimeout: timeout" if int(claim.id[1:]) % 2 else "KeyError: 'x'"
            error = {"error": text, "attempt": 1, "code": "error", "traceback": TRACE}
            pair = (claim.id, claim.token)
            error_json = codec.dumps(error)
            work.fail(*pair, code="error", error=error_json, run_us=9, final=True, delay_ms=None)
    client.close()


def _job(n: int) -> NewJob:
    data = {
        "to": [f"user{n}@example.com"],
        "subject": "Hi",
        "text": "there",
        "html": "<p>there</p>",
    }
    return NewJob(
        id=f"j{n}",
        name="tasks.email.send_email",
        payload=codec.dumps(data),
        priority=3,
        attempts=2,
        backoff=1000,
        timeout=0,
        delay=0,
        organization_id=f"org-{n % 100}",
        user_id="ann",
        nonce="n",
    )


def by_command(url: str, where: str) -> tuple[dict[str, float], set[str]]:
    """Runs the command; returns its time and memory, and the jobs found."""
    words = ["jobs", "email", "--status", "failed", "--where", where, "--all", "--format", "csv"]
    # A process in between, because the children of this one are measured together.
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    command = [sys.executable, "-c", measure, sys.executable, "-m", "hsejobs_cli", *words]
    began = time.monotonic()
    env = {**os.environ, "QUEUE_REDIS_URL": url}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    taken = time.monotonic() - began
    found = {"s": taken, "mb": int(done.stderr.split()[-1]) / 1024}
    return found, {row["id"] for row in csv.DictReader(io.StringIO(done.stdout))}


def by_tui(url: str, where: str, home: Path) -> set[str]:
    """The jobs that the TUI's search finds."""
    client = RedisClient(url)
    source = LiveSource(Options(url, "hsejobs", home, "benchmark"), client)
    source.snapshot()
    (*_, hits) = source.search("email", State.FAILED, parse(where))
    client.close()
    return {job_id for job_id, _ in hits.bound}


def by_http(url: str, home: Path) -> dict[str, Any]:
    """Downloads the same from a shim; its memory is what it needs more than before."""
    os.environ.update(QUEUE_REDIS_URL=url, JOBS_HOME=str(home))
    from tests.http.conftest import running, token

    found: dict[str, Any] = {}
    with running(home) as shim:
        headers = {"Authorization": f"Bearer {token('operator', None)}"}
        for where in FILTERS:
            before, began, jobs = _memory(shim.process.pid), time.monotonic(), 0
            query = {"status": "failed", "where": where, "format": "csv"}
            path = "/api/jobs/email/jobs"
            with shim.client.stream("GET", path, params=query, headers=headers) as answer:
                for piece in answer.iter_bytes():
                    jobs += piece.count(b"\r\n")
            taken, more = time.monotonic() - began, _memory(shim.process.pid) - before
            found[where] = {"jobs": jobs - 1, "s": taken, "mb": before + more, "more_mb": more}
    return found


def _memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Fill, measure, print one JSON document."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with Server(server_binary()) as server, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["JOBS_HOME"] = folder
        fill(server.url, jobs)
        found: dict[str, Any] = {"jobs": jobs, "command": {}}
        for where in FILTERS:
            figures, ids = by_command(server.url, where)
            if ids != by_tui(server.url, where, home):
                raise SystemExit(f"the TUI finds other jobs for {where!r}")
            found["command"][where] = {"jobs": len(ids), **figures}
        found["http"] = by_http(server.url, home)
    print(json.dumps(found, indent=2))
    slow = [one for one in found["command"].values() if one["s"] > SECONDS or one["mb"] > MEGABYTES]
    if slow:
        raise SystemExit(f"outside the limits of {SECONDS} s and {MEGABYTES} MB")


if __name__ == "__main__":
    main()

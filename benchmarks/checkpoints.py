"""Exports and reports whose consumer is killed at nine tenths: what the next attempt reads again.

Run it in any folder::

    python benchmarks/checkpoints.py
    python benchmarks/checkpoints.py --rows 100000 --only csv,incidents.json

One JSON document on stdout, by format (an export of all entities, or a report of one type): rows in
all, rows read when the consumer was killed (``kill -9``, with its worker), rows that the next attempt
continued after, the share of the rows that was read twice, and whether the file is byte for byte
what an attempt without a kill makes. Exits with 1 if more than 12 % were read twice, or a file differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
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

EXPORTS = ("json", "csv", "xlsx")
REPORTS = ("incidents.json", "incidents.csv", "incidents.xlsx")
MOST_AGAIN = 0.12
#: The progress of a job at nine tenths of its rows.
NINE_TENTHS = 10 + 75 * 0.9


def _consumer(queue: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "consumer.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "huey.bin.huey_consumer", f"huey_config.{queue}", "-w", "1"],
            stdout=log,
            stderr=log,
            cwd=ROOT,
            start_new_session=True,
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _content(result: dict[str, Any]) -> bytes:
    from hsejobs.engine.runtime import runtime
    from hsejobs.services.artifacts.store import open_store

    _, pieces = open_store(None, runtime().settings.jobs_home).open(
        "org-123", result["artifact"]["id"]
    )
    return b"".join(pieces)


def _add(what: str) -> tuple[str, Any]:
    from tasks.data_exports import queue_data_export
    from tasks.data_exports.entities import ENTITIES
    from tasks.reports import queue_report

    if what in EXPORTS:
        payload = {"organizationId": "org-123", "entities": list(ENTITIES), "format": what}
        return "data_exports", queue_data_export(payload, timeout=3600)
    kind, form = what.split(".")
    payload = {"organizationId": "org-123", "type": kind, "format": form}
    return "reports", queue_report(payload, timeout=3600)


def _without_a_kill(what: str, at: int, home: Path) -> str:
    """Return the sha256 of the file that a process of its own makes, as of the same time."""
    command = [sys.executable, __file__, "--plain", what, "--at", str(at), "--home", str(home)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return done.stdout.decode().strip()


def plain(what: str, at: int, home: Path) -> str:
    """Make the file in this process, without a job; return its sha256."""
    import datetime

    from hsejobs.services.artifacts.store import open_store
    from tasks.data_exports import make as exports
    from tasks.data_exports.entities import ENTITIES
    from tasks.reports import make as reports
    from tasks.reports.filters import parse_filters
    from tasks.shared.platform.database import database
    from tasks.shared.platform.rows import PlatformTenant

    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    tenant, store = PlatformTenant(database(None, home), "org-123"), open_store(None, home)
    more: Any = {"home": home, "check": lambda: None, "progress": lambda *_: None}

    def open_writer() -> Any:
        return store.write(
            "org-123", "plain", name="x", content_type="x", expires_at=9_999_999_999_999
        )

    if what in EXPORTS:
        spec = exports.ExportSpec(tuple(ENTITIES), what, moment)
        made: Any = exports.make_export(spec, tenant, open_writer, **more)
    else:
        kind, form = what.split(".")
        report = reports.ReportSpec(kind, form, parse_filters(kind, {}), moment)
        made = reports.make_report(report, tenant, open_writer, **more)
    return str(made.artifact.sha256)


def run(what: str, home: Path) -> dict[str, Any]:
    """Kill one job at nine tenths, let another consumer end it, and compare."""
    from hsejobs.engine.runtime import runtime

    queue, job = _add(what)
    shared = runtime()
    first = _consumer(queue, home)
    began = time.monotonic()
    try:
        while True:
            record = job.refresh()
            if record.progress >= NINE_TENTHS:
                break
            if record.status not in ("waiting", "active"):
                raise RuntimeError(f"{what}: the job was {record.status} before nine tenths")
            time.sleep(0.002)
    finally:
        _kill(first)
    killed = time.monotonic() - began
    total = int(re.sub(r"\D", "", str(record.progress_message).split(" of ")[1]))
    read = int(re.sub(r"\D", "", str(record.progress_message).split(" of ")[0]))
    key = f"{shared.prefix}:{{{job.queue}}}:cp:{job.id}"
    at = json.loads(shared.redis.command("GET", key) or b"{}").get("at", 0)
    second = _consumer(queue, home)
    try:
        result = job.wait(3600)
    finally:
        _kill(second)
    ended = time.monotonic() - began
    lines, _ = shared.reader.logs(job.queue, job.id)
    after = next((int(re.sub(r"\D", "", one)) for one in lines if one.startswith("continued")), 0)
    digest = hashlib.sha256(_content(result)).hexdigest()
    return {
        "rows": total,
        "read when killed": read,
        "continued after": after,
        "read twice": round(max(0, read - after) / total, 4),
        "same bytes": digest == _without_a_kill(what, at, home),
        "seconds until the kill": round(killed, 1),
        "seconds in all": round(ended, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", help="formats, separated by commas")
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    parser.add_argument("--at", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        print(plain(given.plain, given.at, given.home))
        return 0
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with Server(find_binary(None), home) as server:
            os.environ |= {
                "QUEUE_REDIS_URL": server.url,
                "JOBS_HOME": folder,
                "QUEUE_LEASE_MS": "2000",
            }
            from tasks.shared.platform.database import close_databases, database
            from tasks.shared.platform.sample import fill

            fill(database(None, home), 1, given.rows)
            close_databases()
            for what in given.only.split(",") if given.only else (*EXPORTS, *REPORTS):
                report[what] = run(what, home)
    print(json.dumps(report, indent=2))
    good = all(one["same bytes"] and one["read twice"] <= MOST_AGAIN for one in report.values())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

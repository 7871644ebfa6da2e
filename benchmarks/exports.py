"""A large export compared with the plain cursor of the same database, in the same run.

Run it in any folder::

    python benchmarks/exports.py
    python benchmarks/exports.py --rows 1000000 --database postgresql://...

One JSON document on stdout: rows a second and the most memory (RSS, MB) that the process had,
for the bare cursor (every row fetched as a tuple, nothing done with it) and for each format; of
a workbook also its speed relative to CSV. Each runs in a separate process.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

WAYS = ("cursor", "json", "csv", "xlsx")
AT = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)


@contextlib.contextmanager
def _filled(url: str | None, home: Path, rows: int) -> Iterator[float]:
    from tasks.shared.platform.database import close_databases, database
    from tasks.shared.platform.sample import fill

    began = time.perf_counter()
    fill(database(url, home), 1, rows)
    seconds = time.perf_counter() - began
    close_databases()
    yield seconds


def run(way: str, url: str | None, home: Path) -> dict[str, Any]:
    """Measure one variant in this process."""
    from hsejobs.services.artifacts.store import open_store
    from tasks.data_exports import make
    from tasks.data_exports.entities import ENTITIES
    from tasks.shared.platform.database import database
    from tasks.shared.platform.rows import PlatformTenant

    tenant = PlatformTenant(database(url, home), "org-123")
    began, began_cpu = time.perf_counter(), time.process_time()
    if way == "cursor":
        rows = 0
        with tenant.snapshot() as view:
            for entity in ENTITIES.values():
                for several in view.stream(make._select(view, entity), make.STEP):
                    rows += len(several)
        size = 0
    else:
        spec = make.ExportSpec(tuple(ENTITIES), way, AT)
        made = make.make_export(
            spec,
            tenant,
            lambda: open_store(None, home).write(
                "org-123",
                way,
                name=spec.file_name,
                content_type=make.CONTENT_TYPES[way],
                expires_at=9_999_999_999_999,
            ),
            home=home,
            check=lambda: None,
            progress=lambda *_: None,
        )
        rows, size = sum(made.rows.values()), made.artifact.bytes
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "CPU seconds": round(cpu, 2),
        "rows/s": round(rows / seconds),
        "MB written": round(size / 1e6, 1),
        "most MB of memory": round(most, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", help="default: SQLite in a temporary folder")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(run(given.way, given.database, given.home)))
        return 0
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with _filled(given.database, home, given.rows) as seconds:
            report["fill"] = {"seconds": round(seconds, 1), "rows/s": round(given.rows / seconds)}
        for way in WAYS:
            words = [sys.executable, __file__, "--way", way, "--home", folder]
            if given.database:
                words += ["--database", given.database]
            done = subprocess.run(words, stdout=subprocess.PIPE, check=True, cwd=ROOT)
            report[way] = json.loads(done.stdout)
        for way in WAYS[1:]:
            report[way]["of the cursor's speed"] = round(
                report[way]["rows/s"] / report["cursor"]["rows/s"], 2
            )
        report["xlsx"]["of CSV's speed"] = round(
            report["xlsx"]["rows/s"] / report["csv"]["rows/s"], 2
        )
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

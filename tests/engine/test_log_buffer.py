"""Lines about jobs wait in memory for at most a batch, however long jobs follow each other.

The kind: a buffer that is emptied when nothing is left to do. Below a backlog, that is never.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from hsejobs.engine.pace import MOST_FAR
from tests.engine import jobs
from tests.engine.conftest import Consumer
from tests.support import wait_until

TINY = 400


def written(log: Path) -> Counter[tuple[str, str]]:
    """How many complete lines there are about each task's jobs, by event and job id."""
    lines = log.read_text().rpartition("\n")[0].splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return Counter((one["event"], one["jobId"]) for one in found if "jobId" in one)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_lines_are_written_while_a_backlog_lasts(trial: Path, tmp_path: Path, kind: str) -> None:
    tiny = jobs.echo.add_many([{"n": n} for n in range(TINY)])
    long = jobs.work.add({"n": "long", "seconds": 600.0})
    log = tmp_path / "log"
    consumer = Consumer("-k", kind, "-w", "1", log=log)
    try:
        wait_until(lambda: "begin:long" in trial.read_text(), 60, "the long job")
        # The worker reads how a batch ended after the next one, in which the long job runs.
        wait_until(
            lambda: (
                sum(("completed", one.id) in written(log) for one in tiny) >= TINY - 2 * MOST_FAR
            ),
            20,
            "the lines of the batches before",
        )
        if kind == "thread":
            # A process writes that with the next batch: only it knows the line.
            wait_until(lambda: ("processing", long.id) in written(log), 20, "that of the long job")
    finally:
        consumer.kill_all()

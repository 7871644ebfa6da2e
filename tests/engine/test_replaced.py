"""A program that runs keeps its own scripts while another release is installed over it.

The kind: a file that is read at its first use, which may be days after the start, when it is another one's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from hsejobs.engine.runtime import runtime
from tests.engine import jobs
from tests.engine.conftest import counts
from tests.support import wait_until
from tests.support.consumers import ROOT, power_off, start_consumer


def test_a_consumer_whose_scripts_were_removed_goes_on(trial: Path, tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "hsejobs", tmp_path / "hsejobs", ignore=shutil.ignore_patterns("__pycache__")
    )
    consumer = start_consumer(
        "tests.engine.jobs.huey",
        *("-k", "process", "-w", "1"),
        log=tmp_path / "log",
        env={"PYTHONPATH": str(ROOT)},
        # First on its path.
        cwd=tmp_path,
        fork=False,
    )
    try:
        wait_until(lambda: runtime().reader.workers(["trial"]), 60, "the consumer")
        shutil.rmtree(tmp_path / "hsejobs" / "store" / "lua")
        # They use scripts that a consumer without work does not: completed, retried, delayed, stalled.
        made = [jobs.echo.add({"n": 1}), jobs.later.add({}), jobs.again.add({}), jobs.tell.add({})]
        lost = jobs.stepwise.add({"endings": ["kill"]})
        wait_until(lambda: counts()["completed"] == len(made) + 1, 60, "the jobs")
        assert lost.refresh().stalls == 1
    finally:
        power_off(consumer)

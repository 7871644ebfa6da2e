"""Tasks run real programs, and whatever they have started ends with them.

The kind: a process that outlives the job that started it. A worker had children in its consumer's group,
which no one ended at a timeout, a stop or a kill, and signals that it ignored were ignored by all.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsejobs import process_tree
from hsejobs.errors import JobFailed
from tests.engine import programs
from tests.engine.conftest import Consumer, wait_for
from tests.support import wait_until

Start = Callable[..., Consumer]
PLACE = "tests.engine.programs.huey"


def started_here(trial: Path) -> list[int]:
    """The processes that have this test's environment, this one excepted: the consumer and all below it."""
    mark, found = f"TRIAL_FILE={trial}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark in environment.split(b"\0") and state != "Z":
                found.append(int(entry.name))
    return found


@pytest.fixture
def chromium(tmp_path: Path) -> str:
    if shutil.which("chromium") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no chromium: .ci/run installs it")
        pytest.skip("there is no chromium")
    return str(tmp_path)


def left(trial: Path, spared: int) -> Callable[[], bool]:
    """Whether nothing is left but that many processes."""
    return lambda: len(started_here(trial)) <= spared


def run_all(trial: Path, folder: str, timeout: float) -> list[Any]:
    """A job of each kind that runs for a minute, with all that it starts."""
    payload = {"seconds": 60, "folder": folder, "hang": True, "session": True, "orphans": True}
    tasks = (programs.pool, programs.shell, programs.browser)
    added = [task.add(payload, timeout=timeout, attempts=1) for task in tasks]
    wait_until(lambda: trial.read_text().count("begun") == len(added), 20, "the programs")
    # Three pairs of guard and worker, the consumer; four of the pool, a shell and three sleeps, a browser.
    wait_until(lambda: len(started_here(trial)) > 7 + 4 + 4 + 3, 20, "all that they start")
    return added


def test_programs_work(consumer: Start, trial: Path, chromium: str) -> None:
    consumer("-k", "process", "-w", "3", place=PLACE)
    browsed = programs.browser.add({"folder": chromium})
    pooled = programs.pool.add({"seconds": 0})
    shelled = programs.shell.add({"seconds": 0})
    assert pooled.wait(30) == {"squares": 285, "code": 0, "more": 5}
    assert shelled.wait(30) == 0
    assert "<body>42</body>" in browsed.wait(60)
    ended = programs.terminated.add({})
    assert ended.wait(30) == [-signal.SIGTERM, -signal.SIGTERM]


def test_nothing_outlives_a_time_out(consumer: Start, trial: Path, chromium: str) -> None:
    consumer("-k", "process", "-w", "3", place=PLACE)
    added = run_all(trial, chromium, timeout=6)
    for job in added:
        with pytest.raises(JobFailed) as caught:
            job.wait(30)
        assert caught.value.failure_code == "timeout"
    # Only the consumer, and three new workers below their guards.
    wait_until(left(trial, 7), 2, "the end of what the jobs have started")


@pytest.mark.parametrize("end", ["stop", "kill", "guards"])
def test_nothing_outlives_the_consumer(
    consumer: Start, trial: Path, chromium: str, end: str
) -> None:
    one = consumer("-k", "process", "-w", "3", place=PLACE, QUEUE_SHUTDOWN_GRACE_MS="100")
    run_all(trial, chromium, timeout=60)
    if end == "guards":
        # A user who kills processes may kill the guards first.
        for guard in process_tree.children(one.process.pid):
            process_tree.send(guard, signal.SIGKILL)
        wait_until(left(trial, 7), 2, "the end of what the jobs have started")
    elif end == "stop":
        assert one.stop() == 0
        wait_for("waiting", 3)
    else:
        one.process.kill()
        one.process.wait()
    if end != "guards":
        wait_until(left(trial, 0), 2, "the end of what the jobs have started")


def test_what_a_job_leaves_behind_ends_with_its_worker(consumer: Start, trial: Path) -> None:
    """A process started for later jobs is theirs too."""
    one = consumer("-k", "process", "-w", "1", place=PLACE)
    pid = programs.leaves.add({"seconds": 60}).wait(20)
    assert programs.pool.add({"seconds": 0}).wait(20)
    assert pid in started_here(trial)
    assert one.stop() == 0
    wait_until(left(trial, 0), 2, "the end of what the job has left behind")


def test_a_stopped_consumer_of_threads_ends_what_it_started(consumer: Start, trial: Path) -> None:
    one = consumer("-k", "thread", "-w", "1", place=PLACE, QUEUE_SHUTDOWN_GRACE_MS="100")
    programs.shell.add({"seconds": 60, "session": True})
    wait_until(lambda: len(started_here(trial)) == 4, 20, "the shell and what it starts")
    assert one.stop() == 0
    wait_until(left(trial, 0), 2, "the end of what the job has started")

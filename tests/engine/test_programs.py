"""Tasks run real programs, and whatever they have started ends with them.

The kind: a process that outlives the job that started it. A worker had children in its consumer's group,
which no one ended at a timeout, a stop or a kill, and signals that it ignored were ignored by all.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsejobs import process_tree
from hsejobs.engine.runtime import runtime
from hsejobs.errors import JobFailed
from hsejobs.handle import Job
from tests.engine import programs
from tests.engine.conftest import Consumer, wait_for
from tests.support import wait_until

Start = Callable[..., Consumer]
PLACE = "tests.engine.programs.huey"
#: A consumer, and three workers below their guards.
WORKERS = 7


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


def add_all(folder: str, timeout: float) -> list[Job[Any]]:
    """A job of each kind that runs for a minute; one hears no interrupt."""
    payload = {"seconds": 60, "folder": folder, "hang": True}
    orphans = {"session": True, "orphans": True, "deaf": True}
    return [
        programs.pool.add(payload, timeout=timeout, attempts=1),
        programs.shell.add({**payload, **orphans}, timeout=timeout, attempts=1),
        programs.browser.add(payload, timeout=timeout, attempts=1),
    ]


def run_all(trial: Path, folder: str) -> list[Job[Any]]:
    """These jobs, once they run with all that they start."""
    before = trial.read_text().count("begun")
    added = add_all(folder, timeout=60)
    wait_until(lambda: trial.read_text().count("begun") - before == 3, 20, "the programs")
    # Three pairs of guard and worker, the consumer; four of the pool, a shell and three sleeps, a browser.
    wait_until(lambda: len(started_here(trial)) > WORKERS + 4 + 4 + 3, 60, "all that they start")
    return added


def codes(ended: list[Job[Any]]) -> list[str]:
    """The codes of jobs that fail."""
    found = []
    for job in ended:
        with pytest.raises(JobFailed) as caught:
            job.wait(30)
        found.append(caught.value.failure_code)
    return found


def test_programs_work(consumer: Start, trial: Path, chromium: str) -> None:
    consumer("-k", "process", "-w", "3", place=PLACE, fork=False)
    browsed = programs.browser.add({"folder": chromium})
    pooled = programs.pool.add({"seconds": 0})
    shelled = programs.shell.add({"seconds": 0})
    assert pooled.wait(30) == {"squares": 285, "code": 0, "more": 5}
    assert shelled.wait(30) == 0
    assert "<body>42</body>" in browsed.wait(60)
    ended = programs.terminated.add({})
    assert ended.wait(30) == [-signal.SIGTERM, -signal.SIGTERM]


def test_nothing_outlives_its_job(consumer: Start, trial: Path, chromium: str) -> None:
    """Whatever ends it: a cancel, the loss of its lease, its timeout."""
    options = {"QUEUE_CANCEL_GRACE_MS": "300"}
    consumer("-k", "process", "-w", "3", place=PLACE, fork=False, **options)

    def end_of_all(within: float) -> None:
        # Three new workers run below their guards.
        wait_until(left(trial, WORKERS), within, "the end of what the jobs have started")

    begun = time.monotonic()
    cancelled = run_all(trial, f"{chromium}/cancelled")
    took = time.monotonic() - begun
    for job in cancelled:
        job.cancel("enough")
    end_of_all(0.3 + 2)
    assert codes(cancelled) == ["cancelled"] * 3

    run_all(trial, f"{chromium}/lost")
    assert runtime().writer.obliterate("trial", force=True) == 6
    # A renewal, every half second here, tells it.
    end_of_all(0.5 + 0.3 + 2)

    late = add_all(f"{chromium}/late", timeout=1 + took)
    assert codes(late) == ["timeout"] * 3
    end_of_all(2)
    assert trial.read_text().count("begun") == 9


@pytest.mark.parametrize("end", ["stop", "kill", "guards"])
def test_nothing_outlives_the_consumer(
    consumer: Start, trial: Path, chromium: str, end: str
) -> None:
    one = consumer(
        "-k", "process", "-w", "3", place=PLACE, fork=False, QUEUE_SHUTDOWN_GRACE_MS="100"
    )
    run_all(trial, chromium)
    if end == "guards":
        # A user who kills processes may kill the guards first.
        for guard in process_tree.children(one.process.pid):
            process_tree.send(guard, signal.SIGKILL)
        wait_until(left(trial, WORKERS), 2, "the end of what the jobs have started")
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
    one = consumer("-k", "process", "-w", "1", place=PLACE, fork=False)
    pid = programs.leaves.add({"seconds": 60}).wait(20)
    assert programs.pool.add({"seconds": 0}).wait(20)
    assert pid in started_here(trial)
    assert one.stop() == 0
    wait_until(left(trial, 0), 2, "the end of what the job has left behind")


def test_a_stopped_consumer_of_threads_ends_what_its_jobs_started(
    consumer: Start, trial: Path
) -> None:
    """What the application had started before is not theirs."""
    options = {"QUEUE_SHUTDOWN_GRACE_MS": "100", "HELPER_SECONDS": "60"}
    one = consumer("-k", "thread", "-w", "1", place=PLACE, fork=False, **options)
    programs.shell.add({"seconds": 60, "session": True})
    wait_until(lambda: len(started_here(trial)) == 5, 20, "the shell and what it starts")
    assert one.stop() == 0
    wait_until(left(trial, 1), 2, "the end of what the job has started")
    assert len(started_here(trial)) == 1


@pytest.mark.parametrize("what", ["pool", "thread", "executor"])
def test_what_an_application_does_at_exit_does_not_keep_a_stopped_consumer(
    consumer: Start, trial: Path, what: str
) -> None:
    """A pool of the application waits forever for a process that the signal to all has ended, too.

    Python waits for threads, and for those of executors, before it calls any handler at exit.
    """
    one = consumer("-w", "1", place=PLACE, fork=False, AT_EXIT=what)
    assert programs.shell.add({"seconds": 0}).wait(20) is not None
    os.killpg(one.process.pid, signal.SIGTERM)
    assert one.process.wait(30) == 0
    assert "at exit took longer than" in one.log.read_text()

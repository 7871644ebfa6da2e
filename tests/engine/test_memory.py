"""Memory: a worker that the kernel kills for it, and workers that are replaced before that."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsejobs.engine.memory import OutOfMemory, counter_file
from hsejobs.errors import JobFailed
from hsejobs.model import State
from tests.engine import jobs, programs
from tests.engine.conftest import Consumer, wait_for
from tests.support import wait_until

Start = Callable[..., Consumer]

#: Files as the kernel writes them, and the one that counts.
V2 = {
    "proc/self/cgroup": "0::/a.slice/jobs.service\n",
    "proc/self/mountinfo": "29 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    "sys/fs/cgroup/a.slice/jobs.service/memory.events": "low 0\noom 1\noom_kill {}\noom_group_kill 0\n",
}
V2_CONTAINER = {
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "700 690 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
    "sys/fs/cgroup/memory.events": "low 0\noom 1\noom_kill {}\n",
}
V1_CONTAINER = {
    "proc/self/cgroup": "4:memory:/docker/0a1b\n3:cpu,cpuacct:/docker/0a1b\n0::/\n",
    "proc/self/mountinfo": (
        "31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "36 23 0:31 /docker/0a1b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    ),
    "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
}
WHOLE_MACHINE = {
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "proc/vmstat": "nr_free_pages 81\noom_kill {}\n",
}


@pytest.mark.parametrize("files", [V2, V2_CONTAINER, V1_CONTAINER, WHOLE_MACHINE])
def test_the_counter_that_explains_a_killed_process(tmp_path: Path, files: dict[str, str]) -> None:
    counter = tmp_path / list(files)[-1]

    def write(killed: int) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text.format(killed))

    write(3)
    assert counter_file(tmp_path) == counter
    memory = OutOfMemory(tmp_path)
    assert not memory.explains()
    write(4)
    assert memory.explains()
    counter.unlink()
    # What cannot be read explains nothing new.
    assert not OutOfMemory(tmp_path).explains()


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A real cgroup that has 300 MB."""
    own = counter_file()
    group = own.parent / f"hsejobs-{os.getpid()}"
    limits = {"memory.oom_control": "memory.limit_in_bytes", "memory.events": "memory.max"}
    try:
        group.mkdir()
        (group / limits[own.name]).write_text(str(300 * 2**20))
        for swap in ("memory.memsw.limit_in_bytes", "memory.swap.max"):
            with contextlib.suppress(OSError):
                (group / swap).write_text(str(300 * 2**20 if "memsw" in swap else 0))
    except (OSError, KeyError):
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip("this user cannot make a cgroup with a memory limit here")
    yield group
    for pid in (group / "cgroup.procs").read_text().split():
        (group.parent / "cgroup.procs").write_text(pid)
    group.rmdir()


def test_a_worker_killed_for_memory(consumer: Start, small_group: Path) -> None:
    """A kill that the kernel does not explain stays a stall."""
    place = "tests.engine.programs.huey"
    (small_group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        consumer("-k", "process", "-w", "2", place=place, QUEUE_MAX_STALLS="0")
    finally:
        (small_group.parent / "cgroup.procs").write_text(str(os.getpid()))
    codes = []
    for job in (jobs.kill.add({}, attempts=1), programs.eat.add({"mb": 600}, attempts=1)):
        with pytest.raises(JobFailed) as caught:
            job.wait(30)
        codes.append(caught.value.failure_code)
    assert codes == ["stalled", "out_of_memory"]
    assert jobs.echo.add({"say": "on"}).wait(20) == "on"


def pids(trial: Path) -> Counter[str]:
    """How many jobs each process has run."""
    return Counter(line.split()[1] for line in trial.read_text().splitlines())


def test_processes_are_replaced_after_their_jobs(consumer: Start, trial: Path) -> None:
    jobs.echo.add_many([{"n": n} for n in range(24)])
    consumer("-k", "process", "-w", "2", QUEUE_TRIAL_MAX_JOBS="5")
    wait_for("completed", 24)
    assert max(pids(trial).values()) == 5
    assert sum(pids(trial).values()) == 24


def test_a_consumer_of_threads_restarts_after_their_jobs(consumer: Start, trial: Path) -> None:
    """It keeps its process id; a job that runs may end, although it takes longer than the grace."""
    slow = jobs.work.add({"n": 100, "seconds": 1.5})
    jobs.echo.add_many([{"n": n} for n in range(24)])
    options = {"QUEUE_MAX_JOBS": "10", "QUEUE_SHUTDOWN_GRACE_MS": "0"}
    one = consumer("-k", "thread", "-w", "2", **options)
    wait_for("completed", 25)
    assert slow.refresh().stalls == 0
    said = [line.split()[0] for line in trial.read_text().splitlines()]
    assert sorted(said) == sorted([*map(str, range(24)), "begin:100", "end:100"])
    wait_until(lambda: one.log.read_text().count("processor started") > 1, 20, "the restart")
    assert one.process.poll() is None
    told = [line for line in one.log.read_text().splitlines() if '"restarting"' in line]
    assert told
    assert all('"level": "info"' in line for line in told)


def test_a_long_job_does_not_idle_a_consumer_that_is_to_restart(
    consumer: Start, trial: Path
) -> None:
    slow = jobs.work.add({"n": 100, "seconds": 6})
    one = consumer("-k", "thread", "-w", "2", QUEUE_MAX_JOBS="5")
    wait_until(lambda: slow.refresh().status is State.ACTIVE, 20, "the long job")
    for job in jobs.echo.add_many([{"n": n} for n in range(24)]):
        job.wait(20)
    assert slow.refresh().status is State.ACTIVE
    wait_until(lambda: one.log.read_text().count("processor started") > 1, 30, "the restart")
    assert slow.refresh().status is State.COMPLETED
    said = [line.split()[0] for line in trial.read_text().splitlines()]
    assert sorted(said) == sorted([*map(str, range(24)), "begin:100", "end:100"])


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_what_grows_is_replaced(consumer: Start, trial: Path, kind: str) -> None:
    place = "tests.engine.programs.huey"
    # The consumer's own size: this process may have loaded much more.
    size = "import tests.engine.programs; from hsejobs.engine.memory import resident_mb; print(resident_mb())"
    done = subprocess.run([sys.executable, "-c", size], capture_output=True, check=True, text=True)
    most = str(int(float(done.stdout)) + 100)
    programs.grow.add_many([{"mb": 300, "seconds": 1.1}] * 3)
    one = consumer("-k", kind, "-w", "1", place=place, QUEUE_TRIAL_MAX_RSS=most)
    wait_for("completed", 3, timeout=60)
    assert sum(pids(trial).values()) == 3
    if kind == "process":
        assert len(pids(trial)) >= 2
    else:
        wait_until(lambda: "more than" in one.log.read_text(), 20, "the restart")


def test_a_limit_below_what_every_worker_takes_is_ignored(consumer: Start, trial: Path) -> None:
    one = consumer("-k", "process", "-w", "1", QUEUE_TRIAL_MAX_RSS="1")
    jobs.echo.add_many([{"n": n} for n in range(5)])
    wait_for("completed", 5)
    assert len(pids(trial)) == 1
    assert "raise QUEUE_<NAME>_MAX_RSS" in one.log.read_text()

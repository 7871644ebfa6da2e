"""Memory: a worker that the kernel kills for it, and workers that are replaced before that."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine import memory
from hsejobs.engine.memory import OutOfMemory, SlotUse, counter_file
from hsejobs.errors import JobFailed
from hsejobs.handle import Job
from hsejobs.model import State
from tests.engine import jobs, programs
from tests.engine.conftest import Consumer, note, wait_for
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


def write(root: Path, files: dict[str, str], killed: int) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.format(killed))


@pytest.mark.parametrize("files", [V2, V2_CONTAINER, V1_CONTAINER])
def test_the_counter_is_that_of_the_own_group(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, files, 3)
    assert counter_file(tmp_path) == tmp_path / list(files)[-1]


@dataclass
class Kernel:
    """What the kernel shows of a cgroup of version 2."""

    root: Path
    files: dict[str, str]

    def count(self, killed: int) -> None:
        """Sets the counter."""
        write(self.root, self.files, killed)

    def put(self, *pids: int) -> None:
        """Makes these the processes of the group."""
        group = (self.root / list(self.files)[-1]).parent
        (group / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))


#: Whether the rise of the counter explains the death of the job in slot 1, which was started at 1.0.
Case = Callable[[OutOfMemory, Kernel], bool]
JOB, IDLE, BUSY = SlotUse(1, True, 1.0), SlotUse(2, False, 2.0), SlotUse(2, True, 2.0)


def beside(before: list[SlotUse], after: list[SlotUse], killed: int = 4) -> Case:
    """The slots as they were at the last look before the rise, and at the death."""

    def case(watch: OutOfMemory, kernel: Kernel) -> bool:
        watch.look([JOB, *before])
        kernel.count(killed)
        watch.look([JOB, *after])
        return watch.explains(1, 1.0, alone=False)

    return case


by_itself = beside([], [])


def later(watch: OutOfMemory, kernel: Kernel) -> bool:
    """The same slot, and another job, which died for another reason."""
    watch.look([JOB])
    kernel.count(4)
    started = time.monotonic()
    watch.look([SlotUse(1, True, started)])
    return watch.explains(1, started, alone=False)


def again(watch: OutOfMemory, kernel: Kernel) -> bool:
    """A second death after one rise."""
    assert by_itself(watch, kernel)
    watch.look([JOB])
    return watch.explains(1, 1.0, alone=False)


def in_company(watch: OutOfMemory, kernel: Kernel) -> bool:
    """Another program in the group, of which no more can be seen."""
    kernel.put(os.getpid(), 0)
    return by_itself(watch, kernel)


def alone_in_company(watch: OutOfMemory, kernel: Kernel) -> bool:
    """The same, and a job that runs alone because workers have died under it."""
    assert not in_company(watch, kernel)
    return watch.explains(1, 1.0, alone=True)


CASES: dict[str, tuple[Case, bool]] = {
    "by itself": (by_itself, True),
    "beside idle workers": (beside([IDLE], [IDLE]), True),
    "no rise": (beside([], [], killed=3), False),
    "beside another job": (beside([BUSY], [BUSY]), False),
    "the other has ended": (beside([BUSY], [IDLE]), False),
    "the other was replaced": (beside([BUSY], []), False),
    "a short one in between": (beside([IDLE], [SlotUse(2, False, float("inf"))]), False),
    "a later job": (later, False),
    "a second death": (again, False),
    "another program": (in_company, False),
    "alone beside another program": (alone_in_company, True),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rise_explains_what_it_can_only_be(tmp_path: Path, name: str) -> None:
    kernel = Kernel(tmp_path, V2)
    kernel.count(3)
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    # This process, one above it, and one that is gone.
    kernel.put(os.getpid(), os.getppid(), ended.pid)
    case, explained = CASES[name]
    assert case(OutOfMemory(tmp_path), kernel) is explained


def test_a_rise_explains_nothing_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "EXPLAINS_FOR", 0.0)
    kernel = Kernel(tmp_path, V2)
    kernel.count(3)
    assert not by_itself(OutOfMemory(tmp_path), kernel)


def test_the_counter_of_the_machine_explains_nothing(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, WHOLE_MACHINE)
    kernel.count(3)
    assert counter_file(tmp_path) is None
    assert not by_itself(OutOfMemory(tmp_path), kernel)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A real cgroup that has 300 MB."""
    own = counter_file()
    if own is None:
        pytest.skip("there is no cgroup that counts")
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


def test_a_worker_killed_for_memory(consumer: Start, small_group: Path, trial: Path) -> None:
    """A kill that the kernel does not explain stays a stall; so does one that another job may have
    caused, until the job has run alone.
    """
    place = "tests.engine.programs.huey"
    (small_group / "cgroup.procs").write_text(str(os.getpid()))
    try:
        consumer("-k", "process", "-w", "2", place=place, fork=False, QUEUE_MAX_STALLS="1")
    finally:
        (small_group.parent / "cgroup.procs").write_text(str(os.getpid()))

    def end(job: Job[Any]) -> tuple[str, int]:
        with pytest.raises(JobFailed) as caught:
            job.wait(30)
        return caught.value.failure_code, job.refresh().stalls

    def eat() -> Job[Any]:
        return programs.eat.add({"mb": 600}, attempts=1)

    assert end(jobs.kill.add({}, attempts=1)) == ("stalled", 2)
    assert end(eat()) == ("out_of_memory", 0)
    neighbor = jobs.in_turn.add({"n": 1, "until": "enough"})
    wait_until(lambda: "turn:1" in trial.read_text(), 20, "the other job")
    eater = eat()
    wait_until(lambda: eater.refresh().stalls == 1, 20, "its stall")
    note(trial, "enough")
    assert end(eater) == ("out_of_memory", 1)
    assert neighbor.wait(20) is None
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        (small_group / "cgroup.procs").write_text(str(stranger.pid))
        assert end(eat()) == ("out_of_memory", 1)
        stranger.kill()
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
    slow = jobs.in_turn.add({"n": 100, "until": "enough"})
    jobs.echo.add_many([{"n": n} for n in range(24)])
    options = {"QUEUE_MAX_JOBS": "10", "QUEUE_SHUTDOWN_GRACE_MS": "0"}
    one = consumer("-k", "thread", "-w", "2", **options)
    wait_until(lambda: "recycling" in one.log.read_text(), 20, "the limit to be reached")
    note(trial, "enough")
    wait_for("completed", 25)
    assert slow.refresh().stalls == 0
    said = [line.split()[0] for line in trial.read_text().splitlines()]
    assert sorted(said) == sorted([*map(str, range(24)), "turn:100", "enough", "over:100"])
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
    programs.grow.add_many([{"mb": 300}] * 3)
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


def test_a_heartbeat_has_the_memory_of_the_consumer_and_its_worker_processes() -> None:
    code = "x = bytearray(40_000_000); print('ready', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        own, both = memory.resident_bytes(), memory.resident_with_children()
        child.stdin.close()
    assert own > 1_000_000
    assert both > own + 40_000_000
    assert memory.resident_bytes(2**22) == 0

"""Tasks that fork, that are interrupted late, and that only store checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hsejobs.engine import JobFailed
from hsejobs.model import State
from tests.engine import edge_jobs
from tests.engine.conftest import Consumer
from tests.support import wait_until

Start = Callable[..., Consumer]
PLACE = "tests.engine.edge_jobs.huey"


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_forked_child_is_no_worker(consumer: Start, trial: Path, kind: str) -> None:
    """It ends where the task ends: the outcome is the parent's, and it claims nothing."""
    one = consumer("-k", kind, "-w", "1", place=PLACE)
    children = set()
    for how, code in (("raises", 1), ("returns", 0), ("exits", 3)):
        child, ended = edge_jobs.forks.add({"how": how}, timeout=10, attempts=1).wait(20)
        assert ended == code
        children.add(child)
    ran = {job.wait(20) for job in edge_jobs.whose.add_many([{"seconds": 0.01}] * 20)}
    assert len(ran) == 1
    assert not ran & children
    assert one.log.read_text().count("forked child ended") == 3


def test_an_interrupt_after_the_task_ends_no_worker(consumer: Start, trial: Path) -> None:
    one = consumer("-k", "process", "-w", "1", place=PLACE)
    with pytest.raises(JobFailed) as caught:
        edge_jobs.late.add({}, timeout=0.3, attempts=1).wait(20)
    assert (caught.value.failure_code, "late" in str(caught.value)) == ("error", True)
    edge_jobs.whose.add({"seconds": 0}).wait(20)
    assert one.stop() == 0
    assert "died" not in one.log.read_text()


def test_checkpoint_ends_a_cancelled_job(consumer: Start, trial: Path) -> None:
    """At its next call, not when the grace is over and the thread is given up."""
    one = consumer("-k", "thread", "-w", "1", place=PLACE, QUEUE_CANCEL_GRACE_MS="60000")
    job = edge_jobs.points.add({})
    wait_until(lambda: job.refresh().status is State.ACTIVE, 20, "the job to begin")
    job.cancel("enough")
    with pytest.raises(JobFailed) as caught:
        job.wait(20)
    assert caught.value.failure_code == "cancelled"
    assert one.stop() == 0

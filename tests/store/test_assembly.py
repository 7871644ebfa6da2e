"""Scripts are assembled in linear time, and a consumer's scripts once.

The kind: what is done once, at a start, and by each thread or process of it at the same time.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hsejobs.engine.runtime import runtime
from hsejobs.store import assembly, scripts
from hsejobs.store.write import NewJob
from tests.engine.conftest import counts
from tests.support import wait_until
from tests.support.consumers import ROOT, power_off, start_consumer


def test_each_part_is_looked_at_a_few_times_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at = 0
    words = assembly._words

    def counting(text: str) -> set[str]:
        nonlocal looked_at
        looked_at += len(text)
        return words(text)

    monkeypatch.setattr(assembly, "_words", counting)
    total = 0
    for script in scripts.ALL:
        made = scripts.Script(script.name, script.fixed, script.each)
        total += len(made.text)
    assert looked_at < 6 * total


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_the_workers_of_a_consumer_assemble_nothing_twice(
    kind: str, redis_url: str, tmp_path: Path
) -> None:
    told = tmp_path / "assembled"
    consumer = start_consumer(
        "tests.engine.assembled_jobs.huey",
        *("-k", kind, "-w", "5"),
        log=tmp_path / "log",
        env={"ASSEMBLED": str(told)},
        cwd=ROOT,
    )
    try:
        wait_until(lambda: runtime().reader.workers(["trial"]), 60, "the consumer")
        # Not by its module, which would change the scripts of this process.
        task = "tests.engine.assembled_jobs.nothing"
        added = [NewJob(f"job-{n}", task, b"{}", 3, 1, 0, 0) for n in range(20)]
        runtime().writer.add_many("trial", added)
        wait_until(lambda: counts()["completed"] == 20, 60, "the jobs")
    finally:
        power_off(consumer)
    lines = told.read_text().splitlines()
    assert len(lines) > 5
    assert not [one for one, n in Counter(lines).items() if n > 1]
    # A process would assemble for itself what its consumer does not have yet.
    assert len({one.partition(" ")[2] for one in lines}) == len(lines)

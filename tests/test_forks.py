"""A process that forks while its threads run: children do not deadlock and send nothing twice."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hsejobs.store.client import RedisClient

ROOT = Path(__file__).parent.parent
CHILDREN = 240


@pytest.mark.timeout(240)
def test_children_forked_under_load_neither_hang_nor_repeat(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "forks.log"
    done = subprocess.run(
        [sys.executable, "-m", "tests.forking", str(log), str(CHILDREN)],
        cwd=ROOT,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{CHILDREN} ended, 0 hung\n", "")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    seen = Counter(line.get("line") or f"job.{line['status']}" for line in lines)
    assert [name for name, times in seen.items() if times > 1] == []
    for kind in ("job", "note", "told"):
        children = [name for name in seen if name.startswith(f"{kind}.child")]
        assert len(children) == CHILDREN
        assert any(name.startswith(f"{kind}.t2.") for name in seen)


def test_locks_are_made_in_one_place() -> None:
    """A ``threading`` lock may stay locked in a child; so may 3.11's ``cached_property``."""
    locks = "Lock|RLock|Condition|Semaphore|BoundedSemaphore"
    made = re.compile(rf"\b(?:{locks})\(\)|functools(?: import .*|\.)cached_property")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for part in ("hsejobs", "hsejobs_http", "hsejobs_cli", "hsejobs_tui", "tasks")
        for path in (ROOT / part).rglob("*.py")
        if path.name != "forks.py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if made.search(line) and ".mp.Lock()" not in line
    ]
    assert found == []


_RAW = """
import ctypes, os, time
from types import SimpleNamespace
from hsejobs import model
from hsejobs.store.client import RedisClient

client = RedisClient(os.environ["URL"])
client.command("PING")
model.new_job_id()
# In the children, time stands still a little later.
later = time.time_ns() + 10_000_000_000
model.time = SimpleNamespace(time_ns=lambda: later)
children = []
for number in range(2):
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        wrong = sum(client.command("GET", f"hsejobs:k{number}") != str(number).encode() for _ in range(200))
        os.write(1, f"{model.new_job_id()} {wrong}\\n".encode())
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
"""


def test_a_fork_that_python_is_not_told_of_shares_no_connection_and_no_ids(redis_url: str) -> None:
    """As that of uWSGI, whose master loads the application and forks in C."""
    client = RedisClient(redis_url)
    for number in range(2):
        client.command("SET", f"hsejobs:k{number}", str(number))
    done = subprocess.run(
        [sys.executable, "-c", _RAW],
        env={**os.environ, "URL": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    client.close()
    (first, wrong), (second, also_wrong) = (line.split() for line in done.stdout.splitlines())
    assert first != second
    assert wrong == also_wrong == "0"

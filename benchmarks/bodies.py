"""The task bodies of the Python contestants; `peers/bull/worker.js` has the same.

Each process leaves a file ``mark-<pid>`` in ``BENCH_DIR`` when it begins its first
job, so that a drain's clock starts when all workers work.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

_marked_by = 0
_files: dict[str, int] = {}


def mark() -> None:
    """Record that this process has started a job, once; almost free afterwards."""
    global _marked_by
    if not _marked_by or _marked_by != os.getpid():
        _marked_by = os.getpid()
        (Path(os.environ["BENCH_DIR"]) / f"mark-{_marked_by}").touch()


def _append(name: str, line: str) -> None:
    path = f"{os.environ['BENCH_DIR']}/{name}-{os.getpid()}"
    if path not in _files:
        _files[path] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(_files[path], line.encode())


def mail(payload: dict[str, Any]) -> dict[str, Any]:
    """Do nothing, and return a small result."""
    mark()
    return _done(payload)


def probe(payload: dict[str, Any]) -> dict[str, Any]:
    """Record how many ms after ``payload["t"]`` the task starts; 0 is a warm-up."""
    now = time.time()
    if payload["t"]:
        _append("late", f"{(now - payload['t']) * 1000:.3f}\n")
    return _done(payload)


def nap(payload: dict[str, Any]) -> dict[str, Any]:
    """Work for 5 ms, then record the job."""
    time.sleep(0.005)
    _append("ran", f"{payload['i']}\n")
    return _done(payload)


def _done(payload: dict[str, Any]) -> dict[str, Any]:
    """What every task returns; `arena.Arena.check` looks for it."""
    return {"ok": True, "id": payload["i"]}

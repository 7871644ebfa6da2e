"""The onboarding queue as a test's consumer runs it: it kills itself where the test says, once.

``TRIAL_KILL`` names a moment: ``begin:STEP`` (just before a step), ``commit:N`` (just before the
N-th commit of the run) or ``end`` (the work is done and not reported yet).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from hsejobs.engine import context
from tasks.email import huey as email
from tasks.tenant_onboarding import huey as tenant_onboarding

__all__ = ["email", "tenant_onboarding"]

_moment = os.environ.get("TRIAL_KILL", "")


def _reached(moment: str) -> None:
    if moment != _moment:
        return
    try:
        Path(os.environ["TRIAL_KILLED"]).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


_log = context.JobContext.log
_progress = context.JobContext.progress


def _on_log(self: Any, line: str) -> None:
    _log(self, line)
    _reached("begin:" + line.removeprefix("step: "))


def _on_progress(self: Any, percent: float, message: str | None = None) -> None:
    _progress(self, percent, message)
    if percent == 100:
        _reached("end")


context.JobContext.log = _on_log  # type: ignore[method-assign]
context.JobContext.progress = _on_progress  # type: ignore[method-assign]

_commits = 0


@event.listens_for(Engine, "commit")
def _on_commit(connection: Any) -> None:
    # Those that make the tables are not of the run: they are made before the first job.
    global _commits
    _commits += 1
    _reached(f"commit:{_commits}")

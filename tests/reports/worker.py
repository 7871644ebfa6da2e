"""The reports queue as a test's consumer runs it: its worker dies once, at the worst moment."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from hsejobs.engine import follow_up
from tasks.email import huey as email
from tasks.reports import huey as reports
from tasks.shared import output

__all__ = ["email", "reports"]


def _add_and_die(*args: Any, **options: Any) -> Any:
    job = follow_up(*args, **options)
    died = Path(os.environ["TRIAL_FILE"])
    if not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job


vars(output)["follow_up"] = _add_and_die

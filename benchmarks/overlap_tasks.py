"""The tasks of ``overlap.py``: each notes its run in a file before it returns."""

from __future__ import annotations

import os
import time
from typing import Any

from hsejobs.engine import JobHuey

huey = JobHuey("tiny")
_FILE = os.open(os.environ["TINY_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@huey.task()
def tiny(payload: dict[str, Any]) -> dict[str, Any]:
    if payload.get("ms"):
        time.sleep(payload["ms"] / 1000)
    os.write(_FILE, f"{payload['n']}\n".encode())
    return {"ok": True, "id": payload["n"]}

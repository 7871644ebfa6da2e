"""The application of `benchmarks.ordinary`: one task that works for 2 ms.

``python -m ordinary_jobs N GAP ORGANIZATIONS`` adds N jobs, one every GAP seconds, for each organization
in turn.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from hsejobs.engine import JobHuey

huey = JobHuey("ordinary", attempts=3, backoff=5.0, timeout=60.0)


@huey.task()
def send(payload: dict[str, Any]) -> dict[str, Any]:
    time.sleep(0.002)
    return {"ok": True, "id": payload["i"]}


def main() -> None:
    number, gap, organizations = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3].split(",")
    payload = {"to": "user@example.com", "subject": "Welcome to the team", "text": "w" * 254}
    due = time.monotonic()
    for i in range(number):
        due = max(due + gap, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
        send.add({**payload, "i": i}, organization_id=organizations[i % len(organizations)] or None)


if __name__ == "__main__":
    main()

"""The queues of the platform as a test's consumer runs them: the same tasks, with its own times.

Only what a test cannot wait for (how long a circuit stays open, when postponing ends) and what
names lead to are replaced.
"""

from __future__ import annotations

import json
import os

from hsejobs.services import breaker
from hsejobs.services.webhooks import transport
from tasks.email import huey as email
from tasks.webhooks import huey as webhooks

__all__ = ["email", "webhooks"]

for _name, _value in json.loads(os.environ.get("TRIAL_BREAKER", "{}")).items():
    setattr(breaker, _name, _value)

_names = json.loads(os.environ.get("TRIAL_NAMES", "{}"))
if _names:

    def _resolve(host: str, port: int) -> list[str]:
        if host not in _names:
            raise OSError(-2, "Name or service not known")
        return list(_names[host])

    transport.resolve = _resolve

"""The inverse of `messages.extras_of`: restores a Huey task's extras on the task of a claimed job."""

from __future__ import annotations

import datetime
from typing import Any

from huey.registry import Message

from hsejobs import codec
from hsejobs.engine.messages import EXTRA


def apply_extras(registry: Any, task: Any, text: bytes) -> None:
    """Restores follow-ups, expiry and chord on a task."""
    restored = registry.create_task(_load(codec.loads(text)))
    for name in EXTRA:
        setattr(task, name, getattr(restored, name))


def _load(raw: dict[str, Any]) -> Message:
    fields = dict(raw)
    for name in ("eta", "expires", "expires_resolved"):
        if name in fields:
            fields[name] = _unstamp(fields[name])
    for name in ("on_complete", "on_error"):
        if name in fields:
            fields[name] = _load(fields[name])
    if "args" in fields:
        fields["args"] = tuple(fields["args"])
    if "chord_config" in fields:
        cid, size, position, callback = fields["chord_config"]
        fields["chord_config"] = (cid, size, position, _load(callback))
    return Message(**fields)


def _unstamp(value: Any) -> Any:
    if isinstance(value, dict) and "at" in value:
        return datetime.datetime.fromisoformat(value["at"])
    if isinstance(value, dict) and "seconds" in value:
        return datetime.timedelta(seconds=value["seconds"])
    return value

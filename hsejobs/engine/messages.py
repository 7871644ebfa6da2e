"""A Huey task as JSON: its arguments, and its extras (follow-ups, expiry, chords)."""

from __future__ import annotations

import datetime
from typing import Any

from hsejobs import codec
from hsejobs.control.making import ARGUMENTS, PLAIN, VALUE
from hsejobs.errors import InvalidPayload


def payload_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, str]:
    """A call's arguments as a payload, and its signature letter."""
    if len(args) == 1 and not kwargs:
        return args[0], PLAIN if isinstance(args[0], dict) else VALUE
    return {"args": list(args), "kwargs": kwargs}, ARGUMENTS


def arguments_of(data: Any, signature: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inverse of ``payload_of``: the positional and keyword arguments of the call."""
    if signature == ARGUMENTS:
        return tuple(data["args"]), dict(data["kwargs"])
    return (data,), {}


def _stamp(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return {"at": value.isoformat()}
    if isinstance(value, datetime.timedelta):
        return {"seconds": value.total_seconds()}
    return value


def _dump(message: Any) -> dict[str, Any]:
    raw = {name: value for name, value in message._asdict().items() if value is not None}
    for name in ("eta", "expires", "expires_resolved"):
        if name in raw:
            raw[name] = _stamp(raw[name])
    for name in ("on_complete", "on_error"):
        if name in raw:
            raw[name] = _dump(raw[name])
    if "chord_config" in raw:
        cid, size, position, callback = raw["chord_config"]
        raw["chord_config"] = [cid, size, position, _dump(callback)]
    return raw


#: The attributes of a Huey task that its payload does not contain.
EXTRA = ("on_complete", "on_error", "expires", "expires_resolved", "chord_config")


def extras_of(registry: Any, task: Any) -> bytes:
    """A Huey task's extras as JSON; empty when it has none. Raises InvalidPayload."""
    if not any(getattr(task, name) is not None for name in EXTRA):
        return b""
    message = registry.create_message(task)._replace(args=None, kwargs=None)
    try:
        return codec.dumps(_dump(message))
    except (TypeError, ValueError, RecursionError):
        raise InvalidPayload(
            "payload", "the arguments of a follow-up task must be valid JSON"
        ) from None

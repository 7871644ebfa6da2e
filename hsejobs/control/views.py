"""Public views of jobs, for every interface, with secrets masked and contents hidden.

Masked: the task's secret fields, and fields with secret names, in data and result; and the values of
the payload's secrets wherever they occur (result, errors, tracebacks, progress, log lines).
Hidden: the contents of jobs that the actor may not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hsejobs.control.actors import Actor
from hsejobs.errors import InvalidOption
from hsejobs.masking import mask, scrub, scrub_data, secret_values
from hsejobs.model import JobRecord, State, iso_time

if TYPE_CHECKING:
    from hsejobs.store.circuits import Circuit
    from hsejobs.store.read import JobReader
    from hsejobs.store.registry import QueueInfo

#: The values of ``status`` in a listing.
STATUSES = (*(state.value for state in State), "paused")
#: Replaces a broken payload.
BROKEN = "(not valid JSON: hidden, because its secrets cannot be told apart)"
#: Replaces the contents of another user's job where a text is needed.
HIDDEN = "another user's job: not shown"
#: Fields of the public view that are contents: None for actors who may not read them.
CONTENTS = ("data", "result", "errors", "failedReason", "progressMessage", "cancel")
#: Fields shown of an error of another user's job.
_WHEN = ("attempt", "startedAt", "failedAt")


def secret_paths(info: QueueInfo | None, task: str) -> list[str]:
    """The secret fields of a task; those of all the queue's tasks if none is known by that name.

    A task under a former name has the secrets of both names.
    """
    if info is None:
        return []
    named = [one.secret for one in info.tasks if task in (one.name, *one.aliases)]
    if task in info.masks:
        named.append(info.masks[task])
    found = named or [*(one.secret for one in info.tasks), *info.masks.values()]
    return [path for paths in found for path in paths]


def masked_data(data: Any, paths: Iterable[str]) -> Any:
    """A payload with its secrets masked. One that is not valid JSON is hidden completely."""
    return BROKEN if isinstance(data, str) else mask(data, paths)


def masked(record: JobRecord, info: QueueInfo | None) -> JobRecord:
    """Replaces the record's secrets by ``***`` wherever they occur; returns the same record."""
    return masked_at(record, secret_paths(info, record.name))


def masked_at(record: JobRecord, paths: Sequence[str]) -> JobRecord:
    """As ``masked``; ``paths``: the secret fields of the job's task."""
    secrets = _values(record, paths) if _has_texts(record) else []
    record.data = masked_data(record.data, paths)
    record.result = mask(record.result, paths)
    if secrets:
        record.result = scrub_data(record.result, secrets)
        record.errors = tuple(_scrubbed(error, secrets) for error in record.errors)
        record.cancel = record.cancel and _scrubbed(record.cancel, secrets)
        if record.progress_message:
            record.progress_message = scrub(record.progress_message, secrets)
    return record


def _scrubbed(error: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    return {
        name: scrub(value, secrets) if isinstance(value, str) else value
        for name, value in error.items()
    }


def _has_texts(record: JobRecord) -> bool:
    texts = (record.errors, record.progress_message, record.cancel)
    return any(texts) or record.result is not None


def _values(record: JobRecord, paths: Iterable[str]) -> list[str]:
    """The payload's secrets as text, without those that are sealed."""
    return [] if isinstance(record.data, str) else secret_values(record.data, paths)


def hidden(record: JobRecord, actor: Actor) -> JobRecord:
    """Removes the record's contents if the actor may not read them; returns the same record."""
    _hide_relatives(record, actor)
    if not actor.may_read_contents(record.organization_id, record.user_id):
        record.data = HIDDEN if record.data is not None else None
        record.errors = tuple(_only_when(error) for error in record.errors)
        record.code = "hidden" if record.code else None
        record.result = record.progress_message = record.cancel = record.lock = None
        # The code says what it waits for, but not which server or lock.
        record.postponed = record.postponed and record.postponed.partition(" ")[0]
    return record


def _hide_relatives(record: JobRecord, actor: Actor) -> None:
    """Removes relatives that have no organization from what an actor of one organization sees."""
    if actor.organization_id is not None:
        record.parent = None if record.parent and record.parent.unowned else record.parent
        record.root = None if record.root and record.root.unowned else record.root


def _only_when(error: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in error.items() if name in _WHEN}
    return {**kept, "error": HIDDEN, "code": "hidden"}


def job(record: JobRecord, info: QueueInfo | None, actor: Actor) -> dict[str, Any]:
    """A job's public object as this actor may see it. Modifies the record."""
    return visible(masked(record, info), actor)


def visible(record: JobRecord, actor: Actor) -> dict[str, Any]:
    """The public object of a masked job: None in place of contents that the actor may not read."""
    _hide_relatives(record, actor)
    shown = public(record)
    if not actor.may_read_contents(record.organization_id, record.user_id):
        shown.update(dict.fromkeys(CONTENTS))
    return shown


def public(record: JobRecord) -> dict[str, Any]:
    """The object that the HTTP shim and ``--json`` return; absent values are None. Masks nothing.

    It has ``why`` only if the record was read with it, and ``supersededBy`` only if another job runs instead.
    """
    shown: dict[str, Any] = {
        "id": record.id,
        "queue": record.queue,
        "name": record.name,
        "status": str(record.status),
        "organizationId": record.organization_id,
        "userId": record.user_id,
        "parentId": record.parent and record.parent.id,
        "rootId": record.root and record.root.id,
        "requestId": record.request_id,
        "data": record.data,
        "priority": record.priority,
        "attemptsMade": record.attempts_made,
        "attempts": record.attempts,
        "progress": record.progress,
        "progressMessage": record.progress_message,
        "result": record.result,
        "failedReason": record.failed_reason,
        "errors": [_error(error) for error in record.errors],
        "createdAt": iso_time(record.created_at),
        "processedAt": iso_time(record.processed_at),
        "finishedAt": iso_time(record.finished_at),
        "runAt": iso_time(record.run_at),
        "timeout": record.timeout or None,
        "stalls": record.stalls,
        "cancel": record.cancel and {**record.cancel, "at": iso_time(record.cancel["at"])},
    }
    if record.superseded_by is not None:
        shown["supersededBy"] = record.superseded_by
    if record.explained:
        shown["why"] = record.why
    return shown


def _error(error: dict[str, Any]) -> dict[str, Any]:
    return {
        "attempt": error.get("attempt"),
        "error": error.get("error"),
        "code": error.get("code"),
        "traceback": error.get("traceback"),
        "startedAt": iso_time(error.get("startedAt")),
        "failedAt": iso_time(error.get("failedAt")),
        "worker": error.get("worker"),
    }


def logs(
    reader: JobReader, record: JobRecord, info: QueueInfo | None, actor: Actor, *, tail: int = 0
) -> tuple[list[str] | None, int]:
    """A job's stored log lines (None if hidden), and how many were ever written.

    ``tail``: return only this many of the newest lines. ``record`` must be unmasked: its secrets
    are scrubbed from the lines.
    """
    lines, total = reader.logs(record.queue, record.id, start=-tail)
    if not actor.may_read_contents(record.organization_id, record.user_id):
        return None, total
    secrets = _values(record, secret_paths(info, record.name)) if lines else []
    return [scrub(line, secrets) for line in lines], total


def state_of(status: object, field: str = "status") -> State:
    """The state that a status means; ``paused`` means waiting. Raises InvalidOption."""
    if status not in STATUSES:
        raise InvalidOption(field, f"must be one of {', '.join(STATUSES[:-1])} or {STATUSES[-1]}")
    return State.WAITING if status == "paused" else State(str(status))


def workers(reader: JobReader, queues: Sequence[str]) -> list[dict[str, Any]]:
    """The live consumers and what their slots run; times are ISO 8601, durations ms."""
    found = reader.workers(queues)
    for one in found:
        one["startedAt"] = iso_time(one.get("startedAt"))
        # Consumers of 0.1.0 do not tell.
        one.setdefault("release", None)
        one.setdefault("tasks", [])
        one.setdefault("format", 1)
        # Consumers of earlier releases do not tell.
        one.setdefault("memory", None)
        one.setdefault("state", "running")
    return found


def circuits(found: Sequence[Circuit], actor: Actor) -> list[Circuit]:
    """Circuits as this actor may see them: an endpoint's name and error are contents of someone's jobs."""
    if actor.role != "member":
        return list(found)
    return [
        replace(one, name=f"endpoint {n}", last_error=one.last_error and HIDDEN)
        for n, one in enumerate(found, 1)
    ]

"""Convert the reply of lib/record to a job, also for a broken record, as far as it is readable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hsejobs import codec
from hsejobs.model import DEFAULT_PRIORITY, JobRecord, Relative, State, whole_number
from hsejobs.store.minutes import pairs


def _json(text: bytes | None) -> Any:
    if not text:
        return None
    try:
        return codec.loads(text)
    except ValueError:
        # Truncated by `limit`, or not written by hsejobs: show the text.
        return text.decode("utf-8", "replace")


def _percent(text: bytes | None) -> float:
    try:
        percent = float(text or 0)
    except ValueError:
        return 0
    return percent if 0 <= percent <= 100 else 0


def _error(entry: bytes) -> dict[str, Any]:
    found = _json(entry)
    return found if isinstance(found, dict) else {"error": str(found)}


def _cancel(text: bytes | None) -> dict[str, Any] | None:
    found = _json(text)
    if found is None:
        return None
    known = found if isinstance(found, dict) else {}
    return {name: known.get(name) for name in ("by", "reason", "at")}


def _lock(queue: str, text: bytes | None) -> str | None:
    """The name of the lock that a delayed job waits for; ``text``: its field ``lk``."""
    found = _json(text)
    key = found[0] if isinstance(found, list) and found else None
    return key.removeprefix(f"{queue}.lock.") if isinstance(key, str) else None


def _postponed(status: State, text: str | None, run_at: int | None) -> str | None:
    """The reason of a postponement; None if it was for an earlier time. ``text``: the field ``wy``."""
    at, _, reason = (text or "").partition(" ")
    return reason if status is State.DELAYED and reason and at == str(run_at) else None


def record_of(queue: str, row: Sequence[Any]) -> JobRecord:
    """The job. Never raises because of the record's contents, so that a list can show the others."""
    record = pairs(row[1])

    def text(name: bytes) -> str | None:
        value = record.get(name)
        return value.decode("utf-8", "replace") if value else None

    def number(name: bytes) -> int | None:
        return whole_number(record.get(name))

    status = State.of_letter(record.get(b"st"))
    payload = _json(row[2])
    family = (text(b"fa") or "").split(" ")
    result = row[3] or record.get(b"r")
    return JobRecord(
        id=row[0].decode(),
        queue=queue,
        name=text(b"n") or "",
        status=status,
        organization_id=text(b"o"),
        user_id=text(b"u"),
        priority=number(b"p") or DEFAULT_PRIORITY,
        attempts_made=number(b"am") or 0,
        attempts=number(b"ax") or 1,
        backoff=number(b"bo") or 0,
        timeout=number(b"to") or 0,
        created_at=number(b"ct") or 0,
        processed_at=number(b"pt"),
        finished_at=number(b"ft"),
        run_at=number(b"ra") if status is State.DELAYED else None,
        progress=100 if status is State.COMPLETED else _percent(record.get(b"pg")),
        progress_message=text(b"pm"),
        stalls=number(b"sl") or 0,
        code=text(b"ec"),
        data=payload,
        result=_json(result),
        errors=tuple(_error(entry) for entry in row[4]),
        log_count=number(b"lc") or 0,
        token=text(b"tk"),
        cancel=_cancel(record.get(b"cl")),
        lock=_lock(queue, record.get(b"lk")) if status is State.DELAYED else None,
        postponed=_postponed(status, text(b"wy"), number(b"ra")),
        parent=Relative.parse(family[0]),
        root=Relative.parse(family[-1]),
        version=text(b"v") or "",
    )

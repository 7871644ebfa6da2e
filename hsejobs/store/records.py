"""Convert the reply of lib/record to a job, also for a broken record, as far as it is readable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hsejobs import codec
from hsejobs.model import (
    DEFAULT_PRIORITY,
    STATE_OF_LETTER,
    JobRecord,
    Relative,
    State,
    whole_number,
)
from hsejobs.store.minutes import pairs


def _json(text: bytes | None) -> Any:
    if not text:
        return None
    try:
        return codec.loads(text)
    except ValueError:
        # Truncated by `limit`, or not written by hsejobs: show the text.
        return text.decode("utf-8", "replace")


def parse_percent(text: bytes | None) -> float:
    if text is None:
        return 0.0
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


def _text(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if value else None


def _request(signature: bytes | None) -> str | None:
    """The id of the request that caused the job: the second word of the field ``sg``."""
    # Of a job that no request has added, that word is empty before a traceparent.
    words = (signature or b"").split(b" ", 2)
    return _text(words[1]) if len(words) > 1 else None


def _number(value: bytes | None) -> int | None:
    return None if value is None else whole_number(value)


def _postponed(text: str | None, run_at: int | None) -> str | None:
    """The reason of a postponement; None if it was for an earlier time. ``text``: the field ``wy``."""
    at, _, reason = (text or "").partition(" ")
    return reason if reason and at == str(run_at) else None


_STATES = {letter.encode(): state for letter, state in STATE_OF_LETTER.items()}


def record_of(queue: str, row: Sequence[Any]) -> JobRecord:
    """The job. Never raises because of the record's contents, so that a list can show the others."""
    get = pairs(row[1]).get
    status = _STATES.get(get(b"st") or b"", State.FAILED)
    delayed = status is State.DELAYED
    family = (_text(get(b"fa")) or "").split(" ")
    return JobRecord(
        id=row[0].decode(),
        queue=queue,
        name=_text(get(b"n")) or "",
        status=status,
        organization_id=_text(get(b"o")),
        user_id=_text(get(b"u")),
        priority=_number(get(b"p")) or DEFAULT_PRIORITY,
        attempts_made=_number(get(b"am")) or 0,
        attempts=_number(get(b"ax")) or 1,
        backoff=_number(get(b"bo")) or 0,
        timeout=_number(get(b"to")) or 0,
        created_at=_number(get(b"ct")) or 0,
        processed_at=_number(get(b"pt")),
        finished_at=_number(get(b"ft")),
        run_at=_number(get(b"ra")) if delayed else None,
        progress=100 if status is State.COMPLETED else parse_percent(get(b"pg")),
        progress_message=_text(get(b"pm")),
        progress_at=_number(get(b"pa")),
        stalls=_number(get(b"sl")) or 0,
        code=_text(get(b"ec")),
        data=_json(row[2]),
        result=_json(row[3] or get(b"r")),
        errors=tuple([_error(entry) for entry in row[4]]),
        log_count=_number(get(b"lc")) or 0,
        token=_text(get(b"tk")),
        cancel=_cancel(get(b"cl")),
        superseded_by=_text(get(b"sb")),
        lock=_lock(queue, get(b"lk")) if delayed else None,
        postponed=_postponed(_text(get(b"wy")), _number(get(b"ra"))) if delayed else None,
        parent=Relative.parse(family[0]) if family[0] else None,
        root=Relative.parse(family[-1]) if family[0] else None,
        request_id=_request(get(b"sg")),
        version=_text(get(b"v")) or "",
    )

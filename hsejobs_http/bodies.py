"""Request bodies: limited before they are read, and what a creating one asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request

from hsejobs import codec
from hsejobs.errors import InvalidInput, InvalidOption, InvalidPayload
from hsejobs.model import LONGEST_MS, PAYLOAD_LIMIT, check_job_id
from hsejobs_http.problems import Problem

#: Bytes of a body: a payload of the largest size may come indented or with escapes.
BODY_LIMIT = 4 * PAYLOAD_LIMIT
OPTIONS = ("priority", "delay", "backoff", "timeout", "attempts", "jobId")
_TIMES = ("delay", "backoff", "timeout")


def too_large() -> Problem:
    """The answer to a body above the limit."""
    return Problem(413, "payload_too_large", f"the body has more than {BODY_LIMIT:,} bytes")


async def read_body(request: Request) -> bytes:
    """The body. Raises Problem: 400 for half a one, 413 above the limit."""
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > BODY_LIMIT:
                raise too_large()
            pieces.append(piece)
    except ClientDisconnect:
        raise Problem(400, "disconnected", "the body ended too early") from None
    return b"".join(pieces)


async def read_json(request: Request) -> Any:
    """The body's JSON. Raises Problem: 400 for what is no JSON, 413 above the limit."""
    body = await read_body(request)
    try:
        return codec.strict(body)
    except InvalidPayload as error:
        raise Problem(400, "invalid_json", f"the body {error.problems[0][1]}") from None


@dataclass(slots=True)
class Wish:
    """What a creating body asks for. ``times`` in ms; ``sent_id`` as the caller sent it."""

    payload: Any
    sent_id: str | None = None
    task: str | None = None
    times: dict[str, int] = field(default_factory=dict)
    options: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""


def read_wish(body: Any, fields: Mapping[str, Any], key: str | None, salt: bytes) -> Wish:
    """The payload and its options from a body; ``fields`` are those of the queue's payload.

    Raises InvalidPayload and InvalidOption.
    """
    if not isinstance(body, dict):
        raise InvalidPayload("payload", "must be a JSON object")
    payload, given = _parted(body, fields)
    wish = Wish(payload)
    for name in _TIMES:
        if given.get(name) is not None:
            wish.times[name] = _ms(name, given[name])
    wish.options = {n: given[n] for n in ("priority", "attempts") if given.get(n) is not None}
    task = given.get("task")
    if task is not None and not isinstance(task, str):
        raise InvalidOption("task", "must be a text")
    wish.task = task
    wish.sent_id = _sent_id(given.get("jobId"), key)
    if wish.sent_id is not None:
        rest = {name: value for name, value in given.items() if name != "jobId"}
        wish.fingerprint = _fingerprint([payload, rest], salt)
    return wish


def _parted(body: dict[str, Any], fields: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    wrapped = set(body) == {"payload", "options"} and isinstance(body["options"], dict)
    if wrapped or (set(body) == {"payload"} and "payload" not in fields):
        options = body.get("options", {})
        unknown = [name for name in options if name not in (*OPTIONS, "task")]
        if unknown:
            raise InvalidOption("options", f"use {', '.join(OPTIONS)} or task")
        if body["payload"] is None:
            raise InvalidPayload("payload", "must not be null")
        return body["payload"], options
    taken = {name for name in OPTIONS if name in body and name not in fields}
    payload = {name: value for name, value in body.items() if name not in taken}
    return payload, {name: body[name] for name in taken}


def _ms(name: str, value: Any) -> int:
    if name == "backoff" and isinstance(value, dict):
        if value.get("type", "exponential") != "exponential" or not set(value) <= {"type", "delay"}:
            raise InvalidOption(name, 'use ms, or {"type": "exponential", "delay": ms}')
        value = value.get("delay")
    least = 1 if name == "timeout" else 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LONGEST_MS:
        raise InvalidOption(name, f"use whole ms, {least} to {LONGEST_MS}")
    return value


def _sent_id(job_id: Any, key: str | None) -> str | None:
    if job_id is not None:
        try:
            check_job_id(job_id)
        except InvalidInput as error:
            raise type(error)("jobId", error.problems[0][1]) from None
    if key is None:
        return None if job_id is None else str(job_id)
    try:
        check_job_id(key)
    except InvalidInput as error:
        raise type(error)("Idempotency-Key", error.problems[0][1]) from None
    if job_id is not None and job_id != key:
        raise InvalidOption("jobId", "differs from the Idempotency-Key header; send one of them")
    return key


def _fingerprint(body: Any, salt: bytes) -> str:
    import json

    text = json.dumps(body, sort_keys=True).encode()
    # Keyed: the payload may hold secrets that are sealed where this is kept.
    return hashlib.blake2b(text, key=salt[:64], digest_size=12).hexdigest()


def scoped_id(organization_id: str | None, sent: str) -> str:
    """The job's id of what a tenant sent: no tenant can reach or block another's."""
    if organization_id is None:
        return sent
    scope = organization_id
    if ":" in scope or scope.startswith("=") or scope in ("periodic", "sys") or not _usable(scope):
        # Written out, it could be read as another organisation's id, or is no part of an id.
        scope = "=" + hashlib.sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    try:
        return check_job_id(f"{scope}:{sent}")
    except InvalidInput:
        limit = 199 - len(scope)
        raise InvalidOption("jobId", f"use at most {limit} characters") from None


def _usable(scope: str) -> bool:
    try:
        check_job_id(scope)
    except InvalidInput:
        return False
    return len(scope) <= 100

"""Request bodies: limited before they are read, and what a creating one asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request

from hsejobs import codec
from hsejobs.control.making import encode
from hsejobs.control.options import (
    AddOptions,
    check_attempts,
    check_priority,
    whole_milliseconds,
)
from hsejobs.errors import (
    InvalidInput,
    InvalidJobId,
    InvalidOption,
    InvalidPayload,
    PayloadTooLarge,
)
from hsejobs.model import PAYLOAD_LIMIT, check_job_id, check_organization
from hsejobs_http.problems import Problem, too_slow

#: Bytes of a body: a payload of the largest size may come indented or with escapes.
BODY_LIMIT = 4 * PAYLOAD_LIMIT
OPTIONS = ("priority", "delay", "backoff", "timeout", "attempts", "jobId")
#: Whose the job is: part of the payload where that has such fields, else options.
OWNERS = ("organizationId", "userId")


def too_large() -> Problem:
    """The answer to a body above the limit."""
    return Problem(413, "payload_too_large", f"the body has more than {BODY_LIMIT:,} bytes")


async def read_body(request: Request) -> bytes:
    """The body.

    Raises Problem: 400 for half a one, 408 for one that is too slow, 413 above the limit.
    """
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > BODY_LIMIT:
                raise too_large()
            pieces.append(piece)
        request.scope["bytes"] = size
    except ClientDisconnect:
        if "late" in request.scope:
            raise too_slow("the body") from None
        raise Problem(400, "disconnected", "the body ended too early") from None
    return b"".join(pieces)


async def read_json(request: Request) -> Any:
    """The body's JSON. Raises Problem: 400 for what is no JSON, 413 above the limit."""
    body = await read_body(request)
    try:
        return codec.strict(body)
    except InvalidPayload as error:
        raise Problem(400, "invalid_json", f"the body {error.problems[0][1]}") from None


@dataclass(frozen=True, slots=True)
class AddRequest:
    """What a creating body asks for; ``sent_id`` as the caller sent it, ``sent_as`` where.

    ``fingerprint`` tells bodies of one id apart. ``wrong``: what cannot be used, told together with
    what is wrong with the payload.
    """

    payload: Any
    task: str | None
    asked: AddOptions
    owners: dict[str, str]
    sent_id: str | None
    sent_as: str
    fingerprint: str
    wrong: list[InvalidInput]


def read_add_request(
    body: Any,
    fields: Mapping[str, Any],
    keys: Sequence[str],
    salt: bytes,
    *,
    closed: bool = False,
    size: int = 0,
) -> AddRequest:
    """The payload and its options from a body; ``fields`` are those of the queue's payload.

    ``closed``: the payload may have no others, so whose the job is can stand beside it.
    ``keys``: the Idempotency-Key headers. ``size``: bytes of the body. Raises InvalidPayload for
    what is no object, PayloadTooLarge.
    """
    if not isinstance(body, dict):
        raise InvalidPayload("payload", "must be a JSON object")
    wrong: list[InvalidInput] = []
    beside = (*OPTIONS, *OWNERS) if closed else OPTIONS
    payload, given = _parted(body, fields, beside, wrong)
    _check_size(payload, size)
    asked = _checked(_CHECKS, given, wrong)
    owners = _checked({name: partial(_owner, name) for name in OWNERS}, given, wrong)
    task = given.get("task")
    if task is not None and not isinstance(task, str):
        wrong.append(InvalidOption("task", "must be a text"))
        task = None
    sent_id, sent_as = None, "jobId"
    try:
        sent_id, sent_as = _sent_id(given.get("jobId"), [bare(key) for key in keys])
    except InvalidInput as error:
        wrong.append(error)
    rest = {name: value for name, value in given.items() if name != "jobId"}
    fingerprint = "" if sent_id is None else _fingerprint([payload, rest], salt)
    return AddRequest(
        payload, task, AddOptions(**asked), owners, sent_id, sent_as, fingerprint, wrong
    )


def _checked(
    checks: Mapping[str, Callable[[Any], Any]], given: Mapping[str, Any], wrong: list[InvalidInput]
) -> dict[str, Any]:
    """The given values that pass their checks; what is wrong with the others goes to ``wrong``."""
    passed = {}
    for name, check in checks.items():
        if given.get(name) is not None:
            try:
                passed[name] = check(given[name])
            except InvalidInput as error:
                wrong.append(error)
    return passed


def _check_size(payload: Any, size: int) -> None:
    """Raises PayloadTooLarge for a payload above the limit, out of a body of ``size`` bytes.

    Before it is looked into: that takes a hundred times as long, and the shim answers nobody else.
    """
    if size <= PAYLOAD_LIMIT:
        return
    try:
        encode(payload)
    except PayloadTooLarge:
        raise
    except InvalidPayload:
        # What JSON cannot hold is told with the name of its field, by whoever looks into it.
        return


def together(errors: Sequence[InvalidInput]) -> InvalidInput:
    """One error that names every field that is wrong."""
    kind = next((one for one in errors if isinstance(one, InvalidPayload)), errors[0])
    problems = [problem for one in errors for problem in one.problems]
    return type(kind)(*problems[0], *problems[1:])


def _parted(
    body: dict[str, Any],
    fields: Mapping[str, Any],
    beside: Sequence[str],
    wrong: list[InvalidInput],
) -> tuple[Any, dict[str, Any]]:
    both = set(body) == {"payload", "options"}
    alone = "payload" not in fields and (set(body) == {"payload"} or (both and bool(fields)))
    if not alone and not (both and isinstance(body["options"], dict)):
        taken = {name for name in beside if name in body and name not in fields}
        payload = {name: value for name, value in body.items() if name not in taken}
        return payload, {name: body[name] for name in taken}
    options = body.get("options")
    if options is None:
        options = {}
    elif not isinstance(options, dict):
        wrong.append(InvalidOption("options", "must be an object"))
        options = {}
    wrong += unknown("options.", options, (*OPTIONS, *OWNERS, "task"))
    if body["payload"] is None:
        raise together([*wrong, InvalidPayload("payload", "must not be null")])
    return body["payload"], options


def unknown(before: str, given: Mapping[str, Any], known: Sequence[str]) -> list[InvalidInput]:
    """An error for each name that means nothing here, twenty at most."""
    names = [name for name in given if name not in known][:20]
    shown = ["".join(c if c.isprintable() else "?" for c in name[:60]) for name in names]
    told = f"is unknown: use {', '.join(known)}" if known else "is unknown: there are none here"
    return [InvalidOption(before + name, told) for name in shown]


def whole(value: Any) -> Any:
    """A number without a fraction as an int, all else as it is: in JSON 2.0 is 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _ms(name: str, value: Any) -> int:
    if name == "backoff" and isinstance(value, dict):
        if value.get("type", "exponential") != "exponential" or not set(value) <= {"type", "delay"}:
            raise InvalidOption(name, 'use ms, or {"type": "exponential", "delay": ms}')
        value = value.get("delay")
    return whole_milliseconds(name, whole(value), zero=name != "timeout")


def _owner(field: str, value: Any) -> str | None:
    return check_organization(value, field)


_CHECKS: dict[str, Callable[[Any], int]] = {
    "priority": lambda value: check_priority(whole(value)),
    "attempts": lambda value: check_attempts(whole(value)),
    **{name: partial(_ms, name) for name in ("delay", "backoff", "timeout")},
}


def bare(key: str) -> str:
    """An Idempotency-Key without the quotes that structured fields (RFC 8941) give a text."""
    quoted = len(key) > 1 and key[0] == key[-1] == '"'
    return key[1:-1] if quoted else key


def _sent_id(job_id: Any, keys: Sequence[str]) -> tuple[str | None, str]:
    """The id and where it stood."""
    sent = [("jobId", job_id)] if job_id is not None else []
    sent += [("Idempotency-Key", key) for key in keys]
    for name, value in sent:
        try:
            check_job_id(value)
        except InvalidInput as error:
            raise type(error)(name, error.problems[0][1]) from None
    if len({value for _, value in sent}) > 1:
        if job_id is None:
            raise InvalidOption("Idempotency-Key", "is given twice and differs")
        raise InvalidOption("jobId", "differs from the Idempotency-Key header; send one of them")
    name, value = sent[-1] if sent else ("jobId", None)
    return value, name


def _fingerprint(body: Any, salt: bytes) -> str:
    import json

    text = json.dumps(_level(body), sort_keys=True).encode()
    # Keyed: the payload may hold secrets that are sealed where this is kept.
    return hashlib.blake2b(text, key=salt[:64], digest_size=12).hexdigest()


def _level(value: Any) -> Any:
    """A copy in which equal numbers are written alike: 1.0 and 1e0 are 1."""
    if isinstance(value, dict):
        return {name: _level(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_level(one) for one in value]
    return whole(value)


def scoped_id(organization_id: str | None, sent: str, sent_as: str) -> str:
    """The job's id of what a tenant sent: no tenant can reach or block another's.

    Raises InvalidJobId, which names ``sent_as``, when it is too long with the organization's.
    """
    if organization_id is None:
        return sent
    scope = organization_id
    if ":" in scope or scope.startswith("=") or scope in ("periodic", "sys") or not _usable(scope):
        # Written out, it could be read as another organization's id, or is no part of an id.
        scope = "=" + hashlib.sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    try:
        return check_job_id(f"{scope}:{sent}")
    except InvalidInput:
        limit = 199 - len(scope)
        told = f"use at most {limit} characters: the organization's id comes before it"
        raise InvalidJobId(sent_as, told) from None


def _usable(scope: str) -> bool:
    try:
        check_job_id(scope)
    except InvalidInput:
        return False
    return len(scope) <= 100

"""Request bodies: limits their size, and parses the body of an add."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from starlette.requests import Request

from hsejobs import codec
from hsejobs.control.making import encode
from hsejobs.control.options import (
    NO_OPTIONS,
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
from hsejobs.model import PAYLOAD_LIMIT, check_job_id, check_organization, check_reason
from hsejobs_http.problems import Problem, too_slow

#: Bytes of a body: a payload of the maximum size may be indented or have escapes.
BODY_LIMIT = 4 * PAYLOAD_LIMIT
OPTIONS = ("priority", "delay", "backoff", "timeout", "attempts", "jobId")
#: The job's owner: fields of the payload if its model has them, else options.
OWNERS = ("organizationId", "userId")


def too_large() -> Problem:
    """Returns the answer to a body above the limit."""
    return Problem(413, "payload_too_large", f"the body has more than {BODY_LIMIT:,} bytes")


async def read_body(request: Request) -> bytes:
    """Reads the body.

    Raises Problem: 400 if the body is incomplete, 408 if it is too slow, 413 above the limit.
    """
    pieces, size, more = [], 0, True
    # Not `request.stream()`, whose generator costs more than all else here.
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            if "late" in request.scope:
                raise too_slow("the body")
            raise Problem(400, "disconnected", "the connection closed before the end of the body")
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size > BODY_LIMIT:
            raise too_large()
        pieces.append(piece)
    return b"".join(pieces) if len(pieces) > 1 else pieces[0]


async def read_json(request: Request) -> Any:
    """Reads the body as JSON. Raises Problem: 400 if it is not valid JSON, 413 above the limit."""
    return parse_json(await read_body(request))


def parse_json(body: bytes) -> Any:
    """Parses a body. Raises Problem 400 if it is not valid JSON."""
    try:
        return codec.strict(body)
    except InvalidPayload as error:
        raise Problem(400, "invalid_json", f"the body {error.problems[0][1]}") from None


def read_reason(body: bytes) -> str | None:
    """Parses the body of a cancel, which may be empty. Raises Problem 400, InvalidOption."""
    given = _optional(body, '{"reason": text}')
    wrong = unknown("", given, ("reason",))
    try:
        reason = check_reason(given.get("reason"))
    except InvalidInput as error:
        wrong.append(error)
    if wrong:
        raise combined(wrong)
    return reason


def check_empty(body: bytes) -> None:
    """Checks the body of an act that has no fields. Raises Problem 400, InvalidOption."""
    if wrong := unknown("", _optional(body, "{}"), ()):
        raise combined(wrong)


def _optional(body: bytes, form: str) -> dict[str, Any]:
    given = parse_json(body) if body.strip() else {}
    if not isinstance(given, dict):
        raise InvalidOption("body", f"must be {form}, or empty")
    return given


class AddRequest(NamedTuple):
    """A parsed add request; ``sent_id`` is the id as sent, ``sent_as`` the header or field it came in.

    ``fingerprint`` distinguishes bodies with the same id. ``wrong`` collects errors, which are reported
    together with those of the payload.
    """

    payload: Any
    task: str | None
    options: AddOptions
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
    """Parses payload and options; ``fields`` are those of the queue's payload model.

    ``closed``: the payload allows no other fields, so its owner may be given next to it.
    ``keys``: the Idempotency-Key headers. ``size``: bytes of the body. Raises InvalidPayload if the body
    is not an object, PayloadTooLarge.
    """
    if not isinstance(body, dict):
        raise InvalidPayload("payload", "must be a JSON object")
    wrong: list[InvalidInput] = []
    beside = (*OPTIONS, *OWNERS) if closed else OPTIONS
    payload, given = _split_body(body, fields, beside, wrong)
    _check_size(payload, size)
    options = AddOptions(**_checked(_CHECKS, given, wrong)) if given else NO_OPTIONS
    owners = _checked(_OWNER_CHECKS, given, wrong) if given else {}
    task = given.get("task")
    if task is not None and not isinstance(task, str):
        wrong.append(InvalidOption("task", "must be a string"))
        task = None
    sent_id, sent_as = None, "jobId"
    try:
        sent_id, sent_as = _read_id(given.get("jobId"), [unquoted(key) for key in keys])
    except InvalidInput as error:
        wrong.append(error)
    fingerprint = ""
    if sent_id is not None:
        rest = {name: value for name, value in given.items() if name != "jobId"}
        fingerprint = _fingerprint([payload, rest], salt)
    return AddRequest(payload, task, options, owners, sent_id, sent_as, fingerprint, wrong)


def _checked(
    checks: Mapping[str, Callable[[Any], Any]], given: Mapping[str, Any], wrong: list[InvalidInput]
) -> dict[str, Any]:
    """Returns the values that pass their checks; adds the errors of the others to ``wrong``."""
    passed = {}
    for name, check in checks.items():
        if given.get(name) is not None:
            try:
                passed[name] = check(given[name])
            except InvalidInput as error:
                wrong.append(error)
    return passed


def _check_size(payload: Any, size: int) -> None:
    """Raises PayloadTooLarge if the payload, from a body of ``size`` bytes, is above the limit.

    Called before validation, which takes a hundred times as long and blocks the event loop.
    """
    if size <= PAYLOAD_LIMIT:
        return
    try:
        encode(payload)
    except PayloadTooLarge:
        raise
    except InvalidPayload:
        # Validation reports values that JSON cannot represent, with the field's name.
        return


def combined(errors: Sequence[InvalidInput]) -> InvalidInput:
    """Combines errors into one that names every invalid field."""
    kind = next((one for one in errors if isinstance(one, InvalidPayload)), errors[0])
    problems = [problem for one in errors for problem in one.problems]
    return type(kind)(*problems[0], *problems[1:])


def _split_body(
    body: dict[str, Any],
    fields: Mapping[str, Any],
    beside: Sequence[str],
    wrong: list[InvalidInput],
) -> tuple[Any, dict[str, Any]]:
    both = body.keys() == {"payload", "options"}
    alone = "payload" not in fields and (body.keys() == {"payload"} or (both and bool(fields)))
    if not alone and not (both and isinstance(body["options"], dict)):
        given = {name: body[name] for name in beside if name in body and name not in fields}
        if not given:
            return body, given
        return {name: value for name, value in body.items() if name not in given}, given
    options = body.get("options")
    if options is None:
        options = {}
    elif not isinstance(options, dict):
        wrong.append(InvalidOption("options", "must be an object"))
        options = {}
    wrong += unknown("options.", options, (*OPTIONS, *OWNERS, "task"))
    if body["payload"] is None:
        raise combined([*wrong, InvalidPayload("payload", "must not be null")])
    return body["payload"], options


def unknown(before: str, given: Mapping[str, Any], known: Sequence[str]) -> list[InvalidInput]:
    """Returns an error for each unknown name, at most twenty."""
    names = [name for name in given if name not in known][:20]
    shown = ["".join(c if c.isprintable() else "?" for c in name[:60]) for name in names]
    problem = f"is unknown; use {', '.join(known)}" if known else "is unknown; remove it"
    return [InvalidOption(before + name, problem) for name in shown]


def integral(value: Any) -> Any:
    """Returns a float without a fraction as an int (in JSON, 2.0 is 2), anything else unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _ms(name: str, value: Any) -> int:
    if name == "backoff" and isinstance(value, dict):
        if value.get("type", "exponential") != "exponential" or not set(value) <= {"type", "delay"}:
            raise InvalidOption(name, 'must be ms, or {"type": "exponential", "delay": ms}')
        value = value.get("delay")
    return whole_milliseconds(name, integral(value), zero=name != "timeout")


def _owner(field: str, value: Any) -> str | None:
    return check_organization(value, field)


_CHECKS: dict[str, Callable[[Any], int]] = {
    "priority": lambda value: check_priority(integral(value)),
    "attempts": lambda value: check_attempts(integral(value)),
    **{name: partial(_ms, name) for name in ("delay", "backoff", "timeout")},
}
_OWNER_CHECKS = {name: partial(_owner, name) for name in OWNERS}


def unquoted(key: str) -> str:
    """Strips the quotes that structured fields (RFC 8941) put around an Idempotency-Key."""
    quoted = len(key) > 1 and key[0] == key[-1] == '"'
    return key[1:-1] if quoted else key


def _read_id(job_id: Any, keys: Sequence[str]) -> tuple[str | None, str]:
    """Returns the id, and the name of the field or header it came in. Raises InvalidInput."""
    sent = [("jobId", job_id)] if job_id is not None else []
    sent += [("Idempotency-Key", key) for key in keys]
    for name, value in sent:
        try:
            check_job_id(value)
        except InvalidInput as error:
            raise type(error)(name, error.problems[0][1]) from None
    if len({value for _, value in sent}) > 1:
        if job_id is None:
            raise InvalidOption("Idempotency-Key", "must be sent once; the headers differ")
        raise InvalidOption("jobId", "must equal the Idempotency-Key header; send only one of them")
    name, value = sent[-1] if sent else ("jobId", None)
    return value, name


def _fingerprint(body: Any, salt: bytes) -> str:
    import json

    text = json.dumps(_normalize_numbers(body), sort_keys=True).encode()
    # A keyed hash: the payload may contain secrets that are sealed in Redis.
    return hashlib.blake2b(text, key=salt[:64], digest_size=12).hexdigest()


def _normalize_numbers(value: Any) -> Any:
    """Returns a copy in which equal numbers are written alike: 1.0 and 1e0 become 1."""
    if isinstance(value, dict):
        return {name: _normalize_numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_normalize_numbers(one) for one in value]
    return integral(value)


def scoped_id(organization_id: str | None, sent: str, sent_as: str) -> str:
    """Prefixes a sent id with the organization, so that no tenant can reach or block another's job.

    Raises InvalidJobId, which names ``sent_as``, if the result is too long.
    """
    if organization_id is None:
        return sent
    scope = organization_id
    if ":" in scope or scope.startswith("=") or scope in ("periodic", "sys") or not _usable(scope):
        # Unchanged, it could read as another organization's id, or is not valid in an id.
        scope = "=" + hashlib.sha256(scope.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    try:
        return check_job_id(f"{scope}:{sent}")
    except InvalidInput:
        limit = 199 - len(scope)
        problem = f"must have at most {limit} characters: the organization's id is put before it"
        raise InvalidJobId(sent_as, problem) from None


def _usable(scope: str) -> bool:
    try:
        check_job_id(scope)
    except InvalidInput:
        return False
    return len(scope) <= 100

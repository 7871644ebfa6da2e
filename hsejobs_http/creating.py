"""POST /api/jobs/{queue}: one fast route for all queues."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hsejobs import codec, tracing
from hsejobs.control import making
from hsejobs.control.making import TaskTarget
from hsejobs.control.options import tenant_limit_errors
from hsejobs.control.sealing import unseal
from hsejobs.engine.adding import target_beside
from hsejobs.engine.huey import JobHuey, loaded
from hsejobs.errors import (
    ArtifactNotFound,
    ArtifactsUnavailable,
    IdempotencyConflict,
    InvalidInput,
    InvalidOption,
    InvalidPayload,
    JobNotFound,
    PayloadTooLarge,
)
from hsejobs.model import check_organization
from hsejobs.services.artifacts.access import viewer_of
from hsejobs.store.registry import QueueInfo
from hsejobs.store.write import NewJob, new_nonce
from hsejobs_http import bodies, waiting
from hsejobs_http.answers import Accepted
from hsejobs_http.bodies import AddRequest
from hsejobs_http.problems import Problem
from hsejobs_http.state import Shim, caller, check_role, shim
from hsejobs_http.tokens import Caller


async def create(request: Request) -> Response:
    """Adds a job; answers 202 with its id once it is in Redis."""
    shim_state = shim(request)
    queue = request.path_params["queue"]
    info = shim_state.known(queue)
    if info is None:
        info = await shim_state.info_soon(queue)
    who = check_adder(info, caller(request))
    new, artifacts = prepare(
        shim_state,
        info,
        who,
        # Not `request.headers`, which would wrap them all to find what few callers send.
        request.scope["headers"],
        await bodies.read_body(request),
        request.scope["trace"],
    )
    await _check_artifacts(shim_state, new, artifacts)
    seconds = waiting.wait_seconds(request) if request.scope["query_string"] else 0
    if tracing.tracer is None:
        added = await shim_state.adder.add(queue, new)
    else:
        with tracing.sending(queue, [new]) as (traced,):
            added = await shim_state.adder.add(queue, traced)
    if not added.created:
        await run_in_threadpool(check_same, shim_state, queue, new, who, request.scope["headers"])
    if seconds:
        ended = await waiting.after_adding(request, queue, added, seconds)
        if ended is not None:
            return ended
    return Accepted(queue, added)


def check_adder(info: QueueInfo, who: Caller) -> Caller:
    """Returns the caller if it may add jobs to the queue. Raises Problem 403."""
    return check_role(who, info.enqueue if info.enqueue in ("member", "admin") else "operator")


def prepare(
    shim_state: Shim,
    info: QueueInfo,
    who: Caller,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    trace: str,
) -> tuple[NewJob, dict[str, str]]:
    """Reads an add, and makes its job after all checks have passed; adds none.

    Returns with it the ids of the files that its payload refers to, by field. Raises InvalidInput, Problem.
    """
    schema = _schema(info)
    fields, closed = schema.get("properties", {}), schema.get("additionalProperties") is False
    given, size = bodies.parse_json(body), len(body)
    sent = bodies.read_add_request(
        given, fields, _keys(headers), shim_state.salt, closed=closed, size=size
    )
    return _new_job(shim_state, info, sent, who, trace)


def _keys(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == b"idempotency-key"]


async def _check_artifacts(shim_state: Shim, new: NewJob, wanted: dict[str, str]) -> None:
    """Raises InvalidPayload when one of the files is not there, or the job's owner may not read it."""
    if not wanted:
        return

    def check() -> list[InvalidInput]:
        wrong: list[InvalidInput] = []
        owner = viewer_of(new.role or None, new.organization_id or "", new.user_id)
        for field, artifact_id in wanted.items():
            try:
                shim_state.files.by_id(owner, new.organization_id or "", artifact_id)
            except ArtifactNotFound:
                # The same text whether it is absent or another's: its existence stays hidden.
                wrong.append(InvalidPayload(field, "there is no such artifact"))
        return wrong

    # If the store cannot be reached, the mail's own attempt checks it.
    with contextlib.suppress(ArtifactsUnavailable):
        wrong = await run_in_threadpool(check)
        if wrong:
            raise bodies.combined(wrong)


def _schema(info: QueueInfo) -> dict[str, Any]:
    """Returns the payload schema of the queue's default task; empty if it has none."""
    for task in info.tasks:
        if task.name == info.default_task and task.schema:
            return task.schema
    return {}


def _new_job(
    shim_state: Shim, info: QueueInfo, sent: AddRequest, who: Caller, trace: str
) -> tuple[NewJob, dict[str, str]]:
    """Builds the job after all checks have passed, as `prepare` returns it. Raises InvalidInput, Problem."""
    own = loaded(info.name)
    wrong = [*sent.wrong, *_operator_only(info, own, sent, who)]
    try:
        organization = _owner(sent, "organizationId", who, who.organization_id)
        user = _owner(sent, "userId", who, who.user_id)
        job_id, nonce = _identity(sent, organization, wrong)
        new, data = making.make_with_data(
            _target(shim_state, info, own, sent.task, who),
            sent.payload,
            sent.options,
            job_id=job_id,
            nonce=nonce,
            organization_id=organization,
            user_id=user,
            trace=trace,
            # A job that an operator adds is its owner's, as if Python had added it for them.
            role="" if who.role == "operator" else who.role,
        )
    except PayloadTooLarge:
        raise
    except InvalidInput as error:
        raise bodies.combined([*wrong, error]) from None
    if own is not None:
        _check_role(own, new, who)
    if wrong:
        raise bodies.combined(wrong)
    return new, {} if own is None else own.artifacts_of(data)


def _operator_only(
    info: QueueInfo, own: JobHuey | None, sent: AddRequest, who: Caller
) -> list[InvalidOption]:
    """Returns an error for each option value that only an operator may use."""
    if who.role == "operator":
        return []
    # The description may come from another version's consumer, and lack this field.
    outbound = own.outbound if own is not None else info.outbound
    return tenant_limit_errors(sent.options.attempts, sent.options.backoff, outbound=outbound)


def _identity(
    sent: AddRequest, organization: str | None, wrong: list[InvalidInput]
) -> tuple[str | None, str]:
    """Returns the job's id and nonce; adds the error of an invalid id to ``wrong``."""
    if sent.sent_id is None:
        return None, ""
    try:
        # An operator's ids, too, belong to the organization that the job is added for.
        job_id = bodies.scoped_id(organization, sent.sent_id, sent.sent_as)
    except InvalidInput as error:
        wrong.append(error)
        return None, ""
    return job_id, f"{new_nonce()}.{sent.fingerprint}"


def _target(
    shim_state: Shim, info: QueueInfo, own: JobHuey | None, task: str | None, who: Caller
) -> TaskTarget:
    """Returns the job's task, from its code if this process has it. Operators have no quota."""
    settings, key = shim_state.settings, (info.name, task, who.role == "operator")
    known = shim_state.targets.get(key)
    # Descriptions are read again every few seconds, and compared with the code's only then.
    if known is not None and known[0] is info:
        return known[1]
    if own is None:
        quota = settings.queue(info.name).tenant_backlog
        target = making.described(info, info.task(task), settings.secret_key, quota)
    else:
        target = target_beside(own, info, task, settings.secret_key)
    if who.role == "operator":
        target = target._replace(tenant_backlog=0)
    shim_state.targets[key] = info, target
    return target


#: The spellings in which a payload names an owner.
_SPELLINGS = {
    "organizationId": ("organizationId", "organization_id"),
    "userId": ("userId", "user_id"),
}


def _owner(sent: AddRequest, field: str, who: Caller, own: str | None) -> str | None:
    """Returns the job's owner: the caller's ``own``, or whom an operator's body names.

    Raises Problem 403 when the body of any other role names another owner.
    """
    named = [sent.owners[field]] if field in sent.owners else []
    if isinstance(sent.payload, dict):
        named += [sent.payload[name] for name in _SPELLINGS[field] if sent.payload.get(name)]
    if not named:
        return own
    if any(one != named[0] for one in named):
        raise InvalidPayload(field, "is given twice with different values; send it once")
    if who.role == "operator":
        return check_organization(named[0], field) if isinstance(named[0], str) else own
    if str(named[0]) != own:
        what = {"organizationId": "organization", "userId": "user"}[field]
        raise Problem(403, "forbidden", f"the body names another {what} than the token does")
    return own


def _check_role(own: JobHuey, new: NewJob, who: Caller) -> None:
    """Raises Problem 403 if this payload needs a higher role than the queue does."""
    role = own.enqueue_role
    if own.payload_role is not None:
        role = own.role_for(codec.loads(new.payload))
    if role == "admin" and who.rank < 1:
        raise Problem(403, "forbidden", "this payload requires the role admin")


def check_same(
    shim_state: Shim, queue: str, new: NewJob, who: Caller, headers: Iterable[tuple[bytes, bytes]]
) -> None:
    """Raises IdempotencyConflict when the id belongs to another organization or another body."""
    try:
        record = shim_state.runtime.reader.job(queue, new.id)
    except JobNotFound:
        return  # it ended and was removed in the meantime
    if record.organization_id != new.organization_id and who.scope is not None:
        raise IdempotencyConflict("this id is in use; send another")
    if not _keys(headers):
        return
    _, dot, fingerprint = shim_state.runtime.reader.nonce(queue, new.id).partition(".")
    same = bool(dot) and fingerprint == new.nonce.partition(".")[2]
    keys = shim_state.settings.secret_keys
    if not same and (not dot or len(keys) > 1):
        # Without a fingerprint, or with one that another key made: compare the payloads.
        same = unseal(record.data, keys) == unseal(codec.loads(new.payload), keys)
    if not same:
        raise IdempotencyConflict("this Idempotency-Key was sent before with another body")

"""POST /api/jobs/{queue}: one lean route for every queue there is."""

from __future__ import annotations

import contextlib
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hsejobs import codec
from hsejobs.control import making
from hsejobs.control.making import TaskTarget
from hsejobs.control.options import beyond_tenants
from hsejobs.control.sealing import unseal
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
from hsejobs.store.write import Added, NewJob, new_nonce
from hsejobs_http import bodies
from hsejobs_http.answers import answer
from hsejobs_http.bodies import AddRequest
from hsejobs_http.problems import Problem
from hsejobs_http.queries import check_query
from hsejobs_http.state import Shim, need, shim
from hsejobs_http.tokens import Caller


async def create(request: Request) -> Response:
    """Adds a job: 202 with its id once it is in Redis."""
    here = shim(request)
    await check_query(request)
    queue = request.path_params["queue"]
    info = here.known(queue)
    if info is None:
        info = await run_in_threadpool(here.info, queue)
    who = need(request, info.enqueue if info.enqueue in ("member", "admin") else "operator")
    body = await bodies.read_json(request)
    schema = _schema(info)
    keys = request.headers.getlist("idempotency-key")
    fields, closed = schema.get("properties", {}), schema.get("additionalProperties") is False
    size = request.scope["bytes"]
    sent = bodies.read_add_request(body, fields, keys, here.salt, closed=closed, size=size)
    new = _new_job(here, info, sent, who, request.scope["trace"])
    await _check_artifacts(here, queue, new)
    added = await here.adder.add(queue, new)
    if not added.created:
        await run_in_threadpool(_check_same, here, queue, new, who, bool(keys))
    return _answer(queue, added)


async def _check_artifacts(here: Shim, queue: str, new: NewJob) -> None:
    """Raises InvalidPayload when the payload refers to a file that its owner may not load."""
    own = loaded(queue)
    wanted = {} if own is None else own.artifacts_of(new.payload)
    if not wanted:
        return

    def check() -> list[InvalidInput]:
        wrong: list[InvalidInput] = []
        owner = viewer_of(new.role or None, new.organization_id or "", new.user_id)
        for field, artifact_id in wanted.items():
            try:
                here.files.by_id(owner, new.organization_id or "", artifact_id)
            except ArtifactNotFound:
                # The same words for what is another's: nobody learns here that it exists.
                wrong.append(InvalidPayload(field, "there is no such artifact"))
        return wrong

    # When the store is away the mail's own run finds out.
    with contextlib.suppress(ArtifactsUnavailable):
        wrong = await run_in_threadpool(check)
        if wrong:
            raise bodies.together(wrong)


def _answer(queue: str, added: Added) -> Response:
    told = {
        "jobId": added.id,
        "queue": queue,
        "status": str(added.status),
        "created": added.created,
    }
    return answer(told, 202, {"Location": f"/api/jobs/{queue}/jobs/{added.id}"})


def _schema(info: QueueInfo) -> dict[str, Any]:
    """The default task's schema of its payload; empty where it has none."""
    for task in info.tasks:
        if task.name == info.default_task and task.schema:
            return task.schema
    return {}


def _new_job(here: Shim, info: QueueInfo, sent: AddRequest, who: Caller, trace: str) -> NewJob:
    """The job, once nothing is wrong with its payload and options. Raises InvalidInput, Problem."""
    own = loaded(info.name)
    wrong = [*sent.wrong, *_beyond(info, own, sent, who)]
    try:
        organization = _owner(sent, "organizationId", who, who.organization_id)
        user = _owner(sent, "userId", who, who.user_id)
        job_id, nonce = _identity(sent, organization, wrong)
        new = making.make(
            _target(here, info, own, sent.task),
            sent.payload,
            sent.asked,
            job_id=job_id,
            nonce=nonce,
            organization_id=organization,
            user_id=user,
            trace=trace,
            # What an operator adds is its owner's, as if Python had added it for them.
            role="" if who.role == "operator" else who.role,
        )
    except PayloadTooLarge:
        raise
    except InvalidInput as error:
        raise bodies.together([*wrong, error]) from None
    if own is not None:
        _check_role(own, new, who)
    if wrong:
        raise bodies.together(wrong)
    return new


def _beyond(
    info: QueueInfo, own: JobHuey | None, sent: AddRequest, who: Caller
) -> list[InvalidOption]:
    """What of the options only an operator may ask for."""
    if who.role == "operator":
        return []
    # The record may be of another version's consumer, which says nothing of it yet.
    outbound = own.outbound if own is not None else info.outbound
    return beyond_tenants(sent.asked.attempts, sent.asked.backoff, outbound=outbound)


def _identity(
    sent: AddRequest, organization: str | None, wrong: list[InvalidInput]
) -> tuple[str | None, str]:
    """The job's id and nonce; an id that cannot be is added to ``wrong``."""
    if sent.sent_id is None:
        return None, ""
    try:
        # An operator's ids too are those of the organization for which it adds.
        job_id = bodies.scoped_id(organization, sent.sent_id, sent.sent_as)
    except InvalidInput as error:
        wrong.append(error)
        return None, ""
    return job_id, f"{new_nonce()}.{sent.fingerprint}"


def _target(here: Shim, info: QueueInfo, own: JobHuey | None, task: str | None) -> TaskTarget:
    """The task that the job is for, by its code where that is in this process."""
    if own is None:
        return making.described(info, info.task(task), here.settings.secret_key)
    # The record may be of another version's consumer; describing our own costs milliseconds.
    wrapper = own.wrappers.get(info.task(task).name) or own.wrapper(task)
    return wrapper.target


def _owner(sent: AddRequest, field: str, who: Caller, own: str | None) -> str | None:
    """Whose the job is: the caller's ``own``, or whom an operator's body names.

    Raises Problem 403 when another's body names somebody else.
    """
    named = [sent.owners[field]] if field in sent.owners else []
    if isinstance(sent.payload, dict):
        names = (field, field.replace("Id", "_id"))
        named += [sent.payload[name] for name in names if sent.payload.get(name)]
    if any(one != named[0] for one in named):
        raise InvalidPayload(field, "is given twice and differs")
    if who.role == "operator":
        return check_organization(named[0], field) if named and isinstance(named[0], str) else own
    if named and str(named[0]) != own:
        what = {"organizationId": "organization", "userId": "user"}[field]
        raise Problem(403, "forbidden", f"the body names another {what} than the token")
    return own


def _check_role(own: JobHuey, new: NewJob, who: Caller) -> None:
    """What a queue says of single payloads: some need more than the queue's role."""
    role = own.role_for(codec.loads(new.payload))
    if role == "admin" and who.rank < 1:
        raise Problem(403, "forbidden", "this payload needs the role admin")


def _check_same(here: Shim, queue: str, new: NewJob, who: Caller, keyed: bool) -> None:
    """Raises IdempotencyConflict when the id is of another organization, or of another body."""
    try:
        record = here.runtime.reader.job(queue, new.id)
    except JobNotFound:
        return  # it ended and was removed in between
    if record.organization_id != new.organization_id and who.scope is not None:
        raise IdempotencyConflict("this id is taken")
    if not keyed:
        return
    _, dot, fingerprint = here.runtime.reader.nonce(queue, new.id).partition(".")
    if dot:
        same = fingerprint == new.nonce.partition(".")[2]
    else:
        secret = here.settings.secret_key
        same = unseal(record.data, secret) == unseal(codec.loads(new.payload), secret)
    if not same:
        raise IdempotencyConflict("this Idempotency-Key came before with another body")

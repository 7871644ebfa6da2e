"""POST /api/jobs/{queue}: one lean route for every queue there is."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hsejobs import codec
from hsejobs.engine import remote
from hsejobs.engine.huey import JobHuey, loaded
from hsejobs.engine.options import beyond_tenants
from hsejobs.engine.sealing import unseal
from hsejobs.errors import (
    IdempotencyConflict,
    InvalidInput,
    InvalidPayload,
    JobNotFound,
    PayloadTooLarge,
)
from hsejobs.store.registry import QueueInfo
from hsejobs.store.write import Added, NewJob, new_nonce
from hsejobs_http import bodies
from hsejobs_http.bodies import Wish
from hsejobs_http.problems import Problem
from hsejobs_http.state import Shim, need, shim
from hsejobs_http.tokens import Caller


async def create(request: Request) -> Response:
    """Adds a job: 202 with its id once it is in Redis."""
    here = shim(request)
    queue = request.path_params["queue"]
    info = here.known(queue)
    if info is None:
        info = await run_in_threadpool(here.info, queue)
    who = need(request, info.enqueue if info.enqueue in ("member", "admin") else "operator")
    body = await bodies.read_json(request)
    fields = _fields(info)
    keys = request.headers.getlist("idempotency-key")
    wish = bodies.read_wish(body, fields, keys, here.salt)
    new = _checked(info, wish, who)
    new.trace = request.scope["trace"]
    added = await here.adder.add(queue, new)
    if not added.created:
        await run_in_threadpool(_check_same, here, queue, new, who, bool(keys))
    return _answer(queue, added)


def _answer(queue: str, added: Added) -> Response:
    body = codec.dumps(
        {"jobId": added.id, "queue": queue, "status": str(added.status), "created": added.created}
    )
    location = {"Location": f"/api/jobs/{queue}/jobs/{added.id}"}
    return Response(body, 202, location, "application/json")


def _fields(info: QueueInfo) -> dict[str, Any]:
    """The payload's fields as the default task's schema names them."""
    for task in info.tasks:
        if task.name == info.default_task and task.schema:
            found: dict[str, Any] = task.schema.get("properties", {})
            return found
    return {}


def _checked(info: QueueInfo, wish: Wish, who: Caller) -> NewJob:
    """The job, once nothing is wrong with its payload and options. Raises InvalidInput, Problem."""
    if who.role != "operator":
        # The record may be of another version's consumer, which says nothing of it yet.
        own = loaded(info.name)
        wish.wrong += beyond_tenants(
            wish.options.get("attempts"),
            wish.times.get("backoff"),
            outbound=own.outbound if own is not None else info.outbound,
        )
    try:
        new = _new_job(info, wish, who)
    except PayloadTooLarge:
        raise
    except InvalidInput as error:
        raise bodies.together([*wish.wrong, error]) from None
    if wish.wrong:
        raise bodies.together(wish.wrong)
    return new


def _new_job(info: QueueInfo, wish: Wish, who: Caller) -> NewJob:
    organization = _organization(wish.payload, who)
    options: dict[str, Any] = {
        "organization_id": organization, "user_id": who.user_id, **wish.options,
    }  # fmt: skip
    own = loaded(info.name)
    if own is not None:
        new = own.new_job(_wrapper(own, info, wish.task), wish.payload, **options)
        _check_role(own, new, who)
    else:
        new = remote.new_job(info, wish.payload, task=wish.task, **options)
    for name, ms in wish.times.items():
        setattr(new, name, ms)
    if wish.sent_id is not None:
        # An operator's ids too are those of the organisation for which it adds.
        new.id = bodies.scoped_id(organization, wish.sent_id, wish.sent_as)
        new.nonce = f"{new_nonce()}.{wish.fingerprint}"
    return new


def _wrapper(own: JobHuey, info: QueueInfo, task: str | None) -> Any:
    # The record may be of another version's consumer; describing our own costs milliseconds.
    return own.wrappers.get(info.task(task).name) or own.wrapper(task)


def _organization(payload: Any, who: Caller) -> str | None:
    named = None
    if isinstance(payload, dict):
        both = [payload[n] for n in ("organizationId", "organization_id") if payload.get(n)]
        if len(both) > 1 and both[0] != both[1]:
            raise InvalidPayload("organizationId", "is given twice and differs")
        named = both[0] if both else None
    if who.role == "operator":
        return named if isinstance(named, str) else who.organization_id
    if named is not None and str(named) != who.organization_id:
        raise Problem(403, "forbidden", "the body names another organisation than the token")
    return who.organization_id


def _check_role(own: JobHuey, new: NewJob, who: Caller) -> None:
    """What a queue says of single payloads: some need more than the queue's role."""
    role = own.role_for(codec.loads(new.payload))
    if role == "admin" and who.rank < 1:
        raise Problem(403, "forbidden", "this payload needs the role admin")


def _check_same(here: Shim, queue: str, new: NewJob, who: Caller, keyed: bool) -> None:
    """Raises IdempotencyConflict when the id is of another organisation, or of another body."""
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

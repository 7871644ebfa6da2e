"""Making a job: every source of one (Python, HTTP, command line, TUI, schedules, follow-ups) ends here.

A `TaskTarget` is the task that a job is made for, as its code or its queue's description says. A `NewJob`
is complete when it is made, and nobody changes it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from hsejobs import codec
from hsejobs.control import schema, sealing
from hsejobs.control.options import NOTHING_ASKED, AddOptions
from hsejobs.errors import InvalidPayload, PayloadTooLarge
from hsejobs.model import PAYLOAD_LIMIT, check_job_id, check_organization, new_job_id
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob, new_nonce

#: How the payload holds the call: '' one dict, 'a' ``{"args": [...], "kwargs": {...}}``, 'v' one other value.
PLAIN, ARGUMENTS, VALUE = "", "a", "v"
#: The payload of a call without arguments, which is how a schedule's task is called.
NOTHING: dict[str, Any] = {"args": [], "kwargs": {}}
#: Problems of one payload that are told at once.
MOST_PROBLEMS = 20


class TaskTarget(NamedTuple):
    """The task that a job is made for. ``backoff`` and ``timeout`` in ms, timeout 0: none.

    ``read`` makes what is stored of a payload, and its signature letter; it raises InvalidPayload.
    ``seal`` seals the secret fields of that, ``extras`` makes what is stored beside it.
    """

    name: str
    priority: int
    attempts: int
    backoff: int
    timeout: int
    read: Callable[[Any], tuple[Any, str]]
    seal: Callable[[Any], Any] | None = None
    extras: Callable[[], bytes] | None = None


class Parent(Protocol):
    """The running job that adds others: whose they are where nothing else says so."""

    @property
    def organization_id(self) -> str | None:
        """The tenant."""

    @property
    def user_id(self) -> str | None:
        """Who added it."""

    @property
    def trace(self) -> str:
        """The request id, and after a space the ``traceparent``, that it came with."""


def described(info: QueueInfo, task: TaskInfo, secret_key: str | None = None) -> TaskTarget:
    """The target by the queue's own description, where its code is not at hand.

    ``secret_key`` seals the secret fields.
    """
    scheduled = any(one.task == task.name for one in info.schedules)

    def read(payload: Any) -> tuple[Any, str]:
        if scheduled:
            return none_of(payload), ARGUMENTS
        if task.schema is not None:
            if not isinstance(payload, dict):
                raise InvalidPayload("payload", "must be a JSON object")
            if wrong := schema.problems(payload, task.schema, MOST_PROBLEMS):
                raise InvalidPayload(*wrong[0], *wrong[1:])
        return payload, PLAIN if isinstance(payload, dict) else VALUE

    return TaskTarget(
        task.name,
        priority=info.held(task, "priority"),
        attempts=info.held(task, "attempts"),
        backoff=info.held(task, "backoff"),
        timeout=info.held(task, "timeout"),
        read=read,
        seal=sealing.sealer(task.secret, secret_key),
    )


def make(
    target: TaskTarget,
    payload: Any,
    asked: AddOptions = NOTHING_ASKED,
    *,
    job_id: str | None = None,
    **more: Any,
) -> NewJob:
    """One job; else as `make_many`. ``job_id`` None: an id of the engine's own."""
    ids = None if job_id is None else (job_id,)
    return make_many(target, (payload,), asked, ids=ids, **more)[0]


def make_many(
    target: TaskTarget,
    payloads: Iterable[Any],
    asked: AddOptions = NOTHING_ASKED,
    *,
    ids: Sequence[str | None] | None = None,
    internal: bool = False,
    nonce: str | None = None,
    organization_id: str | None = None,
    user_id: str | None = None,
    parent: Parent | None = None,
    trace: str = "",
    role: str = "",
) -> list[NewJob]:
    """A checked job for each payload, none of them added yet.

    ``ids``: one for each, None for an id of the engine's own; ``internal`` ones are taken as they
    are. ``nonce`` None: a new one where an id is given. Whose a job is: ``organization_id`` and
    ``user_id``, else what its payload names (``organizationId``, ``userId``), else its parent's.
    Raises InvalidPayload, PayloadTooLarge, InvalidOption, InvalidJobId.
    """
    whose, who = check_organization(organization_id), check_organization(user_id, "user_id")
    if parent is not None:
        trace = trace or parent.trace
    priority, attempts, backoff, timeout, delay = asked
    shared = (
        target.priority if priority is None else priority,
        target.attempts if attempts is None else attempts,
        target.backoff if backoff is None else backoff,
        target.timeout if timeout is None else timeout,
        delay,
    )
    name, read, seal = target.name, target.read, target.seal
    extras = b"" if target.extras is None else target.extras()
    made = []
    for number, payload in enumerate(payloads):
        data, signature = read(payload)
        organization, user = whose, who
        if isinstance(data, dict):
            if organization is None:
                organization = named(data, "organizationId", "organization_id")
            if user is None:
                user = named(data, "userId", "user_id")
        if parent is not None:
            organization = parent.organization_id if organization is None else organization
            user = parent.user_id if user is None else user
        given = None if ids is None else ids[number]
        text = encode(data)
        if seal is not None:
            text = codec.dumps(seal(data))
        made.append(
            NewJob(
                new_job_id() if given is None else given if internal else check_job_id(given),
                name,
                text,
                *shared,
                organization,
                user,
                extras,
                signature,
                trace,
                ("" if given is None else new_nonce()) if nonce is None else nonce,
                role,
            )
        )
    return made


def none_of(payload: Any) -> dict[str, Any]:
    """What is stored for a schedule's task, which takes no payload. Raises InvalidPayload."""
    if payload is not None and payload != {} and payload != NOTHING:
        raise InvalidPayload("payload", "a schedule's task takes none: leave it empty ({})")
    return NOTHING


def named(data: dict[str, Any], field: str, snake: str) -> str | None:
    """Whose job it is by its own payload, in either spelling, or None. Raises InvalidOption."""
    value = data.get(field)
    if value is None:
        field, value = snake, data.get(snake)
        if value is None:
            return None
    return check_organization(value, field) if isinstance(value, str) and value else None


def encode(data: Any) -> bytes:
    """A payload as it is stored. Raises InvalidPayload, PayloadTooLarge above 102,400 bytes."""
    try:
        text = codec.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload("payload", f"is no JSON: {_kind(error)}") from None
    if codec.deeper(data, text):
        raise InvalidPayload("payload", f"is nested more than {codec.DEEPEST} deep")
    if len(text) > PAYLOAD_LIMIT:
        raise PayloadTooLarge(
            "payload",
            f"has {len(text):,} bytes of JSON, {PAYLOAD_LIMIT:,} are allowed;"
            " store large data and pass a reference",
        )
    return text


def _kind(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or holds itself"
    if isinstance(error, TypeError):
        # "Object of type X is not JSON serializable" names a type, not a value.
        return str(error)[:120]
    return "NaN, infinity or a number of so many digits cannot be stored"

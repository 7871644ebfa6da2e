"""Make jobs, for every source: Python, HTTP, the command line, the TUI, schedules, follow-ups.

A `TaskTarget` describes the task, from its code or from its queue's description. A `NewJob` is
complete when it is made, and is not changed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from hsejobs import codec
from hsejobs.control import schema, sealing
from hsejobs.control.options import NO_OPTIONS, AddOptions
from hsejobs.errors import InvalidPayload, PayloadTooLarge
from hsejobs.model import PAYLOAD_LIMIT, check_job_id, check_organization, new_job_id, new_job_ids
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob, new_nonce

#: Signature letters, for the payload's form: a dict, ``{"args": [...], "kwargs": {...}}``, another value.
PLAIN, ARGUMENTS, VALUE = "", "a", "v"
#: The payload of a call without arguments, as for a schedule's task.
NOTHING: dict[str, Any] = {"args": [], "kwargs": {}}
#: A payload that has been checked: the id given for its job, its stored form if it is kept, its JSON (not
#: sealed), organization, user, signature and key. A plain tuple: a named one costs as much as the rest.
_Payload = tuple[str | None, Any, bytes, str | None, str | None, str, str]
#: Maximum number of problems reported for one payload.
MOST_PROBLEMS = 20


class TaskTarget(NamedTuple):
    """The task that a job is made for. ``backoff`` and ``timeout`` are in ms; timeout 0 means none.

    ``read`` returns the stored form of a payload and its signature letter; it raises InvalidPayload.
    ``seal`` encrypts the secret fields of the stored form; ``extras`` returns the Huey task's extras.
    ``key`` takes the stored form, its signature letter and the organization, and returns the job's key,
    or '' for none; it raises InvalidPayload. Without the task's code, there is none: the worker sees to it.
    ``tenant_backlog``: the most waiting and delayed jobs of one organization; 0 is no limit.
    """

    name: str
    priority: int
    attempts: int
    backoff: int
    timeout: int
    read: Callable[[Any], tuple[Any, str]]
    seal: Callable[[Any], Any] | None = None
    extras: Callable[[], bytes] | None = None
    key: Callable[[Any, str, str | None], str] | None = None
    tenant_backlog: int = 0


class Parent(Protocol):
    """A running job that adds others, which inherit its organization, user and trace."""

    @property
    def organization_id(self) -> str | None: ...

    @property
    def user_id(self) -> str | None: ...

    @property
    def trace(self) -> str:
        """The request id and, after a space, the ``traceparent`` of the request that added it."""

    def family(self, organization_id: str | None) -> str:
        """Its place in the family of a job that it adds for this organization; '' for none."""


def described(
    info: QueueInfo,
    task: TaskInfo,
    secret_key: str | None = None,
    tenant_backlog: int | None = None,
) -> TaskTarget:
    """The target from the queue's description, for programs that do not have its code.

    ``secret_key`` encrypts the secret fields; None leaves them plain. ``tenant_backlog``: what this
    process's environment sets; None: the description's.
    """
    scheduled = any(one.task == task.name for one in info.schedules)

    def read(payload: Any) -> tuple[Any, str]:
        if scheduled:
            return check_no_payload(payload), ARGUMENTS
        if task.schema is not None:
            if not isinstance(payload, dict):
                raise InvalidPayload("payload", "must be a JSON object")
            if wrong := schema.problems(payload, task.schema, MOST_PROBLEMS):
                raise InvalidPayload(*wrong[0], *wrong[1:])
        return payload, PLAIN if isinstance(payload, dict) else VALUE

    return TaskTarget(
        task.name,
        priority=info.effective_option(task, "priority"),
        attempts=info.effective_option(task, "attempts"),
        backoff=info.effective_option(task, "backoff"),
        timeout=info.effective_option(task, "timeout"),
        read=read,
        seal=sealing.sealer(task.secret, secret_key),
        tenant_backlog=info.tenant_backlog if tenant_backlog is None else tenant_backlog,
    )


def make(
    target: TaskTarget,
    payload: Any,
    add_options: AddOptions = NO_OPTIONS,
    *,
    job_id: str | None = None,
    **more: Any,
) -> NewJob:
    """Makes one job, as `make_many` does. ``job_id`` None: a new id."""
    check, complete = _steps(target, add_options, **more)
    return complete(check(payload, job_id), "" if job_id is not None else new_job_id())


def make_with_data(
    target: TaskTarget,
    payload: Any,
    add_options: AddOptions = NO_OPTIONS,
    *,
    job_id: str | None = None,
    **more: Any,
) -> tuple[NewJob, Any]:
    """As `make`; also returns the payload in its stored form, not sealed."""
    check, complete = _steps(target, add_options, keep=True, **more)
    checked = check(payload, job_id)
    return complete(checked, "" if job_id is not None else new_job_id()), checked[1]


def make_many(
    target: TaskTarget,
    payloads: Iterable[Any],
    add_options: AddOptions = NO_OPTIONS,
    *,
    ids: Sequence[str | None] | None = None,
    **more: Any,
) -> Sequence[NewJob]:
    """Checks all payloads, then makes a job for each, when it is asked for first; adds none.

    What is left to do after the check is done while Redis adds the jobs before. ``ids``: one for each
    payload, None for a new id; ``more`` as for `make`, which is the same for one job.
    """
    check, complete = _steps(target, add_options, **more)
    if ids is None:
        return _Checked([check(payload, None) for payload in payloads], complete)
    checked = [check(payload, given) for payload, given in zip(payloads, ids, strict=True)]
    return _Checked(checked, complete)


#: How many ids are taken at once: those of the jobs of one call.
_IDS = 100


class _Checked(Sequence[NewJob]):
    """Jobs whose payloads have been checked; each is made once, when it is asked for first."""

    def __init__(
        self, checked: list[_Payload], complete: Callable[[_Payload, str], NewJob]
    ) -> None:
        self._checked, self._complete = checked, complete
        self._made: list[NewJob] = []
        self._ids: list[str] = []

    def __len__(self) -> int:
        return len(self._checked)

    def __iter__(self) -> Iterator[NewJob]:
        made, checked, complete = self._made, self._checked, self._complete
        for number in range(len(checked)):
            if number == len(made):
                new_id = ""
                if checked[number][0] is None:
                    if not self._ids:
                        self._ids = new_job_ids(min(_IDS, len(checked) - number))[::-1]
                    new_id = self._ids.pop()
                made.append(complete(checked[number], new_id))
            yield made[number]

    def __getitem__(self, at: Any) -> Any:
        return list(self)[at]


def _steps(
    target: TaskTarget,
    add_options: AddOptions,
    *,
    keep: bool = False,
    internal: bool = False,
    nonce: str | None = None,
    organization_id: str | None = None,
    user_id: str | None = None,
    parent: Parent | None = None,
    trace: str = "",
    role: str = "",
) -> tuple[Callable[[Any, str | None], _Payload], Callable[[_Payload, str], NewJob]]:
    """The two steps of making a job: the check of its payload and id, and what cannot fail after it,
    which takes a new id for a job without one.

    Ids of ``internal`` jobs are not checked. ``nonce`` None: a new one for each job with a given id.
    A job's organization and user are ``organization_id`` and ``user_id``, else those in its payload
    (``organizationId``, ``userId``), else its parent's. No quota applies to jobs that are ``internal``
    or have a parent. Raises InvalidOption; the check also InvalidPayload, PayloadTooLarge, InvalidJobId.
    """
    owner, owner_user = check_organization(organization_id), check_organization(user_id, "user_id")
    if parent is not None:
        trace = trace or parent.trace
    priority, attempts, backoff, timeout, delay = add_options
    shared = (
        target.priority if priority is None else priority,
        target.attempts if attempts is None else attempts,
        target.backoff if backoff is None else backoff,
        target.timeout if timeout is None else timeout,
        delay,
    )
    name, read, seal, key_of = target.name, target.read, target.seal, target.key
    extras = b"" if target.extras is None else target.extras()
    quota = 0 if internal or parent is not None else target.tenant_backlog

    def check(payload: Any, given: str | None) -> _Payload:
        data, signature = read(payload)
        organization, user = owner, owner_user
        if parent is not None or (isinstance(data, dict) and not _OWNER_NAMES.isdisjoint(data)):
            organization, user = _owners(data, owner, owner_user, parent)
        text = encode(data)
        if given is not None and not internal:
            check_job_id(given)
        key = "" if key_of is None else key_of(data, signature, organization)
        # Without secrets to encrypt, only the text is kept until the job is made, unless ``keep``.
        kept = data if keep or seal is not None else None
        return given, kept, text, organization, user, signature, key

    def complete(checked: _Payload, new_id: str) -> NewJob:
        given, data, text, organization, user, signature, key = checked
        text = text if seal is None else codec.dumps(seal(data))
        its_nonce = ("" if given is None else new_nonce()) if nonce is None else nonce
        family = "" if parent is None else parent.family(organization)
        own_id = new_id if given is None else given
        # `_make` takes half the time of a call with each value, whose order this is.
        first = (own_id, name, text, *shared, organization, user, extras, signature, trace)
        return NewJob._make((*first, role, key, quota, family, its_nonce))

    return check, complete


#: The spellings in which a payload names its organization and its user.
_ORGANIZATION, _USER = ("organizationId", "organization_id"), ("userId", "user_id")
_OWNER_NAMES = frozenset((*_ORGANIZATION, *_USER))


def _owners(
    data: Any, organization: str | None, user: str | None, parent: Parent | None
) -> tuple[str | None, str | None]:
    """The organization and user of a job: those given, else the payload's, else its parent's."""
    if isinstance(data, dict):
        if organization is None:
            organization = named(data, *_ORGANIZATION)
        if user is None:
            user = named(data, *_USER)
    if parent is not None:
        organization = parent.organization_id if organization is None else organization
        user = parent.user_id if user is None else user
    return organization, user


def check_no_payload(payload: Any) -> dict[str, Any]:
    """The stored payload of a schedule's task, which takes none. Raises InvalidPayload if one is given."""
    if payload is not None and payload != {} and payload != NOTHING:
        raise InvalidPayload(
            "payload", "must be left out or empty ({}): a schedule's task takes none"
        )
    return NOTHING


def named(data: dict[str, Any], field: str, snake: str) -> str | None:
    """The organization or user that a payload names, in either spelling, or None. Raises InvalidOption."""
    value = data.get(field)
    if value is None:
        field, value = snake, data.get(snake)
        if value is None:
            return None
    return check_organization(value, field) if isinstance(value, str) and value else None


def encode(data: Any) -> bytes:
    """Encodes a payload for storage. Raises InvalidPayload, PayloadTooLarge above 102,400 bytes."""
    try:
        text = codec.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload("payload", f"is not valid JSON: {_kind(error)}") from None
    if codec.exceeds_depth(data, text):
        raise InvalidPayload("payload", f"must not be nested more than {codec.DEEPEST} levels deep")
    if len(text) > PAYLOAD_LIMIT:
        raise PayloadTooLarge(
            "payload",
            f"has {len(text):,} bytes of JSON, the limit is {PAYLOAD_LIMIT:,};"
            " store large data elsewhere and pass a reference",
        )
    return text


def _kind(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or contains itself"
    if isinstance(error, TypeError):
        # "Object of type X is not JSON serializable" names a type, not a value.
        return str(error)[:120]
    return "NaN, infinity and numbers with too many digits cannot be stored"

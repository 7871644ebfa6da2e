"""Checked jobs, ready to be added: what an add is given becomes records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.control import options, sealing
from hsejobs.engine import messages, payloads
from hsejobs.engine.context import JobContext, running_job
from hsejobs.model import check_job_id, check_organization, new_job_id
from hsejobs.store.write import NewJob, new_nonce

if TYPE_CHECKING:
    from hsejobs.engine.huey import JobHuey
    from hsejobs.engine.tasks import JobTaskWrapper


def new_jobs(
    huey: JobHuey,
    wrapper: JobTaskWrapper,
    items: Sequence[Any],
    *,
    ids: Sequence[Any] | None = None,
    organization_id: str | None = None,
    user_id: str | None = None,
    priority: int | None = None,
    delay: float | None = None,
    attempts: int | None = None,
    backoff: float | None = None,
    timeout: float | None = None,
) -> list[NewJob]:
    """A job for each payload; ``ids``: one for each, None for an id of the engine's own.

    Options as for ``task.add``, checked once for all. Raises what that raises.
    """
    holds, parent = wrapper.options, running_job()
    extras = b""
    if wrapper.task_class.default_expires is not None:
        example = wrapper.task_class()
        example.resolve_expires(huey.utc)
        extras = messages.extras_of(huey._registry, example)
    name, trace = wrapper.full_name, parent.trace if parent is not None else ""
    whose, who = check_organization(organization_id), check_organization(user_id, "user_id")
    shared = (
        holds.priority if priority is None else options.check_priority(priority),
        holds.attempts if attempts is None else options.check_attempts(attempts),
        holds.backoff if backoff is None else options.milliseconds("backoff", backoff),
        holds.timeout if timeout is None else options.milliseconds("timeout", timeout, zero=False),
        0 if delay is None else options.milliseconds("delay", delay),
    )
    news = []
    for number, payload in enumerate(items):
        organization, user = whose, who
        if wrapper.periodic:
            data, signature = payloads.none_of(payload), messages.ARGUMENTS
        else:
            data = wrapper.data_of({} if payload is None else payload)
            signature = messages.PLAIN if isinstance(data, dict) else messages.VALUE
        if isinstance(data, dict):
            if whose is None and "organizationId" in data:
                organization = check_organization(payloads.named(data, "organizationId"))
            if who is None and "userId" in data:
                user = check_organization(payloads.named(data, "userId"), "user_id")
        if parent is not None:
            organization = parent.organization_id if organization is None else organization
            user = parent.user_id if user is None else user
        given = None if ids is None else ids[number]
        news.append(
            NewJob(
                new_job_id() if given is None else check_job_id(given),
                name,
                stored(huey, wrapper, data),
                *shared,
                organization,
                user,
                extras,
                signature,
                trace=trace,
                nonce="" if given is None else new_nonce(),
            )
        )
    return news


def from_task(huey: JobHuey, task: Any, parent: JobContext | None) -> NewJob:
    """The job of a task object, as Huey's own ways of adding make it; not yet added.

    Raises InvalidPayload, InvalidOption, PayloadTooLarge.
    """
    wrapper = huey.wrappers[huey._registry.task_to_string(type(task))]
    data, signature = messages.payload_of(task.args, task.kwargs)
    if signature == messages.PLAIN:
        data = wrapper.data_of(data)
    elif signature == messages.VALUE and wrapper.model is not None:
        data, signature = wrapper.data_of(data), messages.PLAIN
    elif wrapper.model is not None and data["args"]:
        data["args"][0] = wrapper.data_of(data["args"][0])
    holds = wrapper.options

    def said(name: str) -> Any:
        """What the call gives beside the decorator, whose values `holds` has already."""
        value = getattr(task, name)
        return None if value == getattr(task, f"default_{name}") else value

    priority, retries = said("priority"), said("retries")
    retry_delay, timeout = said("retry_delay"), said("timeout")
    delay = 0
    if task.eta is not None:
        delay = max(0, int((task.eta - huey._get_timestamp()).total_seconds() * 1000))
    whose, who = task.organization_id, task.user_id
    if isinstance(data, dict) and signature == messages.PLAIN:
        whose = whose or payloads.named(data, "organizationId")
        who = who or payloads.named(data, "userId")
    # A uuid that Huey or a caller chose may come again: then it is the same job.
    return NewJob(
        id=check_job_id(task.id),
        name=wrapper.full_name,
        payload=stored(huey, wrapper, data),
        priority=holds.priority if priority is None else options.check_priority(priority),
        attempts=holds.attempts if retries is None else options.check_attempts(retries + 1),
        backoff=holds.backoff
        if retry_delay is None
        else options.milliseconds("retry_delay", retry_delay),
        timeout=holds.timeout
        if timeout is None
        else options.milliseconds("timeout", timeout, zero=False),
        delay=delay,
        organization_id=check_organization(whose or (parent.organization_id if parent else None)),
        user_id=check_organization(who or (parent.user_id if parent else None), "user_id"),
        extras=messages.extras_of(huey._registry, task),
        signature=signature,
        trace=parent.trace if parent is not None else "",
    )


def stored(huey: JobHuey, wrapper: JobTaskWrapper, data: Any) -> bytes:
    """A payload as Redis keeps it: JSON, its secrets sealed. Raises InvalidPayload, PayloadTooLarge."""
    text = payloads.encode(data)
    key = huey.runtime.settings.secret_key
    return text if not key else codec.dumps(sealing.seal(data, wrapper.secret_paths, key))

"""Make jobs for queues whose code this process has: completes `control.making` from the task's code."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from hsejobs.control import making, options, sealing
from hsejobs.control.options import AddOptions
from hsejobs.engine import messages
from hsejobs.engine.context import parent_job
from hsejobs.engine.queue import Queue, QueueTask
from hsejobs.errors import BacklogFull, InvalidPayload
from hsejobs.store.registry import QueueInfo
from hsejobs.store.write import Added, NewJob
from hsejobs.watch import logs


def make_many(
    wrapper: QueueTask, payloads: Iterable[Any], add_options: AddOptions, **more: Any
) -> Sequence[NewJob]:
    """Makes a checked job for each payload without adding it; arguments and errors as `making.make_many`.

    Jobs made while a job runs inherit its organization and user unless these are given.
    """
    return making.make_many(wrapper.target, payloads, add_options, parent=parent_job(), **more)


def new_jobs(
    wrapper: QueueTask,
    payloads: Iterable[Any],
    *,
    ids: Sequence[Any] | None = None,
    organization_id: str | None = None,
    user_id: str | None = None,
    **values: Any,
) -> Sequence[NewJob]:
    """As ``make_many`` with the options of ``task.add``, times in seconds, checked once for all jobs."""
    return make_many(
        wrapper,
        payloads,
        options.in_seconds(**values),
        ids=ids,
        organization_id=organization_id,
        user_id=user_id,
    )


def target_beside(
    own: Queue, info: QueueInfo, task: str | None, secret_key: str | None
) -> making.TaskTarget:
    """The target for a payload that comes from outside, from the task's code.

    What only the queue's description has, because a newer release runs the queue, goes by that: a task
    that this process does not have, and fields that its model does not know. Raises UnknownTask.
    """
    named = info.task(task)
    wrapper = own.wrappers.get(named.name) or own.renamed.get(named.name)
    if wrapper is None:
        return making.described(info, named, secret_key, own.options.tenant_backlog)
    if named.schema == wrapper.schema or wrapper.model is None:
        return wrapper.target
    target, newer = wrapper.target, making.described(info, named, secret_key)

    def read(payload: Any) -> tuple[Any, str]:
        try:
            return target.read(payload)
        except InvalidPayload as error:
            try:
                data, signature = newer.read(payload)
            except InvalidPayload:
                raise error from None
            # All that our code checks holds for the rest of it.
            wrapper.check(data)
            return data, signature

    paths = dict.fromkeys([*wrapper.secret_paths, *named.secret])
    return target._replace(read=read, seal=sealing.sealer([*paths], secret_key))


def log_added(
    queue: Queue, new_jobs: Sequence[NewJob], added: Sequence[Added | BacklogFull]
) -> None:
    """Logs each job that this call created."""
    for new, one in zip(new_jobs, added, strict=True):
        if isinstance(one, Added) and one.created:
            shown = queue.shown_payload(new.payload)
            logs.job("added", queue.name, one.id, one.status, new.organization_id, shown, new.trace)


def from_task(wrapper: QueueTask, task: Any) -> NewJob:
    """Makes the job of a task object from Huey's own API, without adding it.

    Raises InvalidPayload, InvalidOption, PayloadTooLarge.
    """

    def given(name: str) -> Any:
        """The call's value, or None where it equals the decorator's, which the target has already."""
        value = getattr(task, name)
        return None if value == getattr(task, f"default_{name}") else value

    retries, retry_delay, delay = given("retries"), given("retry_delay"), 0
    if task.eta is not None:
        # Huey stores a naive UTC time.
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        delay = max(0, int((task.eta - now).total_seconds() * 1000))
    add_options = options.in_seconds(
        priority=given("priority"),
        attempts=None if retries is None else retries + 1,
        timeout=given("timeout"),
    )._replace(
        backoff=None if retry_delay is None else options.milliseconds("retry_delay", retry_delay),
        delay=delay,
    )
    # An id that Huey or the caller chose may be added again; it is then the same job: no nonce.
    target = wrapper.target._replace(
        read=lambda task: _call(wrapper, task),
        extras=lambda: messages.extras_of(wrapper.registry, task),
    )
    return making.make(
        target,
        task,
        add_options,
        job_id=task.id,
        nonce="",
        organization_id=task.organization_id,
        user_id=task.user_id,
        parent=parent_job() or task.parent,
    )


def _call(wrapper: QueueTask, task: Any) -> tuple[Any, str]:
    """The stored form of a task object's arguments, and its signature letter."""
    data, signature = messages.payload_of(task.args, task.kwargs)
    if signature == making.PLAIN:
        return wrapper.data_of(data), signature
    if wrapper.model is None:
        return data, signature
    if signature == making.VALUE:
        return wrapper.data_of(data), making.PLAIN
    if data["args"]:
        data["args"][0] = wrapper.data_of(data["args"][0])
    return data, signature

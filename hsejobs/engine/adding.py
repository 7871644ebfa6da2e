"""Jobs of queues whose code is here: what a task's own code says of them, for `control.making`."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from hsejobs.control import making, options
from hsejobs.control.options import AddOptions
from hsejobs.engine import messages
from hsejobs.engine.context import running_job
from hsejobs.engine.queue import QueueTask
from hsejobs.store.write import NewJob


def make_many(
    wrapper: QueueTask, payloads: Iterable[Any], asked: AddOptions, **more: Any
) -> list[NewJob]:
    """A checked job for each payload, none added yet; takes and raises what `making.make_many` does.

    What a running job adds is its organization's and user's where nothing else says so.
    """
    return making.make_many(wrapper.target, payloads, asked, parent=running_job(), **more)


def new_jobs(
    wrapper: QueueTask,
    payloads: Iterable[Any],
    *,
    ids: Sequence[Any] | None = None,
    organization_id: str | None = None,
    user_id: str | None = None,
    **asked: Any,
) -> list[NewJob]:
    """The same with the options of ``task.add``, times in seconds; they are checked once for all."""
    return making.make_many(
        wrapper.target,
        payloads,
        options.in_seconds(**asked),
        ids=ids,
        organization_id=organization_id,
        user_id=user_id,
        parent=running_job(),
    )


def from_task(wrapper: QueueTask, task: Any) -> NewJob:
    """The job of a task object, as Huey's own ways of adding make it; not yet added.

    Raises InvalidPayload, InvalidOption, PayloadTooLarge.
    """

    def said(name: str) -> Any:
        """What the call gives beside the decorator, whose values the target has already."""
        value = getattr(task, name)
        return None if value == getattr(task, f"default_{name}") else value

    retries, retry_delay, delay = said("retries"), said("retry_delay"), 0
    if task.eta is not None:
        # Huey keeps a naive UTC time.
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        delay = max(0, int((task.eta - now).total_seconds() * 1000))
    asked = options.in_seconds(
        priority=said("priority"),
        attempts=None if retries is None else retries + 1,
        timeout=said("timeout"),
    )._replace(
        backoff=None if retry_delay is None else options.milliseconds("retry_delay", retry_delay),
        delay=delay,
    )
    # A uuid that Huey or a caller chose may come again: then it is the same job, hence no nonce.
    target = wrapper.target._replace(
        read=lambda task: _call(wrapper, task),
        extras=lambda: messages.extras_of(wrapper.registry, task),
    )
    return making.make(
        target,
        task,
        asked,
        job_id=task.id,
        nonce="",
        organization_id=task.organization_id,
        user_id=task.user_id,
        parent=running_job(),
    )


def _call(wrapper: QueueTask, task: Any) -> tuple[Any, str]:
    """What is stored of a task object's arguments, and its signature letter."""
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

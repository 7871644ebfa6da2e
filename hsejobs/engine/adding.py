"""Checked jobs, ready to be added: what an add is given becomes records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hsejobs import codec
from hsejobs.engine import messages, options, payloads, sealing
from hsejobs.engine.context import running_job
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


def stored(huey: JobHuey, wrapper: JobTaskWrapper, data: Any) -> bytes:
    """A payload as Redis keeps it: JSON, its secrets sealed. Raises InvalidPayload, PayloadTooLarge."""
    text = payloads.encode(data)
    key = huey.runtime.settings.secret_key
    return text if not key else codec.dumps(sealing.seal(data, wrapper.secret_paths, key))

"""Follow-up jobs of a running job, on any queue: added once, however often the job runs."""

from __future__ import annotations

import hashlib
from typing import Any

from hsejobs import tracing
from hsejobs.control import making
from hsejobs.control.options import in_seconds
from hsejobs.engine import adding
from hsejobs.engine.context import current_job
from hsejobs.engine.huey import loaded
from hsejobs.engine.runtime import runtime
from hsejobs.handle import Job
from hsejobs.store import registry


def follow_up(
    queue: str,
    payload: Any,
    *,
    key: str,
    about: str | None = None,
    task: str | None = None,
    **options: Any,
) -> Job[Any]:
    """Adds a follow-up job of the running job, for the same organization and user.

    ``key`` distinguishes several follow-ups of one job. The id is derived from the running job
    and the key, so that a second attempt finds the follow-up of the first. With ``about`` it is
    derived from that text instead of the job, so that other jobs with the same text find it too.
    Takes the options of ``task.add`` and raises its errors, and UnknownQueue when no consumer has
    described the queue yet (the running job is retried, and by then one may have started).
    """
    job = current_job()
    # A worker that lost the lease must not act for the job.
    job.check()
    subject = (job.id, str(job.created_at)) if about is None else ("about", about)
    identity = "\0".join((job.queue, *subject, key))
    shared, local = runtime(), loaded(queue)
    more = {
        "ids": [f"sys:follow:{hashlib.sha256(identity.encode()).hexdigest()[:32]}"],
        "internal": True,
        "organization_id": options.pop("organization_id", job.organization_id),
        "user_id": options.pop("user_id", job.user_id),
    }
    chosen = in_seconds(**options)
    if local is not None:
        return local.add_new(adding.make_many(local.wrapper(task), [payload], chosen, **more))[0]
    info = registry.load(shared.redis, shared.prefix, queue)
    (new,) = making.make_many(
        making.described(info, info.task(task), shared.settings.secret_key),
        [payload],
        chosen,
        parent=job,
        **more,
    )
    if tracing.tracer is None:
        return Job(shared.reader, queue, shared.writer.add(queue, new))
    with tracing.sending(queue, [new]) as (traced,):
        return Job(shared.reader, queue, shared.writer.add(queue, traced))

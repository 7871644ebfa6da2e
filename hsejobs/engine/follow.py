"""Jobs that follow from a running job, on whatever queue: added once, however often it runs."""

from __future__ import annotations

import hashlib
from typing import Any

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
    """Adds a job that follows from the running one, for the same organization and user.

    ``key`` tells several follow-ups of one job apart. The id is made from the running job
    and the key, so that a second attempt finds the job of the first; or from ``about`` instead
    of the job, so that other jobs about the same thing find it too. Options as for
    ``task.add``; raises what that raises, and UnknownQueue when nothing has described the
    queue yet (the job is tried again, and by then its consumer may have started).
    """
    job = current_job()
    # Checked first: a worker that lost the job must not act for it.
    job.check()
    whose = (job.id, str(job.created_at)) if about is None else ("about", about)
    told = "\0".join((job.queue, *whose, key))
    shared, here = runtime(), loaded(queue)
    more = {
        "ids": [f"sys:follow:{hashlib.sha256(told.encode()).hexdigest()[:32]}"],
        "internal": True,
        "organization_id": options.pop("organization_id", job.organization_id),
        "user_id": options.pop("user_id", job.user_id),
    }
    asked = in_seconds(**options)
    if here is not None:
        return here.add_new(adding.make_many(here.wrapper(task), [payload], asked, **more))[0]
    info = registry.load(shared.link, shared.prefix, queue)
    (new,) = making.make_many(
        making.described(info, info.task(task), shared.settings.secret_key),
        [payload],
        asked,
        parent=job,
        **more,
    )
    return Job(shared.reader, queue, shared.writer.add(queue, new))

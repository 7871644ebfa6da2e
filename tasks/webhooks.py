"""The webhooks queue: one call a job."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from hsejobs.engine import Job, JobHuey, current_job
from hsejobs.engine.runtime import runtime
from hsejobs.services.webhooks.payload import WebhookPayload


def _shown(payload: Any) -> dict[str, Any]:
    return {"host": urlsplit(payload["url"]).hostname, "event": payload["eventType"]}


huey = JobHuey(
    "webhooks",
    attempts=5,
    backoff=10.0,
    timeout=30.0,
    workers="threads",
    enqueue="member",
    log_fields=_shown,
)


@huey.task()
def deliver_webhook(payload: WebhookPayload) -> dict[str, Any]:
    """Posts an event to a URL, signed when there is a secret."""
    from hsejobs.services.webhooks import signing
    from hsejobs.services.webhooks.address import parse_url
    from hsejobs.services.webhooks.deliver import DELIVERY_SECONDS, judge, post
    from hsejobs.services.webhooks.stringify import stringify

    job = current_job()
    settings = runtime().settings
    target = parse_url(payload.url)
    body = stringify(payload.payload)
    headers = signing.headers(
        # With the time: an id that is used again after a removal is another call.
        message=signing.message_id(f"{settings.redis_prefix}/webhooks/{job.id}/{job.created_at}"),
        event=payload.event_type,
        timestamp=int(time.time()),
        body=body,
        secret=payload.secret,
    )
    # A second before the engine gives up, so that the error says what happened.
    own = time.monotonic() + DELIVERY_SECONDS - 1.0
    job.check()
    answer = post(
        target,
        headers,
        body,
        deadline=own if job.deadline is None else job.deadline - min(1.0, job.time_remaining / 4),
        allow_private=settings.webhook_allow_private,
        secret=payload.secret,
    )
    job.log(f"{target.place} answered {answer.status} in {answer.duration_ms} ms: {answer.body}")
    return judge(answer)


def queue_webhook(payload: Any, **options: Any) -> Job:
    """Adds a webhook call; options and errors as for ``deliver_webhook.add``.

    The job is of the organisation in the payload, unless ``organization_id`` names one.
    """
    if isinstance(payload, dict) and options.get("organization_id") is None:
        named = payload.get("organizationId", payload.get("organization_id"))
        options["organization_id"] = named if isinstance(named, str) else None
    return deliver_webhook.add(payload, **options)
